/** Rows -> desired items of a host, and how they are promised: an outbox step that delivers what the row says when it runs. */
import type { Deps, Tx } from '../../durable-objects/kernel/deps.ts'
import type { DesiredItem } from '../../schema/agent/desired.ts'
import type { AttachmentRow, SnapshotRow, VolumeRow } from '../../schema/project/volume.ts'
import { findAttachment, findSnapshot, findVolume } from './rows.ts'

export const LUN = 1

export const volumeItem = (deps: Deps, row: VolumeRow): DesiredItem<'volume'> => ({
  kind: 'volume', id: row.id, project_id: deps.name, generation: row.generation, state: row.desired ?? 'present', spec: { size_gib: row.pending_size_gib ?? row.size_gib, source: row.source ?? null },
})

export const snapshotItem = (deps: Deps, row: SnapshotRow): DesiredItem<'snapshot'> => ({
  kind: 'snapshot', id: row.id, project_id: deps.name, generation: row.generation, state: row.desired ?? 'present', spec: { volume_id: row.volume_id },
})

export const exportItem = (deps: Deps, row: AttachmentRow, state: 'present' | 'absent'): DesiredItem<'export'> => ({
  kind: 'export', id: row.id, project_id: deps.name, generation: row.generation + (state === 'absent' ? 1 : 0), state,
  spec: { volume_id: row.volume_id, iqn: row.iqn ?? '', lun: LUN, chap_user: row.chap_user ?? '', chap_secret: row.chap_secret ?? '' },
})

export interface PushPayload {
  host_id: string
  kind: 'volume' | 'snapshot' | 'export'
  id: string
  /** Carried where the row is gone when the step runs. */
  item?: DesiredItem
}

/** The current item of a row; null where the row is gone and nothing was carried. */
export function currentItem(deps: Deps, { kind, id, item }: PushPayload): DesiredItem | null {
  if (item !== undefined) return item
  if (kind === 'volume') {
    const row = findVolume(deps, id)
    return row === undefined ? null : volumeItem(deps, row)
  }
  if (kind === 'snapshot') {
    const row = findSnapshot(deps, id)
    return row === undefined ? null : snapshotItem(deps, row)
  }
  const row = findAttachment(deps, id)
  return row === undefined ? null : exportItem(deps, row, 'present')
}

/** Steps about one volume go out in order: its snapshots and exports use its key too. */
export const keyOf = (volumeId: string): string => `volume-${volumeId}`

export function push(tx: Tx, volumeId: string, payload: PushPayload): void {
  tx.outbox('volume.push', payload, { key: keyOf(volumeId) })
}
