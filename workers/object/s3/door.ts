/**
 * An S3 request that a door serves, judged by the plane: its signature (the keys never leave), the bucket's policy, roles and lists, and for each call whether it is one that this very
 * request needs. What is kept with an object's row (locks, lists, versions) is put together here again: a door's word is not taken for it.
 */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { type ChunkLinks, type DoorCall, type DoorEvidence, S3_REQUEST_MS_MAX, type S3DoorKey, type S3Verdict } from '../../../schema/agent/door.ts'
import { HOST_CLOCK_SKEW_MS } from '../../../schema/agent/protocol.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { type ObjectRow, versioningOf } from '../container/rows.ts'
import type { Judged, Right } from '../door.ts'
import type { ObjectName } from '../names.ts'
import { s3Options, segmentsOf } from './address.ts'
import { checkLinks } from './chunked.ts'
import { s3Fault } from './errors.ts'
import { knownBucket } from './known.ts'
import { partName } from './multipart/parts.ts'
import { rowExtra } from './object/metadata.ts'
import { authorizePut, sourceOf } from './object/put.ts'
import { PLANE_ONLY, bucketTakes, movesBytes } from './onsite.ts'
import { S3Request } from './request.ts'

const CALLS: Readonly<Record<string, Right>> = {
  info: 'any', s3Bucket: 'any', s3Name: 'any', s3Upload: 'any', object: 'any', version: 'any', latest: 'any', word: 'any', throttle: 'any', begin: 'write', s3Begin: 'write', s3End: 'write', putObject: 'write', deleteObject: 'write', s3Configure: 'write',
}
/** Calls about the container as such. */
const OF_CONTAINER = new Set(['info', 's3Bucket', 'throttle', 's3Configure'])
const NAMES = { account: '.s3', container: 'names' }

const refused = (why: string): Fault => new Fault('forbidden', `A door may not do that: ${why}.`)
const denied = (): Fault => s3Fault('AccessDenied')

class JudgedS3 implements Judged {
  readonly calls = CALLS
  #env: Env
  #request: S3Request
  #target: Promise<void> | null = null
  #source: Promise<{ name: ObjectName; version: string | null } | null> | null = null
  #mayRead: Promise<void> | null = null

  constructor(env: Env, request: S3Request) {
    this.#env = env
    this.#request = request
  }

