/**
 * One container: its metadata and its listing. Runs in the Container object. Rows are written as raw SQL: a PUT costs one object row and the container's own
 * row; the account hears of new totals in the background, and an alarm makes sure of it.
 */
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { Metadata } from '../headers.ts'
import { type ListQuery, type Listed, type Read, listNames } from '../list.ts'
import type { Format } from '../listing.ts'
import { swiftOptions } from '../options.ts'
import { defaultPolicy } from '../policies.ts'
import { Stamps, ticksOf, formatTicks } from '../timestamp.ts'
import { mergedMetadata } from './metadata.ts'
import { RowPages } from './pages.ts'
import { type ContainerInfo, OBJECT_COLUMNS, type ObjectRow, type Row, type Rows, type VersionRow, objectValues, toInfo, versionKey, versioningOf } from './rows.ts'
import { type Batch, type Bulk, type Edge, RowRanges } from './ranges.ts'
import { Reports } from './reports.ts'
import { type Part, type PartOf, SHARD_THRESHOLD, Shards, type Totals } from './shards.ts'
import { rowsText } from './views.ts'
import { type ContainerHooks, TOMBSTONE_KEPT_MS, Upkeep } from './upkeep.ts'
import { type Counted, type Keyed, type VersionQuery, VersionRows } from './versions.ts'

export type { ContainerInfo, ObjectRow, VersionRow } from './rows.ts'

export class ContainerStore implements Part {
  #deps: Deps
  #hooks: ContainerHooks
  #stamps: Stamps
  #versions: VersionRows
  #ranges: RowRanges
  #pages: RowPages
  #upkeep: Upkeep
  readonly shards: Shards
  readonly readPage: RowPages['read'] = (read, format) => this.#pages.read(read, format)
  #reports: Reports

  constructor(deps: Deps, hooks: ContainerHooks) {
    this.#deps = deps
    this.#hooks = hooks
    const rows: Rows = (query, ...bindings) => this.#rows(query, ...bindings)
    this.#reports = new Reports(rows, deps, hooks)
    this.#versions = new VersionRows(rows)
    this.#ranges = new RowRanges(rows)
    this.#pages = new RowPages(rows)
    this.#upkeep = new Upkeep(rows, deps, hooks, this, this.#versions)
    this.shards = new Shards(rows, deps, this, (id) => hooks.shard(id), swiftOptions(deps.env).shard_container_threshold ?? SHARD_THRESHOLD, () => this.#reports.soon())
    deps.alarms.handle('split', async () => {
      const info = this.info()
      if (info !== null) await this.shards.split(info)
    })
    const [row] = this.#rows('SELECT last_at, seq, reported_seq FROM container')
    this.#stamps = new Stamps(row === undefined ? null : String(row.last_at))
    if (row !== undefined && row.seq !== row.reported_seq) void this.#reports.now()
  }

  info(): ContainerInfo | null {
    const [row] = this.#rows('SELECT * FROM container WHERE deleted = 0')
    return row === undefined ? null : toInfo(row)
  }

  /** Creates it, or updates the metadata of the one that is there. */
  async put(account: string, name: string, policy: number | null, changes: Metadata): Promise<{ created: boolean; info: ContainerInfo }> {
    const before = this.info()
    if (before !== null && policy !== null && policy !== before.policy) throw new Fault('conflict', 'The storage policy of a container cannot be changed.')
    const metadata = JSON.stringify(mergedMetadata(before?.metadata ?? {}, changes))
    if (this.shards.active) await this.shards.post(changes)
    const at = this.#next()
    this.#deps.storage.transactionSync(() => {
      if (before !== null) {
        this.#rows('UPDATE container SET metadata = ?, put_at = ?, last_at = ?', metadata, at, at)
        return
      }
      this.#rows(
        `INSERT INTO container (id, account, name, policy, created_at, put_at, deleted, metadata, object_count, bytes_used, last_at, seq, reported_seq) VALUES (1, ?, ?, ?, ?, ?, 0, ?, 0, 0, ?, 1, 0)
         ON CONFLICT (id) DO UPDATE SET policy = excluded.policy, created_at = excluded.created_at, put_at = excluded.put_at, deleted = 0, metadata = excluded.metadata, last_at = excluded.last_at, seq = seq + 1`,
        account, name, policy ?? defaultPolicy(this.#deps.env), at, at, metadata, at)
      this.#reports.lease()
    })
    this.#upkeep.syncSoon(this.info())
    if (before === null) await this.#reports.now()
    return { created: before === null, info: this.#live() }
  }

  async post(changes: Metadata): Promise<void> {
    mergedMetadata(this.#live().metadata, changes)
    if (this.shards.active) await this.shards.post(changes)
    const info = this.#live()
    this.#rows('UPDATE container SET metadata = ?, last_at = ?', JSON.stringify(mergedMetadata(info.metadata, changes)), this.#next())
    this.#upkeep.syncSoon(this.info())
  }

  async remove(): Promise<void> {
    this.#live()
    const gone = () => this.#deps.storage.transactionSync(() => {
      this.#rows("UPDATE container SET deleted = 1, metadata = '{}', object_count = 0, bytes_used = 0, last_at = ?, seq = seq + 1", this.#next())
      this.#reports.lease()
    })
    const empty = this.shards.active ? await this.shards.dissolve(gone) : !this.holdsAny()
    if (!empty) throw new Fault('conflict', 'There was a conflict when trying to complete your request.')
    if (this.info() !== null) gone()
    await this.#reports.now()
  }

