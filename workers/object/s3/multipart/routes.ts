/**
 * Uploads in parts. What goes on is kept with the bucket; parts are objects of `BUCKET+segments` named 'key/uploadId/number', and what comes of them is a static manifest: Swift reads
 * the same object as SLO. The segments go when the last row that stands for them goes (container/store.ts), an hour later.
 */
import type { ObjectHead } from '../../../../schema/agent/protocol.ts'
import { type DigestName, DIGESTS, isDigestName } from '../../../../schema/values/digests.ts'
import { isFault } from '../../../../schema/values/fault.ts'
import type { ObjectRow } from '../../container/rows.ts'
import { sealsContainer } from '../../encryption/keymaster.ts'
import { checkQuotas } from '../../features/quotas.ts'
import type { Metadata } from '../../headers.ts'
import { isSubdir } from '../../list.ts'
import { sloEtag } from '../../object/large.ts'
import { bodyOf } from '../../object/read.ts'
import { type WriteOptions, beginWrite, commitWrite, removeObject } from '../../object/write.ts'
import { segmentsOf } from '../address.ts'
import { OBJECT_BYTES_MAX, incoming, readText } from '../body.ts'
import { asked, countOf, ownerXml } from '../bucket/listing.ts'
import { s3Fault } from '../errors.ts'
import { element, leaf, optional, xmlResponse } from '../markup.ts'
import { sealAsked, sealedHeaders, willSeal } from '../object/encryption.ts'
import { CHECKSUM_META, ETAG_META, describe, refuseUnknown, rowExtra } from '../object/metadata.ts'
import { openSource } from '../object/put.ts'
import { bodyFault, noteTags, quotaReader, verified, versionHeaders, wantsOf, writeInto } from '../object/store-body.ts'
import type { S3Request } from '../request.ts'
import { type Upload, etagOfRow } from '../store.ts'
import { s3Time, s3TimeOfMs } from '../time.ts'
import { childrenOf, needText, onlyChildren, parseXml, textOf } from '../xml.ts'
import { type ChecksumType, PARTS_MAX, PART_BYTES_MIN, type Part, checksumOfPart, checksumOfParts, checksumTypeFor, manifestOf, multipartEtag, partName } from './parts.ts'

const PUT = { action: 's3:PutObject', level: 'object', operation: 'put' } as const
const OBJECT_TOTAL_BYTES_MAX = 50 * 1024 ** 4
const DELETES_AT_ONCE = 6

/** What the object will have, said when the upload began. */
interface Spec {
  metadata: Metadata
  content_type: string
  extra: Record<string, string>
  checksum: { algorithm: DigestName; type: ChecksumType } | null
  owner: string
  /** Asked for, by the request or the bucket. Parts are written to a container of their own. */
  seal?: true
}

export async function createUpload(request: S3Request): Promise<Response> {
  const bucket = await request.authorize(PUT)
  refuseUnknown(request.headers)
  const seal = sealAsked(request).seal ?? sealsContainer(bucket.info.metadata)
  const named = request.headers.get('x-amz-checksum-algorithm')?.toLowerCase() ?? null
  const asType = request.headers.get('x-amz-checksum-type')?.toUpperCase() ?? null
  if (named !== null && !isDigestName(named)) throw s3Fault('InvalidRequest', `Checksum algorithm provided is unsupported. Please try again with any of the valid types: [${DIGESTS.join(', ').toUpperCase()}]`)
  if (named === null && asType !== null) throw s3Fault('InvalidRequest', 'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.')
  const type = named === null ? null : checksumTypeFor(named, asType)
  if (named !== null && type === null) throw s3Fault('InvalidRequest', `The ${asType} checksum type cannot be used with the ${named} checksum algorithm.`)
  const extra = rowExtra(request, bucket)
  if (extra['s3-tags'] !== undefined) await noteTags(request, bucket)
  const spec: Spec = { ...describe(request.headers), extra, checksum: named === null || type === null ? null : { algorithm: named, type }, owner: request.caller?.project_id ?? request.owner, ...(seal === undefined ? {} : { seal }) }
  // Time first, so that uploads of a key are listed as they began.
  const id = `${request.now_ms.toString(16).padStart(12, '0')}${request.newId().slice(0, 28)}`
  const segments = request.container(segmentsOf(request.bucketName))
  if ((await segments.info()) === null) await segments.put(request.account, segmentsOf(request.bucketName), bucket.info.policy, {})
  await request.container().s3AddUpload({ key: request.key, id, at_ms: request.now_ms, spec: JSON.stringify(spec) })
  return xmlResponse(element('InitiateMultipartUploadResult', leaf('Bucket', request.bucketName), leaf('Key', request.key), leaf('UploadId', id)), 200,
    { ...sealedHeaders(willSeal(request, seal === true)), ...(spec.checksum === null ? {} : { 'x-amz-checksum-algorithm': spec.checksum.algorithm.toUpperCase(), 'x-amz-checksum-type': spec.checksum.type }) })
}

