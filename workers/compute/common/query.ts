/** Query strings of compute: limit, marker and sorting, with Nova's words (nova/api/openstack/common.py). */
import { Fault } from '../../../schema/values/fault.ts'
import { TRUE_TEXTS } from './texts.ts'

export const PAGE_SIZE_MAX = 1_000

export function limitOf(query: URLSearchParams, max = PAGE_SIZE_MAX): number {
  const text = query.get('limit')
  if (text === null) return max
  if (!/^-?\d+$/.test(text)) throw new Fault('bad_request', `Invalid input for query parameters limit. Value: ${text}. must be an integer`)
  if (Number(text) < 0) throw new Fault('bad_request', `Invalid input for query parameters limit. Value: ${text}. must be non-negative`)
  return Math.min(Number(text), max)
}

export function flag(query: URLSearchParams, name: string): boolean {
  const text = query.get(name)
  return text !== null && (text === '' || TRUE_TEXTS.has(text.toLowerCase()))
}

export interface Sort {
  key: string
  descending: boolean
}

/** sort_key and sort_dir pairs; missing directions are descending, as Nova's default. */
export function sortsOf(query: URLSearchParams, allowed: ReadonlySet<string>, fallback: readonly Sort[]): Sort[] {
  const keys = query.getAll('sort_key')
  const directions = query.getAll('sort_dir')
  for (const direction of directions) if (!['asc', 'desc'].includes(direction)) throw new Fault('bad_request', `Invalid input for query parameters sort_dir. Value: ${direction}. must be asc or desc`)
  for (const key of keys) if (!allowed.has(key)) throw new Fault('bad_request', `Invalid input for query parameters sort_key. Value: ${key}. is not a sort key`)
  const sorts = keys.map((key, i) => ({ key, descending: (directions[i] ?? directions.at(-1) ?? 'desc') === 'desc' }))
  const tail = directions.length > 0 && keys.length === 0 ? fallback.map((sort) => ({ ...sort, descending: directions[0] === 'desc' })) : fallback
  return [...sorts, ...tail.filter((sort) => !keys.includes(sort.key))]
}

export interface Slice<T> {
  rows: T[]
  /** The marker of the next page, or null. */
  next: string | null
}

/** One page after `marker`; null where the marker is not there. */
export function slice<T>(rows: readonly T[], limit: number, marker: string | null, idOf: (row: T) => string): Slice<T> | null {
  let start = 0
  if (marker !== null) {
    const at = rows.findIndex((row) => idOf(row) === marker)
    if (at < 0) return null
    start = at + 1
  }
  const page = rows.slice(start, start + limit)
  const last = page.at(-1)
  return { rows: page, next: start + limit < rows.length && last !== undefined ? idOf(last) : null }
}
