/** GetObject, HeadObject and GetObjectAttributes. */
import { type DigestName, isDigestName } from '../../../../schema/values/digests.ts'
import { versionId } from '../../container/rows.ts'
import { precondition } from '../../conditions.ts'
import { metaOf } from '../../headers.ts'
import { MANIFEST_BYTES_MAX, type Segment, openObject } from '../../object/large.ts'
import { type Opened, bodyOf, fixed, readText } from '../../object/read.ts'
import { contentRange, resolveRanges } from '../../ranges.ts'
import { httpDate } from '../../timestamp.ts'
import { s3Fault } from '../errors.ts'
import type { Bucket } from '../known.ts'
import { element, leaf, xmlResponse } from '../markup.ts'
import type { S3Request } from '../request.ts'
import { sealedHeaders } from './encryption.ts'
import { CHECKSUM_META, lockHeaders, metadataHeaders } from './metadata.ts'
import { etagOf } from './put.ts'

const OVERRIDES = ['content-type', 'content-language', 'expires', 'cache-control', 'content-disposition', 'content-encoding'] as const

/** Opens what is asked for: 404 in S3's words, and a delete marker said to be one. */
async function open(request: S3Request, bucket: Bucket, withBody: boolean): Promise<Opened> {
  const version = request.query.get('versionId')
  checkVersionId(version)
  const opened = await openObject(request, request.name, { withBody, ...(version === null ? {} : { version }) })
  if (opened !== null) return opened
  if (bucket.info.metadata['x-versions-enabled'] === undefined) throw s3Fault(version === null ? 'NoSuchKey' : 'NoSuchVersion', undefined, { Key: request.key })
  const row = version === null ? await request.container().latest(request.key) : await request.container().version(request.key, version)
  if (row?.deleted !== true) throw s3Fault(version === null ? 'NoSuchKey' : 'NoSuchVersion', undefined, { Key: request.key })
  const marker = { 'x-amz-delete-marker': 'true', 'x-amz-version-id': versionId(row.version) }
  if (version === null) throw s3Fault('NoSuchKey', undefined, { Key: request.key }, marker)
  throw s3Fault('MethodNotAllowed', undefined, { Method: request.request.method, ResourceType: 'DeleteMarker' }, { ...marker, allow: 'DELETE', 'last-modified': httpDate(row.at) })
}

export function checkVersionId(id: string | null): void {
  if (id !== null && id !== 'null' && !/^\d{1,10}(\.\d{1,5})?$/.test(id)) throw s3Fault('InvalidArgument', 'Invalid version id specified', { ArgumentName: 'versionId', ArgumentValue: id })
}

export interface Checksum {
  algorithm: DigestName
  value: string
  type: string
}

/** What the client gave, or what its parts amount to. */
export function checksumOf(opened: Opened): Checksum | null {
  const [algorithm = '', value = '', type = 'FULL_OBJECT'] = (metaOf(opened.metadata, CHECKSUM_META) ?? '').split(' ')
  if (!isDigestName(algorithm)) return null
  const known = value === '-' ? opened.head.digests?.[algorithm] : value
  return known === undefined ? null : { algorithm, value: known, type }
}

/** What only the row knows is asked for where the bucket has such things at all. */
async function rowHeaders(request: S3Request, bucket: Bucket): Promise<Record<string, string>> {
  if (bucket.config['has-tags'] === undefined && bucket.config['object-lock'] === undefined) return {}
  const version = request.query.get('versionId')
  const row = version === null ? await request.container().object(request.key) : await request.container().version(request.key, version)
  const tags = row?.extra?.['s3-tags']
  return { ...lockHeaders(row?.extra ?? null), ...(tags === undefined ? {} : { 'x-amz-tagging-count': String([...new URLSearchParams(tags)].length) }) }
}

