/** An object cloud whose Identity knows a few S3 keys, and a client that signs requests as AWS's do. */
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { Clock } from '../../../schema/values/time.ts'
import { hmacBase64, s3StringToSignV2 } from '../../../workers/http/sigv2.ts'
import { type Scope, UNSIGNED_PAYLOAD, amzDate, awsEncode, chunkStringToSign, sha256Hex, sign, signatureOf, signingKey, trailerStringToSign } from '../../../workers/http/sigv4.ts'
import { type Answer, ORIGIN, type TestCloud } from '../../support/cloud.ts'
import { type ObjectCloud, objectCloud } from './cloud.ts'

export interface Key {
  access: string
  secret: string
  caller: Omit<Caller, 'request_id'>
}

const callerOf = (project: string, user: string, roles: string[]): Omit<Caller, 'request_id'> => ({
  user_id: user, user_name: user, user_domain_id: 'default', project_id: project, project_name: project, project_domain_id: 'default', domain_id: null, system: false, roles, audit_ids: [`audit-${user}`], methods: ['ec2credential'], issued_ms: 1, expires_ms: Number.MAX_SAFE_INTEGER,
})

export const MEMBER: Key = { access: 'AKMEMBER', secret: 'secret-of-member', caller: callerOf('project-a', 'user-a', ['member', 'reader']) }
export const READER: Key = { access: 'AKREADER', secret: 'secret-of-reader', caller: callerOf('project-a', 'user-r', ['reader']) }
export const OTHER: Key = { access: 'AKOTHER', secret: 'secret-of-other', caller: callerOf('project-b', 'user-b', ['member', 'reader']) }

export interface S3Options {
  headers?: Record<string, string>
  query?: Record<string, string>
  body?: string | Uint8Array
  /** null: not signed. */
  key?: Key | null
  /** What x-amz-content-sha256 says; default the body's hash. */
  payload?: string
  region?: string
  at_ms?: number
  /** Signs with version 2. */
  v2?: boolean
  origin?: string
}

export type S3Cloud = S3Calls & ObjectCloud

export interface S3Calls {
  now_ms(): number
  /** `path`: '/bucket/key', percent-encoded. */
  s3(method: string, path: string, options?: S3Options): Promise<Answer>
  /** A URL of signature version 4 in the query. */
  presign(method: string, path: string, options?: { expires_s?: number; key?: Key; query?: Record<string, string>; at_ms?: number }): string
  raw(method: string, url: string, options?: { headers?: Record<string, string>; body?: BodyInit }): Promise<Answer>
}

export const queryText = (query: Record<string, string>): string => Object.entries(query).map(([name, value]) => `${awsEncode(name)}=${awsEncode(value)}`).join('&')

/** Identity knows these keys from now on, until it is told to forget one. */
export function teachKeys(cluster: ObjectCloud['cluster']): { forget(key: Key): void } {
  const identity = cluster.instance('IDENTITY', 'identity')
  const known = new Map([MEMBER, READER, OTHER].map((key) => [key.access, key]))
  const find = (access: string): Key => {
    const key = known.get(access)
    if (key === undefined) throw new Fault('not_found', 'EC2 access key not found.', { type: 'InvalidAccessKeyId' })
    return key
  }
  identity.s3SigningKey = ({ access, ...scope }: Scope & { access: string }) => ({ signing_key: signingKey(find(access).secret, scope), caller: find(access).caller })
  identity.s3Verify = ({ access, string_to_sign, signature }: { access: string; string_to_sign: string; signature: string }) => {
    if (hmacBase64('sha1', find(access).secret, string_to_sign) !== signature) throw new Fault('forbidden', 'wrong', { type: 'SignatureDoesNotMatch' })
    return { caller: find(access).caller }
  }
  return { forget: ({ access }) => void known.delete(access) }
}

export const s3Cloud = async (options: { hosts?: number; clock?: Clock; drivers?: boolean } = {}): Promise<S3Cloud> => withS3(await objectCloud(options), options.clock)

/** The same over any cloud. */
export function withS3<T extends TestCloud>(cloud: T, clock?: Clock): T & S3Calls {
  teachKeys(cloud.cluster)
  const now_ms = () => clock?.now_ms() ?? Date.now()
  const s3 = async (method: string, path: string, given: S3Options = {}): Promise<Answer> => {
    const key = given.key === undefined ? MEMBER : given.key
    const query = queryText(given.query ?? {})
    const url = new URL(`${given.origin ?? ORIGIN}${path}`)
    const headers: Record<string, string> = { ...(given.body === undefined ? {} : { 'content-length': String(Buffer.byteLength(given.body)) }), ...given.headers }
    if (key !== null && given.v2) sign2(key, method, path, headers, given.query ?? {}, given.at_ms ?? now_ms())
    else if (key !== null) sign4(key, method, path, query, headers, url.host, given.payload ?? sha256Hex(given.body ?? ''), given.at_ms ?? now_ms(), given.region ?? 'us-east-1')
    return await cloud.call(method, `${path}${query === '' ? '' : `?${query}`}`, { headers, ...(given.body === undefined ? {} : { body: given.body as BodyInit }) })
  }
  const presign: S3Cloud['presign'] = (method, path, { at_ms = now_ms(), ...given } = {}) => presigned(method, path, new URL(ORIGIN).host, { ...given, at_ms })
  return { ...cloud, now_ms, s3, presign, raw: (method, url, { headers, body } = {}) => cloud.call(method, url, { ...(headers === undefined ? {} : { headers }), ...(body === undefined ? {} : { body }) }) }
}

