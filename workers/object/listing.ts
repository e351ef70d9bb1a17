/** Listings on the wire: plain, JSON, XML by `format` or Accept (swift/common/middleware/listing_formats.py), and the query they answer. */
import { swiftFault } from './errors.ts'
import type { ListQuery } from './list.ts'
import type { SwiftRequest } from './request.ts'

export type Format = 'plain' | 'json' | 'xml'
const MEDIA: Record<Format, string> = { plain: 'text/plain', json: 'application/json', xml: 'application/xml' }

export function listingFormat(request: SwiftRequest): Format {
  const given = request.query.get('format')?.toLowerCase()
  if (given === 'json' || given === 'xml' || given === 'plain') return given
  if (given !== undefined && given !== '') return 'plain'
  const accept = request.headers.get('accept')
  if (accept === null || accept.trim() === '') return 'plain'
  const wanted = accept.split(',').map((part) => {
    const [type = '', ...parameters] = part.trim().split(';')
    const q = parameters.map((one) => /^\s*q=([\d.]+)\s*$/.exec(one)?.[1]).find((one) => one !== undefined)
    return { type: type.trim().toLowerCase(), q: q === undefined ? 1 : Number(q) }
  }).filter(({ q }) => q > 0).sort((a, b) => b.q - a.q)
  for (const { type } of wanted) {
    if (type === '*/*' || type === 'text/plain' || type === 'text/*') return 'plain'
    if (type === 'application/json' || type === 'application/*') return 'json'
    if (type === 'application/xml' || type === 'text/xml') return 'xml'
  }
  throw swiftFault(406)
}

export function listQuery(request: SwiftRequest, limit_max: number): ListQuery {
  const { query } = request
  const given = query.get('limit')
  let limit = limit_max
  if (given !== null && given !== '' && /^\d+$/.test(given)) {
    limit = Number(given)
    if (limit > limit_max) throw swiftFault(412, `Maximum limit is ${limit_max}`)
  }
  const text = (name: string) => query.get(name) ?? ''
  const reverse = /^(true|1|yes|on|t|y)$/i.test(text('reverse'))
  return { limit, marker: text('marker'), end_marker: text('end_marker'), prefix: text('prefix'), delimiter: text('delimiter'), reverse, path: query.has('path') ? text('path') : null }
}

const xmlEscape = (text: string): string =>
  text.replace(/[&<>"]/g, (char) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[char] ?? char).replace(/[\x00-\x1f]/g, (char) => `&#x${char.charCodeAt(0).toString(16)};`)

/** JSON shows more. */
const XML_FIELDS = new Set(['name', 'count', 'hash', 'bytes', 'content_type', 'last_modified'])

export type ListingRow = { subdir: string } | ({ name: string } & Record<string, string | number>)

export interface ListingKind {
  element: 'account' | 'container'
  name: string
  item: 'container' | 'object'
}

/** The body: pure, so that the object that has the rows can make it and sends one text instead of thousands of rows. */
export function listingText(format: Format, kind: ListingKind, rows: ListingRow[]): string {
  if (format === 'plain') return rows.length === 0 ? '' : `${rows.map((row) => ('name' in row ? row.name : row.subdir)).join('\n')}\n`
  if (format === 'json') return JSON.stringify(rows)
  const items = rows.map((row) => {
    if (!('name' in row)) return `<subdir name="${xmlEscape(String(row.subdir))}"><name>${xmlEscape(String(row.subdir))}</name></subdir>`
    return `<${kind.item}>${Object.entries(row).filter(([field]) => XML_FIELDS.has(field)).map(([field, value]) => `<${field}>${xmlEscape(String(value))}</${field}>`).join('')}</${kind.item}>`
  })
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${kind.element} name="${xmlEscape(kind.name)}">${items.join('')}</${kind.element}>`
}

export function renderListing(format: Format, text: string, headers: Record<string, string>): Response {
  const all: Record<string, string> = { ...headers, 'content-type': `${MEDIA[format]}; charset=utf-8` }
  return format === 'plain' && text === '' ? new Response(null, { status: 204, headers: all }) : sized(text, all)
}

export function sized(text: string, headers: Record<string, string>, status = 200): Response {
  const bytes = new TextEncoder().encode(text)
  return new Response(bytes, { status, headers: { ...headers, 'content-length': String(bytes.byteLength) } })
}
