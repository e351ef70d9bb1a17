/** A client of OAuth 1.0 for tests, written from RFC 5849 and sharing nothing with the product. */
import { createHmac, randomBytes } from 'node:crypto'

const percent = (text: string) => encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)

export interface OAuthClient {
  key: string
  secret: string
  token?: { key: string; secret: string }
  verifier?: string
  at_s?: number
  nonce?: string
  hash?: 'SHA1' | 'SHA256'
}

/** The Authorization header of a POST to `url`. */
export function oauthHeader(url: string, { key, secret, token, verifier, at_s = Math.floor(Date.now() / 1000), nonce = randomBytes(16).toString('hex'), hash = 'SHA1' }: OAuthClient): string {
  const params: Record<string, string> = {
    oauth_nonce: nonce, oauth_timestamp: String(at_s), oauth_version: '1.0', oauth_signature_method: `HMAC-${hash}`, oauth_consumer_key: key, ...(token === undefined ? { oauth_callback: 'oob' } : { oauth_token: token.key }), ...(verifier === undefined ? {} : { oauth_verifier: verifier }),
  }
  const text = Object.keys(params).sort().map((name) => `${percent(name)}=${percent(params[name] ?? '')}`).join('&')
  const oauth_signature = createHmac(hash.toLowerCase(), `${percent(secret)}&${percent(token?.secret ?? '')}`).update(`POST&${percent(url)}&${percent(text)}`).digest('base64')
  return `OAuth ${Object.entries({ ...params, oauth_signature }).map(([name, value]) => `${name}="${percent(value)}"`).join(', ')}`
}

export const form = (text: string): Record<string, string> => Object.fromEntries(new URLSearchParams(text))
