/** PUT, POST and DELETE of an object, and both ways to copy one. */
import { isFault } from '../../../schema/values/fault.ts'
import { precondition } from '../conditions.ts'
import { storedName } from '../container/rows.ts'
import { swiftFault } from '../errors.ts'
import { putManifest } from '../features/slo.ts'
import { deleteSlo, expireSegments } from '../features/bulk-delete.ts'
import { checkQuotas } from '../features/quotas.ts'
import { linkOf, linkPath, putLink } from '../features/symlink.ts'
import { keepVersion, restoreVersion } from '../features/versions.ts'
import { LIMITS, type Metadata, contentTypeOf, isTrue, objectMetadata } from '../headers.ts'
import { sized } from '../listing.ts'
import { type ObjectName, checkObjectName, containerKey, decodeName, quotePath, splitContainerObject } from '../names.ts'
import { postReplicas } from '../replicas.ts'
import { type SwiftRequest, empty } from '../request.ts'
import { httpDate, msOf } from '../timestamp.ts'
import { metadataHeaders } from './get.ts'
import { openObject, sloOf } from './large.ts'
import { type Opened, bodyOf, openStored } from './read.ts'
import { deleteVersion, putVersion, versionAsked } from './version.ts'
import { type WriteOptions, beginWrite, commitWrite, isSuperseded, removeCurrent, versionWritten, tellListing } from './write.ts'

/** Bytes that will come, null for a chunked body. Neither a length nor a body is a 411. */
export function bodySize(request: Request): number | null {
  const given = request.headers.get('content-length')
  if (given === null) {
    if (request.body === null) throw swiftFault(411, 'Missing Content-Length header.')
    return null
  }
  if (!/^\d+$/.test(given)) throw swiftFault(400, 'Invalid Content-Length header value')
  const size = Number(given)
  if (size > LIMITS.max_file_size) throw swiftFault(413)
  return size
}

/** The client's MD5 of the body, quotes allowed. */
function etagOf(headers: Headers): string | null {
  const given = headers.get('etag')
  if (given === null || given === '') return null
  return given.trim().replace(/^"(.*)"$/, '$1').toLowerCase()
}

const source412 = () => swiftFault(412, 'X-Copy-From header must be of the form <container name>/<object name>')

export async function putObject(request: SwiftRequest): Promise<Response> {
  const name = request.objectName
  await request.needIn('object', 'put', name.container, name.object)
  checkObjectName(name.object)
  const version = await versionAsked(request)
  if (version !== undefined) return await putVersion(request, version)
  if (request.query.get('multipart-manifest') === 'put') return await putManifest(request)
  if (request.headers.get('x-symlink-target') !== null) return await putLink(request, name)
  if (request.headers.get('x-static-large-object') !== null) throw swiftFault(400, 'X-Static-Large-Object is a reserved header. To create a static large object add query param multipart-manifest=put.')
  const from = request.headers.get('x-copy-from')
  if (from !== null) {
    if (Number(request.headers.get('content-length') ?? 0) !== 0) throw swiftFault(400, 'Copy requests require a zero byte body')
    const { container, object } = splitContainerObject(decodeName(from), source412)
    const account = decodeName(request.headers.get('x-copy-from-account') ?? name.account)
    return await copy(request, { account, container, object }, name)
  }
  const size = bodySize(request.request)
  const options: WriteOptions = { metadata: objectMetadata(request.headers, request.now_s), content_type: contentTypeOf(request.headers, name.object), size, etag: etagOf(request.headers) }
  return await store(request, name, request.request.body as ReadableStream<Uint8Array> | null, options)
}

/** Checks what the container says, writes, and answers as a PUT does. */
export async function store(request: SwiftRequest, name: ObjectName, body: ReadableStream<Uint8Array> | Uint8Array | null, options: WriteOptions, extra: Record<string, string> = {}): Promise<Response> {
  const noneMatch = request.headers.get('if-none-match')
  if (noneMatch !== null && noneMatch.trim() !== '*') throw swiftFault(400, 'If-None-Match only supports *')
  const begun = await beginWrite(request.env, name)
  const found = begun.existing === null ? null : { etag: begun.existing.etag, modified_ms: Math.ceil(msOf(begun.existing.modified_at) / 1000) * 1000 }
  if (request.request.method === 'PUT' && request.headers.get('x-copy-from') === null && precondition(request.headers, found, false) === 412) throw swiftFault(412)
  await checkQuotas(request, begun, options.size)
  await keepVersion(request, begun)
  try {
    const head = await commitWrite(request.env, begun, body, options, request.now_ms)
    const version = versionWritten(begun)
    return empty(201, { ...(version === '' ? {} : { 'x-object-version-id': version }), etag: options.slo === undefined ? head.etag : `"${options.slo.etag}"`, 'last-modified': httpDate(begun.timestamp), ...extra })
  } catch (error) {
    if (isSuperseded(error)) return empty(202, { 'last-modified': httpDate(begun.timestamp), ...extra })
    throw error
  }
}

// ---------------------------------------------------------------- copies

export async function copyObject(request: SwiftRequest): Promise<Response> {
  const fault = () => swiftFault(412, 'Destination header must be of the form <container name>/<object name>')
  const destination = request.headers.get('destination')
  if (destination === null) throw swiftFault(412, 'Destination header required')
  const { container, object } = splitContainerObject(decodeName(destination), fault)
  const account = decodeName(request.headers.get('destination-account') ?? request.names.account)
  checkObjectName(object)
  await request.needIn('object', 'put', container, object, account)
  return await copy(request, request.objectName, { account, container, object })
}

