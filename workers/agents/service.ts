import type { Service } from '../http/service.ts'

export const agents: Service = { name: 'agents', type: 'agents', prefix: '/agents', endpoint: null, dialect: 'plain', routes: [], policies: [] }
