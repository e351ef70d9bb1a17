import type { Service } from '../http/service.ts'

export const network: Service = { name: 'neutron', type: 'network', prefix: '/network', endpoint: '/network', dialect: 'neutron', routes: [], policies: [] }
