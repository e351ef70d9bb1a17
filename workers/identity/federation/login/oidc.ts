/**
 * OpenID Connect: finds out from an issuer's discovery document where its keys and endpoints are, keeps both for a while, and verifies tokens by them. A token counts only with an asymmetric
 * signature of an allowed algorithm, of this issuer, for this audience, now; or, where the protocol is configured so, because its issuer says so when asked.
 */
import { type JWTPayload, type JWTVerifyGetKey, createLocalJWKSet, jwtVerify } from 'jose'
import { Fault } from '../../../../schema/values/fault.ts'
import type { OidcConfig } from '../protocols/store.ts'
import type { Claims } from './claims.ts'
import { type OutboundRules, askJson, checkUrl } from './outbound.ts'

export const METADATA_LIFE_MS = 3_600_000
/** A key that its issuer withdrew is trusted no longer than this. */
export const KEYS_LIFE_MS = 300_000
/** An unknown key id may ask for the keys again this often. */
export const KEYS_COOLDOWN_MS = 5_000
export const BEARER_CHARS_MAX = 16_384

export interface Metadata {
  issuer: string
  jwks_uri: string
  authorization_endpoint?: string
  token_endpoint?: string
  introspection_endpoint?: string
  userinfo_endpoint?: string
}

interface Known {
  metadata: Metadata
  fetched_ms: number
  keys: JWTVerifyGetKey | null
  keys_ms: number
}

export interface Verifier {
  env: object
  rules: OutboundRules
  now_ms: number
  config: OidcConfig
  client_secret: string | null
  /** Why a token was refused: for the log, not for who sent it. */
  tell(why: string): void
}

const caches = new WeakMap<object, Map<string, Known>>()
const denied = () => new Fault('unauthorized', 'The request you have made requires authentication.')

function refuse({ tell }: Verifier, why: string): never {
  tell(why)
  throw denied()
}

export async function metadataOf({ env, rules, now_ms, config }: Verifier): Promise<Metadata> {
  return (await known(env, rules, now_ms, config.issuer)).metadata
}

async function known(env: object, rules: OutboundRules, now_ms: number, issuer: string): Promise<Known> {
  const cache = caches.get(env) ?? new Map<string, Known>()
  caches.set(env, cache)
  const found = cache.get(issuer)
  if (found !== undefined && now_ms - found.fetched_ms < METADATA_LIFE_MS) return found
  const { status, json } = await askJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, rules)
  const metadata = json as unknown as Metadata
  const bad = (why: string) => new Fault('bad_gateway', `The discovery document of ${issuer} cannot be used: ${why}.`)
  if (status !== 200) throw bad(`it answered ${status}`)
  // Another issuer's document would let that issuer speak for this one.
  if (metadata.issuer !== issuer) throw bad('it is of another issuer')
  if (typeof metadata.jwks_uri !== 'string') throw bad('it names no keys')
  for (const key of ['jwks_uri', 'authorization_endpoint', 'token_endpoint', 'introspection_endpoint', 'userinfo_endpoint'] as const) if (metadata[key] !== undefined) checkUrl(String(metadata[key]), rules)
  const fresh: Known = { metadata, fetched_ms: now_ms, keys: null, keys_ms: 0 }
  cache.set(issuer, fresh)
  return fresh
}

async function refreshKeys(entry: Known, rules: OutboundRules, now_ms: number): Promise<JWTVerifyGetKey> {
  const { status, json } = await askJson(entry.metadata.jwks_uri, rules)
  if (status !== 200 || !Array.isArray(json.keys)) throw new Fault('bad_gateway', `${entry.metadata.issuer} gives no keys.`)
  entry.keys = createLocalJWKSet({ keys: json.keys as never })
  entry.keys_ms = now_ms
  return entry.keys
}

/** By the keys that are known; once more with fresh ones where the token names a key that is not among them. */
async function withKeys<T>({ env, rules, now_ms, config }: Verifier, work: (keys: JWTVerifyGetKey) => Promise<T>): Promise<T> {
  const entry = await known(env, rules, now_ms, config.issuer)
  const fresh = entry.keys === null || now_ms - entry.keys_ms >= KEYS_LIFE_MS
  const keys = fresh || entry.keys === null ? await refreshKeys(entry, rules, now_ms) : entry.keys
  try {
    return await work(keys)
  } catch (error) {
    if (codeOf(error) !== 'ERR_JWKS_NO_MATCHING_KEY' || fresh || now_ms - entry.keys_ms < KEYS_COOLDOWN_MS) throw error
    return await work(await refreshKeys(entry, rules, now_ms))
  }
}

const codeOf = (error: unknown): string => String((error as { code?: unknown } | null)?.code ?? '')

/** Some issuers name no key in a token and have several: one after another. */
async function verifyWith(token: string, keys: JWTVerifyGetKey, options: Parameters<typeof jwtVerify>[2]): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, keys, options)).payload
  } catch (error) {
    if (codeOf(error) !== 'ERR_JWKS_MULTIPLE_MATCHING_KEYS') throw error
    for await (const key of error as AsyncIterable<CryptoKey>) {
      try {
        return (await jwtVerify(token, key, options)).payload
      } catch (inner) {
        if (codeOf(inner) !== 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED') throw inner
      }
    }
    throw error
  }
}

