/**
 * A container with very many objects keeps its listing in several objects, each with a range of names; the container itself stays the door to all of them, so that callers
 * need not know. When one part has too many, its upper half moves to a new one, a batch of names at a time: while a batch moves, requests of this container wait (some
 * milliseconds), so each name is in exactly one part for everybody. Where a part and the one before it have become small, its names go there in the same way, and the last part
 * that is left is the container itself again. Runs in the Container object; a move goes on where it was after a crash, for each of its steps can be repeated.
 */
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { type Condition, type ListQuery, type Listed, type Read, compareNames, listNamesFrom } from '../list.ts'
import type { Metadata } from '../headers.ts'
import { type Page, type PageFormat, joinPages } from './pages.ts'
import { type Batch, type Bulk, type Edge, NOTHING } from './ranges.ts'
import type { ContainerInfo, ObjectRow, Row, Rows, VersionRow } from './rows.ts'
import { type Keyed, type VersionQuery, listKeyed } from './versions.ts'

export const SHARD_THRESHOLD = 1_000_000
/** Of the threshold: a part below the first is joined with its neighbour where both together stay below the second, so that what was just split is not joined again. */
export const JOIN_BELOW = 0.1
export const JOINED_MAX = 0.75
/** Names that move together. */
export const SHARD_BATCH = 1_000
/** Batches of one alarm; between two others have their turn. */
export const SHARD_BATCHES = 20
export const SHARD_PAUSE_MS = 2
export const SHARD_RETRY_MS = 5_000

/** Counts of a part; the higher `seq` is the newer. */
export interface Totals {
  seq: number
  object_count: number
  bytes_used: number
}

export interface PartOf {
  /** The container's key. */
  root: string
  id: string
}

/** What a part answers: the container's own rows, or another object. */
export interface Part {
  readRows(read: Read): ObjectRow[] | Promise<ObjectRow[]>
  readPage(read: Read, format: PageFormat): Page | null | Promise<Page | null>
  readVersions(read: Read): Keyed[] | Promise<Keyed[]>
  edgeBatch(edge: Edge, low: string, high: string | null, limit: number): Batch | null | Promise<Batch | null>
  replaceRange(low: string, high: string | null, bulk: Bulk): Totals | Promise<Totals>
  dropFrom(high: string): Totals | Promise<Totals>
  holdsAny(): boolean | Promise<boolean>
  post(changes: Metadata): void | Promise<void>
}

export interface RemotePart extends Part {
  adopt(info: ContainerInfo, partOf: PartOf): Promise<void>
  abandon(): Promise<void>
}

interface ShardRow {
  id: string
  /** Null while nothing has moved here yet. */
  low: string | null
  object_count: number
  source: string | null
  goal: number | null
  /** The part before it, which takes its names. */
  joins: string | null
}

/** Two neighbours that had better be one, the smallest such; null where there are none. Pure. */
export function joinable<P extends { object_count: number }>(parts: readonly P[], threshold: number): { left: P; right: P } | null {
  let found: { left: P; right: P } | null = null
  const sum = (pair: { left: P; right: P }) => pair.left.object_count + pair.right.object_count
  for (const [n, right] of parts.entries()) {
    const left = parts[n - 1]
    if (left === undefined || Math.min(left.object_count, right.object_count) > threshold * JOIN_BELOW || sum({ left, right }) > threshold * JOINED_MAX) continue
    if (found === null || sum({ left, right }) < sum(found)) found = { left, right }
  }
  return found
}

export class Shards {
  #rows: Rows
  #deps: Deps
  #own: Part
  #open: (id: string) => RemotePart
  #threshold: number
  #changed: () => void
  /** Set while everybody waits. */
  #closed: Promise<void> | null = null
  #under = new Set<Promise<unknown>>()
  #active: boolean
  /** The alarm is set: more writes must not put it off. */
  #awaited = false

