import type { Service } from '../http/service.ts'

export const volume: Service = { name: 'cinder', type: 'volumev3', prefix: '/volume', endpoint: '/volume/v3/{project_id}', dialect: 'cinder', routes: [], policies: [] }
