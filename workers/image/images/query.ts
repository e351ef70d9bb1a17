/** Filters, sorting and pages of image listings (api-ref: List images). Pure, over ImageData: the caller's own images and those published to it are filtered alike. */
import type { Visibility } from '../../../schema/project/image.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { isoSeconds } from '../../../schema/values/time.ts'
import { VISIBILITIES } from './requests.ts'
import { type ImageData, imageView } from './views.ts'

export const LIMIT_DEFAULT = 25
export const LIMIT_MAX = 1_000
const bad = (message: string) => new Fault('bad_request', message)

export interface ImageQuery {
  limit: number
  marker: string | null
  sort: { key: string; desc: boolean }[]
  visibility: Visibility | 'all' | null
  member_status: string
  hidden: boolean
  tags: string[]
  filters: [name: string, value: string][]
}

const PLAIN = new Set(['limit', 'marker', 'sort', 'sort_key', 'sort_dir', 'visibility', 'member_status', 'os_hidden', 'tag'])
const SORTABLE = new Set(['name', 'status', 'container_format', 'disk_format', 'size', 'id', 'created_at', 'updated_at'])
const NUMERIC = new Set(['size', 'min_disk', 'min_ram', 'size_min', 'size_max', 'virtual_size'])
const LISTS = new Set(['name', 'status', 'id', 'disk_format', 'container_format'])
const BOOLEANS = new Set(['protected'])

export function parseQuery(query: URLSearchParams): ImageQuery {
  const limitText = query.get('limit')
  if (limitText !== null && !/^\d+$/.test(limitText)) throw bad('limit param must be an integer')
  const visibility = query.get('visibility')
  if (visibility !== null && visibility !== 'all' && !VISIBILITIES.includes(visibility as Visibility)) throw bad(`Invalid visibility value: ${visibility}`)
  const member_status = query.get('member_status') ?? 'accepted'
  if (!['pending', 'accepted', 'rejected', 'all'].includes(member_status)) throw bad(`Invalid status: ${member_status}`)
  const filters = [...query].filter(([name]) => !PLAIN.has(name))
  for (const [name, value] of filters) {
    if (NUMERIC.has(name) && !/^-?\d+$/.test(value)) throw bad(`Invalid value for option ${name}: '${value}' is not an integer`)
    if ((name === 'size_min' || name === 'size_max') && Number(value) < 0) throw bad('Cannot convert a negative value to a size filter')
  }
  return {
    limit: Math.min(limitText === null ? LIMIT_DEFAULT : Number(limitText), LIMIT_MAX), marker: query.get('marker'), sort: parseSort(query), visibility: visibility as ImageQuery['visibility'], member_status,
    hidden: truth('os_hidden', query.get('os_hidden') ?? 'false'), tags: query.getAll('tag'), filters,
  }
}

function truth(name: string, text: string): boolean {
  if (/^(true|1|yes|on)$/i.test(text)) return true
  if (/^(false|0|no|off)$/i.test(text)) return false
  throw bad(`Bad value "${text}" for option ${name}: not a boolean`)
}

function parseSort(query: URLSearchParams): { key: string; desc: boolean }[] {
  const sort = query.get('sort')
  const [keys, dirs] = [query.getAll('sort_key'), query.getAll('sort_dir')]
  if (sort !== null && keys.length + dirs.length > 0) throw bad('Old and new sorting syntax cannot be combined')
  const pairs = sort !== null
    ? sort.split(',').map((part) => part.trim().split(':') as [string, string?])
    : (keys.length === 0 ? ['created_at'] : keys).map((key, i) => [key, dirs.length > 1 ? dirs[i] : (dirs[0] ?? 'desc')] as [string, string?])
  const parsed = pairs.map(([key, dir = 'desc']) => {
    if (!SORTABLE.has(key)) throw bad(`Invalid sort key: ${key}. It must be one of the following: ${[...SORTABLE].join(', ')}.`)
    if (dir !== 'asc' && dir !== 'desc') throw bad(`Invalid sort direction: ${dir}`)
    return { key, desc: dir === 'desc' }
  })
  for (const key of ['created_at', 'id']) if (!parsed.some((entry) => entry.key === key)) parsed.push({ key, desc: parsed[0]?.desc ?? true })
  return parsed
}

