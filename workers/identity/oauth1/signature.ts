/** Signed requests of OAuth 1.0 (RFC 5849): the header, the text that is signed, and whether a signature is that of a pair of secrets. Pure. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { RequestUrl } from '../../http/address.ts'

/** A request as its signature covers it. */
export interface OAuthSigned {
  method: string
  /** Where the client may have thought it was sending it: behind a proxy the request's own address and the public one differ. */
  addresses: string[]
  /** Of the query and of the header, without the signature. */
  params: [string, string][]
  /** oauth_* of the header. */
  oauth: Record<string, string>
}

export const HEADER_CHARS_MAX = 8_192
const HASHES = new Map([['HMAC-SHA1', 'sha1'], ['HMAC-SHA256', 'sha256'], ['HMAC-SHA512', 'sha512']])

/** RFC 3986: all but letters, digits and -._~ */
export const escaped = (text: string): string => encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)

function unescaped(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

/** Authorization: OAuth name="value", ... ; null for what is none, or says something twice. */
export function oauthHeader(header: string | null): Record<string, string> | null {
  if (header === null || header.length > HEADER_CHARS_MAX || !/^OAuth\s/i.test(header)) return null
  const out: Record<string, string> = Object.create(null)
  for (const part of header.slice('OAuth '.length).split(',')) {
    const match = /^\s*([^=\s]+)\s*=\s*"([^"]*)"\s*$/.exec(part)
    const [name, value] = [unescaped(match?.[1] ?? '%'), unescaped(match?.[2] ?? '%')]
    if (name === null || value === null || Object.hasOwn(out, name)) return null
    out[name] = value
  }
  return out
}

export function signedRequest(request: { method: string; url: RequestUrl; header: string | null; origin: string }): OAuthSigned | null {
  const header = oauthHeader(request.header)
  if (header === null) return null
  const { oauth_signature: _signature, realm: _realm, ...covered } = header
  const path = request.url.pathname
  return {
    method: request.method.toUpperCase(), addresses: [...new Set([`${request.url.origin}${path}`, `${request.origin}${path}`])],
    params: [...request.url.searchParams, ...Object.entries(covered)], oauth: Object.fromEntries(Object.entries(header).filter(([name]) => name.startsWith('oauth_'))),
  }
}

export function baseString(method: string, address: string, params: [string, string][]): string {
  const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
  const pairs = params.map(([name, value]) => [escaped(name), escaped(value)] as const).sort((a, b) => order(a[0], b[0]) || order(a[1], b[1]))
  return `${method}&${escaped(address)}&${escaped(pairs.map(([name, value]) => `${name}=${value}`).join('&'))}`
}

/** `tokenSecret` is empty where there is no token yet. */
export function holds(signed: OAuthSigned, consumerSecret: string, tokenSecret: string): boolean {
  const hash = HASHES.get(signed.oauth.oauth_signature_method ?? '')
  if (hash === undefined || (signed.oauth.oauth_version ?? '1.0') !== '1.0') return false
  const given = Buffer.from(signed.oauth.oauth_signature ?? '')
  return signed.addresses.some((address) => {
    const right = Buffer.from(createHmac(hash, `${escaped(consumerSecret)}&${escaped(tokenSecret)}`).update(baseString(signed.method, address, signed.params)).digest('base64'))
    return right.length === given.length && timingSafeEqual(right, given)
  })
}