  /** `changed`: the container's counts are other ones. */
  constructor(rows: Rows, deps: Deps, own: Part, open: (id: string) => RemotePart, threshold: number, changed: () => void) {
    this.#rows = rows
    this.#deps = deps
    this.#own = own
    this.#open = open
    this.#threshold = threshold
    this.#changed = changed
    this.#active = rows('SELECT id FROM shards LIMIT 1').length > 0
    // A move that was cut off goes on.
    if (this.#active && rows('SELECT id FROM shards WHERE source IS NOT NULL OR joins IS NOT NULL').length > 0) this.#again(1)
    else this.watch()
  }

  /** Whether the listing lies in more than one object. */
  get active(): boolean {
    return this.#active
  }

  #list(): ShardRow[] {
    return this.#rows('SELECT * FROM shards ORDER BY low').map(toShard)
  }

  /** Parts that own names, by their ranges: `high` is exclusive, null is no end. */
  ranges(): { id: string; low: string; high: string | null }[] {
    const owners = this.#list().filter((one) => one.low !== null)
    return owners.map(({ id, low }, at) => ({ id, low: low ?? '', high: owners[at + 1]?.low ?? null }))
  }

  ownerOf(name: string): string {
    const [row] = this.#rows('SELECT id FROM shards WHERE low <= ? ORDER BY low DESC LIMIT 1', name)
    return String(row?.id ?? '')
  }

  part(id: string): Part {
    return id === '' ? this.#own : this.#open(id)
  }

  /** Work that must find each name in its place: waits while names move, and is waited for. */
  async run<T>(work: () => T | Promise<T>): Promise<T> {
    while (this.#closed !== null) await this.#closed
    const running = (async () => await work())()
    this.#under.add(running)
    try {
      return await running
    } finally {
      this.#under.delete(running)
    }
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    while (this.#closed !== null) await this.#closed
    let open = () => {}
    this.#closed = new Promise<void>((resolve) => {
      open = resolve
    })
    try {
      await Promise.allSettled([...this.#under])
      return await work()
    } finally {
      this.#closed = null
      open()
    }
  }

  /** A part says what it has. The container's own counts are kept as they change. */
  heard(id: string, totals: Totals): void {
    const [row] = this.#rows('SELECT seq FROM shards WHERE id = ?', id)
    if (row === undefined || Number(row.seq) >= totals.seq) return
    this.#deps.storage.transactionSync(() => {
      this.#rows('UPDATE shards SET object_count = ?, bytes_used = ?, seq = ? WHERE id = ?', totals.object_count, totals.bytes_used, totals.seq, id)
      this.#rows('UPDATE container SET object_count = (SELECT SUM(object_count) FROM shards), bytes_used = (SELECT SUM(bytes_used) FROM shards), seq = seq + 1')
    })
    this.#changed()
    this.watch()
  }