const sealOf = ({ seal }: Spec): { seal?: true } => (seal === undefined ? {} : { seal })

const idOf = (request: S3Request): string => request.query.get('uploadId') ?? ''
const noUpload = (request: S3Request) => s3Fault('NoSuchUpload', undefined, { UploadId: idOf(request) })

async function uploadOf(request: S3Request): Promise<{ upload: Upload; spec: Spec }> {
  const id = idOf(request)
  const upload = /^[0-9a-f]{40}$/.test(id) ? await request.container().s3Upload(request.key, id) : null
  if (upload === null) throw noUpload(request)
  return { upload, spec: JSON.parse(upload.spec) as Spec }
}

// ---------------------------------------------------------------- parts

function numberOf(request: S3Request): number {
  const text = request.query.get('partNumber') ?? ''
  const number = Number(text)
  if (!/^\d{1,5}$/.test(text) || number < 1 || number > PARTS_MAX) throw s3Fault('InvalidArgument', `Part number must be an integer between 1 and ${PARTS_MAX}, inclusive`, { ArgumentName: 'partNumber', ArgumentValue: text })
  return number
}

async function writePart(request: S3Request, number: number, body: ReadableStream<Uint8Array> | Uint8Array, options: Pick<WriteOptions, 'size' | 'etag' | 'want' | 'seal'>, algorithm: DigestName | null): Promise<{ head: ObjectHead; at: string }> {
  const name = { account: request.account, container: segmentsOf(request.bucketName), object: partName(request.key, idOf(request), number) }
  const begun = await beginWrite(request.env, name)
  // The account's quota counts parts as they come, the bucket's when they are put together.
  await checkQuotas(quotaReader(request), begun, options.size)
  const extra = (head: ObjectHead): Record<string, string> => (algorithm === null ? {} : { 's3-checksum': `${algorithm} ${head.digests?.[algorithm] ?? ''}` })
  const head = verified(options.want, await commitWrite(request.env, begun, body, { ...options, metadata: {}, content_type: 'application/octet-stream', extra }, request.now_ms))
  return { head, at: begun.timestamp }
}

