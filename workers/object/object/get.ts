/** GET and HEAD of an object: conditions, ranges, and the headers that tell what it is. */
import { precondition } from '../conditions.ts'
import { swiftFault } from '../errors.ts'
import { linkHeaders } from '../features/symlink.ts'
import { type Metadata, titleCase } from '../headers.ts'
import { sized } from '../listing.ts'
import { type ByteRange, contentRange, multipart, resolveRanges } from '../ranges.ts'
import type { SwiftRequest } from '../request.ts'
import { httpDate } from '../timestamp.ts'
import { type Segment, openObject } from './large.ts'
import { missingVersion, versionAsked } from './version.ts'
import { type Opened, bodyOf, fixed, readText } from './read.ts'

const HIDDEN = /^(content-type|content-length|etag|x-object-sysmeta-.*|x-timestamp|x-object-transient-sysmeta-.*)$/i

/** Stored metadata as response headers. */
export function metadataHeaders(metadata: Metadata): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(metadata)) if (!HIDDEN.test(name)) headers[titleCase(name)] = value
  return headers
}

export function objectHeaders(opened: Opened): Record<string, string> {
  return { ...metadataHeaders(opened.metadata), 'content-type': opened.content_type, etag: opened.etag, 'last-modified': httpDate(opened.timestamp), 'x-timestamp': opened.timestamp, 'accept-ranges': 'bytes', ...(opened.version === null ? {} : { 'x-object-version-id': opened.version }), ...(opened.location === undefined ? {} : { 'content-location': opened.location }) }
}

export async function getObject(request: SwiftRequest): Promise<Response> {
  await request.needIn('object', request.request.method === 'HEAD' ? 'head' : 'get', request.container, request.objectName.object)
  const raw = request.query.get('multipart-manifest') === 'get'
  const withBody = request.request.method === 'GET' && (request.headers.get('range') === null || raw)
  const version = await versionAsked(request)
  const link = request.query.get('symlink') === 'get'
  const opened = await openObject(request, request.objectName, { withBody, raw, ...(version === undefined ? {} : { version }), ...(link ? { link: 'get' as const } : {}) })
  if (opened === null && version !== undefined) throw await missingVersion(request, version)
  const manifest = opened?.kind === 'manifest' ? opened : null
  if (manifest !== null && request.request.method === 'GET') return await manifestResponse(request, manifest)
  return await respondObject(request, opened, link && opened !== null ? linkHeaders(opened.metadata) : {})
}

/** The answer to a GET or HEAD of something that was opened, or was not there. */
export async function respondObject(request: SwiftRequest, opened: Opened | null, extra: Record<string, string> = {}): Promise<Response> {
  if (opened === null) {
    if (request.headers.get('if-match') !== null) throw swiftFault(412)
    throw swiftFault(404)
  }
  const headers: Record<string, string> = { ...objectHeaders(opened), ...extra }
  if (opened.kind === 'manifest') headers['content-type'] = 'application/json; charset=utf-8'
  const modified_ms = Math.ceil(Number(opened.timestamp)) * 1000
  const verdict = precondition(request.headers, { etag: opened.etag, modified_ms }, true)
  if (verdict !== 200) {
    opened.drop()
    return new Response(null, { status: verdict, headers })
  }
  const part = partAsked(request, opened)
  if (part !== null) return await onePart(request, opened, part, headers)
  if (request.request.method === 'HEAD') {
    opened.drop()
    return new Response(null, { status: 200, headers: { ...headers, 'content-length': String(opened.size) } })
  }
  const ifRange = request.headers.get('if-range')
  const usable = ifRange === null || ifRange.replace(/"/g, '') === opened.etag.replace(/"/g, '') || Date.parse(ifRange) >= modified_ms
  const ranges = usable ? resolveRanges(request.headers.get('range'), opened.size) : null
  if (ranges === null) {
    const source = await opened.open(null)
    // A short one that is there whole needs no stream.
    const body = source instanceof Uint8Array ? source : fixed(bodyOf(source), opened.size)
    return new Response(body as never, { status: 200, headers: { ...headers, 'content-length': String(opened.size) } })
  }
  opened.drop()
  if (ranges.length === 0) {
    if (opened.size === 0 && request.headers.get('range')?.includes('=-')) return new Response(null, { status: 200, headers: { ...headers, 'content-length': '0' } })
    throw swiftFault(416, undefined, { 'content-range': `bytes */${opened.size}`, 'accept-ranges': 'bytes', etag: opened.etag })
  }
  return await partial(request, opened, ranges, headers)
}

