/**
 * One container: its metadata and its listing. Runs in the Container object. Rows are written as raw SQL: a PUT costs one object row and the container's own
 * row; the account hears of new totals in the background, and an alarm makes sure of it.
 */
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { ContainerReport } from '../account/store.ts'
import { type Metadata, mergeMeta } from '../headers.ts'
import { type ListQuery, type Listed, listNames } from '../list.ts'
import { Stamps, ticksOf, formatTicks } from '../timestamp.ts'

export interface ContainerInfo {
  account: string
  name: string
  policy: number
  created_at: string
  put_at: string
  /** Full lower-case header names: x-container-meta-*, x-container-read, x-versions-location... */
  metadata: Metadata
  object_count: number
  bytes_used: number
}

export interface ObjectRow {
  name: string
  /** Timestamp of the data. */
  at: string
  /** Timestamp of the newest change of metadata. */
  modified_at: string
  size: number
  etag: string
  content_type: string
  delete_at: number | null
  slo_etag: string | null
  /** Bytes of all segments, where it is a static manifest. */
  slo_size: number | null
}

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

type Row = Record<string, unknown>

export interface ContainerHooks {
  report(account: string, report: ContainerReport): Promise<void>
  /** Copies what changed to where X-Container-Sync-To points; false where the other side does not agree (any more). */
  sync(info: ContainerInfo, rows: SyncRow[]): Promise<boolean>
  /** Removes an expired object's replicas with that timestamp. */
  expire(info: ContainerInfo, row: ObjectRow, timestamp: string): Promise<void>
}

export class ContainerStore {
  #deps: Deps
  #hooks: ContainerHooks
  #stamps: Stamps
  #reporting: Promise<void> | null = null

