/** PUT ?multipart-manifest=put: a static manifest is checked segment by segment, then stored in Swift's own form (swift/common/middleware/slo.py). */
import { isFault } from '../../../schema/values/fault.ts'
import { swiftFault } from '../errors.ts'
import { systemTimers } from '../../../durable-objects/kernel/env.ts'
import { statusIn, titleOf } from '../../http/faults.ts'
import { contentTypeOf, isTrue, objectMetadata } from '../headers.ts'
import { sized } from '../listing.ts'
import { MANIFEST_BYTES_MAX, type Segment, isSlo, openObject, segmentLength, segmentName, sloEtag } from '../object/large.ts'
import { store } from '../object/put.ts'
import type { SwiftRequest } from '../request.ts'
import { listingTime } from '../timestamp.ts'
import { type Report, type ReportType, reportText, reportType } from './report.ts'

export const SEGMENTS_MAX = 1_000
/** With heartbeat=on, a blank is sent this often. */
export const YIELD_EVERY_MS = 10_000
/** Segments looked at together. */
const CHECKS_AT_ONCE = 6

interface Entry {
  path?: unknown
  etag?: unknown
  size_bytes?: unknown
  range?: unknown
  data?: unknown
}

function problemsOf(entry: Entry | null): string[] {
  if (typeof entry !== 'object' || entry === null) return ['not a JSON object']
  const found = Object.keys(entry).filter((key) => !['path', 'etag', 'size_bytes', 'range', 'data'].includes(key)).map((key) => `extraneous keys "${key}"`)
  if (entry.data !== undefined) return typeof entry.data !== 'string' || Buffer.from(entry.data, 'base64').byteLength === 0 ? [...found, 'data must be valid base64'] : found
  if (typeof entry.path !== 'string') return [...found, 'missing key "path"']
  if (!/^\/?[^/]+\/.+/s.test(entry.path)) found.push('path does not refer to an object. Path must be of the form /container/object.')
  if (entry.size_bytes != null && !/^\d+$/.test(String(entry.size_bytes))) found.push('invalid size_bytes')
  else if (entry.size_bytes != null && Number(entry.size_bytes) < 1) found.push('too small; each segment must be at least 1 byte.')
  if (entry.range != null && !/^(\d+-\d*|-\d+)$/.test(String(entry.range))) found.push('invalid range')
  return found
}

export function parseManifest(text: string): Entry[] {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw swiftFault(400, 'Manifest must be valid JSON.\n')
  }
  if (!Array.isArray(json)) throw swiftFault(400, 'Manifest must be a list.\n')
  const errors = (json as Entry[]).flatMap((entry, at) => problemsOf(entry).map((problem) => `Index ${at}: ${problem}`))
  if (errors.length > 0) throw swiftFault(400, `${errors.join('\n')}\n`)
  if (json.length === 0) throw swiftFault(400, 'Manifest must contain at least one segment.\n')
  if ((json as Entry[]).filter((entry) => entry.data === undefined).length > SEGMENTS_MAX) throw swiftFault(413, `Number of object-backed segments must be <= ${SEGMENTS_MAX}`)
  if ((json as Entry[]).every((entry) => entry.data !== undefined)) throw swiftFault(400, 'Inline data segments require at least one object-backed segment.')
  return json as Entry[]
}

/** 'a-b', 'a-' or '-n' of a segment, as 'first-last'; null where it is all of it. */
function resolved(range: string, size: number): string | undefined {
  const [, first = '', last = ''] = /^(\d*)-(\d*)$/.exec(range) ?? []
  const [from, to] = first === '' ? [Math.max(0, size - Number(last)), size - 1] : [Number(first), last === '' ? size - 1 : Math.min(Number(last), size - 1)]
  if (from > to) throw new Error('unsatisfiable range')
  return from === 0 && to === size - 1 ? undefined : `${from}-${to}`
}

