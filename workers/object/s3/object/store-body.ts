/** Writing a body as an object: conditions held while it comes, hashes checked by the hosts as they write, the client's checksum kept with the bytes. */
import type { ObjectHead, ObjectWants } from '../../../../schema/agent/protocol.ts'
import type { DigestName } from '../../../../schema/values/digests.ts'
import { isFault } from '../../../../schema/values/fault.ts'
import { checkQuotas } from '../../features/quotas.ts'
import { keepVersion } from '../../features/versions.ts'
import type { ObjectName } from '../../names.ts'
import { type Begun, type WriteOptions, beginWrite, commitWrite, isSuperseded, versionWritten } from '../../object/write.ts'
import { versionId, versioningOf } from '../../container/rows.ts'
import { type Incoming, OBJECT_BYTES_MAX } from '../body.ts'
import { s3Fault } from '../errors.ts'
import { type Bucket, forgetBucket } from '../known.ts'
import { checkBegun } from '../onsite.ts'
import type { S3Request } from '../request.ts'
import { CHECKSUM_META } from './metadata.ts'

export interface Stored {
  head: ObjectHead | null
  begun: Begun
  etag: string
  checksum: { algorithm: DigestName; value: string } | null
}

/** A conditional write may hold its name so long: a minute, and the time its bytes take on a slow line. */
const HOLD_MS_MIN = 60_000
const SLOW_BYTES_PER_MS = 500

const unquoted = (text: string): string => text.trim().replace(/^"(.*)"$/, '$1')

/** Opens the write. With conditions the container checks them and holds the name: of two writers that ask for the same, one gets it. */
export async function beginConditional(request: S3Request, name: ObjectName, size: number | null): Promise<{ begun: Begun; end(): Promise<void> }> {
  const [ifMatch, ifNoneMatch] = [request.headers.get('if-match'), request.headers.get('if-none-match')]
  if (ifNoneMatch !== null && ifNoneMatch.trim() !== '*') throw s3Fault('NotImplemented', 'If-None-Match of a write only takes *.')
  if (ifMatch === null && ifNoneMatch === null) return { begun: await beginWrite(request.env, name), end: async () => {} }
  const container = request.container(name.container)
  const opened = await container.s3Begin(name.object, { if_match: ifMatch === null ? null : unquoted(ifMatch), if_none_match: ifNoneMatch === null ? null : '*', hold_ms: HOLD_MS_MIN + Math.ceil((size ?? 0) / SLOW_BYTES_PER_MS) })
  if (opened === null) throw s3Fault('NoSuchBucket', undefined, { BucketName: name.container })
  if ('refused' in opened) throw s3Fault(opened.refused)
  return { begun: { name, ...opened }, end: async () => await container.s3End(name.object, opened.timestamp) }
}

export const quotaReader = (request: S3Request) => ({ allows: (rule: string, account?: string) => request.allows(rule, account), account: (account?: string) => request.accountInfo(account) })

/** Everything of a write but the bytes: conditions before, quota, what older Swift versioning keeps, and the answer's faults. `counted`: the account has the bytes already. */
export async function writeInto(request: S3Request, name: ObjectName, size: number | null, write: (begun: Begun) => Promise<ObjectHead>, counted = false): Promise<{ head: ObjectHead | null; begun: Begun }> {
  const { begun, end } = await beginConditional(request, name, size)
  try {
    checkBegun(request.env.DOOR_S3 !== undefined, 'PUT', begun.info)
    await checkQuotas(counted ? { ...quotaReader(request), allows: () => true } : quotaReader(request), begun, size)
    if (versioningOf(begun.info) === 'never') await keepVersion(request, begun)
    return { head: await write(begun), begun }
  } catch (error) {
    // Somebody wrote later and was faster: this write was accepted, and overwritten.
    if (isSuperseded(error)) return { head: null, begun }
    throw error
  } finally {
    await end()
  }
}

export function wantsOf(body: Pick<Incoming, 'sha256' | 'checksum'>): ObjectWants | undefined {
  const digests: NonNullable<ObjectWants['digests']> = {}
  if (body.sha256 !== null) digests.sha256 = body.sha256
  if (body.checksum !== null) digests[body.checksum.algorithm] = body.checksum.value
  return Object.keys(digests).length === 0 ? undefined : { digests }
}

/** An agent of an older build keeps no checksums: what nobody checked is not acknowledged. */
export function verified(want: ObjectWants | undefined, head: ObjectHead): ObjectHead {
  const missing = Object.keys(want?.digests ?? {}).find((name) => head.digests?.[name as DigestName] === undefined)
  if (missing !== undefined) throw s3Fault('ServiceUnavailable', `A host could not check the body's ${missing}; its agent is of an older build.`)
  return head
}

/** Why a write of a body failed, as far as the body is to blame. */
export function bodyFault(body: Incoming, error: unknown): unknown {
  if (body.decoder?.failure != null) return body.decoder.failure
  if (isFault(error, 'unprocessable')) return s3Fault(body.md5 === null && body.checksum === null ? 'XAmzContentSHA256Mismatch' : 'BadDigest')
  if (isFault(error, 'bad_request') && error.type === undefined && body.size !== null) return s3Fault('IncompleteBody')
  return error
}

export async function storeBody(request: S3Request, name: ObjectName, body: Incoming, options: Pick<WriteOptions, 'metadata' | 'content_type' | 'seal'> & { extra: Record<string, string> }): Promise<Stored> {
  if (body.size !== null && body.size > OBJECT_BYTES_MAX) throw s3Fault('EntityTooLarge', undefined, { ProposedSize: String(body.size), MaxSizeAllowed: String(OBJECT_BYTES_MAX) })
  const algorithm = body.checksum?.algorithm
  const metadata = algorithm === undefined ? options.metadata : { ...options.metadata, [CHECKSUM_META]: `${algorithm} - FULL_OBJECT` }
  const want = wantsOf(body)
  const extraOf = (head: ObjectHead): Record<string, string> => (algorithm === undefined ? options.extra : { ...options.extra, 's3-checksum': `${algorithm} ${head.digests?.[algorithm] ?? ''} FULL_OBJECT` })
  try {
    const { head, begun } = await writeInto(request, name, body.size, async (opened) =>
      verified(want, await commitWrite(request.env, opened, body.size === 0 && body.decoder === null ? new Uint8Array() : (body.stream ?? new Uint8Array()), { metadata, content_type: options.content_type, size: body.size, etag: body.md5, extra: extraOf, ...(options.seal === undefined ? {} : { seal: options.seal }), ...(want === undefined ? {} : { want }) }, request.now_ms)))
    const value = algorithm === undefined ? undefined : (head?.digests?.[algorithm] ?? body.checksum?.value ?? body.decoder?.checksum ?? undefined)
    return { head, begun, etag: head?.etag ?? body.md5 ?? '', checksum: algorithm === undefined || value === undefined ? null : { algorithm, value } }
  } catch (error) {
    throw bodyFault(body, error)
  }
}

/** From now on reads ask for the rows: a bucket without tags is spared that. */
export async function noteTags(request: S3Request, bucket: Bucket): Promise<void> {
  if (bucket.config['has-tags'] !== undefined) return
  await request.container().s3Configure({ 'has-tags': 'true' })
  forgetBucket(request.env, request.account, request.bucketName)
}

export const versionHeaders = (begun: Begun): Record<string, string> => (versioningOf(begun.info) === 'never' ? {} : { 'x-amz-version-id': versionId(versionWritten(begun)) })