export async function uploadPart(request: S3Request): Promise<Response> {
  await request.authorize(PUT)
  refuseUnknown(request.headers)
  sealAsked(request)
  const number = numberOf(request)
  const { spec } = await uploadOf(request)
  const body = incoming(request)
  if (body.size !== null && body.size > OBJECT_BYTES_MAX) throw s3Fault('EntityTooLarge', undefined, { ProposedSize: String(body.size), MaxSizeAllowed: String(OBJECT_BYTES_MAX) })
  // A part without the checksum that the upload was begun with gets it here.
  const algorithm = spec.checksum?.algorithm ?? body.checksum?.algorithm ?? null
  const wanted = wantsOf(body)
  const want = algorithm === null ? wanted : { digests: { [algorithm]: null, ...wanted?.digests } }
  try {
    const { head } = await writePart(request, number, body.size === 0 && body.decoder === null ? new Uint8Array() : (body.stream ?? new Uint8Array()), { size: body.size, etag: body.md5, ...sealOf(spec), ...(want === undefined ? {} : { want }) }, algorithm)
    const value = algorithm === null ? undefined : head.digests?.[algorithm]
    return new Response(null, { status: 200, headers: { etag: `"${head.etag}"`, 'content-length': '0', ...sealedHeaders(head.sealed), ...(algorithm === null || value === undefined ? {} : { [`x-amz-checksum-${algorithm}`]: value }) } })
  } catch (error) {
    throw bodyFault(body, error)
  }
}

export async function uploadPartCopy(request: S3Request): Promise<Response> {
  await request.authorize(PUT)
  const number = numberOf(request)
  const { spec } = await uploadOf(request)
  const given = request.headers.get('x-amz-copy-source-range')
  const source = await openSource(request, given === null)
  const { opened } = source
  try {
    const range = given === null ? null : rangeOf(given, opened.size)
    const size = range === null ? opened.size : range[1] - range[0] + 1
    if (size > OBJECT_BYTES_MAX) throw s3Fault('InvalidRequest', `The specified copy source is larger than the maximum allowable size for a copy source: ${OBJECT_BYTES_MAX}`)
    const algorithm = spec.checksum?.algorithm ?? null
    const { head, at } = await writePart(request, number, size === 0 ? new Uint8Array() : bodyOf(await opened.open(range)), { size, etag: null, ...sealOf(spec), ...(algorithm === null ? {} : { want: { digests: { [algorithm]: null } } }) }, algorithm)
    const value = algorithm === null ? undefined : head.digests?.[algorithm]
    return xmlResponse(element('CopyPartResult', leaf('LastModified', s3Time(at)), leaf('ETag', `"${head.etag}"`), algorithm === null || value === undefined ? '' : leaf(`Checksum${algorithm.toUpperCase()}`, value)), 200, { ...sealedHeaders(head.sealed), ...(source.version === null ? {} : { 'x-amz-copy-source-version-id': source.version }) })
  } catch (error) {
    opened.drop()
    throw error
  }
}

function rangeOf(text: string, size: number): [number, number] {
  const match = /^bytes=(\d+)-(\d+)$/.exec(text)
  const [first, last] = [Number(match?.[1]), Number(match?.[2])]
  if (match === null || first > last) throw s3Fault('InvalidArgument', 'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy', { ArgumentName: 'x-amz-copy-source-range', ArgumentValue: text })
  if (last >= size) throw s3Fault('InvalidArgument', `Range specified is not valid for source object of size: ${size}`, { ArgumentName: 'x-amz-copy-source-range', ArgumentValue: text })
  return [first, last]
}

/** All parts of an upload, in the order of their numbers. */
async function partsOf(request: S3Request): Promise<Part[]> {
  const prefix = `${request.key}/${idOf(request)}/`
  try {
    const { entries } = await request.container(segmentsOf(request.bucketName)).list({ limit: PARTS_MAX, marker: '', end_marker: '', prefix, delimiter: '', reverse: false, path: null })
    return entries.filter((entry): entry is ObjectRow => !isSubdir(entry)).map((row) => ({ number: Number(row.name.slice(prefix.length)), row })).sort((a, b) => a.number - b.number)
  } catch (error) {
    if (isFault(error, 'not_found')) return []
    throw error
  }
}

