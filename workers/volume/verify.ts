/** Invariants of volume in one project: exclusive volumes have one attachment, nothing refers to what is not there, no wait without an end. */
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Violation } from '../../durable-objects/kernel/violation.ts'
import type { Expected, Holdings } from '../../durable-objects/project/holdings.ts'
import { peersOf } from '../../durable-objects/project/peers.ts'
import { attachments, backups, snapshots, transfers, type VolumeStatus, volumes } from '../../schema/project/volume.ts'
import { TRANSIENT } from './volumes/states.ts'

/** An alarm may be this late. */
const LATE_MS = 60_000

export function verifyVolume(deps: Deps): Violation[] {
  const found: Violation[] = []
  const say = (invariant: string, resource: string, message: string) => void found.push({ invariant, project_id: deps.name, resource, message })
  const all = new Map(deps.db.select().from(volumes).all().map((row) => [row.id, row]))
  const attached = deps.db.select().from(attachments).all()
  const pending = new Set(deps.storage.sql.exec('SELECT payload FROM _outbox').toArray().flatMap((row) => idsIn(String(row.payload))))
  const now = deps.clock.now_ms()
  const awaited = (deadline_ms: number | null): boolean => deadline_ms !== null && deadline_ms + LATE_MS > now

  for (const volume of all.values()) {
    const mine = attached.filter((row) => row.volume_id === volume.id)
    const resource = `volume ${volume.id}`
    if (!volume.multiattach && mine.length > 1) say('volume-one-attachment', resource, `an exclusive volume has ${mine.length} attachments`)
    if (volume.status === 'available' && mine.length > 0) say('volume-one-attachment', resource, 'an available volume has an attachment')
    if (volume.status === 'in-use' && !mine.some((row) => row.status === 'attached' || row.status === 'detaching')) say('volume-one-attachment', resource, 'a volume in use has no attachment')
    if (TRANSIENT.has(volume.status) && !pending.has(volume.id) && !awaited(volume.deadline_ms)) say('no-overdue-state', resource, `it is ${volume.status} and nothing will end that`)
    if (volume.desired === 'present' && volume.host_id === null) say('reference-exists', resource, 'it is promised to no host')
  }
  for (const row of attached) {
    if (!all.has(row.volume_id)) say('reference-exists', `attachment ${row.id}`, `its volume ${row.volume_id} does not exist`)
    const servers = peersOf(deps).servers
    if (row.by_compute && row.server_id !== null && !servers.exists(row.server_id)) say('reference-exists', `attachment ${row.id}`, `its server ${row.server_id} does not exist`)
  }
  for (const row of deps.db.select().from(snapshots).all()) {
    if (!all.has(row.volume_id)) say('reference-exists', `snapshot ${row.id}`, `its volume ${row.volume_id} does not exist`)
    if ((row.status === 'creating' || row.status === 'deleting' || row.status === 'backing-up') && !pending.has(row.id) && !(row.status !== 'backing-up' && awaited(row.deadline_ms)) && !(row.status === 'backing-up' && backupOf(deps, row.id, pending))) say('no-overdue-state', `snapshot ${row.id}`, `it is ${row.status} and nothing will end that`)
  }
  for (const row of deps.db.select().from(backups).all()) {
    if ((row.status === 'creating' || row.status === 'deleting') && !pending.has(row.id)) say('no-overdue-state', `backup ${row.id}`, `it is ${row.status} and nothing will end that`)
    if (row.status === 'restoring' && !(row.restore_volume_id !== null && all.has(row.restore_volume_id))) say('reference-exists', `backup ${row.id}`, 'it is restored into a volume that does not exist')
  }
  for (const row of deps.db.select().from(transfers).all()) if (!row.accepted && !all.has(row.volume_id)) say('reference-exists', `transfer ${row.id}`, `its volume ${row.volume_id} does not exist`)
  return found
}

/** Ids that a step is about. A copy names its backup; its volume waits with it. */
function idsIn(payload: string): string[] {
  const value = JSON.parse(payload) as Record<string, unknown>
  return ['id', 'volume_id', 'backup_id'].flatMap((key) => (typeof value[key] === 'string' ? [value[key] as string] : []))
}

const backupOf = (deps: Deps, snapshotId: string, pending: ReadonlySet<string>): boolean => deps.db.select().from(backups).all().some((row) => row.snapshot_id === snapshotId && pending.has(row.id))

/** What this project's volumes hold elsewhere. */
export function volumeHoldings(deps: Deps): Pick<Holdings, 'items' | 'volumes' | 'multiattach' | 'underway'> {
  const pending = new Set(deps.storage.sql.exec("SELECT payload FROM _outbox").toArray().flatMap((row) => idsIn(String(row.payload))))
  const rows = deps.db.select().from(volumes).all()
  const hosts = new Map(rows.map((row) => [row.id, row.host_id]))
  const items: Expected[] = []
  for (const row of rows) {
    if (row.host_id !== null && row.desired !== null) items.push({ host_id: row.host_id, kind: 'volume', id: row.id, generation: row.generation, state: row.desired, busy: TRANSIENT.has(row.status) || pending.has(row.id), broken: row.status.startsWith('error') })
  }
  for (const row of deps.db.select().from(snapshots).all()) {
    if (row.host_id) items.push({ host_id: row.host_id, kind: 'snapshot', id: row.id, generation: row.generation, state: row.desired ?? 'present', busy: row.status === 'creating' || row.status === 'deleting' || pending.has(row.id), broken: row.status.startsWith('error') })
  }
  for (const row of deps.db.select().from(attachments).all()) {
    const host_id = hosts.get(row.volume_id)
    if (row.iqn !== null && host_id) items.push({ host_id, kind: 'export', id: row.id, generation: row.generation, state: 'present', busy: row.status !== 'attached' || pending.has(row.id), broken: false })
  }
  const moving = (row: { status: string }) => TRANSIENT.has(row.status as VolumeStatus) || row.status === 'restoring'
  const underway = [...rows, ...deps.db.select().from(snapshots).all(), ...deps.db.select().from(backups).all()].filter(moving).map((row) => row.id)
  return { items, underway, volumes: rows.map((row) => ({ id: row.id, host_id: pending.has(row.id) ? null : row.host_id })), multiattach: rows.filter((row) => row.multiattach).map((row) => row.id) }
}
