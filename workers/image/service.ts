import type { Service } from '../http/service.ts'

export const image: Service = { name: 'glance', type: 'image', prefix: '/image', endpoint: '/image', dialect: 'glance', routes: [], policies: [] }
