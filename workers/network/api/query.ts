/** Lists as Neutron queries them: filters on any attribute (repeated values are alternatives), tags, `fields`, several sort keys, pages with links. Pure. */
import { Fault } from '../../../schema/values/fault.ts'
import { cut, pageOf } from '../../http/pagination.ts'
import { badRequest } from '../faults.ts'

export type View = Record<string, unknown> & { id: string }

const CONTROLS = new Set(['fields', 'sort_key', 'sort_dir', 'limit', 'marker', 'page_reverse', 'tags', 'tags-any', 'not-tags', 'not-tags-any'])

export interface Listing {
  rows: Record<string, unknown>[]
  links: { rel: 'next' | 'previous'; href: string }[] | null
}

export function query(views: readonly View[], params: URLSearchParams, base: string, kind: string): Listing {
  const kept = views.filter((view) => matches(view, params))
  const sorted = sort(kept, params)
  const page = pageOf(params, Number.MAX_SAFE_INTEGER)
  const paged = params.has('limit') && page.limit > 0
  const { rows, more } = paged || page.marker !== null ? cut(sorted, paged ? page : { ...page, limit: Number.MAX_SAFE_INTEGER }, (marker) => new Fault('bad_request', `Invalid input for operation: Resource '${marker}' of type '${kind}' marker not found.`, { type: 'InvalidInput' })) : { rows: sorted, more: false }
  return { rows: rows.map((view) => only(view, params)), links: paged ? linksOf(rows, params, base, more, page.reverse, page.marker) : null }
}

/** The view cut down to the `fields` asked for. */
export function only(view: View, params: URLSearchParams): Record<string, unknown> {
  const fields = params.getAll('fields').flatMap((field) => field.split(',')).filter((field) => field !== '')
  if (fields.length === 0) return view
  return Object.fromEntries(fields.filter((field) => field in view).map((field) => [field, view[field]]))
}

function linksOf(rows: View[], params: URLSearchParams, base: string, more: boolean, reverse: boolean, marker: string | null): Listing['links'] {
  const href = (id: string, back: boolean) => {
    const next = new URLSearchParams(params)
    next.set('marker', id)
    next.delete('page_reverse')
    if (back) next.set('page_reverse', 'True')
    return `${base}?${next}`
  }
  const [first, last] = [rows[0], rows.at(-1)]
  if (first === undefined || last === undefined) return []
  const hasNext = reverse ? marker !== null : more
  const hasPrevious = reverse ? more : marker !== null
  return [...(hasNext ? [{ rel: 'next' as const, href: href(last.id, false) }] : []), ...(hasPrevious ? [{ rel: 'previous' as const, href: href(first.id, true) }] : [])]
}

export function matches(view: View, params: URLSearchParams): boolean {
  const tags = new Set((view.tags as string[] | undefined) ?? [])
  for (const [name, values] of grouped(params)) {
    if (name === 'tags' && !words(values).every((tag) => tags.has(tag))) return false
    if (name === 'tags-any' && !words(values).some((tag) => tags.has(tag))) return false
    if (name === 'not-tags' && words(values).every((tag) => tags.has(tag))) return false
    if (name === 'not-tags-any' && words(values).some((tag) => tags.has(tag))) return false
    if (CONTROLS.has(name)) continue
    if (name === 'changed_since') {
      if (!values.some((value) => String(view.updated_at) >= value.slice(0, 19))) return false
      continue
    }
    if (!(name in view)) continue
    if (name === 'fixed_ips' ? !fixedIpsMatch(view, values) : !values.some((value) => equal(view[name], value))) return false
  }
  return true
}

const words = (values: string[]) => values.flatMap((value) => value.split(','))

function grouped(params: URLSearchParams): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const [name, value] of params) found.set(name, [...(found.get(name) ?? []), value])
  return found
}

/** `fixed_ips=ip_address=10.0.0.3`: the same key twice is either, different keys are both. */
function fixedIpsMatch(view: View, values: string[]): boolean {
  const wanted = new Map<string, string[]>()
  for (const value of values) {
    const at = value.indexOf('=')
    if (at < 0) throw badRequest(`Invalid input for fixed_ips. Reason: '${value}' is not of the form key=value.`)
    const key = value.slice(0, at)
    wanted.set(key, [...(wanted.get(key) ?? []), value.slice(at + 1)])
  }
  const ips = (view.fixed_ips as { subnet_id: string; ip_address: string }[] | undefined) ?? []
  return [...wanted].every(([key, options]) =>
    ips.some((ip) => options.some((option) => (key === 'ip_address_substr' ? ip.ip_address.includes(option) : key === 'ip_address' ? ip.ip_address === option : key === 'subnet_id' ? ip.subnet_id === option : false))),
  )
}

function equal(actual: unknown, wanted: string): boolean {
  if (typeof actual === 'boolean') return actual === ['true', '1', 'yes', 'on', 't'].includes(wanted.toLowerCase())
  if (actual === null || actual === undefined) return wanted === '' || wanted === 'None' || wanted === 'null'
  if (typeof actual === 'number') return String(actual) === wanted
  if (Array.isArray(actual)) return actual.some((item) => item === wanted)
  if (typeof actual === 'object') return JSON.stringify(actual) === wanted
  return actual === wanted
}

function sort(views: View[], params: URLSearchParams): View[] {
  const keys = params.getAll('sort_key')
  const dirs = params.getAll('sort_dir')
  if (dirs.length > 0 && dirs.length !== keys.length) throw badRequest('The number of sort_keys and sort_dirs must be same')
  for (const dir of dirs) if (dir !== 'asc' && dir !== 'desc') throw badRequest(`The value for sort_dir '${dir}' is invalid: it must be asc or desc`)
  const known = views[0]
  for (const key of keys) if (known !== undefined && !(key in known)) throw badRequest(`'${key}' is an invalid attribute for sort key`)
  const order = [...keys.map((key, i) => ({ key, sign: dirs[i] === 'desc' ? -1 : 1 })), { key: 'id', sign: 1 }]
  return [...views].sort((a, b) => {
    for (const { key, sign } of order) {
      const result = compare(a[key], b[key])
      if (result !== 0) return result * sign
    }
    return 0
  })
}

function compare(a: unknown, b: unknown): number {
  if (a === b) return 0
  if (a === null || a === undefined) return -1
  if (b === null || b === undefined) return 1
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const [left, right] = [String(a), String(b)]
  return left < right ? -1 : left > right ? 1 : 0
}
