/** What hosts report of volumes, snapshots and exports, folded into rows. A report about another generation than the row's is late and says nothing. */
import { and, eq } from 'drizzle-orm'
import type { Deps, Tx } from '../../durable-objects/kernel/deps.ts'
import type { Fold } from '../../durable-objects/project/peers.ts'
import type { Kind } from '../../schema/agent/desired.ts'
import type { ObservedItem } from '../../schema/agent/observed.ts'
import { groupSnapshots, snapshots, type SnapshotRow, type VolumeRow, type VolumeStatus } from '../../schema/project/volume.ts'
import { push } from './items.ts'
import { removeVolume } from './make.ts'
import { EVENTS, findAttachment, findSnapshot, findVolume, tell, writeSnapshot, writeVolume } from './rows.ts'

const said = (item: ObservedItem): string => item.error ?? 'the host gave no reason'

function foldVolume(deps: Deps, tx: Tx, hostId: string, item: ObservedItem): void {
  const row = findVolume(deps, item.id)
  if (row === undefined || row.host_id !== hostId || item.generation !== row.generation) return
  switch (item.status) {
    case 'working':
      return
    case 'ready':
      return void ready(deps, tx, row)
    case 'failed':
      return void failed(deps, tx, row, item)
    case 'gone':
      if (row.desired === 'absent') return void removeVolume(deps, tx, row)
      tell(deps, tx, `host-${hostId}`, 'VOLUME', row.id, EVENTS.create('the volume is not on its host any more'))
      return void writeVolume(deps, tx, row, { status: 'error', previous_status: row.status })
    default:
      return void (item.status satisfies never)
  }
}

function ready(deps: Deps, tx: Tx, row: VolumeRow): void {
  if (row.desired !== 'present') return
  if (row.status === 'creating') {
    if (row.restore_backup_id === null) return void writeVolume(deps, tx, row, { status: 'available' })
    writeVolume(deps, tx, row, { status: 'restoring-backup' })
    return void tx.outbox('volume.restore', { backup_id: row.restore_backup_id, volume_id: row.id }, { key: `backup-${row.restore_backup_id}` })
  }
  if (row.status === 'extending') return void writeVolume(deps, tx, row, { status: row.previous_status ?? 'available', previous_status: null, size_gib: row.pending_size_gib ?? row.size_gib, pending_size_gib: null })
}

function failed(deps: Deps, tx: Tx, row: VolumeRow, item: ObservedItem): void {
  const request = `host-${row.host_id}`
  if (row.status === 'creating') {
    tell(deps, tx, request, 'VOLUME', row.id, EVENTS.create(said(item)))
    return void writeVolume(deps, tx, row, { status: 'error' })
  }
  if (row.status === 'extending') {
    tell(deps, tx, request, 'VOLUME', row.id, EVENTS.extend(said(item)))
    return void endExtend(deps, tx, row, 'error_extending')
  }
  if (row.status === 'deleting') {
    tell(deps, tx, request, 'VOLUME', row.id, EVENTS.delete(said(item)))
    writeVolume(deps, tx, row, { status: 'error_deleting' })
  }
}

/** The size stays what it was; the host is told so, and the room is given back. */
export function endExtend(deps: Deps, tx: Tx, row: VolumeRow, status: VolumeStatus): void {
  writeVolume(deps, tx, row, { status, previous_status: null, pending_size_gib: null, generation: row.generation + 1 })
  tx.outbox('volume.resize', { id: row.id, size_gib: row.size_gib }, { key: `volume-${row.id}` })
  if (row.host_id !== null) push(tx, row.id, { host_id: row.host_id, kind: 'volume', id: row.id })
}

function foldSnapshot(deps: Deps, tx: Tx, hostId: string, item: ObservedItem): void {
  const row = findSnapshot(deps, item.id)
  if (row === undefined || row.host_id !== hostId || item.generation !== row.generation) return
  if (item.status === 'gone' && row.desired === 'absent') return void removeSnapshot(deps, tx, row)
  if (item.status === 'ready' && row.status === 'creating') return void writeSnapshot(deps, tx, row, { status: 'available', progress: '100%' })
  if (item.status === 'failed' || (item.status === 'gone' && row.desired === 'present')) {
    tell(deps, tx, `host-${hostId}`, 'VOLUME_SNAPSHOT', row.id, EVENTS.snapshot(said(item)))
    writeSnapshot(deps, tx, row, { status: row.status === 'deleting' ? 'error_deleting' : 'error' })
  }
}

export function removeSnapshot(deps: Deps, tx: Tx, row: SnapshotRow): void {
  deps.db.delete(snapshots).where(eq(snapshots.id, row.id)).run()
  tx.change('snapshot', row.id, 'delete', { id: row.id, volume_id: row.volume_id }, null)
  const { group_snapshot_id } = row
  if (group_snapshot_id === null || deps.db.select({ id: snapshots.id }).from(snapshots).where(eq(snapshots.group_snapshot_id, group_snapshot_id)).get() !== undefined) return
  deps.db.delete(groupSnapshots).where(and(eq(groupSnapshots.id, group_snapshot_id), eq(groupSnapshots.status, 'deleting'))).run()
}

/** An export that can't be had shows in the log; the server that needs it says so to its owner. */
function foldExport(deps: Deps, _tx: Tx, hostId: string, item: ObservedItem): void {
  if (item.status === 'failed' && findAttachment(deps, item.id) !== undefined) deps.log('volume.export_failed', { host_id: hostId, attachment_id: item.id, error: said(item) })
}

export const volumeFolds = (deps: Deps): Partial<Record<Kind, Fold>> => ({
  volume: (tx, hostId, item) => foldVolume(deps, tx, hostId, item),
  snapshot: (tx, hostId, item) => foldSnapshot(deps, tx, hostId, item),
  export: (tx, hostId, item) => foldExport(deps, tx, hostId, item),
})
