/** Rows of a listing by ranges of names: what shards give each other, and what a listing over several of them reads. Runs in the Container object, its own or a shard's. */
import { type Read, whereSql } from '../list.ts'
import type { ShownFields } from './views.ts'
import { OBJECT_COLUMNS, type ObjectRow, type Rows, objectValues, toObject } from './rows.ts'

/** All that is known of a range of names. */
export interface Bulk {
  objects: ObjectRow[]
  versions: { row: ObjectRow; deleted: boolean }[]
  tombstones: { name: string; at: string }[]
}

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

  /** The last names below `high` (null: of all), not more than `limit` of them, with all that belongs to them. Null where nothing is there. */
  last(low: string, high: string | null, limit: number): { low: string; bulk: Bulk } | null {
    const names = this.#rows(`SELECT name FROM objects WHERE name >= ?${high === null ? '' : ' AND name < ?'} ORDER BY name DESC LIMIT ?`, low, ...(high === null ? [] : [high]), limit)
    const first = names.at(-1)
    if (first === undefined) return null
    const from = String(first.name)
    const within = (column: string) => `WHERE ${column} >= ?${high === null ? '' : ` AND ${column} < ?`}`
    const bounds = high === null ? [from] : [from, high]
    return {
      low: from,
      bulk: {
        objects: this.#rows(`SELECT * FROM objects ${within('name')}`, ...bounds).map(toObject),
        versions: this.#rows(`SELECT * FROM versions ${within('key')}`, ...bounds).map((row) => ({ row: toObject(row), deleted: row.deleted === 1 })),
        tombstones: this.#rows(`SELECT name, at FROM tombstones ${within('name')}`, ...bounds).map((row) => ({ name: String(row.name), at: String(row.at) })),
      },
    }
  }

  /** Makes a range exactly what is given: once or again is the same. `keep` enters a version's row. */
  replace(low: string, high: string | null, bulk: Bulk, keep: (row: ObjectRow, deleted: boolean) => void): void {
    this.#drop(low, high)
    for (const row of bulk.objects) this.#rows(`INSERT INTO objects (${OBJECT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, ...objectValues(row))
    for (const { row, deleted } of bulk.versions) keep(row, deleted)
    for (const { name, at } of bulk.tombstones) this.#rows('INSERT OR REPLACE INTO tombstones (name, at) VALUES (?, ?)', name, at)
  }

  /** Forgets what is not below `high`. */
  dropFrom(high: string): void {
    this.#drop(high, null)
  }

  #drop(low: string, high: string | null): void {
    for (const [table, column] of [['objects', 'name'], ['versions', 'key'], ['tombstones', 'name']] as const) this.#rows(`DELETE FROM ${table} WHERE ${column} >= ?${high === null ? '' : ` AND ${column} < ?`}`, low, ...(high === null ? [] : [high]))
  }

  sumsFrom(low: string, high: string | null): Sums {
    const within = (column: string) => `WHERE ${column} >= ?${high === null ? '' : ` AND ${column} < ?`}`
    const bounds = high === null ? [low] : [low, high]
    const [objects] = this.#rows(`SELECT COUNT(*) AS n, COALESCE(SUM(size), 0) AS bytes FROM objects ${within('name')}`, ...bounds)
    const [versions] = this.#rows(`SELECT COALESCE(SUM(size), 0) AS bytes FROM versions ${within('key')}`, ...bounds)
    return { object_count: Number(objects?.n), bytes_used: Number(objects?.bytes) + Number(versions?.bytes) }
  }
}
