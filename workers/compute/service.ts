import type { Service } from '../http/service.ts'

export const compute: Service = { name: 'nova', type: 'compute', prefix: '/compute', endpoint: '/compute/v2.1', dialect: 'nova', routes: [], policies: [] }
