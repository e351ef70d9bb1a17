/** DeleteObject and DeleteObjects: what is current, or one version; locks are held to. */
import { isFault } from '../../../../schema/values/fault.ts'
import { versionId, versioningOf } from '../../container/rows.ts'
import { restoreVersion } from '../../features/versions.ts'
import { beginWrite, removeCurrent, removeVersion } from '../../object/write.ts'
import { deleteReplicas } from '../../replicas.ts'
import { KEY_BYTES_MAX } from '../address.ts'
import { readText } from '../body.ts'
import { s3Fault, told } from '../errors.ts'
import { element, leaf, optional, xmlResponse } from '../markup.ts'
import { checkBegun } from '../onsite.ts'
import type { S3Request } from '../request.ts'
import { etagOfRow } from '../store.ts'
import { childrenOf, onlyChildren, parseXml, textOf } from '../xml.ts'
import { checkVersionId } from './get.ts'
import { isLocked } from './lock.ts'

export const DELETES_MAX = 1_000
/** Deletions that go on at the same time: each asks a container and its hosts. */
const DELETES_AT_ONCE = 6

interface Removed {
  /** The version that went, or the marker that came. */
  version: string | null
  marker: boolean
}

/** Removes a key or one version of it. What is not there is removed already. */
async function remove(request: S3Request, key: string, id: string | null, ifMatch: string | null): Promise<Removed> {
  const name = { account: request.account, container: request.bucketName, object: key }
  const begun = await beginWrite(request.env, name)
  checkBegun(request.env.DOOR_S3 !== undefined, 'DELETE', begun.info)
  if (ifMatch !== null && (begun.existing === null || (ifMatch !== '*' && etagOfRow(begun.existing) !== ifMatch))) throw s3Fault('PreconditionFailed')
  const versioning = versioningOf(begun.info)
  if (id !== null && (id !== 'null' || versioning !== 'never')) return await removeOne(request, begun, id)
  if (versioning === 'never' && (await restoreVersion(request, begun))) return { version: null, marker: false }
  if (versioning === 'suspended') return await markNull(request, key)
  const { marker } = await removeCurrent(request.env, begun, request.now_ms)
  return { version: marker, marker: marker !== null }
}

async function removeOne(request: S3Request, begun: Awaited<ReturnType<typeof beginWrite>>, id: string): Promise<Removed> {
  const bypass = request.headers.get('x-amz-bypass-governance-retention')?.toLowerCase() === 'true'
  if (bypass) await request.authorize({ action: 's3:BypassGovernanceRetention', level: 'container', operation: 'post' }, begun.name.object)
  try {
    const removed = await removeVersion(request.env, begun, id, true, request.now_ms, bypass)
    return { version: id, marker: removed?.deleted === true }
  } catch (error) {
    if (isFault(error, 'forbidden')) throw s3Fault('AccessDenied', 'Access Denied because object protected by object lock.')
    throw error
  }
}

/** While versioning is suspended a deletion leaves the null marker; the null version's bytes go, unless they are locked. */
async function markNull(request: S3Request, key: string): Promise<Removed> {
  const name = { account: request.account, container: request.bucketName, object: key }
  const container = request.container()
  const found = await container.version(key, 'null')
  const begun = await beginWrite(request.env, name)
  if (found !== null && isLocked(found.extra, request.now_ms, false)) throw s3Fault('AccessDenied', 'Access Denied because object protected by object lock.')
  if (found !== null && !found.deleted) await deleteReplicas(request.env, name, begun.info.policy, begun.timestamp, request.now_ms)
  await container.markDeleted(key, begun.timestamp, '')
  return { version: 'null', marker: true }
}

const rightOf = (id: string | null) => ({ action: id === null ? 's3:DeleteObject' : 's3:DeleteObjectVersion', level: 'object' as const, operation: 'delete' as const })

export async function deleteObject(request: S3Request): Promise<Response> {
  const id = request.query.get('versionId')
  checkVersionId(id)
  await request.authorize(rightOf(id))
  const ifMatch = request.headers.get('if-match')
  const removed = await remove(request, request.key, id, ifMatch === null ? null : ifMatch.trim().replace(/^"(.*)"$/, '$1'))
  return new Response(null, { status: 204, headers: { ...(removed.version === null ? {} : { 'x-amz-version-id': versionId(removed.version) }), ...(removed.marker ? { 'x-amz-delete-marker': 'true' } : {}) } })
}

interface Wanted {
  key: string
  id: string | null
  etag: string | null
}

export async function deleteObjects(request: S3Request): Promise<Response> {
  await request.bucket()
  const root = parseXml(await readText(request, true), 'Delete')
  onlyChildren(root, ['Object', 'Quiet'])
  const wanted = childrenOf(root, 'Object').map((node): Wanted => {
    const key = node.children.find((child) => child.name === 'Key')?.text
    if (key === undefined || key === '' || new TextEncoder().encode(key).byteLength > KEY_BYTES_MAX) throw s3Fault('MalformedXML')
    return { key, id: textOf(node, 'VersionId') || null, etag: textOf(node, 'ETag')?.replace(/"/g, '') ?? null }
  })
  if (wanted.length === 0 || wanted.length > DELETES_MAX) throw s3Fault('MalformedXML')
  const quiet = textOf(root, 'Quiet') === 'true'
  const results: string[] = []
  for (let at = 0; at < wanted.length; at += DELETES_AT_ONCE) results.push(...(await Promise.all(wanted.slice(at, at + DELETES_AT_ONCE).map((one) => deleteOne(request, one, quiet)))))
  return xmlResponse(element('DeleteResult', ...results))
}

async function deleteOne(request: S3Request, { key, id, etag }: Wanted, quiet: boolean): Promise<string> {
  try {
    checkVersionId(id)
    await request.authorize(rightOf(id), key)
    const removed = await remove(request, key, id, etag)
    if (quiet) return ''
    return element('Deleted', leaf('Key', key), optional('VersionId', id), removed.marker ? `${leaf('DeleteMarker', true)}${leaf('DeleteMarkerVersionId', versionId(removed.version ?? ''))}` : '')
  } catch (error) {
    if (!isFault(error)) throw error
    const { code, message } = told(error)
    return element('Error', leaf('Key', key), optional('VersionId', id), leaf('Code', code), leaf('Message', message))
  }
}