/** The claims of a JWT that this issuer signed for one of `audiences`, in its time. */
async function verifyJwt(verifier: Verifier, token: string, audiences: string[]): Promise<Claims> {
  const { config, now_ms } = verifier
  const options = { algorithms: [...config.algorithms], issuer: config.issuer, audience: audiences, clockTolerance: config.skew_s, currentDate: new Date(now_ms), requiredClaims: ['sub', 'exp', 'iat'] }
  let claims: Claims
  try {
    claims = (await withKeys(verifier, (keys) => verifyWith(token, keys, options))) as Claims
  } catch (error) {
    if ((error as { name?: string }).name === 'Fault') throw error
    return refuse(verifier, `${codeOf(error)} ${(error as Error).message}`)
  }
  // Bound to a key that the sender would have to prove it has; and a logout token is no login.
  if (claims.cnf !== undefined) refuse(verifier, 'the token is bound to its sender (cnf)')
  if (claims.events !== undefined) refuse(verifier, 'a logout token')
  if (Number(claims.iat) > now_ms / 1000 + config.skew_s) refuse(verifier, 'issued in the future')
  return claims
}

export function clientAuth({ config, client_secret }: Verifier, form: URLSearchParams): Record<string, string> {
  const plain = (text: string) => new URLSearchParams([['', text]]).toString().slice(1)
  if (config.client_auth === 'client_secret_basic' && client_secret !== null) return { authorization: `Basic ${Buffer.from(`${plain(config.client_id)}:${plain(client_secret)}`).toString('base64')}` }
  form.set('client_id', config.client_id)
  if (config.client_auth === 'client_secret_post' && client_secret !== null) form.set('client_secret', client_secret)
  return {}
}

export async function postForm(verifier: Verifier, endpoint: string, fields: Record<string, string>) {
  const form = new URLSearchParams(fields)
  const headers = { 'content-type': 'application/x-www-form-urlencoded', ...clientAuth(verifier, form) }
  return await askJson(endpoint, verifier.rules, { method: 'POST', headers, body: form.toString() })
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : value === undefined ? [] : [value])

/** What the issuer says of a token when asked (RFC 7662). It must say for whom the token is. */
async function introspect(verifier: Verifier, token: string): Promise<Claims> {
  const { config, now_ms } = verifier
  const { introspection_endpoint } = await metadataOf(verifier)
  if (introspection_endpoint === undefined) throw new Fault('bad_gateway', `${config.issuer} has no introspection endpoint.`)
  const { status, json } = await postForm(verifier, introspection_endpoint, { token, token_type_hint: 'access_token' })
  if (status !== 200) throw new Fault('bad_gateway', `${config.issuer} refused to say what a token is worth (${status}): see the client's id and secret.`)
  if (json.active !== true) refuse(verifier, 'not active')
  if (json.iss !== undefined && json.iss !== config.issuer) refuse(verifier, 'of another issuer')
  if (!listOf(json.aud ?? json.client_id).some((aud) => config.audiences.includes(String(aud)))) refuse(verifier, `for another audience (${String(json.aud ?? json.client_id)})`)
  if (typeof json.exp === 'number' && json.exp + config.skew_s <= now_ms / 1000) refuse(verifier, 'expired')
  if (json.cnf !== undefined) refuse(verifier, 'the token is bound to its sender (cnf)')
  // A machine's token may name only its client. That is no `sub`: a client may be called as a user is.
  if (![json.sub, json.client_id].some((name) => typeof name === 'string' && name !== '')) refuse(verifier, 'of nobody')
  return { ...json, iss: config.issuer }
}

/** Claims that only userinfo has, laid under those of the token: what the token says about itself stays. */
async function completed(verifier: Verifier, claims: Claims, token: string): Promise<Claims> {
  if (!verifier.config.userinfo) return claims
  const { userinfo_endpoint } = await metadataOf(verifier)
  if (userinfo_endpoint === undefined) throw new Fault('bad_gateway', `${verifier.config.issuer} has no userinfo endpoint.`)
  const { status, json } = await askJson(userinfo_endpoint, verifier.rules, { headers: { authorization: `Bearer ${token}` } })
  if (status !== 200) refuse(verifier, `userinfo answered ${status}`)
  if (json.sub !== claims.sub) refuse(verifier, 'userinfo is about somebody else')
  return { ...json, ...claims }
}

/** Who a bearer token is about. */
export async function verifyBearer(verifier: Verifier, token: string): Promise<Claims> {
  if (token === '' || token.length > BEARER_CHARS_MAX) refuse(verifier, 'no token, or one of absurd length')
  const claims = verifier.config.bearer === 'introspection' ? await introspect(verifier, token) : await verifyJwt(verifier, token, verifier.config.audiences)
  return await completed(verifier, claims, token)
}

/** A code of the provider, exchanged for who logged in (OpenID Connect Core 3.1.3). */
export async function exchangeCode(verifier: Verifier, code: string, login: { verifier: string; nonce: string; redirect_uri: string }): Promise<Claims> {
  const { config } = verifier
  const { token_endpoint } = await metadataOf(verifier)
  if (token_endpoint === undefined) throw new Fault('bad_gateway', `${config.issuer} has no token endpoint.`)
  const { status, json } = await postForm(verifier, token_endpoint, { grant_type: 'authorization_code', code, redirect_uri: login.redirect_uri, code_verifier: login.verifier })
  if (status !== 200 || typeof json.id_token !== 'string') refuse(verifier, `the code was not taken (${status} ${String(json.error ?? '')})`)
  const claims = await verifyJwt(verifier, String(json.id_token), [config.client_id])
  if (claims.nonce !== login.nonce) refuse(verifier, 'the ID token has another nonce')
  if (listOf(claims.aud).length > 1 && claims.azp !== config.client_id) refuse(verifier, 'the ID token was given to another client (azp)')
  return typeof json.access_token === 'string' ? await completed(verifier, claims, json.access_token) : claims
}