export async function listParts(request: S3Request): Promise<Response> {
  await request.authorize({ action: 's3:ListMultipartUploadParts', level: 'object', operation: 'put' })
  const { spec } = await uploadOf(request)
  const [limit, after] = [countOf(request, 'max-parts', 1_000), countOf(request, 'part-number-marker', PARTS_MAX)]
  const marker = request.query.has('part-number-marker') ? after : 0
  const rest = (await partsOf(request)).filter(({ number }) => number > marker)
  const shown = rest.slice(0, limit)
  const algorithm = spec.checksum?.algorithm ?? null
  const partXml = ({ number, row }: Part) => {
    const value = algorithm === null ? null : checksumOfPart(row, algorithm)
    return element('Part', leaf('PartNumber', number), leaf('LastModified', s3Time(row.modified_at)), leaf('ETag', `"${row.etag}"`), leaf('Size', row.size), value === null || algorithm === null ? '' : leaf(`Checksum${algorithm.toUpperCase()}`, value))
  }
  return xmlResponse(element('ListPartsResult', leaf('Bucket', request.bucketName), leaf('Key', asked(request).name(request.key)), leaf('UploadId', idOf(request)), element('Initiator', leaf('ID', spec.owner), leaf('DisplayName', spec.owner)), ownerXml(request), leaf('StorageClass', 'STANDARD'),
    leaf('PartNumberMarker', marker), leaf('NextPartNumberMarker', shown.at(-1)?.number ?? 0), leaf('MaxParts', limit), leaf('IsTruncated', rest.length > limit), optional('EncodingType', request.query.get('encoding-type')),
    spec.checksum === null ? '' : `${leaf('ChecksumAlgorithm', spec.checksum.algorithm.toUpperCase())}${leaf('ChecksumType', spec.checksum.type)}`, ...shown.map(partXml)))
}

// ---------------------------------------------------------------- the end

interface Listed {
  number: number
  etag: string
  checksums: Partial<Record<DigestName, string>>
}

function parseComplete(text: string): Listed[] {
  const root = parseXml(text, 'CompleteMultipartUpload')
  onlyChildren(root, ['Part'])
  const parts = childrenOf(root, 'Part').map((node): Listed => {
    onlyChildren(node, ['PartNumber', 'ETag', ...DIGESTS.map((name) => `Checksum${name.toUpperCase()}`)])
    const number = Number(needText(node, 'PartNumber').trim())
    if (!Number.isInteger(number) || number < 1 || number > PARTS_MAX) throw s3Fault('InvalidPart')
    const checksums = Object.fromEntries(DIGESTS.flatMap((name) => {
      const value = textOf(node, `Checksum${name.toUpperCase()}`)
      return value === undefined ? [] : [[name, value]]
    })) as Listed['checksums']
    return { number, etag: needText(node, 'ETag').trim().replace(/^"(.*)"$/, '$1').toLowerCase(), checksums }
  })
  if (parts.length === 0 || parts.length > PARTS_MAX) throw s3Fault('MalformedXML')
  for (let at = 1; at < parts.length; at++) if ((parts[at]?.number ?? 0) <= (parts[at - 1]?.number ?? 0)) throw s3Fault('InvalidPartOrder')
  return parts
}

function chosen(listed: Listed[], there: Part[], id: string): Part[] {
  const byNumber = new Map(there.map((part) => [part.number, part]))
  const parts = listed.map(({ number, etag, checksums }): Part => {
    const part = byNumber.get(number)
    const wrong = (name: DigestName) => checksums[name] !== undefined && part !== undefined && checksumOfPart(part.row, name) !== checksums[name]
    if (part === undefined || part.row.etag !== etag || DIGESTS.some(wrong)) throw s3Fault('InvalidPart', undefined, { UploadId: id, PartNumber: String(number), ETag: etag })
    return part
  })
  const small = parts.slice(0, -1).find(({ row }) => row.size < PART_BYTES_MIN)
  if (small !== undefined) throw s3Fault('EntityTooSmall', undefined, { ProposedSize: String(small.row.size), MinSizeAllowed: String(PART_BYTES_MIN), PartNumber: String(small.number), ETag: small.row.etag })
  return parts
}

