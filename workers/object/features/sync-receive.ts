/**
 * What another cluster copies here (swift/common/middleware/container_sync.py): signed with the realm's key and the container's secret, which stand for any token, and with
 * the time of the write there. Something newer stays; the same thing twice is once.
 */
import { isFault } from '../../../schema/values/fault.ts'
import { versioningOf } from '../container/rows.ts'
import { swiftFault } from '../errors.ts'
import { contentTypeOf, type Metadata, objectMetadata } from '../headers.ts'
import { checkObjectName, containerKey, rawPath } from '../names.ts'
import { MANIFEST_BYTES_MAX, type Segment, segmentLength, sloEtag, sloOf } from '../object/large.ts'
import { bodySize } from '../object/put.ts'
import { openStored } from '../object/read.ts'
import { beginWrite, commitWrite, isSuperseded, type WriteOptions } from '../object/write.ts'
import { deleteReplicas } from '../replicas.ts'
import { empty, type SwiftRequest } from '../request.ts'
import { httpDate, isFuture } from '../timestamp.ts'
import { checkQuotas } from './quotas.ts'
import { SEGMENTS_MAX } from './slo.ts'
import { linkOf } from './symlink.ts'
import { isSyncSignature, realmsOf } from './sync-realms.ts'

export const isSynced = (request: SwiftRequest): boolean => request.headers.get('x-container-sync-auth') !== null

const refused = () => swiftFault(401, 'X-Container-Sync-Auth header not valid; contact cluster operator for support.')

/** The time that it has there. */
async function admitted(request: SwiftRequest): Promise<string> {
  const { account, container } = request.objectName
  const [realm = '', nonce = '', signature = '', ...more] = (request.headers.get('x-container-sync-auth') ?? '').trim().split(/\s+/)
  const timestamp = request.headers.get('x-timestamp') ?? ''
  const known = realmsOf(request.env)[realm.toUpperCase()]
  // As it is now, not as it was a second ago: a secret that was changed is no secret any more.
  const info = await request.env.CONTAINER.getByName(containerKey(account, container)).info()
  const secret = info?.metadata['x-container-sync-key'] ?? ''
  if (known === undefined || secret === '' || more.length > 0) throw refused()
  if (!isSyncSignature(signature, known, request.request.method, rawPath(request.request.url), timestamp, nonce, secret)) throw refused()
  if (!/^\d{10}\.\d{5}$/.test(timestamp) || isFuture(timestamp, request.now_ms)) throw swiftFault(400, 'X-Timestamp is no time of the past')
  return timestamp
}

/** A static manifest in Swift's own form: its segments may come later. */
async function manifestOf(request: SwiftRequest): Promise<{ body: Uint8Array; metadata: Metadata }> {
  const bytes = new Uint8Array(await request.request.arrayBuffer())
  if (bytes.byteLength > MANIFEST_BYTES_MAX) throw swiftFault(413, `Manifest File > ${MANIFEST_BYTES_MAX} bytes`)
  let segments: Segment[]
  try {
    segments = JSON.parse(new TextDecoder().decode(bytes)) as Segment[]
  } catch {
    throw swiftFault(400, 'Manifest must be valid JSON.\n')
  }
  const isSegment = (one: Segment | null) => typeof one === 'object' && one !== null && (typeof one.data === 'string' || (typeof one.name === 'string' && /^\/[^/]+\/.+/s.test(one.name) && Number.isInteger(one.bytes) && typeof one.hash === 'string')) && (one.range === undefined || /^\d+-\d+$/.test(String(one.range)))
  if (!Array.isArray(segments) || segments.length === 0 || segments.length > SEGMENTS_MAX || !segments.every(isSegment)) throw swiftFault(400, 'This is no stored manifest.\n')
  return { body: bytes, metadata: { 'X-Static-Large-Object': 'True', 'X-Object-Sysmeta-Slo-Etag': sloEtag(segments), 'X-Object-Sysmeta-Slo-Size': String(segments.reduce((sum, segment) => sum + segmentLength(segment), 0)) } }
}

/** A link, where it is one. */
function linkMetadata(request: SwiftRequest): Metadata {
  const metadata: Metadata = {}
  for (const name of ['Target', 'Target-Account', 'Target-Etag']) {
    const value = request.headers.get(`x-symlink-${name.toLowerCase()}`)
    if (value !== null) metadata[`X-Object-Sysmeta-Symlink-${name}`] = value
  }
  linkOf(metadata, request.names.account)
  return metadata
}

export async function receivePut(request: SwiftRequest): Promise<Response> {
  const timestamp = await admitted(request)
  const name = request.objectName
  checkObjectName(name.object)
  const begun = await beginWrite(request.env, name)
  if (versioningOf(begun.info) !== 'never') throw swiftFault(400, 'A container that is synced from another one cannot be versioned.')
  if (begun.existing !== null && begun.existing.modified_at >= timestamp) return empty(202, { 'last-modified': httpDate(begun.existing.at) })
  const manifest = request.query.get('multipart-manifest') === 'put' || request.flag('x-static-large-object') ? await manifestOf(request) : null
  const metadata: Metadata = { ...objectMetadata(request.headers, request.now_s), ...linkMetadata(request), ...manifest?.metadata }
  const size = manifest === null ? bodySize(request.request) : manifest.body.byteLength
  await checkQuotas(request, begun, size)
  const etag = request.headers.get('etag')?.replace(/"/g, '').toLowerCase() ?? null
  const options: WriteOptions = { metadata, content_type: contentTypeOf(request.headers, name.object), size, etag, ...sloOf(metadata) }
  const body = manifest?.body ?? (request.request.body as ReadableStream<Uint8Array> | null)
  try {
    const head = await commitWrite(request.env, { ...begun, timestamp }, body, options, request.now_ms)
    return empty(201, { etag: head.etag, 'last-modified': httpDate(timestamp) })
  } catch (error) {
    if (isSuperseded(error)) return empty(202, { 'last-modified': httpDate(timestamp) })
    throw error
  }
}

/** Asked before bytes are sent: when what is here was last changed. A manifest or a link is told as it is stored. */
export async function receiveHead(request: SwiftRequest): Promise<Response> {
  await admitted(request)
  const stored = await openStored(request.env, request.objectName, false, request.now_ms)
  if (stored === null) throw swiftFault(404)
  const { timestamp, size, etag, content_type } = stored
  return empty(200, { 'x-timestamp': timestamp, 'content-length': String(size), etag, 'content-type': content_type, 'last-modified': httpDate(timestamp) })
}

export async function receiveDelete(request: SwiftRequest): Promise<Response> {
  const timestamp = await admitted(request)
  const name = request.objectName
  const { info, existing } = await beginWrite(request.env, name)
  if (versioningOf(info) !== 'never') throw swiftFault(400, 'A container that is synced from another one cannot be versioned.')
  if (existing !== null && existing.at > timestamp) throw swiftFault(409)
  try {
    await deleteReplicas(request.env, name, info.policy, timestamp, request.now_ms)
  } catch (error) {
    if (isFault(error, 'conflict')) throw swiftFault(409)
    throw error
  }
  const listed = await request.env.CONTAINER.getByName(containerKey(name.account, name.container)).deleteObject(name.object, timestamp)
  return empty(listed ? 204 : 404)
}
