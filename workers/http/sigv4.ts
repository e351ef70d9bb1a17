/**
 * AWS Signature Version 4, as mathematics: what a request says about its signature (header and presigned forms), its canonical form, the string to sign,
 * the derived key, the signature, and those of the chunks of a streamed body. Pure: no clock, no state, no I/O. Used by Identity (EC2) and the S3 dialect.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { Fault } from '../../schema/values/fault.ts'

export const ALGORITHM = 'AWS4-HMAC-SHA256'
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD'
export const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
/** A presigned URL holds for at most seven days, and a request's clock may be off by a quarter of an hour. */
export const PRESIGNED_S_MAX = 604_800
export const SKEW_MS_MAX = 15 * 60_000
const SIGNED_HEADERS_MAX = 100

/** What a key signs: one day, one region, one service. */
export interface Scope {
  /** YYYYMMDD */
  date: string
  region: string
  service: string
}

export interface SigV4 extends Scope {
  access: string
  /** Lower case, in the order given. */
  signed_headers: string[]
  /** Lower case hexadecimal. */
  signature: string
  /** YYYYMMDDTHHMMSSZ: of X-Amz-Date (or Date), null where the request has neither. */
  amz_date: string | null
  presigned: boolean
  /** Presigned only: how long it holds. */
  expires_s: number | null
}

export interface Signable {
  method: string
  /** Raw: as it was sent, percent-encoded, without the query. */
  path: string
  /** Raw: what follows '?', or ''. */
  query: string
  headers: { get(name: string): string | null }
  signed_headers: readonly string[]
  /** Hexadecimal SHA-256 of the body, or the literal that x-amz-content-sha256 carries. */
  payload_hash: string
  /** S3 encodes a path once, every other service twice. */
  service: string
}

/** Fault types are S3's error codes: each dialect renders them in its own way. */
const malformed = (message: string): Fault => new Fault('bad_request', message, { type: 'AuthorizationHeaderMalformed' })
const badQuery = (message: string): Fault => new Fault('bad_request', message, { type: 'AuthorizationQueryParametersError' })

export const sha256Hex = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex')
export const hmacSha256 = (key: string | Uint8Array, data: string): Uint8Array => Uint8Array.from(createHmac('sha256', key).update(data, 'utf8').digest())
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** The time it takes says nothing about where two signatures differ. */
export function sameSignature(given: string, right: string): boolean {
  const [a, b] = [createHash('sha256').update(given).digest(), createHash('sha256').update(right).digest()]
  return timingSafeEqual(a, b)
}

/** Encodes as AWS does: everything but unreserved characters, upper case hexadecimal. */
export const awsEncode = (text: string): string => encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)

/** Percent-decoding that never throws: what is no UTF-8 or no escape stays as bytes would be written again. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The signature of a request by its Authorization header or its query; null where it carries none of this kind; a Fault where it is broken. */
export function parseSigV4(headers: { get(name: string): string | null }, query: URLSearchParams): SigV4 | null {
  const authorization = headers.get('authorization')
  if (authorization !== null && /^AWS4-HMAC-SHA256(\s|$)/.test(authorization)) return fromHeader(authorization, headers)
  if (query.get('X-Amz-Algorithm') !== null) return fromQuery(query)
  return null
}

function fromHeader(authorization: string, headers: { get(name: string): string | null }): SigV4 {
  const parts = new Map(authorization.slice(ALGORITHM.length).split(',').map((part) => {
    const at = part.indexOf('=')
    return [part.slice(0, Math.max(at, 0)).trim(), part.slice(at + 1).trim()] as const
  }))
  const [credential, signedHeaders, signature] = [parts.get('Credential'), parts.get('SignedHeaders'), parts.get('Signature')]
  if (credential === undefined || signedHeaders === undefined || signature === undefined) throw malformed('The authorization header is malformed; it needs Credential, SignedHeaders and Signature.')
  return { ...scopeOf(credential, malformed), signed_headers: headerNames(signedHeaders, malformed), signature, amz_date: amzDateOf(headers), presigned: false, expires_s: null }
}

function fromQuery(query: URLSearchParams): SigV4 {
  const [credential, signedHeaders, signature, date] = [query.get('X-Amz-Credential'), query.get('X-Amz-SignedHeaders'), query.get('X-Amz-Signature'), query.get('X-Amz-Date')]
  if (query.get('X-Amz-Algorithm') !== ALGORITHM) throw badQuery('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256".')
  if (credential === null || signedHeaders === null || signature === null || date === null) throw badQuery('Query-string authentication needs X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date and X-Amz-SignedHeaders.')
  if (!/^\d{8}T\d{6}Z$/.test(date)) throw badQuery('X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd\'T\'HHmmss\'Z\'".')
  const expires = query.get('X-Amz-Expires')
  if (expires !== null && (!/^\d{1,9}$/.test(expires) || Number(expires) > PRESIGNED_S_MAX)) throw badQuery(`X-Amz-Expires must be a number of seconds, at most ${PRESIGNED_S_MAX}.`)
  return { ...scopeOf(credential, badQuery), signed_headers: headerNames(signedHeaders, badQuery), signature, amz_date: date, presigned: true, expires_s: expires === null ? null : Number(expires) }
}

/** Access keys may hold '/': the scope is the last four parts. */
function scopeOf(credential: string, broken: (message: string) => Fault): Scope & { access: string } {
  const parts = credential.split('/')
  const [date = '', region = '', service = '', end = ''] = parts.slice(-4)
  const access = parts.slice(0, -4).join('/')
  if (access === '' || !/^\d{8}$/.test(date) || service === '' || end !== 'aws4_request') throw broken('The Credential is malformed; it should be "<access key>/YYYYMMDD/REGION/SERVICE/aws4_request".')
  return { access, date, region, service }
}

