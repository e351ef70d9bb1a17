/**
 * S3 as a second dialect over Swift's stores: what it can do as data, one line an operation. Every route is public to the kernel: who calls is told by the
 * signature, and what they may by policy, role and list (request.ts).
 */
import type { DoorS3 } from '../../../schema/agent/door.ts'
import { isFault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { type Method, type Route, route } from '../../http/route.ts'
import type { Service } from '../../http/service.ts'
import { gate } from '../features/gate.ts'
import { knownContainer } from '../known.ts'
import { PREFIX, recognise } from './address.ts'
import { corsHeaders, deleteCors, getCors, preflight, putCors } from './bucket/cors.ts'
import { deleteEncryption, getEncryption, putEncryption } from './bucket/encryption.ts'
import { deleteLifecycle, getLifecycle, putLifecycle } from './bucket/lifecycle.ts'
import { listObjects, listObjectsV2, listVersions } from './bucket/listing.ts'
import { createBucket, deleteBucket, getLocation, headBucket, listBuckets } from './bucket/routes.ts'
import * as settings from './bucket/settings.ts'
import { renderS3, s3Fault } from './errors.ts'
import { element, leaf } from './markup.ts'
import { abortUpload, completeUpload, createUpload, listParts, listUploads, uploadPart, uploadPartCopy } from './multipart/routes.ts'
import { deleteObject, deleteObjects } from './object/delete.ts'
import { postForm } from './object/form.ts'
import { getAttributes, getObject } from './object/get.ts'
import { copyObject, putObject } from './object/put.ts'
import * as sub from './object/subresources.ts'
import { PLANE_ONLY, SUBRESOURCES, bucketTakes } from './onsite.ts'
import { S3Request } from './request.ts'

type Level = 'service' | 'bucket' | 'object'
type Handler = (request: S3Request) => Promise<Response>

interface Operation {
  method: Method
  level: Level
  /** Query parameters that must be there. */
  query: readonly string[]
  /** A header that must be there. */
  header: string | null
  handle: Handler
}

const op = (method: Method, level: Level, query: string, handle: Handler, header: string | null = null): Operation => ({ method, level, query: query === '' ? [] : query.split('&'), header, handle })

/** The first that fits is the one: those that ask for more come first. */
const OPERATIONS: Operation[] = [
  op('GET', 'service', '', listBuckets),
  op('OPTIONS', 'bucket', '', preflight),
  op('OPTIONS', 'object', '', preflight),
  op('GET', 'bucket', 'location', getLocation),
  op('GET', 'bucket', 'acl', settings.getAcl),
  op('PUT', 'bucket', 'acl', settings.putAcl),
  op('GET', 'bucket', 'policy', settings.getPolicy),
  op('PUT', 'bucket', 'policy', settings.putPolicy),
  op('DELETE', 'bucket', 'policy', settings.deletePolicy),
  op('GET', 'bucket', 'policyStatus', settings.getPolicyStatus),
  op('GET', 'bucket', 'tagging', settings.getTagging),
  op('PUT', 'bucket', 'tagging', settings.putTagging),
  op('DELETE', 'bucket', 'tagging', settings.deleteTagging),
  op('GET', 'bucket', 'cors', getCors),
  op('PUT', 'bucket', 'cors', putCors),
  op('DELETE', 'bucket', 'cors', deleteCors),
  op('GET', 'bucket', 'lifecycle', getLifecycle),
  op('PUT', 'bucket', 'lifecycle', putLifecycle),
  op('DELETE', 'bucket', 'lifecycle', deleteLifecycle),
  op('GET', 'bucket', 'versioning', settings.getVersioning),
  op('PUT', 'bucket', 'versioning', settings.putVersioning),
  op('GET', 'bucket', 'object-lock', settings.getLock),
  op('PUT', 'bucket', 'object-lock', settings.putLock),
  op('GET', 'bucket', 'encryption', getEncryption),
  op('PUT', 'bucket', 'encryption', putEncryption),
  op('DELETE', 'bucket', 'encryption', deleteEncryption),
  op('GET', 'bucket', 'publicAccessBlock', settings.absent('GetBucketPublicAccessBlock', 'NoSuchPublicAccessBlockConfiguration')),
  op('GET', 'bucket', 'ownershipControls', settings.absent('GetBucketOwnershipControls', 'OwnershipControlsNotFoundError')),
  op('GET', 'bucket', 'replication', settings.absent('GetReplicationConfiguration', 'ReplicationConfigurationNotFoundError')),
  op('GET', 'bucket', 'website', settings.absent('GetBucketWebsite', 'NoSuchWebsiteConfiguration')),
  op('GET', 'bucket', 'accelerate', settings.constant('GetAccelerateConfiguration', '<AccelerateConfiguration/>')),
  op('GET', 'bucket', 'logging', settings.constant('GetBucketLogging', '<BucketLoggingStatus/>')),
  op('GET', 'bucket', 'notification', settings.constant('GetBucketNotification', '<NotificationConfiguration/>')),
  op('GET', 'bucket', 'requestPayment', settings.constant('GetBucketRequestPayment', element('RequestPaymentConfiguration', leaf('Payer', 'BucketOwner')))),
  op('GET', 'bucket', 'uploads', listUploads),
  op('GET', 'bucket', 'versions', listVersions),
  op('GET', 'bucket', 'list-type', listObjectsV2),
  op('GET', 'bucket', '', listObjects),
  op('HEAD', 'bucket', '', headBucket),
  op('PUT', 'bucket', '', createBucket),
  op('DELETE', 'bucket', '', deleteBucket),
  op('POST', 'bucket', 'delete', deleteObjects),
  op('POST', 'bucket', '', postForm),
  op('GET', 'object', 'uploadId', listParts),
  op('GET', 'object', 'tagging', sub.getTagging),
  op('PUT', 'object', 'tagging', sub.putTagging),
  op('DELETE', 'object', 'tagging', sub.deleteTagging),
  op('GET', 'object', 'acl', sub.getAcl),
  op('PUT', 'object', 'acl', sub.putAcl),
  op('GET', 'object', 'retention', sub.getRetention),
  op('PUT', 'object', 'retention', sub.putRetention),
  op('GET', 'object', 'legal-hold', sub.getLegalHold),
  op('PUT', 'object', 'legal-hold', sub.putLegalHold),
  op('GET', 'object', 'attributes', getAttributes),
  op('GET', 'object', '', getObject),
  op('HEAD', 'object', '', getObject),
  op('POST', 'object', 'uploads', createUpload),
  op('POST', 'object', 'uploadId', completeUpload),
  op('PUT', 'object', 'partNumber&uploadId', uploadPartCopy, 'x-amz-copy-source'),
  op('PUT', 'object', 'partNumber&uploadId', uploadPart),
  op('PUT', 'object', '', copyObject, 'x-amz-copy-source'),
  op('PUT', 'object', '', putObject),
  op('DELETE', 'object', 'uploadId', abortUpload),
  op('DELETE', 'object', '', deleteObject),
]

function operationOf(request: S3Request): Operation {
  const { address, query } = request
  const level: Level = address.key !== null ? 'object' : address.bucket !== null ? 'bucket' : 'service'
  const method = request.request.method
  const found = OPERATIONS.find((one) => one.method === method && one.level === level && one.query.every((name) => query.has(name)) && (one.header === null || request.headers.has(one.header)))
  const asked = SUBRESOURCES.find((name) => query.has(name))
  if (asked !== undefined && found?.query.includes(asked) !== true && method !== 'OPTIONS') throw s3Fault('NotImplemented', `${method} ?${asked} is not there.`, { Header: asked })
  if (found === undefined) throw s3Fault('MethodNotAllowed', undefined, { Method: method, ResourceType: level.toUpperCase() })
  return found
}

/** Read-only accounts and rate limits hold for both dialects. */
async function gateOf(request: S3Request): Promise<void> {
  const { account, address } = request
  if (account === '') return
  await gate({
    request: request.request, env: request.env, headers: request.headers, names: { account, container: address.bucket, object: address.key }, isReseller: request.allows('swift:reseller'),
    account: (name) => request.accountInfo(name), containerInfo: (container = request.bucketName, of = account) => knownContainer(request.env, of, container, request.now_ms),
  })
}

/** To the plane, from a door. */
async function passed(ctx: Context, door: DoorS3): Promise<Response> {
  try {
    return await door.pass()
  } catch (error) {
    if (!isFault(error)) throw error
    return renderS3(error, ctx.request.method === 'HEAD', ctx.url.pathname, ctx.requestId)
  }
}

async function answer(ctx: Context): Promise<Response> {
  const isHead = ctx.request.method === 'HEAD'
  let request: S3Request | null = null
  let response: Response
  try {
    request = await S3Request.open(ctx)
    const operation = operationOf(request)
    const door = ctx.env.DOOR_S3
    if (door !== undefined && !bucketTakes(ctx.request.method, await request.bucket())) return await passed(ctx, door)
    await gateOf(request)
    response = await operation.handle(request)
  } catch (error) {
    if (!isFault(error)) throw error
    // Nothing was done yet, and there is no body that was read.
    if (error.type === PLANE_ONLY && ctx.request.method === 'DELETE' && ctx.env.DOOR_S3 !== undefined) return await passed(ctx, ctx.env.DOOR_S3)
    response = renderS3(error, isHead, ctx.url.pathname, ctx.requestId)
  }
  const headers = new Headers(response.headers)
  headers.set('x-amz-request-id', ctx.requestId)
  headers.set('x-amz-id-2', ctx.requestId)
  if (!headers.has('date')) headers.set('date', new Date(ctx.now_ms).toUTCString())
  if (request !== null) for (const [name, value] of Object.entries(await corsHeaders(request))) headers.set(name, value)
  return new Response(response.body, { status: response.status, headers })
}

const PATHS: Record<Level, string> = { service: '/', bucket: '/:bucket', object: '/:bucket/:key' }
const routesOf = (level: Level): Route[] => [...new Set(OPERATIONS.filter((one) => one.level === level).map(({ method }) => method))].map((method) => route({ method, path: PATHS[level], policy: 'public', body: 'stream', handle: answer }))
const byLevel: Record<Level, Route[]> = { service: routesOf('service'), bucket: routesOf('bucket'), object: routesOf('object') }
/** Any method, so that what is not there is refused in S3's words. */
const every = (['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'COPY', 'OPTIONS'] as const).map((method) => route({ method, path: '/', policy: 'public', body: 'stream', handle: answer }))

export const s3: Service = {
  name: 's3', type: 's3', prefix: PREFIX, endpoint: PREFIX, dialect: 's3', policies: [],
  routes: [...byLevel.service, ...byLevel.bucket, ...byLevel.object],
  recognise,
  // The address is read from the request itself: the host may name the bucket.
  match: () => every.map((one) => ({ route: one, params: {} })),
}
