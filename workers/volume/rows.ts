/** Rows of one project's volumes: reading with upstream's faults, writing with the change log. Shared by the stores, folds and tasks of this service. */
import { eq } from 'drizzle-orm'
import type { Deps, Tx } from '../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../durable-objects/project/peers.ts'
import { type AttachmentRow, attachments, type BackupRow, backups, messages, type SnapshotRow, snapshots, type VolumeRow, volumes } from '../../schema/project/volume.ts'
import { Fault } from '../../schema/values/fault.ts'

export const volumeMissing = (id: string): Fault => new Fault('not_found', `Volume ${id} could not be found.`)
export const snapshotMissing = (id: string): Fault => new Fault('not_found', `Snapshot ${id} could not be found.`)
export const attachmentMissing = (id: string): Fault => new Fault('not_found', `Volume attachment could not be found with filter: attachment_id = ${id}.`)
export const backupMissing = (id: string): Fault => new Fault('not_found', `Backup ${id} could not be found.`)

export const findVolume = (deps: Deps, id: string): VolumeRow | undefined => deps.db.select().from(volumes).where(eq(volumes.id, id)).get()
export const findSnapshot = (deps: Deps, id: string): SnapshotRow | undefined => deps.db.select().from(snapshots).where(eq(snapshots.id, id)).get()
export const findAttachment = (deps: Deps, id: string): AttachmentRow | undefined => deps.db.select().from(attachments).where(eq(attachments.id, id)).get()
export const findBackup = (deps: Deps, id: string): BackupRow | undefined => deps.db.select().from(backups).where(eq(backups.id, id)).get()

export function readVolume(deps: Deps, id: string): VolumeRow {
  const row = findVolume(deps, id)
  if (row === undefined) throw volumeMissing(id)
  return row
}

export function readSnapshot(deps: Deps, id: string): SnapshotRow {
  const row = findSnapshot(deps, id)
  if (row === undefined) throw snapshotMissing(id)
  return row
}

export function readAttachment(deps: Deps, id: string): AttachmentRow {
  const row = findAttachment(deps, id)
  if (row === undefined) throw attachmentMissing(id)
  return row
}

export function readBackup(deps: Deps, id: string): BackupRow {
  const row = findBackup(deps, id)
  if (row === undefined) throw backupMissing(id)
  return row
}

export const snapshotsOf = (deps: Deps, volumeId: string): SnapshotRow[] => deps.db.select().from(snapshots).where(eq(snapshots.volume_id, volumeId)).all()
export const attachmentsOf = (deps: Deps, volumeId: string): AttachmentRow[] => deps.db.select().from(attachments).where(eq(attachments.volume_id, volumeId)).all()

type Changes<R> = Partial<R>
const before = <R extends object>(row: R, changes: Changes<R>) => Object.fromEntries(Object.keys(changes).map((key) => [key, row[key as keyof R]]))

/** Status changes are told to compute, whose servers may wait for them. */
export function writeVolume(deps: Deps, tx: Tx, row: VolumeRow, changes: Changes<VolumeRow>): VolumeRow {
  const next = { ...row, ...changes, updated_ms: tx.now_ms }
  deps.db.update(volumes).set({ ...changes, updated_ms: tx.now_ms }).where(eq(volumes.id, row.id)).run()
  tx.change('volume', row.id, 'update', before(row, changes), changes)
  if (changes.status === 'error' && row.restore_backup_id !== null) freeBackup(deps, tx, row.restore_backup_id)
  if (changes.status !== undefined && changes.status !== row.status) peersOf(deps).servers.volumeChanged?.(tx, row.id, changes.status)
  return next
}

/** A restore that will not happen: the backup may be restored elsewhere. */
export function freeBackup(deps: Deps, tx: Tx, backupId: string): void {
  const backup = findBackup(deps, backupId)
  if (backup !== undefined && backup.status === 'restoring') writeBackup(deps, tx, backup, { status: 'available', restore_volume_id: null })
}

export function writeSnapshot(deps: Deps, tx: Tx, row: SnapshotRow, changes: Changes<SnapshotRow>): SnapshotRow {
  deps.db.update(snapshots).set({ ...changes, updated_ms: tx.now_ms }).where(eq(snapshots.id, row.id)).run()
  tx.change('snapshot', row.id, 'update', before(row, changes), changes)
  return { ...row, ...changes, updated_ms: tx.now_ms }
}

export function writeAttachment(deps: Deps, tx: Tx, row: AttachmentRow, changes: Changes<AttachmentRow>): AttachmentRow {
  deps.db.update(attachments).set({ ...changes, updated_ms: tx.now_ms }).where(eq(attachments.id, row.id)).run()
  tx.change('attachment', row.id, 'update', before(row, { ...changes, chap_secret: undefined } as Changes<AttachmentRow>), { ...changes, chap_secret: undefined })
  return { ...row, ...changes, updated_ms: tx.now_ms }
}

export function writeBackup(deps: Deps, tx: Tx, row: BackupRow, changes: Changes<BackupRow>): BackupRow {
  deps.db.update(backups).set({ ...changes, updated_ms: tx.now_ms }).where(eq(backups.id, row.id)).run()
  tx.change('backup', row.id, 'update', before(row, changes), changes)
  return { ...row, ...changes, updated_ms: tx.now_ms }
}

export const MESSAGE_LIFE_MS = 30 * 24 * 3_600_000

/** Why something failed, for the tenant: event ids as cinder/message/message_field.py numbers actions and details. */
export function tell(deps: Deps, tx: Tx, request_id: string, resource_type: 'VOLUME' | 'VOLUME_SNAPSHOT' | 'VOLUME_BACKUP', resource_id: string, event: { action: string; detail: string; text: string }): void {
  deps.db.insert(messages).values({
    id: deps.newId(), request_id, resource_type, resource_id, event_id: `${resource_type}_${event.action}_${event.detail}`, text: event.text, created_ms: tx.now_ms, expires_ms: tx.now_ms + MESSAGE_LIFE_MS,
  }).run()
}

export const EVENTS = {
  schedule: (text: string) => ({ action: '001', detail: '002', text: `schedule allocate volume:Could not find any available weighted backend. ${text}` }),
  create: (text: string) => ({ action: '011', detail: '001', text: `create volume:${text}` }),
  delete: (text: string) => ({ action: '010', detail: '001', text: `delete volume:${text}` }),
  extend: (text: string) => ({ action: '007', detail: '001', text: `extend volume:${text}` }),
  upload: (text: string) => ({ action: '003', detail: '001', text: `copy volume to image:${text}` }),
  snapshot: (text: string) => ({ action: '009', detail: '001', text: `create snapshot:${text}` }),
  backup: (text: string) => ({ action: '013', detail: '001', text: `create backup:${text}` }),
  restore: (text: string) => ({ action: '015', detail: '001', text: `restore backup:${text}` }),
}
