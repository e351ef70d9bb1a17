import type { Service } from '../http/service.ts'

export const object: Service = { name: 'swift', type: 'object-store', prefix: '/object-store', endpoint: '/object-store/v1/AUTH_{project_id}', dialect: 'swift', routes: [], policies: [] }