  constructor(deps: Deps, hooks: ContainerHooks) {
    this.#deps = deps
    this.#hooks = hooks
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
    const metadata = JSON.stringify(mergeMeta(before?.metadata ?? {}, changes, 'container'))
    this.#deps.storage.transactionSync(() => {
      if (before !== null) {
        this.#rows('UPDATE container SET metadata = ?, put_at = ?, last_at = ?', metadata, at, at)
        return
      }
      this.#rows(
        `INSERT INTO container (id, account, name, policy, created_at, put_at, deleted, metadata, object_count, bytes_used, last_at, seq, reported_seq) VALUES (1, ?, ?, ?, ?, ?, 0, ?, 0, 0, ?, 1, 0)
         ON CONFLICT (id) DO UPDATE SET policy = excluded.policy, created_at = excluded.created_at, put_at = excluded.put_at, deleted = 0, metadata = excluded.metadata, last_at = excluded.last_at, seq = seq + 1`,
        account, name, policy ?? 0, at, at, metadata, at)
      this.#lease()
    })
    this.#syncSoon()
    if (before === null) await this.#report()
    return { created: before === null, info: this.#live() }
  }

  post(changes: Metadata): void {
    const info = this.#live()
    this.#rows('UPDATE container SET metadata = ?, last_at = ?', JSON.stringify(mergeMeta(info.metadata, changes, 'container')), this.#next())
    this.#syncSoon()
  }

  async remove(): Promise<void> {
    this.#live()
    const [object] = this.#rows('SELECT name FROM objects LIMIT 1')
    if (object !== undefined) throw new Fault('conflict', 'There was a conflict when trying to complete your request.')
    this.#deps.storage.transactionSync(() => {
      this.#rows("UPDATE container SET deleted = 1, metadata = '{}', last_at = ?, seq = seq + 1", this.#next())
      this.#lease()
    })
    await this.#report()
  }

  list(query: ListQuery): { info: ContainerInfo; entries: Listed<ObjectRow>[] } {
    const info = this.#live()
    return { info, entries: listNames<ObjectRow>(query, (where, order, limit, values) => this.#rows(`SELECT * FROM objects${where} ORDER BY name ${order} LIMIT ?`, ...values, limit).map(toObject)) }
  }

  /** Opens a write: the time it has, what is there now, and the container as it is. */
  begin(name: string): { info: ContainerInfo; timestamp: string; existing: ObjectRow | null } | null {
    const info = this.info()
    return info === null ? null : { info, timestamp: this.#next(), existing: this.object(name) }
  }

  object(name: string): ObjectRow | null {
    const [row] = this.#rows('SELECT * FROM objects WHERE name = ?', name)
    return row === undefined ? null : toObject(row)
  }

  /** Enters an object; an older write than what is known changes nothing. False: something newer is there. */
  putObject(row: ObjectRow): boolean {
    this.#live()
    return this.#deps.storage.transactionSync(() => {
      const before = this.object(row.name)
      const [tombstone] = this.#rows('SELECT at FROM tombstones WHERE name = ?', row.name)
      if (before !== null && before.at > row.at) return false
      if (tombstone !== undefined && String(tombstone.at) >= row.at) return false
      this.#rows('INSERT OR REPLACE INTO objects (name, at, modified_at, size, etag, content_type, delete_at, slo_etag, slo_size) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
        row.name, row.at, row.modified_at, row.size, row.etag, row.content_type, row.delete_at, row.slo_etag, row.slo_size)
      this.#count(before === null ? 1 : 0, row.size - (before?.size ?? 0))
      if (row.delete_at !== null) this.#deps.alarms.at('expire', row.delete_at * 1000)
      return true
    })
  }

  /** A POST changed what the listing shows. */
  postObject(name: string, modified_at: string, content_type: string | null, delete_at: number | null): void {
    const row = this.object(name)
    if (row === null || row.modified_at > modified_at) return
    this.#rows('UPDATE objects SET modified_at = ?, content_type = ?, delete_at = ? WHERE name = ?', modified_at, content_type ?? row.content_type, delete_at, name)
    if (delete_at !== null) this.#deps.alarms.at('expire', delete_at * 1000)
  }

  /** True where the listing had it. */
  deleteObject(name: string, at: string): boolean {
    this.#live()
    return this.#deps.storage.transactionSync(() => {
      const before = this.object(name)
      if (before !== null && before.at > at) return false
      this.#rows('INSERT INTO tombstones (name, at) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET at = MAX(at, excluded.at)', name, at)
      this.#deps.alarms.at('tombstones', this.#deps.clock.now_ms() + TOMBSTONE_KEPT_MS)
      if (before === null) return false
      this.#rows('DELETE FROM objects WHERE name = ?', name)
      this.#count(-1, -before.size)
      return true
    })
  }

  #live(): ContainerInfo {
    const info = this.info()
    if (info === null) throw new Fault('not_found', 'The resource could not be found.')
    return info
  }

  #next(): string {
    return this.#stamps.next(this.#deps.clock.now_ms())
  }

  #count(objects: number, bytes: number): void {
    this.#rows('UPDATE container SET object_count = object_count + ?, bytes_used = bytes_used + ?, last_at = MAX(last_at, ?), seq = seq + 1', objects, bytes, this.#stampNow())
    this.#lease()
    this.#syncSoon()
    queueMicrotask(() => void this.#report())
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
    for (const row of due) {
      const ticks = Math.max((row.delete_at ?? 0) * 100_000, Math.round(Number(row.modified_at) * 100_000) + 1)
      try {
        await this.#hooks.expire(info, row, formatTicks(ticks))
        this.deleteObject(row.name, formatTicks(ticks))
      } catch (error) {
        failed = true
        this.#deps.log('container.expire_failed', { account: info.account, container: info.name, error: String((error as Error)?.message ?? error) })
      }
    }
    const [next] = this.#rows('SELECT MIN(delete_at) AS at FROM objects WHERE delete_at IS NOT NULL')
    if (next?.at != null) this.#deps.alarms.at('expire', Math.max(Number(next.at) * 1000, this.#deps.clock.now_ms() + (failed ? 30_000 : 1)))
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

const toInfo = (row: Row): ContainerInfo => ({
  account: String(row.account), name: String(row.name), policy: Number(row.policy), created_at: String(row.created_at), put_at: String(row.put_at), metadata: JSON.parse(String(row.metadata)) as Metadata,
  object_count: Number(row.object_count), bytes_used: Number(row.bytes_used),
})

const toObject = (row: Row): ObjectRow => ({
  name: String(row.name), at: String(row.at), modified_at: String(row.modified_at), size: Number(row.size), etag: String(row.etag), content_type: String(row.content_type),
  delete_at: row.delete_at === null ? null : Number(row.delete_at), slo_etag: row.slo_etag === null ? null : String(row.slo_etag), slo_size: row.slo_size === null ? null : Number(row.slo_size),
})