  // ---------------------------------------------------------------- as a part of a large container

  holdsAny(): boolean {
    return this.#rows('SELECT name FROM objects LIMIT 1').length > 0 || this.#versions.any()
  }

  readRows(read: Read): ObjectRow[] {
    return this.#ranges.read(read)
  }

  readVersions(read: Read): Keyed[] {
    return this.#versions.read(read)
  }

  edgeBatch(edge: Edge, low: string, high: string | null, limit: number): Batch | null {
    return this.#ranges.edge(edge, low, high, limit)
  }

  replaceRange(low: string, high: string | null, bulk: Bulk): Totals {
    return this.#deps.storage.transactionSync(() => {
      const before = this.#ranges.sumsFrom(low, high)
      this.#ranges.replace(low, high, bulk, (row, deleted) => this.#versions.keep(row, deleted))
      const rows = [...bulk.objects, ...bulk.versions.map((one) => one.row)]
      this.#count({ objects: bulk.objects.length - before.object_count, bytes: rows.reduce((sum, row) => sum + row.size, 0) - before.bytes_used })
      for (const row of rows) if (row.delete_at !== null) this.#deps.alarms.at('expire', row.delete_at * 1000)
      if (bulk.tombstones.length > 0) this.#deps.alarms.at('tombstones', this.#deps.clock.now_ms() + TOMBSTONE_KEPT_MS)
      return this.totals()
    })
  }

  dropFrom(high: string): Totals {
    return this.#deps.storage.transactionSync(() => {
      const gone = this.#ranges.sumsFrom(high, null)
      this.#ranges.dropFrom(high)
      this.#count({ objects: -gone.object_count, bytes: -gone.bytes_used })
      return this.totals()
    })
  }

  totals(): Totals {
    const [row] = this.#rows('SELECT seq, object_count, bytes_used FROM container')
    return { seq: Number(row?.seq), object_count: Number(row?.object_count), bytes_used: Number(row?.bytes_used) }
  }

  /** Becomes a part: nobody's container, but the rows of one. */
  adopt(info: ContainerInfo, partOf: PartOf): void {
    this.#rows(
      `INSERT INTO container (id, account, name, policy, created_at, put_at, deleted, metadata, object_count, bytes_used, last_at, seq, reported_seq, part_of) VALUES (1, ?, ?, ?, ?, ?, 0, ?, 0, 0, ?, 1, 1, ?)
       ON CONFLICT (id) DO UPDATE SET metadata = excluded.metadata`,
      info.account, info.name, info.policy, info.created_at, info.put_at, JSON.stringify(info.metadata), info.created_at, JSON.stringify(partOf))
  }

  /** Its container is gone. */
  abandon(): void {
    this.#rows('UPDATE container SET deleted = 1, reported_seq = seq')
  }

  list(query: ListQuery): { info: ContainerInfo; entries: Listed<ObjectRow>[] } {
    const info = this.#live()
    return { info, entries: listNames<ObjectRow>(query, (read) => this.#ranges.read(read)) }
  }

  /** The body of a listing. */
  listText(query: ListQuery, format: Format): { info: ContainerInfo; text: string } {
    const info = this.#live()
    return { info, text: this.#pages.body(query, format) ?? rowsText(format, info, listNames(query, (read) => this.#ranges.shown(read))) }
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

  /** When the null version was last written, changed and deleted, as far as this container knows. */
  word(name: string): { at: string | null; modified_at: string | null; deleted_at: string | null } {
    const row = this.#versions.find(name, 'null')
    const [tombstone] = this.#rows('SELECT at FROM tombstones WHERE name = ?', name)
    const is = row !== null && !row.deleted
    return { at: is ? row.at : null, modified_at: is ? row.modified_at : null, deleted_at: tombstone === undefined ? null : String(tombstone.at) }
  }

  /** Enters an object. The null version is overwritten, an older write than what is known changes nothing (false); any other version is entered beside those that are there. */
  putObject(row: ObjectRow): boolean {
    const info = this.#live()
    // The common case, a container that was never versioned.
    const isPlain = row.version === '' && versioningOf(info) === 'never'
    this.#saw(row.at)
    return this.#deps.storage.transactionSync(() => {
      const before = isPlain ? this.object(row.name) : this.#versions.find(row.name, row.version === '' ? 'null' : row.version)
      if (row.version === '') {
        const [tombstone] = this.#rows('SELECT at FROM tombstones WHERE name = ?', row.name)
        if (before !== null && before.at > row.at) return false
        if (tombstone !== undefined && String(tombstone.at) >= row.at) return false
      }
      this.#forget(before, row)
      this.#count(isPlain ? this.#replace(row, before) : this.#versions.put(row))
      if (row.delete_at !== null) this.#deps.alarms.at('expire', row.delete_at * 1000)
      this.#upkeep.changed(info, row.name, row.at)
      return true
    })
  }

  /** One row. */
  #replace(row: ObjectRow, before: ObjectRow | null): Counted {
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
    this.#deps.storage.transactionSync(() => {
      this.#rows('UPDATE objects SET modified_at = ?, content_type = ?, delete_at = ? WHERE name = ?', modified_at, content_type ?? row.content_type, delete_at, name)
      this.#upkeep.changed(this.info(), name, modified_at, true)
    })
    if (delete_at !== null) this.#deps.alarms.at('expire', delete_at * 1000)
  }

  /** The object as it is now ends at that second, unless it was to end sooner. */
  expireObject(name: string, at_s: number): void {
    this.#live()
    this.#rows('UPDATE objects SET delete_at = ? WHERE name = ? AND (delete_at IS NULL OR delete_at > ?)', at_s, name, at_s)
    this.#deps.alarms.at('expire', at_s * 1000)
  }

  /** True where the listing had it. */
  deleteObject(name: string, at: string): boolean {
    const info = this.#live()
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
      this.#upkeep.changed(info, name, at)
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
    const [row] = this.#rows('UPDATE container SET object_count = object_count + ?, bytes_used = bytes_used + ?, last_at = MAX(last_at, ?), seq = seq + 1, reported_seq = MAX(reported_seq, ?) RETURNING *', objects, bytes, this.#stampNow(), this.#reports.told)
    this.shards.counted(objects, bytes, row === undefined || row.part_of !== null ? null : Number(row.object_count))
    this.#upkeep.syncSoon(row === undefined || row.deleted === 1 ? null : toInfo(row))
    this.#reports.soon()
  }

  /** A time that a door gave while it could not ask: what is written after it must be newer. */
  #saw(at: string): void {
    this.#stamps.saw(at)
    if (at > this.#stampNow()) this.#rows('UPDATE container SET last_at = MAX(last_at, ?)', at)
  }

  #stampNow(): string {
    return formatTicks(ticksOf(this.#deps.clock.now_ms()))
  }

  #rows(query: string, ...bindings: unknown[]): Row[] {
    return this.#deps.storage.sql.exec(query, ...(bindings as never[])).toArray() as Row[]
  }
}
