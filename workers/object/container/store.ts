/**
 * One container: its metadata and its listing. Runs in the Container object. Rows are written as raw SQL: a PUT costs one object row and the container's own
 * row; the account hears of new totals in the background, and an alarm makes sure of it.
 */
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { ContainerReport } from '../account/store.ts'
import { swiftFault } from '../errors.ts'
import { type Metadata, isTrue, mergeMeta } from '../headers.ts'
import { type ListQuery, type Listed, listNames, whereSql } from '../list.ts'
import { defaultPolicy } from '../policies.ts'
import { Stamps, ticksOf, formatTicks } from '../timestamp.ts'
import { type ContainerInfo, OBJECT_COLUMNS, type ObjectRow, type Row, type VersionRow, objectValues, toInfo, toObject, versionKey, versioningOf } from './rows.ts'
import { type Counted, type VersionQuery, VersionRows } from './versions.ts'

export type { ContainerInfo, ObjectRow, VersionRow } from './rows.ts'

export const REPORT_LEASE_MS = 30_000
export const REPORT_RETRY_MS = 2_000
export const TOMBSTONE_KEPT_MS = 24 * 3_600_000
export const EXPIRE_BATCH = 100
/** Changes are copied a moment later, many at once. */
export const SYNC_DELAY_MS = 1_000
export const SYNC_RETRY_MS = 30_000
export const SYNC_BATCH = 100

/** A change to copy: an object, or only a name and a time where it was deleted. */
export type SyncRow = Pick<ObjectRow, 'name' | 'at'> & Partial<ObjectRow>

export interface ContainerHooks {
  report(account: string, report: ContainerReport): Promise<void>
  /** Copies what changed to where X-Container-Sync-To points; false where the other side does not agree (any more). */
  sync(info: ContainerInfo, rows: SyncRow[]): Promise<boolean>
  /** Removes an expired object's replicas with that timestamp. */
  expire(info: ContainerInfo, row: ObjectRow, timestamp: string): Promise<void>
  /** The last row of an upload in parts is gone: its segments are of no use any more. In the same transaction. */
  released(upload: string): void
}

export class ContainerStore {
  #deps: Deps
  #hooks: ContainerHooks
  #stamps: Stamps
  #versions: VersionRows
  #reporting: Promise<void> | null = null

