/** Making, deleting and growing volumes inside a transaction: used by the volumes store, by compute's peer, by backups that restore into a new volume. */
import type { Deps, Tx } from '../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../durable-objects/project/peers.ts'
import { groups, type VolumeRow, volumes } from '../../schema/project/volume.ts'
import type { Caller } from '../../schema/values/caller.ts'
import { Fault } from '../../schema/values/fault.ts'
import { projectTag, tagOf } from '../../schema/values/ids.ts'
import type { VolumeSpec } from '../../schema/agent/desired.ts'
import { WAIT_MS, waitUntil } from './deadlines.ts'
import { keyOf, push } from './items.ts'
import { attachmentsOf, freeBackup, snapshotsOf, writeSnapshot, writeVolume } from './rows.ts'
import { DEFAULT_TYPE, DEFAULT_ZONE } from './types/default-type.ts'
import { accept } from './volumes/states.ts'
import { and, eq } from 'drizzle-orm'

export interface NewVolume {
  id?: string
  name: string | null
  description: string | null
  size_gib: number
  type: { id: string; name: string; extra_specs?: Record<string, string> } | null
  /** null: where the scheduler puts it. */
  availability_zone: string | null
  metadata: Record<string, string>
  multiattach: boolean
  source: VolumeSpec['source']
  snapshot_id: string | null
  source_volid: string | null
  bootable: boolean
  image_metadata: Record<string, string> | null
  scheduler_hints: Record<string, string> | null
  restore_backup_id?: string | null
  group_id?: string | null
}

/** Upstream's words: 413 for counts and sizes alike, "exceeded" in all of them (cinder/exception.py). */
export function claimVolume(deps: Deps, defaults: Record<string, number>, adding: { volumes: number; gigabytes: number; snapshots?: number; type: string }): void {
  const { quotas } = peersOf(deps)
  const counted: Record<string, number> = {
    volumes: adding.volumes, gigabytes: adding.gigabytes, snapshots: adding.snapshots ?? 0, [`volumes_${adding.type}`]: adding.volumes, [`gigabytes_${adding.type}`]: adding.gigabytes, [`snapshots_${adding.type}`]: adding.snapshots ?? 0,
  }
  const own = quotas.limits('volume')
  const plain = quotas.defaults('volume')
  // The region's default quotas apply where the project has no limit of its own.
  for (const [resource, max] of Object.entries(defaults)) if ((own[resource] ?? plain[resource] ?? -1) === (plain[resource] ?? -1)) own[resource] = max
  const used = quotas.usage('volume', deps.db)
  for (const [resource, count] of Object.entries(counted)) {
    const limit = own[resource] ?? -1
    if (count <= 0 || limit < 0 || (used[resource] ?? 0) + count <= limit) continue
    if (resource.startsWith('gigabytes')) {
      throw new Fault('over_quota', `Requested volume or snapshot exceeds allowed ${resource} quota. Requested ${count}G, quota is ${limit}G and ${used[resource] ?? 0}G has been consumed.`, { type: 'VolumeSizeExceedsAvailableQuota' })
    }
    const what = resource.startsWith('snapshots') ? 'snapshots' : 'volumes'
    throw new Fault('over_quota', `Maximum number of ${what} allowed (${limit}) exceeded for quota '${resource}'.`, { type: what === 'volumes' ? 'VolumeLimitExceeded' : 'SnapshotLimitExceeded' })
  }
}

export function claimSize(deps: Deps, size_gib: number): void {
  const limit = peersOf(deps).quotas.limits('volume').per_volume_gigabytes ?? -1
  if (limit >= 0 && size_gib > limit) throw new Fault('over_quota', `Requested volume size ${size_gib} is larger than maximum allowed limit ${limit}. The quota of per_volume_gigabytes is exceeded.`, { type: 'VolumeSizeExceedsLimit' })
}

