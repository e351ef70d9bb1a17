/** Rows of groups and what their status is: what their volumes (or snapshots) say, unless something else was said of the group itself. */
import { eq } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { type GroupRow, type GroupSnapshotRow, groups, groupSnapshots, type SnapshotRow, snapshots, type VolumeRow, volumes } from '../../../schema/project/volume.ts'
import { Fault } from '../../../schema/values/fault.ts'

export function readGroup(deps: Deps, id: string): GroupRow {
  const row = deps.db.select().from(groups).where(eq(groups.id, id)).get()
  if (row === undefined) throw new Fault('not_found', `Group ${id} could not be found.`)
  return row
}

export function readGroupSnapshot(deps: Deps, id: string): GroupSnapshotRow {
  const row = deps.db.select().from(groupSnapshots).where(eq(groupSnapshots.id, id)).get()
  if (row === undefined) throw new Fault('not_found', `GroupSnapshot ${id} could not be found.`)
  return row
}

export const volumesIn = (deps: Deps, groupId: string): VolumeRow[] => deps.db.select().from(volumes).where(eq(volumes.group_id, groupId)).all()
export const snapshotsIn = (deps: Deps, groupSnapshotId: string): SnapshotRow[] => deps.db.select().from(snapshots).where(eq(snapshots.group_snapshot_id, groupSnapshotId)).all()

/** 'error' if any is, else 'creating' if any is, else 'available'. */
export function statusOf(row: { status: string | null }, parts: readonly { status: string }[]): string {
  if (row.status !== null) return row.status
  if (parts.some((part) => part.status.startsWith('error'))) return 'error'
  return parts.some((part) => part.status === 'creating') ? 'creating' : 'available'
}
