/** A bucket's settings: access control list, policy, tags, versioning, lock; and those that are always as they are. */
import { type Grant, aclXml, containerLists, grantsOfHeaders, grantsOfLists, grantsOfXml } from '../acl.ts'
import { readText } from '../body.ts'
import { type S3Code, s3Fault } from '../errors.ts'
import { type Bucket, forgetBucket } from '../known.ts'
import { element, leaf, xmlResponse } from '../markup.ts'
import { type LockConfig, lockConfigOf } from '../object/metadata.ts'
import { tagsOfXml, tagsXml } from '../object/subresources.ts'
import { isPublic, parsePolicy } from '../policy.ts'
import type { S3Request } from '../request.ts'
import { childOf, onlyChildren, parseXml, textOf } from '../xml.ts'

const BUCKET_TAGS_MAX = 50
const done = (status: 200 | 204 = 200): Response => new Response(null, { status, headers: status === 200 ? { 'content-length': '0' } : {} })
const read = (action: string) => ({ action: `s3:${action}`, level: 'container' as const, operation: 'post' as const })

/** Owners read and set these: what a bucket is set to is nothing for those who may only read its objects. */
export const forOwner = async (request: S3Request, action: string): Promise<Bucket> => await request.authorize(read(action), null)

export async function configure(request: S3Request, changes: Record<string, string | null>): Promise<void> {
  await request.container().s3Configure(changes)
  forgetBucket(request.env, request.account, request.bucketName)
}

// ---------------------------------------------------------------- access control list

function grantsOf(bucket: Bucket, owner: string): Grant[] {
  const { 'x-container-read': readers, 'x-container-write': writers } = bucket.info.metadata
  const kept = bucket.config.acl === undefined ? null : (JSON.parse(bucket.config.acl) as { grants: Grant[]; read: string; write: string })
  // Swift may have set the container's lists since: they decide.
  return kept !== null && kept.read === (readers ?? '') && kept.write === (writers ?? '') ? kept.grants : grantsOfLists(readers, writers, owner)
}

export async function getAcl(request: S3Request): Promise<Response> {
  const bucket = await forOwner(request, 'GetBucketAcl')
  return xmlResponse(aclXml(request.owner, request.ownerName, grantsOf(bucket, request.owner)))
}

export async function putAcl(request: S3Request): Promise<Response> {
  await forOwner(request, 'PutBucketAcl')
  const text = await readText(request)
  const fromHeaders = grantsOfHeaders(request.headers, request.owner, request.owner)
  if (fromHeaders !== null && text.trim() !== '') throw s3Fault('UnexpectedContent')
  if (fromHeaders === null && text.trim() === '') throw s3Fault('MissingSecurityHeader', 'Your request was missing a required header: x-amz-acl', { MissingHeaderName: 'x-amz-acl' })
  const grants = fromHeaders ?? grantsOfXml(text)
  const lists = containerLists(grants, request.owner)
  await request.container().post({ 'x-container-read': lists.read, 'x-container-write': lists.write })
  await configure(request, { acl: JSON.stringify({ grants, ...lists }) })
  return done()
}

// ---------------------------------------------------------------- policy

export async function getPolicy(request: S3Request): Promise<Response> {
  const { policy } = (await forOwner(request, 'GetBucketPolicy')).config
  if (policy === undefined) throw s3Fault('NoSuchBucketPolicy', undefined, { BucketName: request.bucketName })
  return new Response(policy, { status: 200, headers: { 'content-type': 'application/json' } })
}

export async function getPolicyStatus(request: S3Request): Promise<Response> {
  const { policy } = (await forOwner(request, 'GetBucketPolicyStatus')).config
  if (policy === undefined) throw s3Fault('NoSuchBucketPolicy', undefined, { BucketName: request.bucketName })
  return xmlResponse(element('PolicyStatus', leaf('IsPublic', isPublic(parsePolicy(policy, request.bucketName)))))
}

export async function putPolicy(request: S3Request): Promise<Response> {
  await forOwner(request, 'PutBucketPolicy')
  const text = await readText(request)
  parsePolicy(text, request.bucketName)
  await configure(request, { policy: text })
  return done(204)
}

export async function deletePolicy(request: S3Request): Promise<Response> {
  await forOwner(request, 'DeleteBucketPolicy')
  await configure(request, { policy: null })
  return done(204)
}

// ---------------------------------------------------------------- tags

