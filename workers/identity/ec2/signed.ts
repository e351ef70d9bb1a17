/** What EC2 and S3 services send here to have checked, and whether its signature is that of a secret. Pure. */
import { Fault } from '../../../schema/values/fault.ts'
import { ec2QuerySignature, hmacBase64 } from '../../http/sigv2.ts'
import { ALGORITHM, type Scope, PRESIGNED_S_MAX, SKEW_MS_MAX, parseAmzDate, parseSigV4, sameSignature, sign, signatureOf, signingKey } from '../../http/sigv4.ts'

/** A request to an EC2 endpoint, taken apart by the service that got it. */
export interface Ec2Signed {
  access: string
  signature: string
  host: string
  verb: string
  path: string
  params: Record<string, string>
  headers: Record<string, string>
  body_hash: string
}

/** A request to an S3 endpoint: the text that was signed, base64. */
export interface S3Signed {
  access: string
  signature: string
  token: string
}

export type { Scope }
export const s3Key = signingKey
export const s3VersionTwo = (secret: string, text: string, signature: string): boolean => sameSignature(signature, hmacBase64('sha1', secret, text))

const S3_SERVICES = ['s3', 'iam', 'sts']
const refused = (message: string) => new Fault('unauthorized', message)

/** Null, or why not. The port is left out by some clients when they sign. */
export function ec2Fault(given: Ec2Signed, secret: string, now_ms: number): Fault | null {
  const late = staleFault(given, now_ms)
  if (late !== null) return late
  const hosts = [given.host, given.host.replace(/:\d+$/, '')]
  const version4 = given.params.SignatureVersion === undefined
  const right = hosts.map((host) => (version4 ? version4Signature({ ...given, host }, secret) : ec2QuerySignature(secret, { method: given.verb, host, path: given.path, params: given.params })))
  return right.some((signature) => signature !== null && sameSignature(given.signature, signature)) ? null : refused('Invalid EC2 signature.')
}

/** S17: a signature holds for a quarter of an hour, and one that says no time is none. */
function staleFault(given: Ec2Signed, now_ms: number): Fault | null {
  const headers = new Headers(given.headers)
  const text = given.params.Timestamp ?? headers.get('x-amz-date') ?? given.params['X-Amz-Date'] ?? given.params.Expires
  if (text === undefined) return refused('Credential timestamp is missing.')
  const at = /^\d{8}T\d{6}Z$/.test(text) ? parseAmzDate(text) : Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`)
  if (Number.isNaN(at)) return refused('Credential timestamp is invalid.')
  return Math.abs(now_ms - at) > SKEW_MS_MAX ? refused('Credential is expired') : null
}

function version4Signature(given: Ec2Signed, secret: string): string | null {
  const headers = new Headers(given.headers)
  headers.set('host', given.host)
  const params = new URLSearchParams(given.params)
  const parsed = parseSigV4(headers, params)
  if (parsed === null || parsed.amz_date === null || !parsed.amz_date.startsWith(parsed.date) || parsed.access !== given.access) return null
  // The parameters of a POST are in its body, which has its hash.
  const query = given.verb.toUpperCase() === 'POST' ? '' : Object.entries(given.params).map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&')
  return signatureOf(signingKey(secret, parsed), parsed.amz_date, parsed, { method: given.verb, path: given.path, query, headers, signed_headers: parsed.signed_headers, payload_hash: given.body_hash, service: parsed.service })
}

/** The S3 service has judged the request's own time (skew, or a presigned URL's life); a text older than any presigned URL may be is refused here too. */
export function s3Fault(given: S3Signed, secret: string, now_ms: number): Fault | null {
  const text = Buffer.from(given.token, 'base64').toString('utf8')
  if (!text.startsWith('AWS4')) return s3VersionTwo(secret, text, given.signature) ? null : refused('Credential signature mismatch')
  const lines = text.split('\n')
  const [algorithm, date = '', scope = ''] = lines
  const [day = '', region = '', service = '', end] = scope.split('/')
  const at = parseAmzDate(date)
  if (lines.length !== 4 || algorithm !== ALGORITHM || end !== 'aws4_request' || !S3_SERVICES.includes(service) || Number.isNaN(at) || !date.startsWith(day)) return refused('Invalid EC2 signature.')
  if (at > now_ms + SKEW_MS_MAX || at + PRESIGNED_S_MAX * 1_000 + SKEW_MS_MAX < now_ms) return refused('Credential is expired')
  return sameSignature(given.signature, sign(signingKey(secret, { date: day, region, service }), text)) ? null : refused('Credential signature mismatch')
}
