/**
 * Who signed a request: signature version 4 (header, presigned) and 2. Secrets stay in Identity: it gives the key of one day, region and service, kept here for
 * as long as a revocation may take, and checks version 2 itself.
 */
import { type Env, IDENTITY_NAME } from '../../../durable-objects/kernel/env.ts'
import type { DoorS3 } from '../../../schema/agent/door.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { isFault } from '../../../schema/values/fault.ts'
import { parseS3SigV2, s3StringToSignV2 } from '../../http/sigv2.ts'
import { type Scope, type SigV4, SKEW_MS_MAX, UNSIGNED_PAYLOAD, parseSigV4, sameSignature, signatureOf, timeFault } from '../../http/sigv4.ts'
import { REVOCATIONS_EVERY_MS } from '../revoked.ts'
import { type Address, s3Options } from './address.ts'
import type { ChunkSigning, RemoteSigning } from './chunked.ts'
import { hasCode, s3Fault } from './errors.ts'

export interface Signed {
  caller: Caller
  access: string
  presigned: boolean
  /** What signs the chunks of a streamed body; null for version 2. */
  chunks: ChunkSigning | RemoteSigning | null
  /** x-amz-content-sha256, or what stands for it. */
  payload: string
}

type NewCaller = Omit<Caller, 'request_id'>

interface Key {
  signing_key: Uint8Array
  caller: NewCaller
  until_ms: number
}

const KEYS_MAX = 1_000
const keys = new WeakMap<object, Map<string, Key>>()

/** Unknown, disabled and revoked keys are told apart by nobody outside. */
const unknownKey = (access: string) => s3Fault('InvalidAccessKeyId', undefined, { AWSAccessKeyId: access })

async function fromIdentity<T>(access: string, ask: () => Promise<T | null>): Promise<T> {
  try {
    const found = await ask()
    if (found === null) throw unknownKey(access)
    return found
  } catch (error) {
    if (isFault(error) && error.type === undefined && ['unauthorized', 'forbidden', 'not_found'].includes(error.kind)) throw unknownKey(access)
    throw error
  }
}

export async function keyOf(env: Env, access: string, scope: Scope, now_ms: number): Promise<Key> {
  const cache = keys.get(env) ?? new Map<string, Key>()
  keys.set(env, cache)
  const name = `${access} ${scope.date} ${scope.region} ${scope.service}`
  const cached = cache.get(name)
  if (cached !== undefined && cached.until_ms > now_ms) return cached
  cache.delete(name)
  const found = await fromIdentity(access, () => env.IDENTITY.getByName(IDENTITY_NAME).s3SigningKey({ access, ...scope }))
  const key: Key = { signing_key: new Uint8Array(found.signing_key), caller: found.caller, until_ms: now_ms + REVOCATIONS_EVERY_MS }
  if (cache.size >= KEYS_MAX) cache.delete(cache.keys().next().value ?? '')
  cache.set(name, key)
  return key
}

/** Headers that proxies add, or that S3 never asks to be signed. */
const FREE_HEADERS = new Set(['x-amz-content-sha256', 'x-amz-user-agent', 'x-amz-cf-id'])
/** The runtime puts its own Accept-Encoding in the place of the client's; some clients sign theirs. */
const ACCEPT_ENCODINGS = ['identity', 'gzip', 'gzip, deflate', 'gzip, deflate, br', 'gzip,deflate']

/** The signer, by what is known now; the signature's time is held against when the request came. Null where the request carries no signature; a Fault where it has a wrong one. */
export async function signerOf(request: Request, env: Env, address: Address, requestId: string, now_ms: number, came_ms: number = now_ms): Promise<Signed | null> {
  const url = new URL(request.url)
  const sig = parseSigV4(request.headers, url.searchParams)
  if (env.DOOR_S3 !== undefined && (sig === null || !s3Options(env).door_keys)) return sig === null && request.headers.get('authorization') === null && !url.searchParams.has('AWSAccessKeyId') ? null : await signedAtDoor(env.DOOR_S3, requestId)
  if (sig !== null) return await signedV4(request, env, address, sig, requestId, now_ms, came_ms)
  const authorization = request.headers.get('authorization')
  if (authorization !== null && !/^AWS\s/.test(authorization)) throw s3Fault('InvalidRequest', 'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.')
  return await signedV2(request, env, address, url.searchParams, requestId, came_ms)
}

/** A door has no keys, unless the operator wants it to: it is told who signed, and asks about the signatures of chunks. */
async function signedAtDoor(door: DoorS3, requestId: string): Promise<Signed | null> {
  const verdict = await door.signer()
  if (verdict === null) return null
  const { caller, access, presigned, payload, seed } = verdict
  return { caller: { ...caller, request_id: requestId }, access, presigned, payload, chunks: seed === null ? null : { seed, check: (links) => door.chunks(links) } }
}