  async need(right: Right, account: string, container: string, object: string | null): Promise<void> {
    const { account: own, bucketName, key, now_ms } = this.#request
    const source = await this.#sourceOf()
    const isNamed = container === bucketName || container === source?.name.container
    if (right === 'any' && account === NAMES.account && container === NAMES.container && (object === bucketName || object === source?.name.container)) return
    // Of what is not there nothing is told but that.
    if (right === 'any' && object === null && isNamed && (await knownBucket(this.#env, account, container, now_ms)) === null) return
    if (account === own && container === bucketName && (object === null || object === key)) return await this.#may(right)
    if (account === own && container === segmentsOf(bucketName) && this.#isPart(right, object)) return await this.#may(right)
    if (right !== 'any') throw denied()
    if (source !== null && isOf(source.name, account, container, object)) return await this.#maySource()
    await this.#throughManifest(account, container)
  }

  async needAccount(account: string): Promise<void> {
    if (account === this.#request.account) return await this.#may('any')
    if (account === (await this.#sourceOf())?.name.account) return await this.#maySource()
    throw denied()
  }

  subject({ method, args: [first] }: DoorCall): string | null {
    if (OF_CONTAINER.has(method)) return null
    const name = typeof first === 'string' ? first : (first as { name?: unknown } | undefined)?.name
    if (typeof name !== 'string') throw refused('the call names nothing')
    return name
  }

  async identity({ method, args }: DoorCall): Promise<S3Verdict | S3DoorKey | null> {
    const { signer } = this.#request
    if (method === 's3Signer') {
      if (signer === null) return null
      const { caller: { request_id: _, ...caller }, access, presigned, payload, chunks } = signer
      return { caller, access, presigned, payload, seed: chunks?.seed ?? null }
    }
    if (signer?.chunks == null || !('key' in signer.chunks)) throw refused('the request has no signature that goes on')
    if (method === 's3Key') return this.#key(signer.caller, signer.chunks.key)
    if (method !== 's3Chunks') throw refused(`${method} is nothing that a request is asked for`)
    checkLinks(signer.chunks, linksOf(args[0]))
    return null
  }

  /** What this very request is signed with, for doors that the operator trusts with that. */
  #key({ request_id: _, ...caller }: Caller, key: Uint8Array): S3DoorKey {
    if (!s3Options(this.#env).door_keys) throw refused('keys stay here; OPTIONS s3.door_keys gives them away')
    return { signing_key: Buffer.from(key).toString('base64'), caller }
  }

  async amend({ method, args, account, container }: DoorCall): Promise<unknown[]> {
    if (method === 's3Configure') {
      if (JSON.stringify(args) !== '[{"has-tags":"true"}]') throw refused('settings of buckets are the plane\'s')
    } else if (CALLS[method] === 'write' && (this.#request.request.method === 'DELETE') !== (method === 'deleteObject') && method !== 'begin') throw refused(`the request asks for no ${method}`)
    return method === 'putObject' ? [await this.#row(args[0] as ObjectRow, account, container ?? ''), ...args.slice(1)] : args
  }

  /** The row as this request makes it: of the door's word is taken what only it knows (size, ETag, checksum, tags of a copy). */
  async #row(row: ObjectRow, account: string, container: string): Promise<ObjectRow> {
    const request = this.#request
    const bucket = await request.bucket(container, account)
    if (row.version !== (versioningOf(bucket.info) === 'enabled' ? row.at : '')) throw refused('the version is another')
    const { 's3-checksum': checksum, 's3-tags': tags } = row.extra ?? {}
    const isTarget = container === request.bucketName
    const { 's3-tags': asked, ...extra } = isTarget ? rowExtra(request, bucket) : {}
    const kept = isTarget && request.headers.has('x-amz-copy-source') ? tags : asked
    const all = { ...extra, ...(kept === undefined ? {} : { 's3-tags': kept }), ...(checksum === undefined ? {} : { 's3-checksum': checksum }) }
    return { ...row, slo_etag: null, slo_size: null, extra: Object.keys(all).length === 0 ? null : all }
  }

  /** A part that this request writes, or one of what it reads. */
  #isPart(right: Right, object: string | null): boolean {
    const { query, key, request } = this.#request
    const [id, number] = [query.get('uploadId'), Number(query.get('partNumber'))]
    if (request.method === 'PUT') return id !== null && (object === null || object === partName(key, id, number))
    return right === 'any' && request.method !== 'DELETE' && (object === null || object.startsWith(`${key}/`))
  }

  #may(right: Right): Promise<void> {
    if (right === 'list' || (right === 'write' && !['PUT', 'DELETE'].includes(this.#request.request.method))) throw denied()
    this.#target ??= this.#authorize()
    return this.#target
  }

  async #authorize(): Promise<void> {
    const request = this.#request
    const { method } = request.request
    if (method === 'GET' || method === 'HEAD') {
      await request.authorize({ action: request.query.has('versionId') ? 's3:GetObjectVersion' : 's3:GetObject', level: 'object', operation: method === 'HEAD' ? 'head' : 'get' })
      return
    }
    const bucket = method === 'PUT' ? await authorizePut(request) : await request.authorize({ action: 's3:DeleteObject', level: 'object', operation: 'delete' })
    if (!bucketTakes(method, bucket)) throw new Fault('unavailable', 'This is done by the plane.', { type: PLANE_ONLY })
  }

  #sourceOf(): Promise<{ name: ObjectName; version: string | null } | null> {
    const { headers, request } = this.#request
    this.#source ??= request.method === 'PUT' && headers.has('x-amz-copy-source') ? sourceOf(this.#request) : Promise.resolve(null)
    return this.#source
  }

  #maySource(): Promise<void> {
    this.#mayRead ??= (async () => {
      const source = await this.#sourceOf()
      if (source === null) throw denied()
      const { name, version } = source
      await this.#request.authorize({ action: version === null ? 's3:GetObject' : 's3:GetObjectVersion', level: 'object', operation: 'get' }, name.object, name.container, name.account)
    })()
    return this.#mayRead
  }

  /** What a manifest or a link leads to elsewhere: for those who may read there by themselves. */
  async #throughManifest(account: string, container: string): Promise<void> {
    const request = this.#request
    if (account === request.account && container === segmentsOf(request.bucketName)) {
      if (!request.allows('swift:object:get', account)) throw denied()
    } else await request.needIn('object', 'get', container, null, account)
  }
}

const isOf = (name: ObjectName, account: string, container: string, object: string | null): boolean =>
  account === name.account && ((container === name.container && (object === null || object === name.object)) || (container === segmentsOf(name.container) && (object === null || object.startsWith(`${name.object}/`))))

function linksOf(given: unknown): ChunkLinks {
  const { previous, chunks, trailer } = (given ?? {}) as Partial<ChunkLinks>
  const isPair = (pair: unknown): boolean => Array.isArray(pair) && pair.length === 2 && pair.every((text) => typeof text === 'string')
  if (typeof previous !== 'string' || !Array.isArray(chunks) || !chunks.every(isPair) || (trailer !== undefined && !isPair(trailer))) throw new Fault('bad_request', 'signatures of chunks are malformed')
  return { previous, chunks, ...(trailer === undefined ? {} : { trailer }) }
}

/** The signature is of when the request came to the door, its rights are as they are now. */
export async function judgeS3(env: Env, { method, begun_ms, at_ms }: DoorEvidence, ctx: Context, now_ms: number): Promise<Judged> {
  const began = begun_ms ?? now_ms
  if (began > now_ms + HOST_CLOCK_SKEW_MS || began < (at_ms ?? now_ms) - S3_REQUEST_MS_MAX) throw refused('it began at another time')
  const request = await S3Request.open(ctx, began)
  if (!movesBytes(method, request.address, request.query)) throw refused('this is done by the plane')
  return new JudgedS3(env, request)
}

