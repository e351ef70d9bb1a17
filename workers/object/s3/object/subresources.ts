/** What hangs on an object beside its bytes, kept with its row: tags, access control list, retention, legal hold. */
import type { VersionRow } from '../../container/rows.ts'
import { versionId } from '../../container/rows.ts'
import { type Grant, aclXml, grantsOfHeaders, grantsOfXml, ownerGrant } from '../acl.ts'
import { readText } from '../body.ts'
import { s3Fault } from '../errors.ts'
import type { Bucket } from '../known.ts'
import { element, leaf, xmlResponse } from '../markup.ts'
import type { S3Request } from '../request.ts'
import { s3TimeOfMs } from '../time.ts'
import { type XmlNode, childOf, childrenOf, needText, onlyChildren, parseXml, textOf } from '../xml.ts'
import { checkVersionId } from './get.ts'
import { isHeld, retentionOf } from './lock.ts'
import { lockConfigOf, parseRetention, tagsText } from './metadata.ts'
import { noteTags } from './store-body.ts'

const idOf = (request: S3Request): string | null => {
  const id = request.query.get('versionId')
  checkVersionId(id)
  return id
}

const missing = (id: string | null, key: string) => s3Fault(id === null ? 'NoSuchKey' : 'NoSuchVersion', undefined, { Key: key })

async function rowOf(request: S3Request, id: string | null): Promise<VersionRow> {
  const row = id === null ? await request.container().latest(request.key) : await request.container().version(request.key, id)
  if (row === null || (row.deleted && id === null)) throw missing(id, request.key)
  if (row.deleted) throw s3Fault('MethodNotAllowed')
  return row
}

async function patch(request: S3Request, id: string | null, change: Record<string, string | null>): Promise<VersionRow> {
  const row = await request.container().patchExtra(request.key, id, change)
  if (row === null || row.deleted) throw missing(id, request.key)
  return row
}

const versionHeader = (bucket: Bucket, row: VersionRow): Record<string, string> => (bucket.info.metadata['x-versions-enabled'] === undefined ? {} : { 'x-amz-version-id': versionId(row.version) })
const right = (action: string, operation: 'get' | 'post') => ({ action: `s3:${action}`, level: 'object' as const, operation })
const versioned = (request: S3Request, action: string): string => (request.query.has('versionId') ? action.replace('Object', 'ObjectVersion') : action)

// ---------------------------------------------------------------- tags

export function tagsOfXml(text: string, count_max?: number): string {
  const root = parseXml(text, 'Tagging')
  onlyChildren(root, ['TagSet'])
  const set = childOf(root, 'TagSet')
  if (set === undefined) throw s3Fault('MalformedXML')
  onlyChildren(set, ['Tag'])
  return tagsText(childrenOf(set, 'Tag').map((tag): [string, string] => [needText(tag, 'Key'), needText(tag, 'Value')]), count_max)
}

export const tagsXml = (text: string): string => element('Tagging', element('TagSet', ...[...new URLSearchParams(text)].map(([key, value]) => element('Tag', leaf('Key', key), leaf('Value', value)))))

export async function getTagging(request: S3Request): Promise<Response> {
  const bucket = await request.authorize(right(versioned(request, 'GetObjectTagging'), 'get'))
  const row = await rowOf(request, idOf(request))
  return xmlResponse(tagsXml(row.extra?.['s3-tags'] ?? ''), 200, versionHeader(bucket, row))
}

export async function putTagging(request: S3Request): Promise<Response> {
  const bucket = await request.authorize(right(versioned(request, 'PutObjectTagging'), 'post'))
  const tags = tagsOfXml(await readText(request))
  await noteTags(request, bucket)
  const row = await patch(request, idOf(request), { 's3-tags': tags === '' ? null : tags })
  return new Response(null, { status: 200, headers: { 'content-length': '0', ...versionHeader(bucket, row) } })
}

export async function deleteTagging(request: S3Request): Promise<Response> {
  const bucket = await request.authorize(right(versioned(request, 'DeleteObjectTagging'), 'post'))
  const row = await patch(request, idOf(request), { 's3-tags': null })
  return new Response(null, { status: 204, headers: versionHeader(bucket, row) })
}

// ---------------------------------------------------------------- access control list

