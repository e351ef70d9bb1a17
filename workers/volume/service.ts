/** Cinder v3: volumes on the hosts' own disks, snapshots, backups into Swift, attachments. */
import type { Service } from '../http/service.ts'
import { routes as attachments } from './attachments/routes.ts'
import { routes as backups } from './backups/routes.ts'
import { routes as groupTypes } from './group-types/routes.ts'
import { routes as groups } from './groups/routes.ts'
import { routes as messages } from './messages/routes.ts'
import { policies } from './policy.ts'
import { routes as qos } from './qos/routes.ts'
import { routes as quotas } from './quotas/routes.ts'
import { routes as services } from './services/routes.ts'
import { routes as snapshots } from './snapshots/routes.ts'
import { routes as transfers } from './transfers/routes.ts'
import { routes as types } from './types/routes.ts'
import { routes as versions, VERSION_MAX, VERSION_MIN } from './versions/routes.ts'
import { routes as volumes } from './volumes/routes.ts'

export const volume: Service = {
  name: 'cinder', type: 'volumev3', prefix: '/volume', endpoint: '/volume/v3/{project_id}', dialect: 'cinder', microversions: { header: 'volume', min: VERSION_MIN, max: VERSION_MAX },
  routes: [...versions, ...volumes, ...snapshots, ...attachments, ...backups, ...transfers, ...types, ...qos, ...quotas, ...services, ...messages, ...groupTypes, ...groups], policies,
}