/** What `projectId` sees in a listing: upstream's rules of visibility (glance/db/sqlalchemy/api.py: _make_conditions_from_filters, _select_images_query). */
export function isListed(image: ImageData, query: ImageQuery, projectId: string | null, admin: boolean): boolean {
  const own = image.owner === projectId
  const member = image.visibility === 'shared' ? image.members.find((entry) => entry.member_id === projectId) : undefined
  const shared = member !== undefined && (query.member_status === 'all' || member.status === query.member_status)
  switch (query.visibility) {
    case null:
      return own || image.visibility === 'public' || shared || (admin && image.visibility !== 'community')
    case 'all':
      return own || image.visibility === 'public' || image.visibility === 'community' || shared || admin
    case 'shared':
      return image.visibility === 'shared' && (own || shared || admin)
    case 'private':
      return image.visibility === 'private' && (own || admin)
    default:
      return image.visibility === query.visibility
  }
}

export function isMatch(image: ImageData, query: ImageQuery): boolean {
  if (image.hidden !== query.hidden || !query.tags.every((tag) => image.tags.includes(tag))) return false
  const view = imageView(image)
  return query.filters.every(([name, value]) => {
    if (name === 'size_min') return image.size_bytes !== null && image.size_bytes >= Number(value)
    if (name === 'size_max') return image.size_bytes !== null && image.size_bytes <= Number(value)
    if (name === 'created_at' || name === 'updated_at') return compareTime(name === 'created_at' ? image.created_ms : image.updated_ms, value)
    if (NUMERIC.has(name)) return view[name] === Number(value)
    if (BOOLEANS.has(name)) return view[name] === truth(name, value)
    if (LISTS.has(name) && value.startsWith('in:')) return splitList(value.slice(3)).includes(String(view[name]))
    return view[name] !== undefined && view[name] !== null && String(view[name]) === unquote(value)
  })
}

const unquote = (value: string): string => (/^".*"$/s.test(value) ? value.slice(1, -1) : value)

/** in:a,"b,c" */
function splitList(text: string): string[] {
  if (!/^("[^"]*"|[^",]*)(,("[^"]*"|[^",]*))*$/.test(text)) throw bad(`Invalid filter value ${text}. The quote is not closed.`)
  return [...text.matchAll(/"([^"]*)"|([^",]+)/g)].map((match) => match[1] ?? match[2] ?? '')
}

function compareTime(ms: number, value: string): boolean {
  const match = /^(?:(gt|gte|lt|lte|eq|neq):)?(.+)$/.exec(value)
  const given = match?.[2] ?? ''
  const at = Date.parse(/[zZ]|[+-]\d\d:?\d\d$/.test(given) ? given : `${given}Z`)
  if (Number.isNaN(at)) throw bad(`Invalid time format: ${value}.`)
  const own = Date.parse(isoSeconds(ms))
  switch (match?.[1] ?? 'eq') {
    case 'gt':
      return own > at
    case 'gte':
      return own >= at
    case 'lt':
      return own < at
    case 'lte':
      return own <= at
    case 'neq':
      return own !== at
    default:
      return own === at
  }
}

const KEYS: Record<string, (image: ImageData) => string | number | null> = {
  name: (image) => image.name, status: (image) => image.status, container_format: (image) => image.container_format, disk_format: (image) => image.disk_format, size: (image) => image.size_bytes, id: (image) => image.id,
  created_at: (image) => image.created_ms, updated_at: (image) => image.updated_ms,
}

export function sorted(rows: ImageData[], sort: ImageQuery['sort']): ImageData[] {
  return [...rows].sort((a, b) => {
    for (const { key, desc } of sort) {
      const [x, y] = [KEYS[key]?.(a) ?? null, KEYS[key]?.(b) ?? null]
      if (x === y) continue
      const less = x === null ? true : y === null ? false : x < y
      return less === desc ? 1 : -1
    }
    return 0
  })
}

/** One page; `next` is the marker of the following one. */
export function page(rows: ImageData[], query: ImageQuery): { rows: ImageData[]; next: string | null } {
  let start = 0
  if (query.marker !== null) {
    const at = rows.findIndex((row) => row.id === query.marker)
    if (at < 0) throw bad(`Invalid marker: image ${query.marker} could not be found.`)
    start = at + 1
  }
  const slice = rows.slice(start, start + query.limit)
  return { rows: slice, next: query.limit > 0 && slice.length > 0 && start + query.limit < rows.length ? (slice.at(-1)?.id ?? null) : null }
}