const resultXml = (request: S3Request, etag: string, checksum: { algorithm: DigestName; value: string; type: string } | null): string =>
  element('CompleteMultipartUploadResult', leaf('Location', `${request.ctx.origin}/${request.bucketName}/${request.key}`), leaf('Bucket', request.bucketName), leaf('Key', request.key), leaf('ETag', `"${etag}"`),
    checksum === null ? '' : `${leaf(`Checksum${checksum.algorithm.toUpperCase()}`, checksum.value)}${leaf('ChecksumType', checksum.type)}`)

export async function completeUpload(request: S3Request): Promise<Response> {
  await request.authorize(PUT)
  const listed = parseComplete(await readText(request))
  const id = idOf(request)
  const found = await uploadOf(request).catch(async (error: unknown) => {
    // The answer to an earlier try was lost: the object is there.
    const row = await request.container().object(request.key)
    if (row?.extra?.['s3-upload'] === `${request.key}/${id}`) return row
    throw error
  })
  if (!('spec' in found)) return xmlResponse(resultXml(request, etagOfRow(found), null))
  const { spec } = found
  const there = await partsOf(request)
  const parts = chosen(listed, there, id)
  const size = parts.reduce((sum, { row }) => sum + row.size, 0)
  if (size > OBJECT_TOTAL_BYTES_MAX) throw s3Fault('EntityTooLarge')
  const declared = request.headers.get('x-amz-mp-object-size')
  if (declared !== null && Number(declared) !== size) throw s3Fault('InvalidRequest', `The provided 'x-amz-mp-object-size' header value ${declared} does not match what was computed: ${size}`)
  const etag = multipartEtag(parts.map(({ row }) => row.etag))
  const value = spec.checksum === null ? null : checksumOfParts(parts, spec.checksum.algorithm, spec.checksum.type)
  const checksum = spec.checksum === null || value === null ? null : { ...spec.checksum, value }
  const given = spec.checksum === null ? null : request.headers.get(`x-amz-checksum-${spec.checksum.algorithm}`)
  if (given !== null && checksum !== null && given.replace(/-\d+$/, '') !== checksum.value.replace(/-\d+$/, '')) throw s3Fault('BadDigest', `The ${checksum.algorithm.toUpperCase()} you specified did not match the calculated checksum.`)
  const { head, begun } = await writeManifest(request, spec, parts, { size, etag, checksum })
  await request.container().s3EndUpload(request.key, id, false)
  await removeParts(request, there.filter((part) => !parts.includes(part)))
  return xmlResponse(resultXml(request, etag, checksum), 200, { ...versionHeaders(begun), ...sealedHeaders(head?.sealed) })
}

async function writeManifest(request: S3Request, spec: Spec, parts: Part[], whole: { size: number; etag: string; checksum: { algorithm: DigestName; value: string; type: ChecksumType } | null }) {
  const segments = manifestOf(segmentsOf(request.bucketName), parts)
  const slo = { size: whole.size, etag: sloEtag(segments) }
  const body = new TextEncoder().encode(JSON.stringify(segments))
  const sum = whole.checksum === null ? null : `${whole.checksum.algorithm} ${whole.checksum.value} ${whole.checksum.type}`
  const metadata: Metadata = {
    ...spec.metadata, 'X-Static-Large-Object': 'True', 'X-Object-Sysmeta-Slo-Etag': slo.etag, 'X-Object-Sysmeta-Slo-Size': String(slo.size), [ETAG_META]: whole.etag, ...(sum === null ? {} : { [CHECKSUM_META]: sum }),
  }
  const extra = { ...spec.extra, 's3-etag': whole.etag, 's3-upload': `${request.key}/${idOf(request)}`, ...(sum === null ? {} : { 's3-checksum': sum }) }
  return await writeInto(request, request.name, whole.size, (begun) => commitWrite(request.env, begun, body, { metadata, content_type: spec.content_type, size: body.byteLength, etag: null, slo, extra, ...sealOf(spec) }, request.now_ms), true)
}

