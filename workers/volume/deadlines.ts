/** No wait for a host outlives its deadline: one alarm looks at the rows whose time is over. What was promised to the host stays promised, and its late report still counts. */
import { and, inArray, lte } from 'drizzle-orm'
import type { Deps, Tx } from '../../durable-objects/kernel/deps.ts'
import { type SnapshotRow, type SnapshotStatus, snapshots, type VolumeRow, type VolumeStatus, volumes } from '../../schema/project/volume.ts'
import { systemCaller } from '../../schema/values/caller.ts'
import { endExtend } from './folds.ts'
import { removeVolume } from './make.ts'
import { EVENTS, tell, writeSnapshot, writeVolume } from './rows.ts'

export const VOLUME_DEADLINES = 'volume-deadlines'
/** Copies of images take longest. */
export const WAIT_MS = { create: 60 * 60_000, delete: 15 * 60_000, extend: 15 * 60_000, snapshot: 30 * 60_000 }

const WAITING: VolumeStatus[] = ['creating', 'deleting', 'extending']
const WAITING_SNAPSHOTS: SnapshotStatus[] = ['creating', 'deleting']
const SILENT = 'the host did not answer in time'

/** Inside a transaction: the time to write into the row. */
export function waitUntil(deps: Deps, tx: Tx, wait_ms: number): number {
  const at = tx.now_ms + wait_ms
  deps.alarms.at(VOLUME_DEADLINES, at)
  return at
}

export const watchDeadlines = (deps: Deps): void => deps.alarms.handle(VOLUME_DEADLINES, () => expireWaits(deps))

export function expireWaits(deps: Deps): void {
  const now = deps.clock.now_ms()
  const late = deps.db.select().from(volumes).where(and(inArray(volumes.status, WAITING), lte(volumes.deadline_ms, now))).all()
  const lateSnapshots = deps.db.select().from(snapshots).where(and(inArray(snapshots.status, WAITING_SNAPSHOTS), lte(snapshots.deadline_ms, now))).all()
  if (late.length + lateSnapshots.length > 0) {
    deps.commit(systemCaller('deadline'), (tx) => {
      for (const row of lateSnapshots) endSnapshot(deps, tx, row)
      for (const row of late) endVolume(deps, tx, row)
    })
  }
  const [next] = deps.storage.sql.exec("SELECT MIN(at) AS at FROM (SELECT MIN(deadline_ms) AS at FROM volumes WHERE status IN ('creating', 'deleting', 'extending') UNION ALL SELECT MIN(deadline_ms) FROM volume_snapshots WHERE status IN ('creating', 'deleting'))").toArray()
  if (next?.at != null) deps.alarms.at(VOLUME_DEADLINES, Number(next.at))
}

function endVolume(deps: Deps, tx: Tx, row: VolumeRow): void {
  if (row.status === 'deleting' && row.host_id === null) return void removeVolume(deps, tx, row)
  if (row.status === 'extending') {
    tell(deps, tx, 'deadline', 'VOLUME', row.id, EVENTS.extend(SILENT))
    return void endExtend(deps, tx, row, 'error_extending')
  }
  tell(deps, tx, 'deadline', 'VOLUME', row.id, row.status === 'deleting' ? EVENTS.delete(SILENT) : EVENTS.create(SILENT))
  writeVolume(deps, tx, row, { status: row.status === 'deleting' ? 'error_deleting' : 'error', deadline_ms: null })
}

function endSnapshot(deps: Deps, tx: Tx, row: SnapshotRow): void {
  tell(deps, tx, 'deadline', 'VOLUME_SNAPSHOT', row.id, EVENTS.snapshot(SILENT))
  writeSnapshot(deps, tx, row, { status: row.status === 'deleting' ? 'error_deleting' : 'error', deadline_ms: null })
}