/** Row, quota and the promise to place it. A repeated id is the same volume. */
export function makeVolume(deps: Deps, tx: Tx, caller: Caller, spec: NewVolume, quota_defaults: Record<string, number>): VolumeRow {
  const id = spec.id ?? deps.newId()
  const type = spec.type ?? DEFAULT_TYPE
  claimSize(deps, spec.size_gib)
  claimVolume(deps, quota_defaults, { volumes: 1, gigabytes: spec.size_gib, type: type.name })
  const row: VolumeRow = {
    id, name: spec.name, description: spec.description, status: 'creating', previous_status: null, size_gib: spec.size_gib, pending_size_gib: null, volume_type_id: type.id, volume_type: type.name,
    availability_zone: spec.availability_zone ?? DEFAULT_ZONE, host_id: null, host: null, portal: null, bootable: spec.bootable, readonly: null, multiattach: spec.multiattach, metadata: spec.metadata, image_metadata: spec.image_metadata,
    source: spec.source, snapshot_id: spec.snapshot_id, source_volid: spec.source_volid, restore_backup_id: spec.restore_backup_id ?? null, scheduler_hints: spec.scheduler_hints, user_id: caller.user_id, generation: 0, desired: null,
    foreign_id: tagOf(id) !== projectTag(deps.name), created_ms: tx.now_ms, updated_ms: null, deadline_ms: null, group_id: spec.group_id ?? null,
  }
  deps.db.insert(volumes).values(row).run()
  tx.change('volume', id, 'create', null, { id, name: row.name, size_gib: row.size_gib, source: row.source })
  tx.outbox('volume.place', { id, availability_zone: spec.availability_zone, volume_type_id: spec.type?.id ?? null }, { key: keyOf(id) })
  return row
}

/** -> deleting, told to the host; a volume that was never placed is gone at once. */
export function deleteVolume(deps: Deps, tx: Tx, row: VolumeRow, options: { cascade: boolean; force: boolean; with_group?: boolean }): void {
  const kept = snapshotsOf(deps, row.id)
  const used = attachmentsOf(deps, row.id)
  if (!options.force) {
    accept(row, 'delete')
    if (row.group_id !== null && options.with_group !== true) accept({ ...row, status: 'maintenance' }, 'delete')
    if (used.length > 0) accept({ ...row, status: 'in-use' }, 'delete')
    if (kept.length > 0 && !options.cascade) accept({ ...row, status: 'maintenance' }, 'delete')
    const busy = kept.find((snapshot) => snapshot.status !== 'available' && snapshot.status !== 'error')
    if (options.cascade && busy !== undefined && busy.status !== 'deleting') throw new Fault('bad_request', `Invalid volume: Deleting volume ${row.id} will delete its snapshots, and snapshot ${busy.id} is ${busy.status}.`)
  } else if (used.some((attachment) => attachment.by_compute)) {
    throw new Fault('bad_request', `Invalid volume: Volume ${row.id} is attached to a server; detach it first.`)
  }
  for (const snapshot of kept) deleteSnapshotRow(deps, tx, snapshot, row.id)
  if (row.host_id === null) return void removeVolume(deps, tx, row)
  writeVolume(deps, tx, row, { status: 'deleting', previous_status: row.status, desired: 'absent', generation: row.generation + 1, deadline_ms: waitUntil(deps, tx, WAIT_MS.delete) })
  push(tx, row.id, { host_id: row.host_id, kind: 'volume', id: row.id })
}

export function deleteSnapshotRow(deps: Deps, tx: Tx, row: Parameters<typeof writeSnapshot>[2], volumeId: string): void {
  if (row.desired === 'absent') return
  writeSnapshot(deps, tx, row, { status: 'deleting', desired: 'absent', generation: row.generation + 1, deadline_ms: waitUntil(deps, tx, WAIT_MS.delete) })
  push(tx, volumeId, { host_id: row.host_id ?? '', kind: 'snapshot', id: row.id })
}

/** A group that is being deleted goes with its last volume. */
function groupShrank(deps: Deps, groupId: string): void {
  if (deps.db.select({ id: volumes.id }).from(volumes).where(eq(volumes.group_id, groupId)).get() !== undefined) return
  deps.db.delete(groups).where(and(eq(groups.id, groupId), eq(groups.status, 'deleting'))).run()
}

/** The row goes; the region forgets the claim and, where there was one, the alias. */
export function removeVolume(deps: Deps, tx: Tx, row: VolumeRow): void {
  deps.db.delete(volumes).where(eq(volumes.id, row.id)).run()
  if (row.restore_backup_id !== null) freeBackup(deps, tx, row.restore_backup_id)
  tx.change('volume', row.id, 'delete', { id: row.id, name: row.name, status: row.status }, null)
  if (row.group_id !== null) groupShrank(deps, row.group_id)
  tx.outbox('volume.release', { id: row.id, foreign_id: row.foreign_id }, { key: keyOf(row.id) })
  peersOf(deps).servers.volumeChanged?.(tx, row.id, 'deleted')
}