async function headersOf(request: S3Request, bucket: Bucket, opened: Opened): Promise<Record<string, string>> {
  const headers: Record<string, string> = {
    ...metadataHeaders(opened.metadata), 'content-type': opened.content_type, etag: `"${etagOf(opened)}"`, 'last-modified': httpDate(opened.timestamp), 'accept-ranges': 'bytes',
    ...sealedHeaders(opened.head.sealed), ...(opened.version === null ? {} : { 'x-amz-version-id': opened.version }), ...(await rowHeaders(request, bucket)),
  }
  const checksum = request.headers.get('x-amz-checksum-mode')?.toUpperCase() === 'ENABLED' && request.headers.get('range') === null ? checksumOf(opened) : null
  if (checksum !== null) {
    headers[`x-amz-checksum-${checksum.algorithm}`] = checksum.value
    headers['x-amz-checksum-type'] = checksum.type
  }
  for (const name of OVERRIDES) {
    const value = request.query.get(`response-${name}`)
    if (value === null) continue
    if (request.signer === null) throw s3Fault('InvalidRequest', 'Request specific response headers cannot be used for anonymous GET requests.')
    if (/[\r\n\0]/.test(value)) throw s3Fault('InvalidArgument', undefined, { ArgumentName: `response-${name}` })
    headers[name] = value
  }
  return headers
}

const READ = (request: S3Request) => ({ action: request.query.has('versionId') ? 's3:GetObjectVersion' : 's3:GetObject', level: 'object' as const, operation: request.request.method === 'HEAD' ? 'head' as const : 'get' as const })

export async function getObject(request: S3Request): Promise<Response> {
  const bucket = await authorizeRead(request)
  const isHead = request.request.method === 'HEAD'
  const partNumber = request.query.get('partNumber')
  const range = request.headers.get('range')
  if (partNumber !== null && range !== null) throw s3Fault('InvalidRequest', 'Cannot specify both Range header and partNumber query parameter')
  const opened = await open(request, bucket, !isHead && range === null && partNumber === null)
  try {
    const headers = await headersOf(request, bucket, opened)
    const verdict = precondition(request.headers, { etag: etagOf(opened), modified_ms: Math.ceil(Number(opened.timestamp)) * 1000 }, true)
    if (verdict === 412) throw s3Fault('PreconditionFailed', undefined, { Condition: request.headers.get('if-match') !== null ? 'If-Match' : 'If-Unmodified-Since' })
    if (verdict === 304) {
      opened.drop()
      return new Response(null, { status: 304, headers })
    }
    const part = partNumber === null ? null : await partOf(request, opened, partNumber)
    if (part !== null && part.count > 0) headers['x-amz-mp-parts-count'] = String(part.count)
    return await send(opened, headers, part === null ? rangeOf(request, opened) : part.range, isHead)
  } catch (error) {
    opened.drop()
    throw error
  }
}

/** Who may not list a bucket is not told what is not in it. */
async function authorizeRead(request: S3Request): Promise<Bucket> {
  return await request.authorize(READ(request))
}

