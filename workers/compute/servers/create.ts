/** Servers come into being: quota, rows, ports, volumes and the promise to place them, in one transaction. */
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { type PortRequest, peersOf } from '../../../durable-objects/project/peers.ts'
import type { ImageRef } from '../../../schema/agent/desired.ts'
import { type ServerFlavor, type ServerRow, type ServerVolumeRow, servers } from '../../../schema/project/compute.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault, isFault } from '../../../schema/values/fault.ts'
import { addVolume, nextDevice } from '../attachments/rows.ts'
import { claimServers } from '../quotas/quota.ts'
import { findGroup, membersOf } from '../server-groups/rows.ts'
import { hostnameOf } from './hostname.ts'
import { CONVERGE, DEADLINES, startAction } from './rows.ts'
import { TASKS } from './states.ts'

export interface NewDisk {
  source: 'image' | 'volume' | 'snapshot' | 'blank'
  /** Volume or snapshot. */
  id: string | null
  image: ImageRef | null
  size_gib: number | null
  boot_index: number | null
  delete_on_termination: boolean
  device: string | null
  tag: string | null
  volume_type: string | null
}

export interface NewServers {
  name: string
  description: string | null
  hostname: string | null
  count_min: number
  count_max: number
  flavor: ServerFlavor
  image_id: string | null
  image: ImageRef | null
  key: { name: string; type: 'ssh' | 'x509'; data: string } | null
  metadata: Record<string, string>
  tags: string[]
  user_data: string | null
  config_drive: boolean
  disk_config: string
  access_ip_v4: string
  access_ip_v6: string
  admin_pass: string | null
  security_groups: string[] | null
  /** One list per server, count_max of them; none at all where the servers have no network. */
  networks: PortRequest[][]
  disks: NewDisk[]
  availability_zone: string | null
  forced_host: string | null
  hints: Record<string, unknown>
  trusted_certs: string[] | null
}

export interface Created {
  ids: string[]
  reservation_id: string
  admin_pass: string
}

const ALPHABET = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789'
export const randomText = (deps: Deps, length: number, alphabet = ALPHABET): string => Array.from({ length }, () => alphabet[deps.random.below(alphabet.length)]).join('')

export function createServers(deps: Deps, caller: Caller, spec: NewServers): Created {
  const peers = peersOf(deps)
  const admin_pass = spec.admin_pass ?? randomText(deps, 12)
  const reservation_id = `r-${randomText(deps, 8, 'abcdefghijklmnopqrstuvwxyz0123456789')}`
  return deps.commit(caller, (tx) => {
    const count = countOf(deps, tx, caller, spec)
    const group_id = groupOf(tx, spec, count)
    const ids: string[] = []
    for (let i = 0; i < count; i++) {
      const id = deps.newId()
      ids.push(id)
      const name = count === 1 ? spec.name : `${spec.name}-${i + 1}`
      const volumes = volumeRows(deps, tx, caller, spec, id)
      const waiting = volumes.some((volume) => volume.state === 'creating')
      insert(deps, tx, caller, spec, { id, name, admin_pass, reservation_id, launch_index: i, group_id, waiting, hostname: count === 1 ? spec.hostname : spec.hostname === null ? null : `${spec.hostname}-${i + 1}` })
      for (const volume of volumes) addVolume(tx, volume)
      takePorts(tx, caller, spec, peers.ports, id, name, i)
      if (!waiting) tx.outbox(CONVERGE, { server_id: id }, { key: id })
    }
    return { ids, reservation_id, admin_pass }
  })
}

/** As many of max_count as the quota has room for, but at least min_count. */
function countOf(deps: Deps, tx: Tx, caller: Caller, spec: NewServers): number {
  const { quotas } = peersOf(deps)
  const need = (count: number) => ({ instances: count, cores: count * spec.flavor.vcpus, ram: count * spec.flavor.ram_mib })
  for (let count = spec.count_max; count > spec.count_min; count--) {
    try {
      claimServers(quotas, tx.db, caller.user_id, need(count))
      return count
    } catch (error) {
      if (!isFault(error, 'over_quota')) throw error
    }
  }
  claimServers(quotas, tx.db, caller.user_id, need(spec.count_min))
  return spec.count_min
}

function groupOf(tx: Tx, spec: NewServers, count: number): string | null {
  const hint = spec.hints.group
  if (hint === undefined || hint === null) return null
  const group = findGroup(tx.db, String(hint))
  if (group === undefined) throw new Fault('bad_request', `Instance group ${String(hint)} could not be found.`)
  if (membersOf(tx.db, group.id).length + count > GROUP_MEMBERS_MAX) throw new Fault('over_quota', 'Quota exceeded, too many servers in group')
  return group.id
}

export const GROUP_MEMBERS_MAX = 10

interface One {
  id: string
  name: string
  hostname: string | null
  admin_pass: string
  reservation_id: string
  launch_index: number
  group_id: string | null
  waiting: boolean
}