async function removeParts(request: S3Request, parts: Part[]): Promise<void> {
  for (let at = 0; at < parts.length; at += DELETES_AT_ONCE) {
    await Promise.all(parts.slice(at, at + DELETES_AT_ONCE).map(({ row }) => removeObject(request.env, { account: request.account, container: segmentsOf(request.bucketName), object: row.name }, request.now_ms)))
  }
}

export async function abortUpload(request: S3Request): Promise<Response> {
  await request.authorize({ action: 's3:AbortMultipartUpload', level: 'object', operation: 'put' })
  await uploadOf(request)
  // No part is taken from here on; one that is under way is swept later.
  await request.container().s3EndUpload(request.key, idOf(request), true)
  await removeParts(request, await partsOf(request))
  return new Response(null, { status: 204 })
}

// ---------------------------------------------------------------- listing

/** Uploads read at once where a delimiter folds them. */
const UPLOADS_PAGE = 1_000

export async function listUploads(request: S3Request): Promise<Response> {
  await request.authorize({ action: 's3:ListBucketMultipartUploads', level: 'container', operation: 'post' }, null)
  const { prefix, delimiter, limit, name, encoding } = asked(request, 'max-uploads')
  const [keyMarker, idMarker] = [request.query.get('key-marker') ?? '', request.query.get('upload-id-marker') ?? '']
  const shown: (Upload | { folded: string })[] = []
  let [key_marker, id_marker] = [keyMarker, idMarker]
  let more = true
  while (more && shown.length <= limit) {
    const rows = await request.container().s3Uploads({ prefix, key_marker, id_marker, limit: UPLOADS_PAGE })
    for (const row of rows) {
      const at = delimiter === '' ? -1 : row.key.indexOf(delimiter, prefix.length)
      const folded = at < 0 ? null : row.key.slice(0, at + delimiter.length)
      const last = shown.at(-1)
      if (folded === null) shown.push(row)
      else if (!(last !== undefined && 'folded' in last && last.folded === folded) && folded !== keyMarker) shown.push({ folded })
    }
    more = rows.length === UPLOADS_PAGE
    ;[key_marker, id_marker] = [rows.at(-1)?.key ?? '', rows.at(-1)?.id ?? '']
  }
  const page = shown.slice(0, limit)
  const last = page.at(-1)
  const truncated = shown.length > limit
  const next = !truncated || last === undefined ? '' : 'folded' in last ? leaf('NextKeyMarker', name(last.folded)) : `${leaf('NextKeyMarker', name(last.key))}${leaf('NextUploadIdMarker', last.id)}`
  const uploadXml = ({ key, id, at_ms, spec }: Upload) => {
    const { owner, checksum } = JSON.parse(spec) as Spec
    return element('Upload', leaf('Key', name(key)), leaf('UploadId', id), element('Initiator', leaf('ID', owner), leaf('DisplayName', owner)), ownerXml(request), leaf('StorageClass', 'STANDARD'), leaf('Initiated', s3TimeOfMs(at_ms)), checksum === null ? '' : `${leaf('ChecksumAlgorithm', checksum.algorithm.toUpperCase())}${leaf('ChecksumType', checksum.type)}`)
  }
  return xmlResponse(element('ListMultipartUploadsResult', leaf('Bucket', request.bucketName), leaf('KeyMarker', name(keyMarker)), leaf('UploadIdMarker', idMarker), next, optional('Delimiter', delimiter === '' ? null : name(delimiter)), leaf('Prefix', name(prefix)), leaf('MaxUploads', limit), optional('EncodingType', encoding),
    leaf('IsTruncated', truncated), ...page.map((entry) => ('folded' in entry ? element('CommonPrefixes', leaf('Prefix', name(entry.folded))) : uploadXml(entry)))))
}
