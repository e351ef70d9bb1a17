/** Version discovery, extensions, availability zones: what a client asks first. */
import type { Context } from '../../http/context.ts'
import { reply, route } from '../../http/route.ts'
import { both } from '../route.ts'

export const VERSION_MIN = [3, 0] as const
export const VERSION_MAX = [3, 71] as const

const versions = (ctx: Context) => ({
  versions: [{
    id: 'v3.0', status: 'CURRENT', version: VERSION_MAX.join('.'), min_version: VERSION_MIN.join('.'), updated: '2023-08-31T00:00:00Z',
    links: [{ rel: 'describedby', type: 'text/html', href: 'https://docs.openstack.org/' }, { rel: 'self', href: `${ctx.origin}/volume/v3/` }],
    'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.volume+json;version=3' }],
  }],
})

const EXTENSIONS: [alias: string, name: string, description: string][] = [
  ['backups', 'Backups', 'Backups support.'], ['capabilities', 'Capabilities', 'Capabilities support.'], ['os-admin-actions', 'AdminActions', 'Enable admin actions.'], ['os-availability-zone', 'AvailabilityZones', 'Describe Availability Zones.'],
  ['os-extended-services', 'ExtendedServices', 'Extended services support.'], ['os-extended-snapshot-attributes', 'ExtendedSnapshotAttributes', 'Extended SnapshotAttributes support.'], ['os-hosts', 'Hosts', 'Admin-only host administration.'],
  ['os-quota-class-sets', 'QuotaClasses', 'Quota classes management support.'], ['os-quota-sets', 'Quotas', 'Quota management support.'], ['os-services', 'Services', 'Services support.'], ['os-snapshot-actions', 'SnapshotActions', 'Enable snapshot manager actions.'],
  ['os-types-extra-specs', 'TypesExtraSpecs', 'Type extra specs support.'], ['os-types-manage', 'TypesManage', 'Types manage support.'], ['os-used-limits', 'UsedLimits', 'Provide data on limited resource usage.'],
  ['os-vol-host-attr', 'VolumeHostAttribute', "Expose host as an attribute of a volume."], ['os-vol-image-meta', 'VolumeImageMetadata', 'Show image metadata associated with the volume.'], ['os-vol-mig-status-attr', 'VolumeMigStatusAttribute', 'Expose migration_status as an attribute of a volume.'],
  ['os-vol-tenant-attr', 'VolumeTenantAttribute', 'Expose the internal project_id as an attribute of a volume.'], ['os-volume-actions', 'VolumeActions', 'Enable volume actions.'], ['os-volume-encryption-metadata', 'VolumeEncryptionMetadata', 'Volume encryption metadata retrieval support.'],
  ['os-volume-transfer', 'VolumeTransfer', 'Volume transfer management support.'], ['os-volume-type-access', 'VolumeTypeAccess', 'Volume type access support.'], ['qos-specs', 'Qos_specs_manage', 'QoS specs support.'],
  ['scheduler-stats', 'Scheduler_stats', 'Scheduler stats support.'], ['encryption', 'VolumeTypeEncryption', 'Encryption support for volume types.'],
]
const extension = ([alias, name, description]: (typeof EXTENSIONS)[number]) => ({ alias, name, description, updated: '2013-04-18T00:00:00+00:00', links: [] })

export const routes = [
  route({ method: 'GET', path: '/', policy: 'public', handle: (ctx) => reply({ status: 300, body: versions(ctx) }) }),
  ...['/v3', '/v3/'].map((path) => route({ method: 'GET', path, policy: 'public', handle: (ctx) => versions(ctx) })),
  ...both({ method: 'GET', path: '/extensions', policy: 'volume_extension:list_extensions', handle: () => ({ extensions: EXTENSIONS.map(extension) }) }),
  ...both({
    method: 'GET',
    path: '/os-availability-zone',
    policy: 'volume:availability_zone_list',
    handle: async (ctx) => ({ availabilityZoneInfo: (await ctx.region.volume.types.zones()).map((zoneName) => ({ zoneName, zoneState: { available: true } })) }),
  }),
]
