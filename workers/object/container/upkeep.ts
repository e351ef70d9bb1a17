/** What a container does by itself later: expired objects go, changes are copied to where the owner syncs them, old tombstones are forgotten. Runs in the Container object. */
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import type { ContainerReport } from '../account/store.ts'
import type { Sent } from '../features/sync-send.ts'
import { formatTicks, ticksOf } from '../timestamp.ts'
import { type ContainerInfo, type ObjectRow, type Rows, toObject, versioningOf } from './rows.ts'
import type { PartOf, RemotePart } from './shards.ts'
import type { VersionRows } from './versions.ts'

export const TOMBSTONE_KEPT_MS = 24 * 3_600_000
export const EXPIRE_BATCH = 100
/** Changes are copied a moment later, many at once. */
export const SYNC_DELAY_MS = 1_000
export const SYNC_RETRY_MS = 30_000
export const SYNC_BATCH = 100

/** A change to copy: an object, or only a name and a time where it was deleted. */
export type SyncRow = Pick<ObjectRow, 'name' | 'at'> & Partial<ObjectRow>

export interface ContainerHooks {
  /** Tells the account of new totals; a part of a large container tells that container. */
  report(account: string, report: ContainerReport, partOf: PartOf | null): Promise<void>
  /** Another part of the listing. */
  shard(id: string): RemotePart
  /** Copies a change to where X-Container-Sync-To points; throws where it is to be tried again. */
  sync(info: ContainerInfo, row: SyncRow): Promise<Sent>
  /** Removes an expired object's replicas with that timestamp. */
  expire(info: ContainerInfo, row: ObjectRow, timestamp: string): Promise<void>
  /** The last row of an upload in parts is gone: its segments are of no use any more. In the same transaction. */
  released(upload: string): void
}

/** What upkeep does to the listing. */
export interface Kept {
  info(): ContainerInfo | null
  deleteObject(name: string, at: string): boolean
  removeVersion(name: string, version: string, heir: boolean): void
}

export class Upkeep {
  #rows: Rows
  #deps: Deps
  #hooks: ContainerHooks
  #store: Kept
  #versions: VersionRows

  constructor(rows: Rows, deps: Deps, hooks: ContainerHooks, store: Kept, versions: VersionRows) {
    this.#rows = rows
    this.#deps = deps
    this.#hooks = hooks
    this.#store = store
    this.#versions = versions
    deps.alarms.handle('expire', () => this.expire())
    deps.alarms.handle('tombstones', () => this.purge())
    deps.alarms.handle('sync', () => this.sync())
  }