export function checkScope(env: Env, sig: Pick<SigV4, 'service' | 'region'>): void {
  const { region } = s3Options(env)
  if (sig.service !== 's3') throw s3Fault('AuthorizationHeaderMalformed', `The authorization header is malformed; the service "${sig.service}" is wrong; expecting "s3".`)
  if (region !== null && sig.region !== region) throw s3Fault('AuthorizationHeaderMalformed', `The authorization header is malformed; the region '${sig.region}' is wrong; expecting '${region}'`, { Region: region })
}

async function signedV4(request: Request, env: Env, address: Address, sig: SigV4, requestId: string, now_ms: number, came_ms: number): Promise<Signed> {
  checkScope(env, sig)
  const late = timeFault(sig, came_ms)
  if (late !== null) throw late
  const { headers } = request
  const unsigned = [...headers.keys()].find((name) => name.startsWith('x-amz-') && !sig.signed_headers.includes(name) && !FREE_HEADERS.has(name))
  if (unsigned !== undefined) throw s3Fault('AccessDenied', 'There were headers present in the request which were not signed', { HeadersNotSigned: unsigned })
  const declared = headers.get('x-amz-content-sha256')
  if (!sig.presigned && declared === null) throw s3Fault('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256')
  const payload = declared ?? new URL(request.url).searchParams.get('X-Amz-Content-Sha256') ?? UNSIGNED_PAYLOAD
  const scope: Scope = { date: sig.date, region: sig.region, service: sig.service }
  const { signing_key, caller } = await keyOf(env, sig.access, scope, now_ms)
  const amz_date = sig.amz_date ?? ''
  const mark = request.url.indexOf('?')
  const hash = request.url.indexOf('#')
  const query = mark < 0 ? '' : request.url.slice(mark + 1, hash < 0 ? undefined : hash)
  const matches = (seen: { get(name: string): string | null }) =>
    sameSignature(sig.signature, signatureOf(signing_key, amz_date, scope, { method: request.method, path: address.raw, query, headers: seen, signed_headers: sig.signed_headers, payload_hash: payload, service: 's3' }))
  const given = { get: (name: string) => headers.get(name) ?? (name === 'host' ? new URL(request.url).host : null) }
  const good = matches(given) || (sig.signed_headers.includes('accept-encoding') && ACCEPT_ENCODINGS.some((encoding) => matches({ get: (name) => (name === 'accept-encoding' ? encoding : given.get(name)) })))
  if (!good) throw s3Fault('SignatureDoesNotMatch', undefined, { AWSAccessKeyId: sig.access, SignatureProvided: sig.signature })
  return { caller: { ...caller, request_id: requestId }, access: sig.access, presigned: sig.presigned, chunks: { key: signing_key, amz_date, scope, seed: sig.signature }, payload }
}

async function signedV2(request: Request, env: Env, address: Address, query: URLSearchParams, requestId: string, came_ms: number): Promise<Signed | null> {
  const sig = parseS3SigV2(request.headers, query)
  if (sig === null) return null
  if (sig.expires_s !== null && sig.expires_s * 1_000 < came_ms) throw s3Fault('AccessDenied', 'Request has expired')
  if (sig.expires_s === null) {
    const at = Date.parse(request.headers.get('x-amz-date') ?? request.headers.get('date') ?? '')
    if (Number.isNaN(at)) throw s3Fault('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header')
    if (Math.abs(at - came_ms) > SKEW_MS_MAX) throw s3Fault('RequestTimeTooSkewed')
  }
  const { access, signature } = sig
  const verify = async (resource: string): Promise<{ caller: NewCaller }> => {
    const string_to_sign = s3StringToSignV2({ method: request.method, resource, query, headers: request.headers, expires_s: sig.expires_s })
    return await fromIdentity(access, () => env.IDENTITY.getByName(IDENTITY_NAME).s3Verify({ access, string_to_sign, signature }))
  }
  const { resource } = address
  const { caller } = await verify(resource).catch((error: unknown) => {
    // Some clients (botocore) sign a bucket's path with a slash that they do not send.
    if (address.key !== null || resource.endsWith('/') || !hasCode(error, 'SignatureDoesNotMatch')) throw error
    return verify(`${resource}/`)
  })
  return { caller: { ...caller, request_id: requestId }, access, presigned: sig.expires_s !== null, chunks: null, payload: UNSIGNED_PAYLOAD }
}
