/** Servers on the wire, by microversion (api-ref: servers). Pure: a record in, JSON out. Which groups of fields the caller may see is decided by policy before. */
import { createHash } from 'node:crypto'
import { isoMicrosNoZone, isoSeconds } from '../../../schema/values/time.ts'
import { bookmark, linksOf } from '../common/links.ts'
import { instanceName } from '../hosts/views.ts'
import type { ServerRecord } from './record.ts'
import { FAULT_STATUSES, PROGRESS_STATUSES, statusOf } from './states.ts'

export interface ServerSight {
  origin: string
  minor: number
  /** Host, instance name, user data: os-extended-server-attributes. */
  attributes: boolean
  /** null: not to be shown. */
  host_status: ((record: ServerRecord) => string) | null
  extra_specs: boolean
  /** Fault details are the operator's, but for a 500 that concerns the tenant. */
  details: boolean
}

export const hostHash = (projectId: string, host: string | null): string => (host === null ? '' : createHash('sha224').update(projectId + host).digest('hex'))

export const briefServer = (sight: ServerSight, record: { id: string; name: string }) => ({ id: record.id, name: record.name, links: linksOf(sight.origin, 'servers', record.id) })

type Address = { version: number; addr: string; 'OS-EXT-IPS:type'?: string; 'OS-EXT-IPS-MAC:mac_addr'?: string }

export function addressesOf(record: Pick<ServerRecord, 'ports'>, extended: boolean): Record<string, Address[]> {
  const addresses: Record<string, Address[]> = {}
  for (const port of record.ports) {
    const list = addresses[port.network_name] ?? []
    addresses[port.network_name] = list
    const extra = (type: string) => (extended ? { 'OS-EXT-IPS:type': type, 'OS-EXT-IPS-MAC:mac_addr': port.mac_address } : {})
    for (const ip of port.fixed_ips) {
      list.push({ version: ip.version, addr: ip.ip_address, ...extra('fixed') })
      for (const floating of port.floating_ips) if (floating.fixed_ip === ip.ip_address) list.push({ version: floating.floating_ip.includes(':') ? 6 : 4, addr: floating.floating_ip, ...extra('floating') })
    }
  }
  return addresses
}

function flavorView(sight: ServerSight, record: ServerRecord) {
  const { flavor } = record
  if (sight.minor < 47) return { id: flavor.id, links: bookmark(sight.origin, 'flavors', flavor.id) }
  return { vcpus: flavor.vcpus, ram: flavor.ram_mib, disk: flavor.disk_gib, ephemeral: flavor.ephemeral_gib, swap: flavor.swap_mib, original_name: flavor.name, ...(sight.extra_specs ? { extra_specs: flavor.extra_specs } : {}) }
}

function faultView(sight: ServerSight, record: ServerRecord, status: string) {
  if (record.fault === null || !FAULT_STATUSES.has(status)) return {}
  const { code, message, details, created_ms } = record.fault
  return { fault: { code, created: isoSeconds(created_ms), message, ...(details !== null && (sight.details || message.startsWith('No valid host')) ? { details } : {}) } }
}

/** Fields that later versions added to every view. */
function added(sight: ServerSight, record: ServerRecord) {
  const { minor } = sight
  return {
    ...(minor >= 9 ? { locked: record.locked } : {}), ...(minor >= 19 ? { description: record.description } : {}), ...(minor >= 26 ? { tags: record.tags } : {}),
    ...(minor >= 63 ? { trusted_image_certificates: record.trusted_certs } : {}), ...(minor >= 73 ? { locked_reason: record.locked_reason } : {}),
  }
}

function basic(sight: ServerSight, record: ServerRecord, extendedAddresses: boolean) {
  const status = statusOf(record.vm_state, record.task_state)
  return {
    id: record.id, name: record.name, status, tenant_id: record.project_id, user_id: record.user_id, metadata: record.metadata, hostId: hostHash(record.project_id, record.host_name),
    image: record.image_id === null ? '' : { id: record.image_id, links: bookmark(sight.origin, 'images', record.image_id) }, flavor: flavorView(sight, record), created: isoSeconds(record.created_ms), updated: isoSeconds(record.updated_ms),
    addresses: addressesOf(record, extendedAddresses), accessIPv4: record.access_ip_v4, accessIPv6: record.access_ip_v6, links: linksOf(sight.origin, 'servers', record.id), 'OS-DCF:diskConfig': record.disk_config,
    ...(PROGRESS_STATUSES.has(status) ? { progress: record.progress } : {}), ...faultView(sight, record, status), ...added(sight, record),
  }
}