/** ?part-number: one segment of a static large object, counted from 1. Anything else has no parts. */
function partAsked(request: SwiftRequest, opened: Opened): number | null {
  const given = request.query.get('part-number')
  if (given === null || opened.parts === undefined) return null
  if (!/^\d+$/.test(given) || Number(given) < 1) throw swiftFault(400, 'Part number must be an integer greater than 0')
  if (request.headers.get('range') !== null) throw swiftFault(400, 'Range requests are not supported with part number queries')
  return Number(given)
}

async function onePart(request: SwiftRequest, opened: Opened, part: number, headers: Record<string, string>): Promise<Response> {
  const parts = opened.parts ?? []
  const length = parts[part - 1]
  const counted = { ...headers, 'x-parts-count': String(parts.length) }
  if (length === undefined) throw swiftFault(416, 'The requested part number is not satisfiable', { ...counted, 'content-range': `bytes */${opened.size}` })
  const first = parts.slice(0, part - 1).reduce((sum, one) => sum + one, 0)
  const whole = { ...counted, 'content-length': String(length), 'content-range': contentRange({ first, last: first + length - 1 }, opened.size) }
  // A HEAD too: its length is the part's.
  if (request.request.method === 'HEAD') return new Response(null, { status: 206, headers: whole })
  const body = length === 0 ? new Uint8Array() : bodyOf(await opened.open([first, first + length - 1]))
  return new Response((body instanceof Uint8Array ? body : fixed(body, length)) as never, { status: 206, headers: whole })
}

async function partial(request: SwiftRequest, opened: Opened, ranges: ByteRange[], headers: Record<string, string>): Promise<Response> {
  const [only] = ranges
  if (ranges.length === 1 && only !== undefined) {
    const length = only.last - only.first + 1
    const body = bodyOf(await opened.open([only.first, only.last]))
    return new Response(fixed(body, length) as never, { status: 206, headers: { ...headers, 'content-range': contentRange(only, opened.size), 'content-length': String(length) } })
  }
  const boundary = request.ctx.requestId.replace(/[^0-9a-f]/g, '').slice(-32).padEnd(32, '0')
  const plan = multipart(ranges, opened.size, opened.content_type, boundary)
  const text = new TextEncoder()
  const body = bodyOf({
    length: plan.length,
    parts: [...ranges.flatMap((range, at) => [async () => text.encode(plan.heads[at] ?? ''), () => opened.open([range.first, range.last])]), async () => text.encode(plan.tail)],
  })
  return new Response(fixed(body, plan.length) as never, { status: 206, headers: { ...headers, 'content-type': `multipart/byteranges;boundary=${boundary}`, 'content-length': String(plan.length) } })
}

/** ?multipart-manifest=get: the segments as stored, or with format=raw in the form a PUT takes. */
async function manifestResponse(request: SwiftRequest, opened: Opened): Promise<Response> {
  const headers = objectHeaders(opened)
  if (request.query.get('format') !== 'raw') return await respondObject(request, opened)
  const segments = JSON.parse(await readText(opened, 64 * 1024 * 1024)) as Segment[]
  const raw = segments.map((segment) => (segment.data !== undefined ? { data: segment.data } : { path: segment.name, etag: segment.hash, size_bytes: segment.bytes, ...(segment.range === undefined ? {} : { range: segment.range }) }))
  return sized(JSON.stringify(raw), { ...headers, 'content-type': 'application/json; charset=utf-8' })
}
