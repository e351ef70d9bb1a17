/** Backups -> JSON, by microversion. Pure. */
import { linksOf } from '../route.ts'
import { time, type ViewOf } from '../volumes/views.ts'
import type { BackupData } from './store.ts'

export const summaryView = (backup: BackupData, { base, minor }: ViewOf): Record<string, unknown> => ({ id: backup.id, name: backup.name, links: linksOf(base, 'backups', backup.id), ...(minor >= 43 ? { metadata: backup.metadata } : {}) })
export const listedView = (backup: BackupData, { base }: ViewOf): Record<string, unknown> => ({ id: backup.id, name: backup.name, links: linksOf(base, 'backups', backup.id) })

export const detailView = (backup: BackupData, view: ViewOf): Record<string, unknown> => ({
  id: backup.id, name: backup.name, description: backup.description, status: backup.status, size: backup.size_gib, object_count: backup.size_bytes === null ? 0 : 1, container: backup.container, availability_zone: backup.availability_zone,
  created_at: time(backup.created_ms), updated_at: time(backup.updated_ms), data_timestamp: time(backup.data_ms), fail_reason: backup.fail_reason, volume_id: backup.volume_id, snapshot_id: backup.snapshot_id, is_incremental: false,
  has_dependent_backups: false, links: linksOf(view.base, 'backups', backup.id), ...(view.minor >= 18 && view.admin ? { 'os-backup-project-attr:project_id': backup.project_id } : {}), ...(view.minor >= 43 ? { metadata: backup.metadata } : {}),
  ...(view.minor >= 56 ? { user_id: backup.user_id } : {}), ...(view.minor >= 64 ? { encryption_key_id: null } : {}),
})
