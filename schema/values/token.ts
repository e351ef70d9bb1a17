/**
 * Tokens: JWS (RFC 7515) compact, EdDSA over Ed25519 (RFC 8037), key id in the header. The payload is the caller in short keys; edge Workers and doors
 * verify it by public key without asking anyone.
 */
import { CompactSign, compactVerify, decodeProtectedHeader } from 'jose'
import type { Caller } from './caller.ts'

export interface PublicKey {
  kid: string
  /** base64url of the 32 raw bytes. */
  x: string
}

interface Payload {
  sub: string
  un: string
  ud: string
  /** Scope: [project id, name, domain id], [domain id] or 's'. */
  p?: [string, string, string]
  d?: string
  s?: 1
  rl: string[]
  au: string[]
  me: string[]
  iat: number
  exp: number
  ac?: string
  tr?: string
  cr?: string
  /** OAuth1 access token */
  oa?: string
  ru?: 1
  /** [identity provider, protocol] */
  fe?: [string, string]
}

export const TOKEN_CHARS_MAX = 8_192

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export const importPublicKey = (key: PublicKey): Promise<CryptoKey> =>
  crypto.subtle.importKey('jwk', { kty: 'OKP', crv: 'Ed25519', x: key.x }, { name: 'Ed25519' }, false, ['verify']) as Promise<CryptoKey>

export async function signToken(caller: Caller, kid: string, key: CryptoKey): Promise<string> {
  const payload: Payload = { sub: caller.user_id, un: caller.user_name, ud: caller.user_domain_id, rl: caller.roles, au: caller.audit_ids, me: caller.methods, iat: caller.issued_ms, exp: caller.expires_ms }
  if (caller.project_id !== null) payload.p = [caller.project_id, caller.project_name ?? '', caller.project_domain_id ?? '']
  if (caller.domain_id !== null) payload.d = caller.domain_id
  if (caller.system) payload.s = 1
  if (caller.app_cred_id) payload.ac = caller.app_cred_id
  if (caller.trust_id) payload.tr = caller.trust_id
  if (caller.credential_id) payload.cr = caller.credential_id
  if (caller.oauth_token_id) payload.oa = caller.oauth_token_id
  if (caller.ruled) payload.ru = 1
  if (caller.federation) payload.fe = [caller.federation.idp_id, caller.federation.protocol_id]
  return await new CompactSign(encoder.encode(JSON.stringify(payload))).setProtectedHeader({ alg: 'EdDSA', kid }).sign(key)
}

/** The key id a token claims, or null where it is no token at all. */
export function tokenKeyId(token: string): string | null {
  if (token.length > TOKEN_CHARS_MAX) return null
  try {
    const header = decodeProtectedHeader(token)
    return header.alg === 'EdDSA' && typeof header.kid === 'string' ? header.kid : null
  } catch {
    return null
  }
}

/** The caller of a token whose signature holds; null otherwise. Expiry is the reader's to judge. */
export async function verifyToken(token: string, key: CryptoKey): Promise<Omit<Caller, 'request_id'> | null> {
  try {
    const { payload } = await compactVerify(token, key, { algorithms: ['EdDSA'] })
    const data = JSON.parse(decoder.decode(payload)) as Payload
    return {
      user_id: data.sub, user_name: data.un, user_domain_id: data.ud, project_id: data.p?.[0] ?? null, project_name: data.p?.[1] ?? null, project_domain_id: data.p?.[2] ?? null,
      domain_id: data.d ?? null, system: data.s === 1, roles: data.rl, audit_ids: data.au, methods: data.me, issued_ms: data.iat, expires_ms: data.exp,
      app_cred_id: data.ac ?? null, trust_id: data.tr ?? null, credential_id: data.cr ?? null, ruled: data.ru === 1,
      ...(data.oa === undefined ? {} : { oauth_token_id: data.oa }),
      federation: data.fe === undefined ? null : { idp_id: data.fe[0], protocol_id: data.fe[1] },
    }
  } catch {
    return null
  }
}
