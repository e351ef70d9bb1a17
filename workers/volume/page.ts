/** Sorting and pages of Cinder's listings: limit, marker, offset, sort or sort_key and sort_dir; a next link while pages are full (cinder/api/common.py). Pure. */
import { Fault } from '../../schema/values/fault.ts'
import type { RequestUrl } from '../http/address.ts'

export const LIMIT_MAX = 1_000
const bad = (message: string) => new Fault('bad_request', message)

export interface PageQuery {
  limit: number
  /** A limit was given: only then may a next link be due before the maximum. */
  limited: boolean
  marker: string | null
  offset: number
  sort: { key: string; desc: boolean }[]
}

const count = (query: URLSearchParams, name: string): number | null => {
  const text = query.get(name)
  if (text === null || text === '') return null
  if (!/^-?\d+$/.test(text)) throw bad(`Invalid input received: ${name} param must be an integer`)
  if (Number(text) < 0) throw bad(`Invalid input received: ${name} param must be positive`)
  return Number(text)
}

export function parsePage(query: URLSearchParams, sortable: readonly string[]): PageQuery {
  const limit = count(query, 'limit')
  const sort = query.get('sort')
  const keyed = query.get('sort_key') !== null || query.get('sort_dir') !== null
  if (sort !== null && keyed) throw bad("Invalid input received: The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with the 'sort' parameter.")
  const pairs: [string, string][] = sort === null ? [[query.get('sort_key') ?? 'created_at', query.get('sort_dir') ?? 'desc']] : sort.split(',').map((part) => {
    const [key = '', dir = 'desc'] = part.trim().split(':')
    return [key, dir]
  })
  const parsed = pairs.map(([key, dir]) => {
    if (!sortable.includes(key)) throw bad(`Invalid input received: Sort key is invalid: ${key}`)
    if (dir !== 'asc' && dir !== 'desc') throw bad(`Invalid input received: Unknown sort direction, must be one of: asc, desc`)
    return { key, desc: dir === 'desc' }
  })
  if (!parsed.some(({ key }) => key === 'id')) parsed.push({ key: 'id', desc: parsed[0]?.desc ?? true })
  return { limit: Math.min(limit ?? LIMIT_MAX, LIMIT_MAX), limited: limit !== null, marker: query.get('marker') || null, offset: count(query, 'offset') ?? 0, sort: parsed }
}

type Value = string | number | boolean | null | undefined
export type Keys<T> = Record<string, (row: T) => Value>

export function paged<T extends { id: string }>(rows: readonly T[], page: PageQuery, keys: Keys<T>, missing: (id: string) => Fault): { rows: T[]; more: boolean } {
  const ordered = [...rows].sort((a, b) => {
    for (const { key, desc } of page.sort) {
      const [x, y] = [keys[key]?.(a) ?? null, keys[key]?.(b) ?? null]
      if (x === y) continue
      const less = x === null ? true : y === null ? false : x < y
      return less === desc ? 1 : -1
    }
    return 0
  })
  let start = page.offset
  if (page.marker !== null) {
    const at = ordered.findIndex((row) => row.id === page.marker)
    if (at < 0) throw missing(page.marker)
    start += at + 1
  }
  const slice = ordered.slice(start, start + page.limit)
  return { rows: slice, more: slice.length > 0 && slice.length === page.limit && (page.limited || start + page.limit < ordered.length) }
}

/** `volumes_links`, or nothing. */
export function nextLinks(origin: string, url: RequestUrl, collection: string, rows: { id: string }[], more: boolean): Record<string, { rel: string; href: string }[]> {
  if (!more) return {}
  const query = new URLSearchParams(url.searchParams)
  query.set('marker', rows.at(-1)?.id ?? '')
  return { [`${collection}_links`]: [{ rel: 'next', href: `${origin}${url.pathname}?${query}` }] }
}

/** A boolean in a query or body, as oslo.utils reads it. */
export function truth(value: unknown, name: string): boolean {
  if (typeof value === 'boolean') return value
  const text = String(value).trim().toLowerCase()
  if (['true', '1', 'yes', 'on', 't', 'y'].includes(text)) return true
  if (['false', '0', 'no', 'off', 'f', 'n', ''].includes(text)) return false
  throw bad(`Invalid input for field/attribute ${name}. Value: ${String(value)}. '${String(value)}' is not a boolean.`)
}

/** metadata={'a': 'b'} or {"a": "b"}: a Python or JSON dictionary of strings. */
export function parseDict(text: string): Record<string, string> | null {
  const json = text.replace(/u?'((?:[^'\\]|\\.)*)'/g, (_, inner: string) => JSON.stringify(inner.replace(/\\'/g, "'")))
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, string>) : null
  } catch {
    return null
  }
}

/** created_at=gt:2026-01-01T00:00:00,lt:...: 3.60. */
export function inTime(ms: number | null, text: string): boolean {
  return text.split(',').every((part) => {
    const match = /^(?:(gt|gte|lt|lte|eq|neq):)?(.+)$/.exec(part.trim())
    const given = match?.[2] ?? ''
    const at = Date.parse(/[zZ]|[+-]\d\d:?\d\d$/.test(given) ? given : `${given}Z`)
    if (Number.isNaN(at)) throw bad(`Invalid input received: Invalid time format: ${part}`)
    if (ms === null) return false
    switch (match?.[1] ?? 'eq') {
      case 'gt':
        return ms > at
      case 'gte':
        return ms >= at
      case 'lt':
        return ms < at
      case 'lte':
        return ms <= at
      case 'neq':
        return ms !== at
      default:
        return Math.floor(ms / 1000) === Math.floor(at / 1000)
    }
  })
}