  constructor(deps: Deps, hooks: ContainerHooks) {
    this.#deps = deps
    this.#hooks = hooks
    this.#versions = new VersionRows((query, ...bindings) => this.#rows(query, ...bindings))
    const [row] = this.#rows('SELECT last_at, seq, reported_seq FROM container')
    this.#stamps = new Stamps(row === undefined ? null : String(row.last_at))
    deps.alarms.handle('report', () => this.#report())
    deps.alarms.handle('expire', () => this.#expire())
    deps.alarms.handle('tombstones', () => this.#purge())
    deps.alarms.handle('sync', () => this.#sync())
    if (row !== undefined && row.seq !== row.reported_seq) void this.#report()
  }

  info(): ContainerInfo | null {
    const [row] = this.#rows('SELECT * FROM container WHERE deleted = 0')
    return row === undefined ? null : toInfo(row)
  }

  /** Creates it, or updates the metadata of the one that is there. */
  async put(account: string, name: string, policy: number | null, changes: Metadata): Promise<{ created: boolean; info: ContainerInfo }> {
    const before = this.info()
    if (before !== null && policy !== null && policy !== before.policy) throw new Fault('conflict', 'The storage policy of a container cannot be changed.')
    const at = this.#next()
    const metadata = JSON.stringify(merged(before?.metadata ?? {}, changes))
    this.#deps.storage.transactionSync(() => {
      if (before !== null) {
        this.#rows('UPDATE container SET metadata = ?, put_at = ?, last_at = ?', metadata, at, at)
        return
      }
      this.#rows(
        `INSERT INTO container (id, account, name, policy, created_at, put_at, deleted, metadata, object_count, bytes_used, last_at, seq, reported_seq) VALUES (1, ?, ?, ?, ?, ?, 0, ?, 0, 0, ?, 1, 0)
         ON CONFLICT (id) DO UPDATE SET policy = excluded.policy, created_at = excluded.created_at, put_at = excluded.put_at, deleted = 0, metadata = excluded.metadata, last_at = excluded.last_at, seq = seq + 1`,
        account, name, policy ?? defaultPolicy(this.#deps.env), at, at, metadata, at)
      this.#lease()
    })
    this.#syncSoon()
    if (before === null) await this.#report()
    return { created: before === null, info: this.#live() }
  }

  post(changes: Metadata): void {
    const info = this.#live()
    this.#rows('UPDATE container SET metadata = ?, last_at = ?', JSON.stringify(merged(info.metadata, changes)), this.#next())
    this.#syncSoon()
  }

  async remove(): Promise<void> {
    this.#live()
    const [object] = this.#rows('SELECT name FROM objects LIMIT 1')
    if (object !== undefined || this.#versions.any()) throw new Fault('conflict', 'There was a conflict when trying to complete your request.')
    this.#deps.storage.transactionSync(() => {
      this.#rows("UPDATE container SET deleted = 1, metadata = '{}', last_at = ?, seq = seq + 1", this.#next())
      this.#lease()
    })
    await this.#report()
  }

  list(query: ListQuery): { info: ContainerInfo; entries: Listed<ObjectRow>[] } {
    const info = this.#live()
    const entries = listNames<ObjectRow>(query, ({ where, order, limit }) => {
      const [clause, values] = whereSql(where)
      return this.#rows(`SELECT * FROM objects${clause} ORDER BY name ${order} LIMIT ?`, ...values, limit).map(toObject)
    })
    return { info, entries }
  }

  /** Every version, delete markers too. */
  listVersions(query: VersionQuery): { info: ContainerInfo; entries: Listed<VersionRow>[] } {
    return { info: this.#live(), entries: this.#versions.list(query) }
  }

  /** Opens a write: the time it has, what is there now, and the container as it is. */
  begin(name: string): { info: ContainerInfo; timestamp: string; existing: ObjectRow | null } | null {
    const info = this.info()
    return info === null ? null : { info, timestamp: this.#next(), existing: this.object(name) }
  }

  object(name: string): ObjectRow | null {
    return this.#versions.current(name)
  }

  /** One version, a marker too; 'null' is the one written without versioning. */
  version(name: string, id: string): VersionRow | null {
    return this.#versions.find(name, id)
  }

  /** What a name's newest version is; a delete marker where nothing is current. */
  latest(name: string): VersionRow | null {
    const current = this.object(name)
    return current === null ? this.#versions.newest(name) : { ...current, deleted: false, is_latest: true }
  }

  /** Enters an object. The null version is overwritten, an older write than what is known changes nothing (false); any other version is entered beside those that are there. */
  putObject(row: ObjectRow): boolean {
    this.#live()
    this.#saw(row.at)
    return this.#deps.storage.transactionSync(() => {
      if (row.version === '') {
        const before = this.#versions.find(row.name, 'null')
        const [tombstone] = this.#rows('SELECT at FROM tombstones WHERE name = ?', row.name)
        if (before !== null && before.at > row.at) return false
        if (tombstone !== undefined && String(tombstone.at) >= row.at) return false
      }
      if (row.version === '' && versioningOf(this.#live()) === 'never') this.#count(this.#replace(row))
      else {
        this.#forget(this.#versions.find(row.name, row.version === '' ? 'null' : row.version), row)
        this.#count(this.#versions.put(row))
      }
      if (row.delete_at !== null) this.#deps.alarms.at('expire', row.delete_at * 1000)
      return true
    })
  }

  /** The common case, a container that was never versioned: one row. */
  #replace(row: ObjectRow): Counted {
    const before = this.object(row.name)
    this.#forget(before, row)
    this.#rows(`INSERT OR REPLACE INTO objects (${OBJECT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, ...objectValues(row))
    return { objects: before === null ? 1 : 0, bytes: row.size - (before?.size ?? 0) }
  }

  /** A deletion in a versioned container: a marker becomes the newest version. `version` '' is the null marker, which takes the null version's place (its bytes are the caller's). */
  markDeleted(name: string, at: string, version: string): void {
    this.#live()
    this.#deps.storage.transactionSync(() => {
      if (version === '') this.#forget(this.#versions.find(name, 'null'), null)
      this.#count(this.#versions.mark(name, at, version))
    })
  }

  /** Nothing is current any more; what was stays as an older version. */
  unlinkVersion(name: string): void {
    this.#live()
    this.#deps.storage.transactionSync(() => this.#count(this.#versions.unlink(name)))
  }

  /** Makes an older version the current one; false where there is none, or it is a marker. */
  restoreVersion(name: string, id: string): boolean {
    this.#live()
    return this.#deps.storage.transactionSync(() => {
      const counted = this.#versions.restore(name, id)
      if (counted !== null) this.#count(counted)
      return counted !== null
    })
  }