  async expire(): Promise<void> {
    const info = this.#store.info()
    if (info === null) return
    const now_s = Math.floor(this.#deps.clock.now_ms() / 1000)
    const due = this.#rows('SELECT * FROM objects WHERE delete_at <= ? ORDER BY delete_at LIMIT ?', now_s, EXPIRE_BATCH).map(toObject)
    let failed = false
    for (const row of [...due, ...this.#versions.expired(now_s, EXPIRE_BATCH)]) {
      const ticks = Math.max((row.delete_at ?? 0) * 100_000, Math.round(Number(row.modified_at) * 100_000) + 1)
      try {
        await this.#hooks.expire(info, row, formatTicks(ticks))
        if (row.version === '' && versioningOf(info) === 'never') this.#store.deleteObject(row.name, formatTicks(ticks))
        else this.#store.removeVersion(row.name, row.version, false)
      } catch (error) {
        failed = true
        this.#deps.log('container.expire_failed', { account: info.account, container: info.name, error: String((error as Error)?.message ?? error) })
      }
    }
    const [next] = this.#rows('SELECT MIN(delete_at) AS at FROM objects WHERE delete_at IS NOT NULL')
    const times = [next?.at == null ? null : Number(next.at), this.#versions.nextExpiry()].filter((at): at is number => at !== null)
    if (times.length > 0) this.#deps.alarms.at('expire', Math.max(Math.min(...times) * 1000, this.#deps.clock.now_ms() + (failed ? 30_000 : 1)))
  }

  syncSoon(info: ContainerInfo | null): void {
    if (isSynced(info)) this.#deps.alarms.at('sync', this.#deps.clock.now_ms() + SYNC_DELAY_MS)
  }

  /** A change of this time: one that is told later than newer ones, or (`meta`) is of metadata alone, is copied by its name. In the same transaction. */
  changed(info: ContainerInfo | null, name: string, at: string, meta = false): void {
    if (!isSynced(info) || (!meta && this.#rows('SELECT sync_point FROM container WHERE sync_point >= ?', at).length === 0)) return
    this.#rows('INSERT INTO sync_late (name, at) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET at = excluded.at', name, at)
    this.syncSoon(info)
  }

  /** One change; false where it is to be tried again. */
  async #copy(info: ContainerInfo, one: SyncRow): Promise<boolean> {
    try {
      // One that the other side will never take must not hold up those after it.
      if ((await this.#hooks.sync(info, one)) === 'refused') this.#deps.log('container.sync_refused', { account: info.account, container: info.name, at: one.at })
      return true
    } catch (error) {
      this.#deps.log('container.sync_failed', { account: info.account, container: info.name, error: String((error as Error)?.message ?? error) })
      this.#deps.alarms.at('sync', this.#deps.clock.now_ms() + SYNC_RETRY_MS)
      return false
    }
  }

  /** What the order of times passed over, as it is now. */
  async #copyLate(info: ContainerInfo): Promise<boolean> {
    for (const { name, at } of this.#rows('SELECT name, at FROM sync_late ORDER BY at LIMIT ?', SYNC_BATCH)) {
      const [live] = this.#rows('SELECT * FROM objects WHERE name = ?', name).map(toObject)
      const [gone] = this.#rows('SELECT name, at FROM tombstones WHERE name = ?', name).map((row): SyncRow => ({ name: String(row.name), at: String(row.at) }))
      const one = live ?? gone
      if (one !== undefined && !(await this.#copy(info, one))) return false
      this.#rows('DELETE FROM sync_late WHERE name = ? AND at = ?', name, at)
    }
    return true
  }

  /** Copies changes in the order of their times, and remembers how far it got. */
  async sync(): Promise<void> {
    const info = this.#store.info()
    if (info === null || !isSynced(info) || !(await this.#copyLate(info))) return
    const [row] = this.#rows('SELECT sync_point FROM container')
    const changed: SyncRow[] = [
      ...this.#rows('SELECT * FROM objects WHERE at > ? ORDER BY at LIMIT ?', row?.sync_point, SYNC_BATCH).map(toObject),
      ...this.#rows('SELECT name, at FROM tombstones WHERE at > ? ORDER BY at LIMIT ?', row?.sync_point, SYNC_BATCH).map((gone) => ({ name: String(gone.name), at: String(gone.at) })),
    ].sort((a, b) => (a.at < b.at ? -1 : 1)).slice(0, SYNC_BATCH)
    for (const one of changed) {
      if (!(await this.#copy(info, one))) return
      this.#rows('UPDATE container SET sync_point = ?', one.at)
    }
    if (changed.length === SYNC_BATCH || this.#rows('SELECT name FROM sync_late LIMIT 1').length > 0) this.#deps.alarms.at('sync', this.#deps.clock.now_ms() + 1)
  }

  purge(): void {
    const cutoff = formatTicks(ticksOf(this.#deps.clock.now_ms() - TOMBSTONE_KEPT_MS))
    this.#rows('DELETE FROM tombstones WHERE at < ?', cutoff)
    const [left] = this.#rows('SELECT name FROM tombstones LIMIT 1')
    if (left !== undefined) this.#deps.alarms.at('tombstones', this.#deps.clock.now_ms() + TOMBSTONE_KEPT_MS)
  }
}

const isSynced = (info: ContainerInfo | null): boolean => info?.metadata['x-container-sync-to'] !== undefined
