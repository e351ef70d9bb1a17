/** A server's row, ports and volumes as what its host should have. Pure: the same rows give the same item, so pushing it again changes nothing. */
import type { PortInfo } from '../../../durable-objects/project/peers.ts'
import type { DesiredItem, DiskSpec, ServerMetadata, ServerSpec } from '../../../schema/agent/desired.ts'
import type { ServerRow, ServerVolumeRow } from '../../../schema/project/compute.ts'
import { networkData } from './network-data.ts'

/** A server that must not be on its host (any more). */
export const wantsAbsent = (row: ServerRow): boolean => row.deleted || row.task_state === 'deleting' || row.task_state === 'shelving_offloading' || row.task_state === 'scheduling' || (row.vm_state === 'shelved_offloaded' && row.task_state !== 'unshelving')

const MIB_PER_GIB = 1024

function localDisks(row: ServerRow, bootVolume: boolean): DiskSpec[] {
  const disks: DiskSpec[] = []
  const root = (image: NonNullable<ServerRow['image']>, id: string, boot: boolean): DiskSpec => ({ id, serial: id === 'root' ? row.id : `${id}-${row.id}`, boot, source: { type: 'image', image, size_gib: row.flavor.disk_gib } })
  if (row.rescue_image !== null) disks.push(root(row.rescue_image, 'rescue', true))
  if (row.image !== null && !bootVolume) disks.push(root(row.image, 'root', row.rescue_image === null))
  if (row.flavor.ephemeral_gib > 0) disks.push({ id: 'ephemeral0', serial: `ephemeral0-${row.id}`, boot: false, source: { type: 'blank', size_gib: row.flavor.ephemeral_gib } })
  if (row.flavor.swap_mib > 0) disks.push({ id: 'swap', serial: `swap-${row.id}`, boot: false, source: { type: 'blank', size_gib: Math.ceil(row.flavor.swap_mib / MIB_PER_GIB) } })
  return disks
}

export function disksOf(row: ServerRow, volumes: readonly ServerVolumeRow[]): DiskSpec[] {
  const connected = volumes.filter((volume) => volume.disk !== null && volume.state !== 'detaching' && volume.state !== 'creating')
  const boot = connected.find((volume) => volume.boot_index === 0)
  const attached = connected.map((volume) => ({ ...(volume.disk as DiskSpec), boot: volume === boot && row.rescue_image === null }))
  return [...attached.filter((disk) => disk.boot), ...localDisks(row, boot !== undefined), ...attached.filter((disk) => !disk.boot)]
}

export function metadataOf(row: ServerRow, projectId: string, ports: readonly PortInfo[]): ServerMetadata {
  return {
    uuid: row.id, name: row.name, hostname: row.hostname, project_id: projectId, availability_zone: row.availability_zone ?? 'nova', launch_index: row.launch_index, instance_type: row.flavor.name, meta: row.metadata,
    public_keys: row.key === null || row.key.type !== 'ssh' ? {} : { [row.key.name]: row.key.data }, keys: row.key === null ? [] : [row.key], user_data_base64: row.user_data, admin_pass: row.admin_pass, network_data: networkData(ports),
  }
}

/** Image properties, then the flavor's hw: extra specs over them, as hw_*. */
function propertiesOf(row: ServerRow): Record<string, string> {
  const specs = Object.entries(row.flavor.extra_specs).filter(([key]) => key.startsWith('hw:') || key.startsWith('hw_')).map(([key, value]) => [key.replace(/^hw:/, 'hw_'), value])
  return { ...row.image?.properties, ...Object.fromEntries(specs) }
}

export function serverItem(row: ServerRow, projectId: string, ports: readonly PortInfo[], volumes: readonly ServerVolumeRow[]): DesiredItem<'server'> {
  const spec: ServerSpec = {
    name: row.name, vcpus: row.vcpus, ram_mib: row.ram_mib, power: row.power, incarnation: row.incarnation, root_generation: row.root_generation, disks: disksOf(row, volumes),
    nics: ports.filter((port) => port.host_id === row.host_id).map((port) => ({ port_id: port.id, mac_address: port.mac_address, mtu: port.mtu })), config_drive: row.config_drive, metadata: metadataOf(row, projectId, ports), properties: propertiesOf(row),
  }
  return { kind: 'server', id: row.id, project_id: projectId, generation: row.generation, state: wantsAbsent(row) ? 'absent' : 'present', spec }
}
