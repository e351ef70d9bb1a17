/** Who is calling: verifies X-Auth-Token by public key. Inbound identity headers (X-Roles, X-User-Id...) are never read. */
import type { Env } from '../../durable-objects/kernel/env.ts'
import { IDENTITY_NAME, REGION_OBJECT_NAME } from '../../durable-objects/kernel/env.ts'
import type { Caller } from '../../schema/values/caller.ts'
import { Fault } from '../../schema/values/fault.ts'
import { importPublicKey, tokenKeyId, verifyToken } from '../../schema/values/token.ts'

/** How often an unknown key id may ask Identity for its keys. */
export const KEYS_REFRESH_MS = 1_000

/** Verified tokens remembered per isolate: a signature is checked once, expiry and revocation each time. */
export const TOKENS_KEPT = 1_000

interface KeyCache {
  keys: Map<string, CryptoKey>
  fetched_ms: number
  tokens: Map<string, Omit<Caller, 'request_id'>>
}

const caches = new WeakMap<object, KeyCache>()

export const unauthorized = (): Fault => new Fault('unauthorized', 'The request you have made requires authentication.')

function cacheOf(env: Env): KeyCache {
  let cache = caches.get(env)
  if (cache === undefined) {
    cache = { keys: new Map(), fetched_ms: Number.NEGATIVE_INFINITY, tokens: new Map() }
    caches.set(env, cache)
  }
  return cache
}

async function keyOf(env: Env, kid: string, now_ms: number): Promise<CryptoKey | null> {
  const cache = cacheOf(env)
  if (!cache.keys.has(kid) && now_ms - cache.fetched_ms >= KEYS_REFRESH_MS) {
    const published = await env.IDENTITY.getByName(IDENTITY_NAME).publicKeys()
    cache.fetched_ms = now_ms
    cache.tokens.clear()
    cache.keys = new Map(await Promise.all(published.map(async (key) => [key.kid, await importPublicKey(key)] as const)))
  }
  return cache.keys.get(kid) ?? null
}

/** The caller behind the request's token, or null without one. A token that does not hold is a 401. */
export async function authenticate(env: Env, request: Request, requestId: string, now_ms: number): Promise<Caller | null> {
  const token = tokenOf(request)
  if (token === null || token === '') return await bearer(env, request, requestId, now_ms)
  return await callerOfToken(env, token, requestId, now_ms)
}

const tokenOf = (request: Request): string | null => request.headers.get('x-auth-token') ?? request.headers.get('x-storage-token')

/** The same without waiting, where the token's signature was checked before; null: ask authenticate. */
export function callerAtHand(env: Env, request: Request, requestId: string, now_ms: number): Caller | null {
  const token = tokenOf(request)
  return token === null ? null : tokenAtHand(env, token, requestId, now_ms)
}

/** Whom a token names that was verified before and has not expired; null: ask callerOfToken. */
export function tokenAtHand(env: Env, token: string, requestId: string, now_ms: number): Caller | null {
  const claims = cacheOf(env).tokens.get(token)
  return claims === undefined || claims.expires_ms <= now_ms ? null : { ...claims, request_id: requestId }
}

/** Whether another service of the cloud sends this, with its own token beside the user's. */
export async function isService(env: Env, request: Request, now_ms: number): Promise<boolean> {
  const token = request.headers.get('x-service-token')
  if (token === null || token === '') return false
  try {
    const service = await callerOfToken(env, token, '', now_ms)
    if (!service.roles.includes('service')) return false
    // Region knows every revocation.
    await env.REGION.getByName(REGION_OBJECT_NAME).check(service)
    return true
  } catch {
    return false
  }
}

/** An OAuth2 access token: a token that an application credential was given (RFC 6750). Other kinds of Bearer are another matter. */
async function bearer(env: Env, request: Request, requestId: string, now_ms: number): Promise<Caller | null> {
  const token = /^Bearer +(\S+) *$/i.exec(request.headers.get('authorization') ?? '')?.[1]
  if (token === undefined) return null
  const caller = await callerOfToken(env, token, requestId, now_ms)
  if (caller.app_cred_id == null) throw unauthorized()
  return caller
}

export async function callerOfToken(env: Env, token: string, requestId: string, now_ms: number): Promise<Caller> {
  const known = tokenAtHand(env, token, requestId, now_ms)
  if (known !== null) return known
  const { tokens } = cacheOf(env)
  const claims = tokens.get(token) ?? (await verified(env, token, now_ms))
  if (claims.expires_ms <= now_ms) throw unauthorized()
  if (tokens.size >= TOKENS_KEPT) tokens.delete(tokens.keys().next().value ?? '')
  tokens.set(token, claims)
  return { ...claims, request_id: requestId }
}

async function verified(env: Env, token: string, now_ms: number): Promise<Omit<Caller, 'request_id'>> {
  const kid = tokenKeyId(token)
  const key = kid === null ? null : await keyOf(env, kid, now_ms)
  const claims = key === null ? null : await verifyToken(token, key)
  if (claims === null) throw unauthorized()
  return claims
}
