import type { Service } from '../http/service.ts'

export const identity: Service = { name: 'keystone', type: 'identity', prefix: '/identity', endpoint: '/identity/v3', dialect: 'keystone', routes: [], policies: [] }