const securityGroups = (record: ServerRecord) => {
  const names = [...new Set(record.ports.flatMap((port) => port.security_groups.map((group) => group.name)))]
  return names.length > 0 ? { security_groups: names.map((name) => ({ name })) } : {}
}

function attributes(sight: ServerSight, record: ServerRecord) {
  const { minor } = sight
  return {
    'OS-EXT-SRV-ATTR:host': record.host_name, 'OS-EXT-SRV-ATTR:instance_name': instanceName(record.id), 'OS-EXT-SRV-ATTR:hypervisor_hostname': record.host_name,
    ...(minor >= 3
      ? {
          'OS-EXT-SRV-ATTR:reservation_id': record.reservation_id, 'OS-EXT-SRV-ATTR:launch_index': record.launch_index, 'OS-EXT-SRV-ATTR:kernel_id': record.image?.properties.kernel_id ?? '', 'OS-EXT-SRV-ATTR:ramdisk_id': record.image?.properties.ramdisk_id ?? '',
          'OS-EXT-SRV-ATTR:hostname': record.hostname, 'OS-EXT-SRV-ATTR:root_device_name': record.root_device, 'OS-EXT-SRV-ATTR:user_data': record.user_data,
        }
      : {}),
  }
}

/** `listed`: a detailed list leaves out what only one server's view has. */
export function fullServer(sight: ServerSight, record: ServerRecord, listed = false) {
  const { minor } = sight
  const zone = record.availability_zone !== null && record.host_name !== null ? record.availability_zone : (record.requested_zone ?? '')
  return {
    ...basic(sight, record, true), ...securityGroups(record), key_name: record.key_name, config_drive: record.config_drive ? 'True' : '', 'OS-EXT-AZ:availability_zone': zone,
    'OS-EXT-STS:task_state': record.task_state, 'OS-EXT-STS:vm_state': record.vm_state, 'OS-EXT-STS:power_state': record.power_state,
    'OS-SRV-USG:launched_at': record.launched_ms === null ? null : isoMicrosNoZone(record.launched_ms), 'OS-SRV-USG:terminated_at': record.terminated_ms === null ? null : isoMicrosNoZone(record.terminated_ms),
    'os-extended-volumes:volumes_attached': record.volumes.map((volume) => (minor >= 3 ? volume : { id: volume.id })), ...(sight.attributes ? attributes(sight, record) : minor >= 90 ? { 'OS-EXT-SRV-ATTR:hostname': record.hostname } : {}),
    ...(minor >= 16 && sight.host_status !== null ? { host_status: sight.host_status(record) } : {}), ...(minor >= 71 && !listed ? { server_groups: record.group_id === null ? [] : [record.group_id] } : {}),
    ...(minor >= 96 ? { pinned_availability_zone: record.requested_zone } : {}),
  }
}

/** PUT and rebuild: a short view before 2.75, the whole from then on. */
export function changedServer(sight: ServerSight, record: ServerRecord, rebuilt: { admin_pass: string | null } | null) {
  const { minor } = sight
  const pass = rebuilt === null || rebuilt.admin_pass === null ? {} : { adminPass: rebuilt.admin_pass }
  if (minor >= 75) {
    // A rebuild's own user_data takes the place of the operator's attribute.
    const { 'OS-EXT-SRV-ATTR:user_data': userData, ...view } = fullServer(sight, record) as ReturnType<typeof fullServer> & { 'OS-EXT-SRV-ATTR:user_data'?: unknown }
    return rebuilt === null ? { ...view, ...(userData === undefined ? {} : { 'OS-EXT-SRV-ATTR:user_data': userData }) } : { ...view, user_data: record.user_data, ...pass }
  }
  return {
    ...basic(sight, record, false), ...(minor >= 71 ? { server_groups: record.group_id === null ? [] : [record.group_id] } : {}),
    ...(rebuilt === null ? {} : { ...(minor >= 54 ? { key_name: record.key_name } : {}), ...(minor >= 57 ? { user_data: record.user_data } : {}), ...pass }),
  }
}