async function check(request: SwiftRequest, entry: Entry, isLast: boolean): Promise<Segment> {
  if (entry.data !== undefined) return { data: String(entry.data), bytes: 0, hash: '' }
  const path = `/${String(entry.path).replace(/^\//, '')}`
  const name = segmentName(request.names.account, path)
  await request.needIn('object', 'get', name.container, name.object)
  const opened = await openObject(request, name, { withBody: false })
  if (opened === null) throw new Error('404 Not Found')
  opened.drop()
  const hash = opened.etag.replace(/"/g, '')
  if (entry.size_bytes != null && Number(entry.size_bytes) !== opened.size) throw new Error('Size Mismatch')
  if (entry.etag != null && String(entry.etag).replace(/"/g, '').toLowerCase() !== hash) throw new Error('Etag Mismatch')
  // Some clients end an upload with an empty segment.
  if (opened.size < 1 && !isLast) throw new Error('Too small; each segment must be at least 1 byte.')
  const range = entry.range == null ? undefined : resolved(String(entry.range), opened.size)
  return { name: path, bytes: opened.size, hash, content_type: opened.content_type, last_modified: listingTime(opened.timestamp), ...(isSlo(opened.metadata) ? { sub_slo: true } : {}), ...(range === undefined ? {} : { range }) }
}

async function readManifest(request: SwiftRequest): Promise<Entry[]> {
  const given = Number(request.headers.get('content-length') ?? 0)
  if (given > MANIFEST_BYTES_MAX) throw swiftFault(413, `Manifest File > ${MANIFEST_BYTES_MAX} bytes`)
  const text = await request.request.text()
  if (text.length > MANIFEST_BYTES_MAX) throw swiftFault(413, `Manifest File > ${MANIFEST_BYTES_MAX} bytes`)
  return parseManifest(text)
}

/** Looks at every segment; what is wrong is told for all of them. */
async function checkAll(request: SwiftRequest, entries: Entry[]): Promise<{ segments: Segment[]; errors: [string, string][] }> {
  const segments: Segment[] = []
  const errors: [string, string][] = []
  for (let at = 0; at < entries.length; at += CHECKS_AT_ONCE) {
    const batch = entries.slice(at, at + CHECKS_AT_ONCE)
    const results = await Promise.allSettled(batch.map((entry, n) => check(request, entry, at + n === entries.length - 1)))
    results.forEach((result, n) => {
      if (result.status === 'fulfilled') segments.push(result.value)
      else if (isFault(result.reason) && result.reason.kind !== 'forbidden' && result.reason.kind !== 'unauthorized' && result.reason.kind !== 'not_found') throw result.reason
      else errors.push([String(batch[n]?.path), isFault(result.reason) ? `${result.reason.status ?? ''} ${result.reason.kind === 'not_found' ? 'Not Found' : 'Forbidden'}`.trim() : (result.reason as Error).message])
    })
  }
  return { segments, errors }
}

async function writeManifest(request: SwiftRequest, segments: Segment[]): Promise<Response> {
  const etag = sloEtag(segments)
  const wanted = request.headers.get('etag')?.replace(/"/g, '').toLowerCase()
  if (wanted !== undefined && wanted !== '' && wanted !== etag) throw swiftFault(422)
  const size = segments.reduce((sum, segment) => sum + segmentLength(segment), 0)
  const body = new TextEncoder().encode(JSON.stringify(segments))
  const metadata = { ...objectMetadata(request.headers, request.now_s), 'X-Static-Large-Object': 'True', 'X-Object-Sysmeta-Slo-Etag': etag, 'X-Object-Sysmeta-Slo-Size': String(size) }
  return await store(request, request.objectName, body, { metadata, content_type: contentTypeOf(request.headers, request.objectName.object), size: body.byteLength, etag: null, slo: { size, etag } })
}

export async function putManifest(request: SwiftRequest): Promise<Response> {
  if (request.headers.get('x-copy-from') !== null) throw swiftFault(405, 'Multipart Manifest PUTs cannot be COPY requests')
  const entries = await readManifest(request)
  const type = reportType(request)
  if (isTrue(request.query.get('heartbeat'))) return beating(request, type, () => outcomeOf(request, entries))
  const { segments, errors } = await checkAll(request, entries)
  if (errors.length > 0) return sized(reportText(type, { errors }, 'upload'), { 'content-type': type }, 400)
  return await writeManifest(request, segments)
}

async function outcomeOf(request: SwiftRequest, entries: Entry[]): Promise<Report> {
  try {
    const { segments, errors } = await checkAll(request, entries)
    if (errors.length > 0) return { status: '400 Bad Request', body: 'Bad Request\nThe server could not comply with the request since it is either malformed or otherwise incorrect.', errors }
    const written = await writeManifest(request, segments)
    const fields: Record<string, string> = {}
    for (const [field, header] of [['Etag', 'etag'], ['Last Modified', 'last-modified']] as const) {
      const value = written.headers.get(header)
      if (value !== null) fields[field] = value
    }
    return { status: written.status === 201 ? '201 Created' : '202 Accepted', body: '', fields, errors: [] }
  } catch (error) {
    if (!isFault(error)) throw error
    const status = statusIn('swift', error)
    return { status: `${status} ${titleOf(status)}`, body: error.message, errors: [] }
  }
}

/** The answer begins at once, and a blank now and then keeps what is in between from closing the connection; the true status is in the body. */
function beating(request: SwiftRequest, type: ReportType, work: () => Promise<Report>): Response {
  const timers = request.env.SIM?.timers ?? systemTimers
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const writer = writable.getWriter()
  const text = new TextEncoder()
  let cancel = () => {}
  const beat = () => {
    cancel = timers.after(YIELD_EVERY_MS, () => {
      void writer.write(text.encode(' ')).catch(() => {})
      beat()
    })
  }
  const run = async () => {
    void writer.write(text.encode(' ')).catch(() => {})
    beat()
    try {
      const report = await work()
      await writer.write(text.encode(`\r\n\r\n${reportText(type, report, 'upload')}`))
      await writer.close()
    } catch (error) {
      await writer.abort(error).catch(() => {})
    } finally {
      cancel()
    }
  }
  void run()
  return new Response(readable, { status: 202, headers: { 'content-type': type } })
}
