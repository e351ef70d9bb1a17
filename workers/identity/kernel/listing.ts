/** Lists: Keystone's query filters (name, name__contains, enabled...), limit and marker. The Worker parses, the object asks SQL. */
import { type SQL, and, asc, eq, gt, sql } from 'drizzle-orm'
import type { SQLiteColumn, SQLiteTable } from 'drizzle-orm/sqlite-core'
import type { Db } from '../../../durable-objects/kernel/deps.ts'

export type FieldKind = 'text' | 'bool'
/** Exact, or Keystone's inexact comparisons: name__contains, name__istartswith... */
const OPS = ['equals', 'contains', 'startswith', 'endswith'] as const

export interface Filter {
  field: string
  op: (typeof OPS)[number]
  /** false: as given; true: without regard to case. */
  folded: boolean
  value: string | boolean | null
}

export interface ListQuery {
  filters: Filter[]
  limit: number | null
  marker: string | null
}

const LIMIT_MAX = 10_000
export const everything: ListQuery = { filters: [], limit: null, marker: null }
const truth = (text: string) => !['0', 'false', 'no', 'off'].includes(text.toLowerCase())

/** Filters on the fields that a resource declares; other parameters are ignored, as upstream does. */
export function listQuery(query: URLSearchParams, fields: Record<string, FieldKind>): ListQuery {
  const filters: Filter[] = []
  for (const [key, value] of query) {
    const [field = '', opText] = key.split('__')
    const kind = fields[field]
    if (kind === undefined) continue
    if (opText === undefined) {
      filters.push({ field, op: 'equals', folded: false, value: kind === 'bool' ? truth(value) : value })
      continue
    }
    const folded = opText.startsWith('i')
    const op = OPS.find((name) => name === (folded ? opText.slice(1) : opText))
    if (op !== undefined && kind === 'text') filters.push({ field, op, folded, value })
  }
  const limit = query.get('limit')
  return { filters, limit: limit !== null && /^\d+$/.test(limit) && Number(limit) > 0 ? Math.min(Number(limit), LIMIT_MAX) : null, marker: query.get('marker') }
}

export const withFilter = (query: ListQuery, field: string, value: string | boolean | null): ListQuery => ({ ...query, filters: [...query.filters, { field, op: 'equals', folded: false, value }] })

function condition(column: SQLiteColumn, { op, folded, value }: Filter): SQL {
  if (value === null) return sql`${column} IS NULL`
  if (op === 'equals') return folded ? sql`lower(${column}) = lower(${value})` : eq(column, value)
  const subject = folded ? sql`lower(${column})` : sql`${column}`
  const text = folded ? String(value).toLowerCase() : String(value)
  if (op === 'contains') return sql`instr(${subject}, ${text}) > 0`
  if (op === 'startswith') return sql`substr(${subject}, 1, ${text.length}) = ${text}`
  return sql`substr(${subject}, -${sql.raw(String(Math.max(1, text.length)))}) = ${text}`
}

/** What a row of the list must meet; `more` besides. */
export function listWhere(table: SQLiteTable, query: ListQuery, ...more: (SQL | undefined)[]): SQL | undefined {
  const columns = table as unknown as Record<string, SQLiteColumn>
  const conditions = [...more]
  for (const filter of query.filters) {
    const column = columns[filter.field]
    if (column !== undefined) conditions.push(condition(column, filter))
  }
  if (query.marker !== null) conditions.push(gt(columns.id as SQLiteColumn, query.marker))
  return and(...conditions)
}

export function listRows<T extends SQLiteTable>(db: Db, table: T, query: ListQuery, ...more: (SQL | undefined)[]): T['$inferSelect'][] {
  const { id } = table as unknown as Record<string, SQLiteColumn>
  const select = db.select().from(table as never).where(listWhere(table, query, ...more)).orderBy(asc(id as SQLiteColumn))
  return (query.limit === null ? select.all() : select.limit(query.limit).all()) as T['$inferSelect'][]
}
