/** Snapshots -> JSON, by microversion. Pure. */
import { time } from '../volumes/views.ts'
import type { SnapshotData } from './store.ts'

export const snapshotView = (snapshot: SnapshotData, minor: number): Record<string, unknown> => ({
  id: snapshot.id, name: snapshot.name, description: snapshot.description, volume_id: snapshot.volume_id, status: snapshot.status, size: snapshot.size_gib, created_at: time(snapshot.created_ms), updated_at: time(snapshot.updated_ms),
  metadata: snapshot.metadata, ...(minor >= 14 ? { group_snapshot_id: snapshot.group_snapshot_id } : {}), ...(minor >= 41 ? { user_id: snapshot.user_id } : {}), ...(minor >= 65 ? { consumes_quota: true } : {}),
})

export const detailView = (snapshot: SnapshotData, minor: number): Record<string, unknown> => ({
  ...snapshotView(snapshot, minor), 'os-extended-snapshot-attributes:progress': snapshot.progress, 'os-extended-snapshot-attributes:project_id': snapshot.project_id,
})
