import type { Service } from '../http/service.ts'

export const placement: Service = { name: 'placement', type: 'placement', prefix: '/placement', endpoint: '/placement', dialect: 'placement', routes: [], policies: [] }