function headerNames(text: string, broken: (message: string) => Fault): string[] {
  const names = text.split(';')
  if (names.length > SIGNED_HEADERS_MAX || names.some((name) => !/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) || !names.includes('host')) throw broken('SignedHeaders must name headers in lower case, "host" among them.')
  return names
}

/** X-Amz-Date, else the Date header in the same form. */
function amzDateOf(headers: { get(name: string): string | null }): string | null {
  const given = headers.get('x-amz-date') ?? headers.get('date')
  if (given === null) return null
  if (/^\d{8}T\d{6}Z$/.test(given)) return given
  const ms = Date.parse(given)
  return Number.isNaN(ms) ? null : amzDate(ms)
}

export const amzDate = (ms: number): string => new Date(ms).toISOString().replace(/[-:]|\.\d{3}/g, '')

/** Milliseconds of YYYYMMDDTHHMMSSZ; NaN for anything else. */
export const parseAmzDate = (text: string): number => (/^\d{8}T\d{6}Z$/.test(text) ? Date.parse(text.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z')) : Number.NaN)

/** Whether the request's time is good: null, or the Fault to answer (S17: fifteen minutes either way, or as long as a presigned URL says). */
export function timeFault(sig: SigV4, now_ms: number): Fault | null {
  const at = sig.amz_date === null ? Number.NaN : parseAmzDate(sig.amz_date)
  if (Number.isNaN(at)) return new Fault('forbidden', 'AWS authentication requires a valid Date or x-amz-date header.', { type: 'AccessDenied' })
  if (!sig.amz_date?.startsWith(sig.date)) return new Fault('forbidden', 'Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.', { type: 'SignatureDoesNotMatch' })
  if (at > now_ms + SKEW_MS_MAX) return new Fault('forbidden', 'The difference between the request time and the current time is too large.', { type: 'RequestTimeTooSkewed' })
  if (sig.presigned) return at + (sig.expires_s ?? SKEW_MS_MAX / 1_000) * 1_000 < now_ms ? new Fault('forbidden', 'Request has expired', { type: 'AccessDenied' }) : null
  return at + SKEW_MS_MAX < now_ms ? new Fault('forbidden', 'The difference between the request time and the current time is too large.', { type: 'RequestTimeTooSkewed' }) : null
}

function canonicalPath(path: string, service: string): string {
  const segments = (path === '' ? '/' : path).split('/')
  if (service === 's3') return segments.map((segment) => awsEncode(decoded(segment))).join('/')
  const normal: string[] = []
  for (const segment of segments) {
    if (segment === '..') normal.pop()
    // What was sent is encoded as it is: an escape in it becomes an escaped escape.
    else if (segment !== '' && segment !== '.') normal.push(awsEncode(segment))
  }
  return `/${normal.join('/')}${normal.length > 0 && /(\/|\/\.|\/\.\.)$/.test(path) ? '/' : ''}`
}

/** Sorted by encoded name, then value; the signature itself is left out. '+' in a query stands for itself only where it is written %2B: AWS reads it as a space. */
export function canonicalQuery(query: string): string {
  return query.split('&').filter((part) => part !== '').flatMap((part) => {
    const at = part.indexOf('=')
    const read = (text: string) => awsEncode(decoded(text.replace(/\+/g, ' ')))
    const name = read(at < 0 ? part : part.slice(0, at))
    return name === 'X-Amz-Signature' ? [] : [[name, at < 0 ? '' : read(part.slice(at + 1))] as const]
  }).sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0)).map(([name, value]) => `${name}=${value}`).join('&')
}

export function canonicalRequest({ method, path, query, headers, signed_headers, payload_hash, service }: Signable): string {
  const lines = signed_headers.map((name) => `${name}:${(headers.get(name) ?? '').trim().replace(/ +/g, ' ')}\n`)
  return [method.toUpperCase(), canonicalPath(path, service), canonicalQuery(query), lines.join(''), signed_headers.join(';'), payload_hash].join('\n')
}

export const scopeText = ({ date, region, service }: Scope): string => `${date}/${region}/${service}/aws4_request`

export const stringToSign = (canonical: string, amz_date: string, scope: Scope): string => [ALGORITHM, amz_date, scopeText(scope), sha256Hex(canonical)].join('\n')

/** The key of one day, region and service: all that a verifier of requests needs to hold of a secret. */
export function signingKey(secret: string, { date, region, service }: Scope): Uint8Array {
  return [region, service, 'aws4_request'].reduce((key, text) => hmacSha256(key, text), hmacSha256(`AWS4${secret}`, date))
}

export const sign = (key: Uint8Array, text: string): string => hex(hmacSha256(key, text))

/** The signature a request should carry. */
export const signatureOf = (key: Uint8Array, amz_date: string, scope: Scope, request: Signable): string => sign(key, stringToSign(canonicalRequest(request), amz_date, scope))

/** One chunk of STREAMING-AWS4-HMAC-SHA256-PAYLOAD: chained to the signature before it (the request's own is the first). */
export const chunkStringToSign = (amz_date: string, scope: Scope, previous: string, chunk_sha256: string): string =>
  [`${ALGORITHM}-PAYLOAD`, amz_date, scopeText(scope), previous, EMPTY_SHA256, chunk_sha256].join('\n')

/** The trailer of ...-PAYLOAD-TRAILER; `trailer` is its headers as 'name:value\n' lines. */
export const trailerStringToSign = (amz_date: string, scope: Scope, previous: string, trailer: string): string =>
  [`${ALGORITHM}-TRAILER`, amz_date, scopeText(scope), previous, sha256Hex(trailer)].join('\n')