export async function getAcl(request: S3Request): Promise<Response> {
  const bucket = await request.authorize(right(versioned(request, 'GetObjectAcl'), 'get'))
  const row = await rowOf(request, idOf(request))
  const grants = row.extra?.['s3-acl'] === undefined ? [ownerGrant(request.owner)] : (JSON.parse(row.extra['s3-acl']) as Grant[])
  return xmlResponse(aclXml(request.owner, request.ownerName, grants), 200, versionHeader(bucket, row))
}

export async function putAcl(request: S3Request): Promise<Response> {
  const bucket = await request.authorize(right(versioned(request, 'PutObjectAcl'), 'post'))
  const text = await readText(request)
  const fromHeaders = grantsOfHeaders(request.headers, request.owner, request.owner)
  if (fromHeaders !== null && text.trim() !== '') throw s3Fault('UnexpectedContent')
  if (fromHeaders === null && text.trim() === '') throw s3Fault('MissingSecurityHeader', 'Your request was missing a required header: x-amz-acl', { MissingHeaderName: 'x-amz-acl' })
  const row = await patch(request, idOf(request), { 's3-acl': JSON.stringify(fromHeaders ?? grantsOfXml(text)) })
  return new Response(null, { status: 200, headers: { 'content-length': '0', ...versionHeader(bucket, row) } })
}

// ---------------------------------------------------------------- locks

function needLock(bucket: Bucket): void {
  if (lockConfigOf(bucket)?.enabled !== true) throw s3Fault('InvalidRequest', 'Bucket is missing Object Lock Configuration')
}

export async function getRetention(request: S3Request): Promise<Response> {
  const bucket = await request.authorize(right('GetObjectRetention', 'get'))
  needLock(bucket)
  const retention = retentionOf((await rowOf(request, idOf(request))).extra)
  if (retention === null) throw s3Fault('NoSuchObjectLockConfiguration')
  return xmlResponse(element('Retention', leaf('Mode', retention.mode), leaf('RetainUntilDate', s3TimeOfMs(retention.until_ms))))
}

export async function putRetention(request: S3Request): Promise<Response> {
  const bucket = await request.authorize(right('PutObjectRetention', 'post'))
  needLock(bucket)
  const id = idOf(request)
  const root = parseXml(await readText(request), 'Retention')
  onlyChildren(root, ['Mode', 'RetainUntilDate'])
  const wanted = root.children.length === 0 ? null : parseRetention(textOf(root, 'Mode'), textOf(root, 'RetainUntilDate'), request.now_ms)
  const now = retentionOf((await rowOf(request, id)).extra)
  if (now !== null && now.until_ms > request.now_ms) {
    // What is kept may be kept longer by anybody who may set it; compliance is never weakened, governance only by those who may pass over it.
    const isLonger = wanted !== null && wanted.until_ms >= now.until_ms && (wanted.mode === now.mode || wanted.mode === 'COMPLIANCE')
    const bypass = request.headers.get('x-amz-bypass-governance-retention')?.toLowerCase() === 'true'
    if (!isLonger && (now.mode === 'COMPLIANCE' || !bypass)) throw s3Fault('AccessDenied', 'Access Denied because object protected by object lock.')
    if (!isLonger) await request.authorize({ action: 's3:BypassGovernanceRetention', level: 'container', operation: 'post' })
  }
  await patch(request, id, { 's3-retention': wanted === null ? null : JSON.stringify(wanted) })
  return new Response(null, { status: 200, headers: { 'content-length': '0' } })
}

export async function getLegalHold(request: S3Request): Promise<Response> {
  const bucket = await request.authorize(right('GetObjectLegalHold', 'get'))
  needLock(bucket)
  const { extra } = await rowOf(request, idOf(request))
  return xmlResponse(element('LegalHold', leaf('Status', isHeld(extra) ? 'ON' : 'OFF')))
}

export async function putLegalHold(request: S3Request): Promise<Response> {
  const bucket = await request.authorize(right('PutObjectLegalHold', 'post'))
  needLock(bucket)
  const root: XmlNode = parseXml(await readText(request), 'LegalHold')
  const status = textOf(root, 'Status')
  if (status !== 'ON' && status !== 'OFF') throw s3Fault('MalformedXML')
  await patch(request, idOf(request), { 's3-hold': status === 'ON' ? 'ON' : null })
  return new Response(null, { status: 200, headers: { 'content-length': '0' } })
}