function insert(deps: Deps, tx: Tx, caller: Caller, spec: NewServers, one: One): void {
  const task = one.waiting ? 'block_device_mapping' : 'scheduling'
  const deadline_ms = tx.now_ms + TASKS[task].deadline_ms
  const bootVolume = spec.disks.some((disk) => disk.boot_index === 0)
  const row: Omit<ServerRow, 'seq'> = {
    id: one.id, name: one.name, description: spec.description, hostname: hostnameOf(one.hostname ?? one.name, one.id), user_id: caller.user_id, vm_state: 'building', task_state: task, deadline_ms, power_state: 0, power: 'on',
    generation: 1, incarnation: 1, root_generation: 1, host_id: null, host_name: null, requested_zone: spec.availability_zone, forced_host: spec.forced_host, availability_zone: spec.availability_zone, excluded_hosts: [],
    vcpus: spec.flavor.vcpus, ram_mib: spec.flavor.ram_mib, flavor: spec.flavor, image_id: bootVolume ? null : spec.image_id, image: bootVolume ? null : spec.image, key_name: spec.key?.name ?? null, key: spec.key,
    metadata: spec.metadata, tags: [...new Set(spec.tags)].sort(), user_data: spec.user_data, config_drive: spec.config_drive, disk_config: spec.disk_config, access_ip_v4: spec.access_ip_v4, access_ip_v6: spec.access_ip_v6,
    admin_pass: one.admin_pass, password: '', locked: false, locked_reason: null, progress: 0, reservation_id: one.reservation_id, launch_index: one.launch_index, group_id: one.group_id, hints: spec.hints,
    trusted_certs: spec.trusted_certs, fault: null, operation: { request_id: caller.request_id, action: 'create', back: 'building' }, resize: null, shelved_image_id: null, rescue_image: null, created_ms: tx.now_ms, updated_ms: tx.now_ms,
    launched_ms: null, terminated_ms: null, deleted: false,
  }
  tx.db.insert(servers).values(row).run()
  deps.alarms.at(DEADLINES, deadline_ms)
  startAction(tx, caller, row, 'create')
  tx.change('server', one.id, 'create', null, { name: one.name, flavor: spec.flavor.id, image: spec.image_id })
}

function takePorts(tx: Tx, caller: Caller, spec: NewServers, ports: ReturnType<typeof peersOf>['ports'], server_id: string, server_name: string, index: number): void {
  const take = (request: PortRequest) => {
    try {
      ports.takeForServer(tx, caller, { ...request, server_id, server_name, security_groups: spec.security_groups, availability_zone: spec.availability_zone ?? 'nova' })
    } catch (error) {
      // What Neutron does not find is the boot request's fault.
      throw isFault(error, 'not_found') ? new Fault('bad_request', error.message) : isFault(error, 'over_quota') ? new Fault('over_quota', 'Maximum number of ports exceeded', { status: 403 }) : error
    }
  }
  for (const request of spec.networks[index] ?? []) take(request)
}

function volumeRows(deps: Deps, tx: Tx, caller: Caller, spec: NewServers, server_id: string): ServerVolumeRow[] {
  const { volumes } = peersOf(deps)
  const rows: ServerVolumeRow[] = []
  const ordered = [...spec.disks].sort((a, b) => (a.boot_index ?? 1_000) - (b.boot_index ?? 1_000))
  const rootLocal = !ordered.some((disk) => disk.boot_index === 0)
  for (const disk of ordered) {
    const device = disk.device ?? (disk.boot_index === 0 ? '/dev/vda' : nextDevice(rows.map((row) => row.device), rootLocal))
    const base = { server_id, device, boot_index: disk.boot_index, delete_on_termination: disk.delete_on_termination, tag: disk.tag, disk: null, since_generation: 1 }
    if (disk.source === 'volume') {
      const volume = disk.id === null ? null : volumes.get(disk.id)
      if (volume === null) throw new Fault('bad_request', `Block Device Mapping is Invalid: failed to get volume ${disk.id}.`)
      if (disk.boot_index === 0 && !volume.bootable) throw new Fault('bad_request', `Block Device ${volume.id} is not bootable.`)
      rows.push({ ...base, volume_id: volume.id, attachment_id: volumes.reserve(tx, caller, volume.id, server_id, device).attachment_id, state: 'reserved' })
    } else {
      const id = deps.newId()
      const size_gib = disk.size_gib ?? spec.flavor.disk_gib
      const source = disk.source === 'image' && disk.image !== null ? { type: 'image' as const, id: disk.image.id, image: disk.image } : disk.source === 'snapshot' && disk.id !== null ? { type: 'snapshot' as const, id: disk.id } : { type: 'blank' as const }
      volumes.create(tx, caller, { id, size_gib, source, name: disk.source === 'blank' ? `${server_id}-blank-vol` : '', availability_zone: spec.availability_zone ?? 'nova', volume_type: disk.volume_type })
      rows.push({ ...base, volume_id: id, attachment_id: null, state: 'creating' })
    }
  }
  return rows
}
