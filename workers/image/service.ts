/** Glance v2: images in the cloud's own Swift or on a host's file system. */
import type { Service } from '../http/service.ts'
import { routes as data } from './data/routes.ts'
import { routes as images } from './images/routes.ts'
import { routes as members } from './members/routes.ts'
import { routes as metadefs } from './metadefs/routes.ts'
import { policies } from './policy.ts'
import { routes as schemas } from './schemas/routes.ts'
import { routes as stores } from './stores/routes.ts'
import { routes as tasks } from './tasks/routes.ts'
import { routes as versions } from './versions/routes.ts'

export const image: Service = {
  name: 'glance', type: 'image', prefix: '/image', endpoint: '/image', dialect: 'glance',
  routes: [...versions, ...schemas, ...stores, ...tasks, ...images, ...data, ...members, ...metadefs], policies,
}