/** What a copy takes along besides user metadata. */
const CARRIED = /^(content-disposition|content-encoding|content-language|cache-control|expires|x-robots-tag|x-delete-at)$/i

async function copy(request: SwiftRequest, source: ObjectName, target: ObjectName): Promise<Response> {
  await request.needIn('object', 'get', source.container, source.object, source.account)
  const raw = request.query.get('multipart-manifest') === 'get'
  const link = request.query.get('symlink') === 'get'
  const version = request.request.method === 'COPY' ? await versionAsked(request) : undefined
  const opened = await openObject(request, source, { withBody: true, raw, ...(link ? { link: 'get' as const } : {}), ...(version === undefined ? {} : { version }) })
  if (opened === null) throw swiftFault(404)
  if (opened.size > LIMITS.max_file_size) {
    opened.drop()
    throw swiftFault(413)
  }
  const metadata = copiedMetadata(request, opened, raw, link)
  const content_type = request.headers.get('content-type') !== null && request.request.method === 'PUT' ? contentTypeOf(request.headers, target.object) : (request.headers.get('content-type') ?? opened.content_type)
  const slo = opened.kind === 'manifest' || link ? sloOf(opened.metadata) : {}
  const extra: Record<string, string> = {
    ...metadataHeaders(metadata), 'x-copied-from': quotePath(`${source.container}/${source.object}`), 'x-copied-from-account': quotePath(source.account), 'x-copied-from-last-modified': httpDate(opened.timestamp),
  }
  const body = opened.size === 0 ? new Uint8Array() : bodyOf(await opened.open(null))
  return await store(request, target, body, { metadata, content_type, size: opened.size, etag: etagOf(request.headers), ...slo }, extra)
}

function copiedMetadata(request: SwiftRequest, opened: Opened, raw: boolean, link: boolean): Metadata {
  const given = objectMetadata(request.headers, request.now_s)
  const kept: Metadata = {}
  const fresh = isTrue(request.headers.get('x-fresh-metadata'))
  for (const [name, value] of Object.entries(opened.metadata)) {
    const lower = name.toLowerCase()
    if (!fresh && (lower.startsWith('x-object-meta-') || CARRIED.test(lower))) kept[name] = value
    if (link && lower.startsWith('x-object-sysmeta-symlink-')) kept[name] = value
    if (raw && (lower === 'x-static-large-object' || lower.startsWith('x-object-sysmeta-slo-') || lower === 'x-object-manifest')) kept[name] = value
  }
  return { ...kept, ...given }
}

// ---------------------------------------------------------------- metadata and deletion

export async function postObject(request: SwiftRequest): Promise<Response> {
  const name = request.objectName
  await request.needIn('object', 'post', name.container, name.object)
  if ((await versionAsked(request)) !== undefined) throw swiftFault(400, 'POST to a specific version is not allowed')
  if (request.headers.get('x-symlink-target') !== null) throw swiftFault(400, 'A PUT request is required to set a symlink target')
  const metadata = objectMetadata(request.headers, request.now_s)
  const begun = await beginWrite(request.env, name)
  const current = await openStored(request.env, name, false, request.now_ms)
  if (current === null) throw swiftFault(404)
  const given = request.headers.get('content-type')
  const content_type = given !== null && given !== '' ? given : current.content_type
  try {
    await postReplicas(request.env, storedName(name, begun.existing?.version ?? ''), begun.info.policy, begun.timestamp, { ...metadata, 'Content-Type': content_type }, request.now_ms)
  } catch (error) {
    if (!isFault(error, 'conflict')) throw error
  }
  const deleteAt = metadata['X-Delete-At']
  const delete_at = deleteAt === undefined ? null : Number(deleteAt)
  const tell = () => request.env.CONTAINER.getByName(containerKey(name.account, name.container)).postObject(name.object, begun.timestamp, content_type, delete_at)
  await tellListing(request.env, name, begun.info.policy, { op: 'post', timestamp: begun.timestamp, row: { content_type, delete_at } }, tell, request.now_ms)
  const link = linkOf(current.metadata, name.account)
  if (link === null) return empty(202)
  const text = 'The requested POST was applied to a symlink. POST directly to the target to apply requested metadata.'
  return sized(text, { 'content-type': 'text/plain; charset=UTF-8', location: linkPath(link.target), ...(link.etag === null ? {} : { 'x-symlink-target-etag': link.etag }) }, 307)
}

export async function deleteObject(request: SwiftRequest): Promise<Response> {
  const name = request.objectName
  await request.needIn('object', 'delete', name.container, name.object)
  const version = await versionAsked(request)
  if (request.query.get('multipart-manifest') === 'delete') {
    if (version !== undefined || !isTrue(request.query.get('async'))) return await deleteSlo(request, version)
    await expireSegments(request)
  }
  if (version !== undefined) return await deleteVersion(request, version)
  const begun = await beginWrite(request.env, name)
  if (await restoreVersion(request, begun)) return empty(204)
  const { existed, marker } = await removeCurrent(request.env, begun, request.now_ms)
  const headers: Record<string, string> = marker === null ? {} : { 'x-object-version-id': marker }
  if (!existed) throw swiftFault(404, undefined, headers)
  return empty(204, headers)
}

