/** Image statuses as a table: (status, request) -> new status, or absent where upstream answers 409. Pure. */
import type { ImageStatus } from '../../../schema/project/image.ts'
import { Fault } from '../../../schema/values/fault.ts'

export type ImageRequest = 'upload' | 'upload_done' | 'upload_failed' | 'stage' | 'stage_done' | 'import' | 'import_done' | 'import_failed' | 'deactivate' | 'reactivate'

const TABLE: Record<ImageRequest, Partial<Record<ImageStatus, ImageStatus>>> = {
  upload: { queued: 'saving' },
  upload_done: { saving: 'active' },
  upload_failed: { saving: 'queued' },
  stage: { queued: 'saving' },
  stage_done: { saving: 'uploading' },
  import: { uploading: 'importing' },
  import_done: { importing: 'active' },
  import_failed: { importing: 'queued' },
  deactivate: { active: 'deactivated', deactivated: 'deactivated' },
  reactivate: { deactivated: 'active', active: 'active' },
}

/** Statuses that somebody must end: each has an outbox step or a lease. */
export const TRANSIENT: ReadonlySet<ImageStatus> = new Set(['saving', 'importing'])

const WANTED: Record<ImageRequest, string> = {
  upload: 'saving', upload_done: 'active', upload_failed: 'queued', stage: 'uploading', stage_done: 'uploading', import: 'importing', import_done: 'active', import_failed: 'queued', deactivate: 'deactivated', reactivate: 'active',
}

export function nextStatus(from: ImageStatus, request: ImageRequest): ImageStatus | null {
  return TABLE[request][from] ?? null
}

/** As glance/domain/__init__.py words it: an invalid transition is a 409, for deactivation a 403. */
export function transition(from: ImageStatus, request: ImageRequest): ImageStatus {
  const to = nextStatus(from, request)
  if (to !== null) return to
  const kind = request === 'deactivate' || request === 'reactivate' ? 'forbidden' : 'conflict'
  throw new Fault(kind, `Image status transition from ${from} to ${WANTED[request]} is not allowed`)
}
