/** Rows of a listing by ranges of names: what shards give each other, and what a listing over several of them reads. Runs in the Container object, its own or a shard's. */
import { type Read, whereSql } from '../list.ts'
import type { ShownFields } from './views.ts'
import { OBJECT_COLUMNS, type ObjectRow, type Rows, objectValues, toObject } from './rows.ts'

/** All that is known of a range of names. */
export interface Bulk {
  objects: ObjectRow[]
  versions: { row: ObjectRow; deleted: boolean }[]
  tombstones: { name: string; at: string }[]
  /** How far the copying of changes to another container had got where they lay. */
  synced?: string
}

/** Names from `low` to below `next` (null: to the end of the range). */
export interface Batch {
  low: string
  next: string | null
  bulk: Bulk
}

/** At which end of a range names are taken. */
export type Edge = 'first' | 'last'

export const NOTHING: Bulk = { objects: [], versions: [], tombstones: [] }

const TABLES = [['objects', 'name'], ['versions', 'key'], ['tombstones', 'name']] as const

export interface Sums {
  object_count: number
  bytes_used: number
}

export class RowRanges {
  #rows: Rows
  constructor(rows: Rows) {
    this.#rows = rows
  }

  read({ where, order, limit }: Read): ObjectRow[] {
    const [clause, values] = whereSql(where)
    return this.#rows(`SELECT * FROM objects${clause} ORDER BY name ${order} LIMIT ?`, ...values, limit).map(toObject)
  }

  /** What a listing with details needs. */
  shown({ where, order, limit }: Read): ShownFields[] {
    const [clause, values] = whereSql(where)
    const rows = this.#rows(`SELECT name, etag, size, slo_size, content_type, modified_at, slo_etag, extra FROM objects${clause} ORDER BY name ${order} LIMIT ?`, ...values, limit)
    for (const row of rows) if (row.extra !== null) row.extra = JSON.parse(String(row.extra))
    return rows as unknown as ShownFields[]
  }

  /** Some names of a range with all that belongs to them: the last `limit` objects, or the first rows, of no table many more than `limit`. Null where nothing is there to be last. */
  edge(edge: Edge, low: string, high: string | null, limit: number): Batch | null {
    if (edge === 'last') return this.#last(low, high, limit)
    const next = this.#after(low, high, limit)
    return { low, next, bulk: this.#bulk(low, next ?? high) }
  }

  /** Where a batch that begins at `low` ends: the first name that is too many for any of the tables, and never `low` itself. */
  #after(low: string, high: string | null, limit: number): string | null {
    const bound = high === null ? [] : [high]
    const least = (from: string, offset: number): string | null => {
      const each = TABLES.map(([table, column]) => `SELECT name FROM (SELECT name FROM ${table} WHERE ${column} >= ?${high === null ? '' : ` AND ${column} < ?`} ORDER BY ${column} LIMIT 1 OFFSET ?)`)
      const [row] = this.#rows(`SELECT MIN(name) AS name FROM (${each.join(' UNION ALL ')})`, ...TABLES.flatMap(() => [from, ...bound, offset]))
      return row?.name == null ? null : String(row.name)
    }
    const next = least(low, limit)
    // One name with very many versions: it goes whole.
    return next === low ? least(`${low}\u0001`, 0) : next
  }

  #last(low: string, high: string | null, limit: number): Batch | null {
    const names = this.#rows(`SELECT name FROM objects WHERE name >= ?${high === null ? '' : ' AND name < ?'} ORDER BY name DESC LIMIT ?`, low, ...(high === null ? [] : [high]), limit)
    const first = names.at(-1)
    if (first === undefined) return null
    const from = String(first.name)
    return { low: from, next: high, bulk: this.#bulk(from, high) }
  }

  #bulk(low: string, high: string | null): Bulk {
    const within = (column: string) => `WHERE ${column} >= ?${high === null ? '' : ` AND ${column} < ?`}`
    const bounds = high === null ? [low] : [low, high]
    return {
      objects: this.#rows(`SELECT * FROM objects ${within('name')}`, ...bounds).map(toObject),
      versions: this.#rows(`SELECT * FROM versions ${within('key')}`, ...bounds).map((row) => ({ row: toObject(row), deleted: row.deleted === 1 })),
      tombstones: this.#rows(`SELECT name, at FROM tombstones ${within('name')}`, ...bounds).map((row) => ({ name: String(row.name), at: String(row.at) })),
      // What is to be copied out of order is not told apart there: all of it is looked at again.
      synced: this.#rows('SELECT name FROM sync_late LIMIT 1').length > 0 ? '' : String(this.#rows('SELECT sync_point FROM container')[0]?.sync_point ?? ''),
    }
  }

  /** Makes a range exactly what is given: once or again is the same. `keep` enters a version's row. */
  replace(low: string, high: string | null, bulk: Bulk, keep: (row: ObjectRow, deleted: boolean) => void): void {
    this.#drop(low, high)
    for (const row of bulk.objects) this.#rows(`INSERT INTO objects (${OBJECT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, ...objectValues(row))
    for (const { row, deleted } of bulk.versions) keep(row, deleted)
    for (const { name, at } of bulk.tombstones) this.#rows('INSERT OR REPLACE INTO tombstones (name, at) VALUES (?, ?)', name, at)
    // What was not copied yet where it came from still has to be.
    if (bulk.synced !== undefined && bulk.objects.length + bulk.tombstones.length > 0) this.#rows('UPDATE container SET sync_point = MIN(sync_point, ?)', bulk.synced)
  }

  /** Forgets what is not below `high`. */
  dropFrom(high: string): void {
    this.#drop(high, null)
  }

  #drop(low: string, high: string | null): void {
    for (const [table, column] of TABLES) this.#rows(`DELETE FROM ${table} WHERE ${column} >= ?${high === null ? '' : ` AND ${column} < ?`}`, low, ...(high === null ? [] : [high]))
  }

  sumsFrom(low: string, high: string | null): Sums {
    const within = (column: string) => `WHERE ${column} >= ?${high === null ? '' : ` AND ${column} < ?`}`
    const bounds = high === null ? [low] : [low, high]
    const [objects] = this.#rows(`SELECT COUNT(*) AS n, COALESCE(SUM(size), 0) AS bytes FROM objects ${within('name')}`, ...bounds)
    const [versions] = this.#rows(`SELECT COALESCE(SUM(size), 0) AS bytes FROM versions ${within('key')}`, ...bounds)
    return { object_count: Number(objects?.n), bytes_used: Number(objects?.bytes) + Number(versions?.bytes) }
  }
}