  /** Forgets one version (its bytes are the caller's). `heir`: the newest that is left becomes current where the newest went, as S3 has it; Swift leaves the name without one. */
  removeVersion(name: string, version: string, heir: boolean): void {
    this.#live()
    this.#deps.storage.transactionSync(() => {
      const removed = this.#versions.find(name, version === '' ? 'null' : version)
      if (removed === null) return
      this.#forget(removed, null)
      const counted = this.#versions.drop(name, version)
      const next = heir && removed.is_latest && this.object(name) === null ? this.#versions.newest(name) : null
      const restored = next === null || next.deleted ? null : this.#versions.restore(name, next.version === '' ? 'null' : next.version)
      this.#count({ objects: counted.objects + (restored?.objects ?? 0), bytes: counted.bytes })
    })
  }

  /** A POST changed what the listing shows. */
  postObject(name: string, modified_at: string, content_type: string | null, delete_at: number | null): void {
    const row = this.object(name)
    this.#saw(modified_at)
    if (row === null || row.modified_at > modified_at) return
    this.#rows('UPDATE objects SET modified_at = ?, content_type = ?, delete_at = ? WHERE name = ?', modified_at, content_type ?? row.content_type, delete_at, name)
    if (delete_at !== null) this.#deps.alarms.at('expire', delete_at * 1000)
  }

  /** True where the listing had it. */
  deleteObject(name: string, at: string): boolean {
    this.#live()
    this.#saw(at)
    return this.#deps.storage.transactionSync(() => {
      const before = this.object(name)
      if (before !== null && before.at > at) return false
      this.#rows('INSERT INTO tombstones (name, at) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET at = MAX(at, excluded.at)', name, at)
      this.#deps.alarms.at('tombstones', this.#deps.clock.now_ms() + TOMBSTONE_KEPT_MS)
      if (before === null) return false
      this.#forget(before, null)
      this.#rows('DELETE FROM objects WHERE name = ?', name)
      this.#count({ objects: -1, bytes: -before.size })
      return true
    })
  }

  /** What a dialect keeps with a row; null removes. The row as it is then; null where there is none. */
  patchExtra(name: string, id: string | null, patch: Record<string, string | null>): VersionRow | null {
    const row = id === null ? this.latest(name) : this.version(name, id)
    if (row === null || row.deleted) return row
    const extra = { ...row.extra }
    for (const [key, value] of Object.entries(patch)) {
      if (value === null) delete extra[key]
      else extra[key] = value
    }
    const text = Object.keys(extra).length === 0 ? null : JSON.stringify(extra)
    if (this.object(name)?.version === row.version) this.#rows('UPDATE objects SET extra = ? WHERE name = ?', text, name)
    else this.#rows('UPDATE versions SET extra = ? WHERE key = ?', text, versionKey(name, row.at))
    return { ...row, extra }
  }

  /** A row goes, or gives way to `heir`. Where old versions are kept elsewhere by copies of the manifest, its segments stay in use. */
  #forget(row: ObjectRow | null, heir: ObjectRow | null): void {
    const upload = row?.extra?.['s3-upload']
    if (upload === undefined || upload === heir?.extra?.['s3-upload']) return
    const { metadata } = this.#live()
    if (metadata['x-versions-location'] === undefined && metadata['x-history-location'] === undefined) this.#hooks.released(upload)
  }

  #live(): ContainerInfo {
    const info = this.info()
    if (info === null) throw new Fault('not_found', 'The resource could not be found.')
    return info
  }

  #next(): string {
    return this.#stamps.next(this.#deps.clock.now_ms())
  }

  #count({ objects, bytes }: Counted): void {
    this.#rows('UPDATE container SET object_count = object_count + ?, bytes_used = bytes_used + ?, last_at = MAX(last_at, ?), seq = seq + 1', objects, bytes, this.#stampNow())
    this.#lease()
    this.#syncSoon()
    queueMicrotask(() => void this.#report())
  }

  /** A time that a door gave while it could not ask: what is written after it must be newer. */
  #saw(at: string): void {
    this.#stamps.saw(at)
    if (at > this.#stampNow()) this.#rows('UPDATE container SET last_at = MAX(last_at, ?)', at)
  }

  #stampNow(): string {
    return formatTicks(ticksOf(this.#deps.clock.now_ms()))
  }

  /** Should this process die before the account has heard, the alarm tells it. */
  #lease(): void {
    this.#deps.alarms.at('report', this.#deps.clock.now_ms() + REPORT_LEASE_MS)
  }

  /** Tells the account the totals until it has the newest. One report at a time, so that they arrive in order. */
  #report(): Promise<void> {
    this.#reporting ??= this.#reportAll().finally(() => {
      this.#reporting = null
    })
    return this.#reporting
  }

  async #reportAll(): Promise<void> {
    for (;;) {
      const [row] = this.#rows('SELECT * FROM container')
      if (row === undefined || row.seq === row.reported_seq) return
      const info = toInfo(row)
      try {
        await this.#hooks.report(info.account, { name: info.name, seq: Number(row.seq), policy: info.policy, put_at: info.created_at, deleted: row.deleted === 1, object_count: info.object_count, bytes_used: info.bytes_used })
      } catch (error) {
        this.#deps.log('container.report_failed', { account: info.account, container: info.name, error: String((error as Error)?.message ?? error) })
        this.#deps.alarms.at('report', this.#deps.clock.now_ms() + REPORT_RETRY_MS)
        return
      }
      this.#rows('UPDATE container SET reported_seq = MAX(reported_seq, ?)', Number(row.seq))
    }
  }

  async #expire(): Promise<void> {
    const info = this.info()
    if (info === null) return
    const now_s = Math.floor(this.#deps.clock.now_ms() / 1000)
    const due = this.#rows('SELECT * FROM objects WHERE delete_at <= ? ORDER BY delete_at LIMIT ?', now_s, EXPIRE_BATCH).map(toObject)
    let failed = false
    for (const row of [...due, ...this.#versions.expired(now_s, EXPIRE_BATCH)]) {
      const ticks = Math.max((row.delete_at ?? 0) * 100_000, Math.round(Number(row.modified_at) * 100_000) + 1)
      try {
        await this.#hooks.expire(info, row, formatTicks(ticks))
        if (row.version === '' && versioningOf(info) === 'never') this.deleteObject(row.name, formatTicks(ticks))
        else this.removeVersion(row.name, row.version, false)
      } catch (error) {
        failed = true
        this.#deps.log('container.expire_failed', { account: info.account, container: info.name, error: String((error as Error)?.message ?? error) })
      }
    }
    const [next] = this.#rows('SELECT MIN(delete_at) AS at FROM objects WHERE delete_at IS NOT NULL')
    const times = [next?.at == null ? null : Number(next.at), this.#versions.nextExpiry()].filter((at): at is number => at !== null)
    if (times.length > 0) this.#deps.alarms.at('expire', Math.max(Math.min(...times) * 1000, this.#deps.clock.now_ms() + (failed ? 30_000 : 1)))
  }

  #syncSoon(): void {
    if (this.info()?.metadata['x-container-sync-to'] !== undefined) this.#deps.alarms.at('sync', this.#deps.clock.now_ms() + SYNC_DELAY_MS)
  }

  /** Copies changes in the order of their times, and remembers how far it got. */
  async #sync(): Promise<void> {
    const info = this.info()
    if (info?.metadata['x-container-sync-to'] === undefined) return
    const [row] = this.#rows('SELECT sync_point FROM container')
    const changed: SyncRow[] = [
      ...this.#rows('SELECT * FROM objects WHERE at > ? ORDER BY at LIMIT ?', row?.sync_point, SYNC_BATCH).map(toObject),
      ...this.#rows('SELECT name, at FROM tombstones WHERE at > ? ORDER BY at LIMIT ?', row?.sync_point, SYNC_BATCH).map((gone) => ({ name: String(gone.name), at: String(gone.at) })),
    ].sort((a, b) => (a.at < b.at ? -1 : 1)).slice(0, SYNC_BATCH)
    const last = changed.at(-1)
    if (last === undefined) return
    try {
      if (!(await this.#hooks.sync(info, changed))) throw new Error('the other container does not agree')
    } catch (error) {
      this.#deps.log('container.sync_failed', { account: info.account, container: info.name, error: String((error as Error)?.message ?? error) })
      this.#deps.alarms.at('sync', this.#deps.clock.now_ms() + SYNC_RETRY_MS)
      return
    }
    this.#rows('UPDATE container SET sync_point = ?', last.at)
    if (changed.length === SYNC_BATCH) this.#deps.alarms.at('sync', this.#deps.clock.now_ms() + 1)
  }

  #purge(): void {
    const cutoff = formatTicks(ticksOf(this.#deps.clock.now_ms() - TOMBSTONE_KEPT_MS))
    this.#rows('DELETE FROM tombstones WHERE at < ?', cutoff)
    const [left] = this.#rows('SELECT name FROM tombstones LIMIT 1')
    if (left !== undefined) this.#deps.alarms.at('tombstones', this.#deps.clock.now_ms() + TOMBSTONE_KEPT_MS)
  }

  #rows(query: string, ...bindings: unknown[]): Row[] {
    return this.#deps.storage.sql.exec(query, ...(bindings as never[])).toArray() as Row[]
  }
}

/** Once set, versioning is never unset: it is on, or suspended. */
function merged(before: Metadata, changes: Metadata): Metadata {
  const { 'x-versions-enabled': wanted, ...rest } = changes
  const after = mergeMeta(before, rest, 'container')
  if (wanted !== undefined && wanted !== '') after['x-versions-enabled'] = isTrue(wanted) ? 'True' : 'False'
  if (after['x-versions-enabled'] === undefined) return after
  if (after['x-versions-location'] !== undefined || after['x-history-location'] !== undefined) throw swiftFault(400, 'Object versioning and versioned writes exclude each other.')
  if (after['x-container-sync-to'] !== undefined) throw swiftFault(400, 'A container that is synced to another one cannot be versioned.')
  return after
}
