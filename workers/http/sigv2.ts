/**
 * AWS Signature Version 2, which old tools still send, as mathematics: S3's form (Authorization: AWS key:signature, or AWSAccessKeyId in the query) and EC2's
 * query form with versions 0, 1 and 2. Pure, as sigv4.ts is.
 */
import { createHmac } from 'node:crypto'
import { Fault } from '../../schema/values/fault.ts'
import { awsEncode } from './sigv4.ts'

export interface S3SigV2 {
  access: string
  /** base64 */
  signature: string
  /** Presigned: seconds since 1970 until which it holds; null for the header form. */
  expires_s: number | null
}

/** Query parameters that are part of S3's resource: everything else is not signed. */
const SUBRESOURCES = [
  'accelerate', 'acl', 'cors', 'defaultObjectAcl', 'delete', 'encryption', 'legal-hold', 'lifecycle', 'location', 'logging', 'notification', 'object-lock', 'partNumber', 'policy', 'policyStatus', 'publicAccessBlock', 'replication',
  'requestPayment', 'response-cache-control', 'response-content-disposition', 'response-content-encoding', 'response-content-language', 'response-content-type', 'response-expires', 'restore', 'retention', 'tagging', 'torrent',
  'uploadId', 'uploads', 'versionId', 'versioning', 'versions', 'website',
]

export const hmacBase64 = (algorithm: 'sha1' | 'sha256', secret: string, text: string): string => createHmac(algorithm, secret).update(text, 'utf8').digest('base64')

/** S3's version 2 signature of a request; null where it carries none; a Fault where it is broken. */
export function parseS3SigV2(headers: { get(name: string): string | null }, query: URLSearchParams): S3SigV2 | null {
  const authorization = headers.get('authorization')
  if (authorization !== null && /^AWS\s/.test(authorization)) {
    const credential = authorization.slice(4).trim()
    const at = credential.lastIndexOf(':')
    if (at <= 0) throw new Fault('bad_request', 'The authorization header is malformed: AWS <access key>:<signature>.', { type: 'InvalidArgument' })
    return { access: credential.slice(0, at), signature: credential.slice(at + 1), expires_s: null }
  }
  const access = query.get('AWSAccessKeyId')
  if (access === null) return null
  const [signature, expires] = [query.get('Signature'), query.get('Expires')]
  if (signature === null || expires === null || !/^\d{1,12}$/.test(expires)) throw new Fault('forbidden', 'Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters.', { type: 'AccessDenied' })
  return { access, signature, expires_s: Number(expires) }
}

/** `resource`: the path with the bucket in it, as it was sent, without the query. `headers` iterate in lower case, as Headers do. */
export function s3StringToSignV2(request: { method: string; resource: string; query: URLSearchParams; headers: Headers; expires_s: number | null }): string {
  const { method, resource, query, headers, expires_s } = request
  const amz = [...headers].filter(([name]) => name.startsWith('x-amz-')).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => `${name}:${value.trim().replace(/\s*\n\s*/g, ' ')}\n`)
  const date = expires_s !== null ? String(expires_s) : headers.has('x-amz-date') ? '' : (headers.get('date') ?? '')
  const sub = [...query].filter(([name]) => SUBRESOURCES.includes(name)).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => (value === '' ? name : `${name}=${value}`))
  return [method, headers.get('content-md5') ?? '', headers.get('content-type') ?? '', date, `${amz.join('')}${resource}${sub.length === 0 ? '' : `?${sub.join('&')}`}`].join('\n')
}

export interface Ec2Query {
  method: string
  host: string
  path: string
  params: Record<string, string>
}

/** EC2's query signature by the version that the parameters name; null where version or method is none that exists. */
export function ec2QuerySignature(secret: string, { method, host, path, params }: Ec2Query): string | null {
  const algorithm = params.SignatureMethod === undefined || params.SignatureMethod === 'HmacSHA1' ? 'sha1' : params.SignatureMethod === 'HmacSHA256' ? 'sha256' : null
  if (algorithm === null) return null
  const { Signature: _, ...signed } = params
  const byCode = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
  switch (params.SignatureVersion) {
    case '0':
      return hmacBase64('sha1', secret, `${params.Action ?? ''}${params.Timestamp ?? ''}`)
    case '1':
      return hmacBase64('sha1', secret, Object.keys(signed).sort((a, b) => byCode(a.toLowerCase(), b.toLowerCase())).map((key) => `${key}${signed[key]}`).join(''))
    case '2': {
      const query = Object.keys(signed).sort(byCode).map((key) => `${awsEncode(key)}=${awsEncode(signed[key] ?? '')}`).join('&')
      return hmacBase64(algorithm, secret, `${method.toUpperCase()}\n${host}\n${path}\n${query}`)
    }
    default:
      return null
  }
}