export async function getTagging(request: S3Request): Promise<Response> {
  const { tagging } = (await forOwner(request, 'GetBucketTagging')).config
  if (tagging === undefined) throw s3Fault('NoSuchTagSet', undefined, { BucketName: request.bucketName })
  return xmlResponse(tagsXml(tagging))
}

export async function putTagging(request: S3Request): Promise<Response> {
  await forOwner(request, 'PutBucketTagging')
  await configure(request, { tagging: tagsOfXml(await readText(request), BUCKET_TAGS_MAX) })
  return done(204)
}

export async function deleteTagging(request: S3Request): Promise<Response> {
  await forOwner(request, 'PutBucketTagging')
  await configure(request, { tagging: null })
  return done(204)
}

// ---------------------------------------------------------------- versioning and lock

export async function getVersioning(request: S3Request): Promise<Response> {
  const set = (await forOwner(request, 'GetBucketVersioning')).info.metadata['x-versions-enabled']
  return xmlResponse(set === undefined ? '<VersioningConfiguration/>' : element('VersioningConfiguration', leaf('Status', set === 'True' ? 'Enabled' : 'Suspended')))
}

export async function putVersioning(request: S3Request): Promise<Response> {
  const bucket = await forOwner(request, 'PutBucketVersioning')
  const root = parseXml(await readText(request), 'VersioningConfiguration')
  onlyChildren(root, ['Status', 'MfaDelete'])
  if (textOf(root, 'MfaDelete') === 'Enabled') throw s3Fault('NotImplemented', 'MFA Delete is not there.')
  const status = textOf(root, 'Status')
  if (status !== 'Enabled' && status !== 'Suspended') throw s3Fault('IllegalVersioningConfigurationException')
  if (status === 'Suspended' && lockConfigOf(bucket) !== null) throw s3Fault('InvalidBucketState', 'An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.')
  await request.container().post({ 'x-versions-enabled': status === 'Enabled' ? 'True' : 'False' })
  forgetBucket(request.env, request.account, request.bucketName)
  return done()
}

export async function getLock(request: S3Request): Promise<Response> {
  const config = lockConfigOf(await forOwner(request, 'GetBucketObjectLockConfiguration'))
  if (config === null) throw s3Fault('ObjectLockConfigurationNotFoundError')
  const { rule } = config
  return xmlResponse(element('ObjectLockConfiguration', leaf('ObjectLockEnabled', 'Enabled'),
    rule === null ? '' : element('Rule', element('DefaultRetention', leaf('Mode', rule.mode), rule.days === null ? leaf('Years', rule.years ?? 0) : leaf('Days', rule.days)))))
}

export async function putLock(request: S3Request): Promise<Response> {
  const bucket = await forOwner(request, 'PutBucketObjectLockConfiguration')
  const root = parseXml(await readText(request), 'ObjectLockConfiguration')
  onlyChildren(root, ['ObjectLockEnabled', 'Rule'])
  if (textOf(root, 'ObjectLockEnabled') !== 'Enabled') throw s3Fault('MalformedXML')
  if (bucket.info.metadata['x-versions-enabled'] !== 'True') throw s3Fault('InvalidBucketState', 'Versioning must be \'Enabled\' on the bucket to apply a Object Lock configuration')
  const given = childOf(root, 'Rule')
  const retention = given === undefined ? undefined : childOf(given, 'DefaultRetention')
  let rule: LockConfig['rule'] = null
  if (given !== undefined) {
    const [mode, days, years] = retention === undefined ? [] : [textOf(retention, 'Mode'), textOf(retention, 'Days'), textOf(retention, 'Years')]
    if ((mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE') || (days === undefined) === (years === undefined) || !/^[1-9]\d{0,4}$/.test(days ?? years ?? '')) throw s3Fault('MalformedXML')
    rule = { mode, days: days === undefined ? null : Number(days), years: years === undefined ? null : Number(years) }
  }
  await configure(request, { 'object-lock': JSON.stringify({ enabled: true, rule } satisfies LockConfig) })
  return done()
}

// ---------------------------------------------------------------- what is always so

/** A setting that is never set: its GET says so, with the document or the code that clients know. */
export const constant = (action: string, xml: string) => async (request: S3Request): Promise<Response> => {
  await forOwner(request, action)
  return xmlResponse(xml)
}

export const absent = (action: string, code: S3Code) => async (request: S3Request): Promise<Response> => {
  await forOwner(request, action)
  throw s3Fault(code, undefined, { BucketName: request.bucketName })
}
