/** Buckets themselves: list, create, look, delete, where they are. A bucket is a container. */
import { isFault } from '../../../../schema/values/fault.ts'
import { isSubdir } from '../../list.ts'
import { NAMES_LISTED_MAX } from './listing.ts'
import { containerLists, grantsOfHeaders } from '../acl.ts'
import { checkNewBucketName, isBucketName, s3Options, segmentsOf } from '../address.ts'
import { readText } from '../body.ts'
import { s3Fault } from '../errors.ts'
import { claimName, forgetBucket, knownBucket, releaseName } from '../known.ts'
import { element, leaf, optional, xmlResponse } from '../markup.ts'
import type { S3Request } from '../request.ts'
import { s3Time } from '../time.ts'
import { childOf, onlyChildren, parseXml, textOf } from '../xml.ts'

export const DEFAULT_REGION = 'us-east-1'

const regionOf = (request: S3Request): string => s3Options(request.env).region ?? DEFAULT_REGION

export async function listBuckets(request: S3Request): Promise<Response> {
  if (request.caller === null || request.caller.project_id === null || !request.allows('swift:account:get')) throw s3Fault('AccessDenied')
  const given = request.query.get('max-buckets')
  if (given !== null && (!/^\d{1,5}$/.test(given) || Number(given) < 1)) throw s3Fault('InvalidArgument', undefined, { ArgumentName: 'max-buckets', ArgumentValue: given })
  const limit = Math.min(Number(given ?? NAMES_LISTED_MAX), NAMES_LISTED_MAX)
  const prefix = request.query.get('prefix') ?? ''
  let marker = request.query.get('continuation-token') ?? ''
  const found: { name: string; put_at: string }[] = []
  for (;;) {
    const { entries } = await request.env.ACCOUNT.getByName(request.account).list({ limit: 1_000, marker, end_marker: '', prefix, delimiter: '', reverse: false, path: null })
    // Containers whose names can be in no path of S3, its own segments among them, are Swift's alone.
    for (const entry of entries) if (!isSubdir(entry) && isBucketName(entry.name)) found.push(entry)
    const last = entries.at(-1)
    if (entries.length < 1_000 || last === undefined || isSubdir(last) || found.length > limit) break
    marker = last.name
  }
  const page = found.slice(0, limit)
  return xmlResponse(element('ListAllMyBucketsResult', element('Owner', leaf('ID', request.owner), leaf('DisplayName', request.ownerName)),
    element('Buckets', ...page.map(({ name, put_at }) => element('Bucket', leaf('Name', name), leaf('CreationDate', s3Time(put_at)), given === null ? '' : leaf('BucketRegion', regionOf(request))))),
    optional('Prefix', prefix === '' ? null : prefix), optional('ContinuationToken', found.length > limit ? page.at(-1)?.name : null)))
}

export async function createBucket(request: S3Request): Promise<Response> {
  const { caller, bucketName } = request
  if (caller === null || caller.project_id === null) throw s3Fault('AccessDenied')
  checkNewBucketName(bucketName)
  const account = request.address.project === null ? `AUTH_${caller.project_id}` : request.account
  if (!request.allows('swift:container:put', account)) throw s3Fault('AccessDenied')
  const text = await readText(request)
  if (text.trim() !== '') {
    const root = parseXml(text, 'CreateBucketConfiguration')
    onlyChildren(root, ['LocationConstraint', 'Location', 'Bucket', 'Tags'])
    for (const name of ['Location', 'Bucket']) if (childOf(root, name) !== undefined) throw s3Fault('NotImplemented', `${name} of CreateBucketConfiguration is not there.`)
    const wanted = textOf(root, 'LocationConstraint') ?? ''
    const { region } = s3Options(request.env)
    if (region !== null && wanted !== '' && wanted !== region) throw s3Fault('InvalidLocationConstraint', undefined, { LocationConstraint: wanted })
  }
  if ((await knownBucket(request.env, account, bucketName, request.now_ms)) !== null) throw s3Fault('BucketAlreadyOwnedByYou', undefined, { BucketName: bucketName })
  const owner = account.replace(/^AUTH_/, '')
  const grants = grantsOfHeaders(request.headers, owner, owner) ?? []
  const lists = containerLists(grants, owner)
  const lock = request.headers.get('x-amz-bucket-object-lock-enabled')?.toLowerCase() === 'true'
  const metadata = { ...(lists.read === '' ? {} : { 'x-container-read': lists.read }), ...(lists.write === '' ? {} : { 'x-container-write': lists.write }), ...(lock ? { 'x-versions-enabled': 'True' } : {}) }
  const container = request.env.CONTAINER.getByName(`${account}/${bucketName}`)
  const { created } = await container.put(account, bucketName, null, metadata)
  if (!created) throw s3Fault('BucketAlreadyOwnedByYou', undefined, { BucketName: bucketName })
  if (lock) await container.s3Configure({ 'object-lock': JSON.stringify({ enabled: true, rule: null }) })
  if (grants.length > 0) await container.s3Configure({ acl: JSON.stringify({ grants, ...lists }) })
  await claimName(request.env, account, bucketName)
  forgetBucket(request.env, account, bucketName)
  return new Response(null, { status: 200, headers: { location: `/${bucketName}`, 'content-length': '0' } })
}

export async function headBucket(request: S3Request): Promise<Response> {
  await request.authorize({ action: 's3:ListBucket', level: 'container', operation: 'head' }, null)
  return new Response(null, { status: 200, headers: { 'x-amz-bucket-region': regionOf(request), 'content-type': 'application/xml' } })
}

export async function getLocation(request: S3Request): Promise<Response> {
  await request.authorize({ action: 's3:GetBucketLocation', level: 'container', operation: 'head' }, null)
  const region = regionOf(request)
  return xmlResponse(region === DEFAULT_REGION ? '<LocationConstraint/>' : leaf('LocationConstraint', region))
}

export async function deleteBucket(request: S3Request): Promise<Response> {
  const { bucketName, account, env } = request
  await request.authorize({ action: 's3:DeleteBucket', level: 'container', operation: 'delete' }, null)
  const container = request.container()
  try {
    await container.remove()
  } catch (error) {
    if (isFault(error, 'conflict')) throw s3Fault('BucketNotEmpty', undefined, { BucketName: bucketName })
    throw error
  } finally {
    forgetBucket(env, account, bucketName)
  }
  await container.s3Clear()
  await releaseName(env, account, bucketName)
  // With segments of uploads that were never completed it stays until they are swept.
  await request.container(segmentsOf(bucketName)).remove().catch((error: unknown) => {
    if (!isFault(error, 'conflict') && !isFault(error, 'not_found')) throw error
  })
  return new Response(null, { status: 204 })
}