/** Path and query of version 4 in the query. */
export function presigned(method: string, path: string, host: string, { expires_s = 300, key = MEMBER, query = {}, at_ms }: { expires_s?: number; key?: Key; query?: Record<string, string>; at_ms: number }): string {
  const amz_date = amzDate(at_ms)
  const scope: Scope = { date: amz_date.slice(0, 8), region: 'us-east-1', service: 's3' }
  const all = queryText({ ...query, 'X-Amz-Algorithm': 'AWS4-HMAC-SHA256', 'X-Amz-Credential': `${key.access}/${scope.date}/${scope.region}/s3/aws4_request`, 'X-Amz-Date': amz_date, 'X-Amz-Expires': String(expires_s), 'X-Amz-SignedHeaders': 'host' })
  const signature = signatureOf(signingKey(key.secret, scope), amz_date, scope, { method, path, query: all, headers: new Headers({ host: host }), signed_headers: ['host'], payload_hash: UNSIGNED_PAYLOAD, service: 's3' })
  return `${path}?${all}&X-Amz-Signature=${signature}`
}

export function sign4(key: Key, method: string, path: string, query: string, headers: Record<string, string>, host: string, payload: string, at_ms: number, region: string): string {
  const amz_date = amzDate(at_ms)
  const scope: Scope = { date: amz_date.slice(0, 8), region, service: 's3' }
  headers['x-amz-date'] = amz_date
  headers['x-amz-content-sha256'] = payload
  const all = new Headers({ ...headers, host })
  const signed_headers = [...all.keys()].filter((name) => name === 'host' || name.startsWith('x-amz-') || name === 'content-md5').sort()
  const signature = signatureOf(signingKey(key.secret, scope), amz_date, scope, { method, path, query, headers: all, signed_headers, payload_hash: payload, service: 's3' })
  headers.authorization = `AWS4-HMAC-SHA256 Credential=${key.access}/${scope.date}/${region}/s3/aws4_request, SignedHeaders=${signed_headers.join(';')}, Signature=${signature}`
  return signature
}

export function sign2(key: Key, method: string, path: string, headers: Record<string, string>, query: Record<string, string>, at_ms: number): void {
  headers['x-amz-date'] = new Date(at_ms).toUTCString()
  const text = s3StringToSignV2({ method, resource: path, query: new URLSearchParams(query), headers: new Headers(headers), expires_s: null })
  headers.authorization = `AWS ${key.access}:${hmacBase64('sha1', key.secret, text)}`
}

export interface Chunked {
  headers: Record<string, string>
  body: Uint8Array
}

/** A body in signed chunks, with the headers of its request; `trailer`: 'name:value' signed after it. `spoil` changes a byte of the payload after it was signed. */
export function signedChunks(method: string, path: string, data: Uint8Array, options: { chunk: number; at_ms: number; trailer?: [string, string]; spoil?: boolean; key?: Key; host?: string }): Chunked {
  const { chunk, at_ms, trailer, key = MEMBER, host = new URL(ORIGIN).host } = options
  const payload = `STREAMING-AWS4-HMAC-SHA256-PAYLOAD${trailer === undefined ? '' : '-TRAILER'}`
  const headers: Record<string, string> = { 'content-encoding': 'aws-chunked', 'x-amz-decoded-content-length': String(data.byteLength), ...(trailer === undefined ? {} : { 'x-amz-trailer': trailer[0] }) }
  const amz_date = amzDate(at_ms)
  const scope: Scope = { date: amz_date.slice(0, 8), region: 'us-east-1', service: 's3' }
  const signing = signingKey(key.secret, scope)
  let previous = sign4(key, method, path, '', headers, host, payload, at_ms, 'us-east-1')
  const parts: Buffer[] = []
  for (let at = 0; at <= data.byteLength; at += chunk) {
    const piece = data.subarray(at, Math.min(at + chunk, data.byteLength))
    previous = sign(signing, chunkStringToSign(amz_date, scope, previous, sha256Hex(piece)))
    const sent = Buffer.from(piece)
    if (options.spoil === true && at === 0 && sent.length > 0) sent[0] = (sent[0] ?? 0) ^ 1
    parts.push(Buffer.from(`${piece.byteLength.toString(16)};chunk-signature=${previous}\r\n`), sent, ...(piece.byteLength === 0 ? [] : [Buffer.from('\r\n')]))
    if (piece.byteLength > 0 && at + chunk >= data.byteLength) {
      previous = sign(signing, chunkStringToSign(amz_date, scope, previous, sha256Hex('')))
      parts.push(Buffer.from(`0;chunk-signature=${previous}\r\n`))
      break
    }
    if (piece.byteLength === 0) break
  }
  if (trailer !== undefined) {
    const text = `${trailer[0]}:${trailer[1]}\n`
    parts.push(Buffer.from(`${trailer[0]}:${trailer[1]}\r\nx-amz-trailer-signature:${sign(signing, trailerStringToSign(amz_date, scope, previous, text))}\r\n`))
  }
  parts.push(Buffer.from('\r\n'))
  return { headers, body: new Uint8Array(Buffer.concat(parts)) }
}

/** The text of the first element of that name. */
export const xmlText = (text: string, name: string): string | undefined => new RegExp(`<${name}(?: [^>]*)?>([^<]*)</${name}>`).exec(text)?.[1]
export const xmlTexts = (text: string, name: string): string[] => [...text.matchAll(new RegExp(`<${name}(?: [^>]*)?>([^<]*)</${name}>`, 'g'))].map((match) => match[1] ?? '')