/** Null is all. */
function rangeOf(request: S3Request, opened: Opened): [number, number] | null {
  const header = request.headers.get('range')
  const ifRange = request.headers.get('if-range')
  if (header === null || (ifRange !== null && ifRange.replace(/"/g, '') !== etagOf(opened))) return null
  const ranges = resolveRanges(header, opened.size)
  if (ranges === null || ranges.length > 1) return null
  const [only] = ranges
  if (only === undefined) throw s3Fault('InvalidRange', undefined, { RangeRequested: header, ActualObjectSize: String(opened.size) }, { 'content-range': `bytes */${opened.size}` })
  return [only.first, only.last]
}

async function send(opened: Opened, headers: Record<string, string>, range: [number, number] | null, isHead: boolean): Promise<Response> {
  const length = range === null ? opened.size : range[1] - range[0] + 1
  const all = { ...headers, 'content-length': String(length), ...(range === null ? {} : { 'content-range': contentRange({ first: range[0], last: range[1] }, opened.size) }) }
  const status = range === null ? 200 : 206
  if (isHead || length === 0) {
    opened.drop()
    return new Response(null, { status, headers: all })
  }
  if (range !== null) opened.drop()
  const source = await opened.open(range)
  return new Response((source instanceof Uint8Array ? source : fixed(bodyOf(source), length)) as never, { status, headers: all })
}

/** The segments of a multipart object; null where it is none. */
export async function segmentsOfObject(request: S3Request, opened: Opened): Promise<Segment[] | null> {
  if (opened.kind !== 'slo') return null
  const raw = await openObject(request, request.name, { withBody: true, raw: true, ...(opened.version === null ? {} : { version: opened.version }) })
  return raw === null ? null : (JSON.parse(await readText(raw, MANIFEST_BYTES_MAX)) as Segment[])
}

async function partOf(request: S3Request, opened: Opened, text: string): Promise<{ range: [number, number] | null; count: number }> {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1 || number > 10_000) throw s3Fault('InvalidArgument', 'Part number must be an integer between 1 and 10000, inclusive', { ArgumentName: 'partNumber', ArgumentValue: text })
  const segments = await segmentsOfObject(request, opened)
  if (segments === null && number === 1) return { range: opened.size === 0 ? null : [0, opened.size - 1], count: 0 }
  const segment = segments?.[number - 1]
  if (segments === null || segment === undefined) throw s3Fault('InvalidPartNumber', undefined, { PartNumberRequested: text, ActualPartCount: String(segments?.length ?? 1) })
  const first = segments.slice(0, number - 1).reduce((sum, one) => sum + one.bytes, 0)
  return { range: segment.bytes === 0 ? null : [first, first + segment.bytes - 1], count: segments.length }
}

const ATTRIBUTES = ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize']

export async function getAttributes(request: S3Request): Promise<Response> {
  const bucket = await authorizeRead(request)
  const wanted = (request.headers.get('x-amz-object-attributes') ?? '').split(',').map((name) => name.trim()).filter((name) => name !== '')
  if (wanted.length === 0 || wanted.some((name) => !ATTRIBUTES.includes(name))) throw s3Fault('InvalidArgument', 'Invalid attribute name specified.', { ArgumentName: 'x-amz-object-attributes' })
  const opened = await open(request, bucket, false)
  const has = (name: string) => wanted.includes(name)
  const checksum = has('Checksum') ? checksumOf(opened) : null
  const segments = has('ObjectParts') ? await segmentsOfObject(request, opened) : null
  const xml = element('GetObjectAttributesResponse', has('ETag') ? leaf('ETag', etagOf(opened)) : '', checksum === null ? '' : element('Checksum', leaf(`Checksum${checksum.algorithm.toUpperCase()}`, checksum.value), leaf('ChecksumType', checksum.type)),
    segments === null ? '' : partsXml(request, segments), has('StorageClass') ? leaf('StorageClass', 'STANDARD') : '', has('ObjectSize') ? leaf('ObjectSize', opened.size) : '')
  return xmlResponse(xml, 200, { 'last-modified': httpDate(opened.timestamp), ...(opened.version === null ? {} : { 'x-amz-version-id': opened.version }) })
}

function partsXml(request: S3Request, segments: Segment[]): string {
  const [limit, after] = [Math.min(Number(request.headers.get('x-amz-max-parts') ?? 1_000) || 1_000, 1_000), Number(request.headers.get('x-amz-part-number-marker') ?? 0) || 0]
  const shown = segments.slice(after, after + limit)
  return element('ObjectParts', leaf('PartsCount', segments.length), leaf('PartNumberMarker', after), leaf('NextPartNumberMarker', after + shown.length), leaf('MaxParts', limit), leaf('IsTruncated', after + shown.length < segments.length),
    ...shown.map((segment, at) => element('Part', leaf('PartNumber', after + at + 1), leaf('Size', segment.bytes))))
}