  /** The container's own rows changed; `object_count` is how many it has now, null where it is a part itself. */
  counted(objects: number, bytes: number, object_count: number | null): void {
    if (!this.#active) {
      if (!this.#awaited && object_count !== null && object_count > this.#threshold) this.#again(1)
      return
    }
    this.#rows("UPDATE shards SET object_count = object_count + ?, bytes_used = bytes_used + ? WHERE id = ''", objects, bytes)
    this.watch()
  }

  /** Sees to it that a part that is too large is split, and one that is too small joined. */
  watch(): void {
    if (this.#awaited) return
    const [row] = this.#active ? this.#rows('SELECT MAX(object_count) AS most, MIN(object_count) AS least FROM shards') : this.#rows('SELECT object_count AS most FROM container WHERE part_of IS NULL')
    if (Number(row?.most ?? 0) > this.#threshold) this.#again(1)
    else if (row?.least != null && Number(row.least) <= this.#threshold * JOIN_BELOW && joinable(this.#list(), this.#threshold) !== null) this.#again(1)
  }

  #again(delay_ms: number): void {
    this.#awaited = true
    this.#deps.alarms.at('split', this.#deps.clock.now_ms() + delay_ms)
  }

  /** The alarm's work: a move that was begun goes on, else the largest part that is too large is split, else two small ones are joined. */
  async split(info: ContainerInfo): Promise<void> {
    let moving = this.#list().find((one) => one.source !== null || one.joins !== null) ?? (await this.#plan(info)) ?? this.#planJoin()
    // A batch that a crash cut off may have left names below what the part owns.
    if (moving !== null) await this.part(moving.id).replaceRange('', moving.low, NOTHING)
    for (let batch = 0; batch < SHARD_BATCHES && moving !== null; batch++) {
      try {
        const one: ShardRow = moving
        moving = await this.#alone(() => (one.joins === null ? this.#move(one) : this.#join(one, one.joins)))
      } catch (error) {
        this.#deps.log('container.split_failed', { account: info.account, container: info.name, error: String((error as Error)?.message ?? error) })
        this.#again(SHARD_RETRY_MS)
        return
      }
      await new Promise<void>((resolve) => void this.#deps.timers.after(SHARD_PAUSE_MS, resolve))
    }
    this.#awaited = false
    if (moving !== null) this.#again(1)
    else this.watch()
  }

  /** Decides what moves where. The new part learns what it belongs to before it gets anything. */
  async #plan(info: ContainerInfo): Promise<ShardRow | null> {
    if (!this.#active) {
      if (info.object_count <= this.#threshold) return null
      this.#rows("INSERT INTO shards (id, low, object_count, bytes_used, seq) VALUES ('', '', ?, ?, 0)", info.object_count, info.bytes_used)
      this.#active = true
    }
    const source = this.#list().filter((one) => one.object_count > this.#threshold).sort((a, b) => b.object_count - a.object_count)[0]
    if (source === undefined) return null
    const id = this.#deps.ids.hex()
    await this.#open(id).adopt(info, { root: this.#deps.name, id })
    this.#rows('INSERT INTO shards (id, low, object_count, bytes_used, seq, source, goal) VALUES (?, NULL, 0, 0, 0, ?, ?)', id, source.id, Math.ceil(source.object_count / 2))
    return this.#row(id)
  }

  #row(id: string): ShardRow | null {
    const [row] = this.#rows('SELECT * FROM shards WHERE id = ?', id)
    return row === undefined ? null : toShard(row)
  }

  /** One batch from the top of the source's range to the bottom of the target's; null when all has moved that should. */
  async #move(target: ShardRow): Promise<ShardRow | null> {
    const source = target.source ?? ''
    const [from, to] = [this.part(source), this.part(target.id)]
    const ranges = this.ranges()
    const at = ranges.findIndex((one) => one.id === source)
    const low = ranges[at]?.low ?? ''
    const high = target.low ?? ranges[at + 1]?.low ?? null
    // What a crash left behind of the last batch.
    if (target.low !== null) this.#settle(source, await from.dropFrom(target.low))
    const batch = await from.edgeBatch('last', low, high, Math.max(1, Math.min(SHARD_BATCH, Math.floor(this.#threshold / 2))))
    if (batch !== null && batch.low > low) {
      const totals = await to.replaceRange(batch.low, high, batch.bulk)
      this.#rows('UPDATE shards SET low = ? WHERE id = ?', batch.low, target.id)
      this.#settle(source, await from.dropFrom(batch.low))
      this.#settle(target.id, totals)
      const moved = this.#row(target.id)
      if (moved !== null && moved.object_count < (moved.goal ?? 0)) return moved
    }
    this.#rows('UPDATE shards SET source = NULL, goal = NULL WHERE id = ?', target.id)
    this.#deps.log('container.split', { container: this.#deps.name, parts: this.ranges().length })
    return null
  }

  #planJoin(): ShardRow | null {
    const pair = joinable(this.#list(), this.#threshold)
    if (pair === null) return null
    this.#rows('UPDATE shards SET joins = ? WHERE id = ?', pair.left.id, pair.right.id)
    return this.#row(pair.right.id)
  }

  /** One batch from the bottom of a part's range to the top of the one before it; null when the part is gone. */
  async #join(part: ShardRow, left: string): Promise<ShardRow | null> {
    const [from, to] = [this.#open(part.id), this.part(left)]
    if (part.low !== null) {
      const ranges = this.ranges()
      const high = ranges[ranges.findIndex((one) => one.id === part.id) + 1]?.low ?? null
      // What a crash left behind of the last batch.
      this.#settle(left, await to.dropFrom(part.low))
      const batch = await from.edgeBatch('first', part.low, high, Math.max(1, Math.min(SHARD_BATCH, Math.floor(this.#threshold / 2))))
      const next = batch?.next ?? null
      const totals = await to.replaceRange(part.low, next ?? high, batch?.bulk ?? NOTHING)
      this.#rows('UPDATE shards SET low = ? WHERE id = ?', next, part.id)
      // Each name was in both for a moment: the counts of both become right at once.
      const left_over = next === null ? null : await from.replaceRange('', next, NOTHING)
      this.#settle(left, totals)
      if (left_over !== null) {
        this.#settle(part.id, left_over)
        return this.#row(part.id)
      }
    }
    await from.dropFrom('')
    await from.abandon()
    this.#deps.storage.transactionSync(() => {
      this.#rows('DELETE FROM shards WHERE id = ?', part.id)
      this.#rows('UPDATE container SET object_count = (SELECT SUM(object_count) FROM shards), bytes_used = (SELECT SUM(bytes_used) FROM shards), seq = seq + 1')
      if (this.ranges().length === 1) this.#rows("DELETE FROM shards WHERE id = ''")
    })
    this.#active = this.ranges().length > 0
    this.#changed()
    this.#deps.log('container.joined', { container: this.#deps.name, parts: this.ranges().length })
    return null
  }

  /** The container's own counts follow its rows at once (`counted`). */
  #settle(id: string, totals: Totals): void {
    if (id !== '') this.heard(id, totals)
  }

  async list(query: ListQuery): Promise<Listed<ObjectRow>[]> {
    return await this.run(() => listNamesFrom<ObjectRow>(query, (read) => this.#gather(read, (part, own) => part.readRows(own))))
  }

  async listVersions(query: VersionQuery, find: (name: string, id: string) => Promise<VersionRow | null>): Promise<Listed<VersionRow>[]> {
    const found = query.version_marker === '' ? null : await find(query.marker, query.version_marker)
    return await this.run(() => listKeyed(query, found, (keyed, shown) => listNamesFrom<Keyed>(keyed, (read) => this.#gather(read, (part, own) => part.readVersions(own)), shown)))
  }

  /** A page's text; null where a part has a row that needs more than its columns. */
  async page(read: Read, format: PageFormat): Promise<Page | null> {
    return await this.run(async () => {
      const pages: Page[] = []
      let left = read.limit
      for (const { id, where } of this.#parts(read)) {
        if (left <= 0) break
        const page = await this.part(id).readPage({ ...read, where, limit: left }, format)
        if (page === null) return null
        pages.push(page)
        left -= page.count
      }
      return joinPages(pages, format)
    })
  }

  /** Rows of all parts in one order: their ranges do not overlap, so one after another. */
  async #gather<T>(read: Read, from: (part: Part, read: Read) => T[] | Promise<T[]>): Promise<T[]> {
    const rows: T[] = []
    for (const { id, where } of this.#parts(read)) {
      if (rows.length >= read.limit) break
      rows.push(...(await from(this.part(id), { ...read, where, limit: read.limit - rows.length })))
    }
    return rows
  }

  /** Parts that may have rows of a read, in its order, each with what is to be read of it. */
  #parts({ where, order }: Read): { id: string; where: Condition[] }[] {
    const ranges = this.ranges().filter(({ low, high }) => where.every(({ op, text }) => (op === '>' || op === '>=' ? high === null || compareNames(text, high) < 0 : compareNames(low, text) <= 0)))
    return (order === 'ASC' ? ranges : ranges.reverse()).map(({ id, low, high }) => ({
      id, where: [...where, ...(low === '' ? [] : [{ op: '>=' as const, text: low }]), ...(high === null ? [] : [{ op: '<' as const, text: high }])],
    }))
  }

  /** Every part takes over what the container says of itself. */
  async post(changes: Metadata): Promise<void> {
    for (const { id } of this.#list()) if (id !== '') await this.#open(id).post(changes)
  }

  /** True where no part has anything; then there are no parts any more. `gone` runs before anybody else does anything. */
  async dissolve(gone: () => void): Promise<boolean> {
    return await this.#alone(async () => {
      const ids = this.#list().map((one) => one.id)
      for (const id of ids) if (await this.part(id).holdsAny()) return false
      gone()
      this.#rows('DELETE FROM shards')
      this.#active = false
      for (const id of ids) if (id !== '') await this.#open(id).abandon().catch(() => {})
      return true
    })
  }
}

const toShard = (row: Row): ShardRow => ({ id: String(row.id), low: row.low === null ? null : String(row.low), object_count: Number(row.object_count), source: row.source === null ? null : String(row.source), goal: row.goal === null ? null : Number(row.goal), joins: row.joins === null ? null : String(row.joins) })
