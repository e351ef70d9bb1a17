/** What comes with a request: its body (plain, or decoded from aws-chunked), the checksums that it must have, and small XML bodies read whole. */
import { createHash } from 'node:crypto'
import { type DigestName, DIGESTS, DIGEST_BYTES, digestOf, isDigestName } from '../../../schema/values/digests.ts'
import { LIMITS } from '../headers.ts'
import { type Decoder, decodeChunked } from './chunked.ts'
import { s3Fault } from './errors.ts'
import type { S3Request } from './request.ts'
import { XML_BYTES_MAX } from './xml.ts'

export const OBJECT_BYTES_MAX = LIMITS.max_file_size

export interface Incoming {
  stream: ReadableStream<Uint8Array> | null
  /** Bytes of the payload; null where nobody says. */
  size: number | null
  /** Hexadecimal: Content-MD5. */
  md5: string | null
  /** base64: signed over the whole body. */
  sha256: string | null
  checksum: { algorithm: DigestName; value: string | null } | null
  decoder: Decoder | null
}

function sizeOf(text: string | null, name: string): number | null {
  if (text === null || text === '') return null
  if (!/^\d{1,16}$/.test(text)) throw s3Fault('InvalidArgument', undefined, { ArgumentName: name, ArgumentValue: text })
  return Number(text)
}

function md5Of(header: string | null): string | null {
  if (header === null) return null
  const bytes = Buffer.from(header, 'base64')
  if (bytes.byteLength !== 16) throw s3Fault('InvalidDigest', 'The Content-MD5 you specified is not valid.')
  return bytes.toString('hex')
}

/** The checksum that headers or the trailer give: one at most. */
export function checksumOf(headers: Headers): Incoming['checksum'] {
  const given = DIGESTS.flatMap((algorithm) => {
    const value = headers.get(`x-amz-checksum-${algorithm}`)
    return value === null ? [] : [{ algorithm, value }]
  })
  const trailer = /^x-amz-checksum-([a-z0-9]+)$/.exec((headers.get('x-amz-trailer') ?? '').trim().toLowerCase())?.[1]
  if (given.length + (trailer === undefined ? 0 : 1) > 1) throw s3Fault('InvalidRequest', 'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.')
  if (trailer !== undefined) {
    if (!isDigestName(trailer)) throw s3Fault('NotImplemented', `The checksum ${trailer} is not there.`)
    return { algorithm: trailer, value: null }
  }
  const [one] = given
  if (one !== undefined && Buffer.from(one.value, 'base64').byteLength !== DIGEST_BYTES[one.algorithm]) throw s3Fault('InvalidRequest', `Value for x-amz-checksum-${one.algorithm} header is invalid.`)
  return one ?? null
}

export function incoming(request: S3Request): Incoming {
  const { headers } = request
  const payload = request.signer?.payload ?? headers.get('x-amz-content-sha256') ?? ''
  const source = request.request.body as ReadableStream<Uint8Array> | null
  const checksum = checksumOf(headers)
  const md5 = md5Of(headers.get('content-md5'))
  if (payload.startsWith('STREAMING-')) {
    const size = sizeOf(headers.get('x-amz-decoded-content-length'), 'x-amz-decoded-content-length')
    if (size === null) throw s3Fault('MissingContentLength')
    const decoder = decodeBody(request, source ?? new ReadableStream(), payload, size, checksum)
    return { stream: request.env.DOOR_S3?.fan(decoder.body) ?? decoder.body, size, md5, sha256: null, checksum, decoder }
  }
  const isHash = /^[0-9a-f]{64}$/i.test(payload)
  if (!isHash && payload !== '' && payload !== 'UNSIGNED-PAYLOAD') throw s3Fault('InvalidArgument', 'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-... or a valid sha256 value.', { ArgumentName: 'x-amz-content-sha256', ArgumentValue: payload })
  const size = sizeOf(headers.get('content-length'), 'content-length') ?? (source === null ? 0 : null)
  return { stream: source, size, md5, sha256: isHash && request.signer !== null ? Buffer.from(payload, 'hex').toString('base64') : null, checksum, decoder: null }
}

const STREAMING: Record<string, { signed: boolean; trailer: boolean }> = {
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD': { signed: true, trailer: false }, 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER': { signed: true, trailer: true }, 'STREAMING-UNSIGNED-PAYLOAD-TRAILER': { signed: false, trailer: true },
}

function decodeBody(request: S3Request, source: ReadableStream<Uint8Array>, payload: string, length: number, checksum: Incoming['checksum']): Decoder {
  const form = STREAMING[payload]
  if (form === undefined) throw s3Fault('NotImplemented', `The body's form ${payload} is not there.`)
  const signing = request.signer?.chunks ?? null
  if (form.signed && signing === null) throw s3Fault('InvalidRequest', `${payload} needs a signature of version 4.`)
  return decodeChunked({ source, length, signing: form.signed ? signing : null, trailer: form.trailer, checksum: checksum?.value === null ? checksum.algorithm : null })
}

/** A body held whole: refused above the limit, and where it is not what its headers say. `verified`: it must have said something. */
export async function readBody(request: S3Request, bytes_max: number, verified = false): Promise<Uint8Array> {
  const body = incoming(request)
  if (verified && body.md5 === null && body.checksum === null) throw s3Fault('InvalidRequest', 'Missing required header for this request: Content-MD5 OR x-amz-checksum-*')
  if ((body.size ?? 0) > bytes_max) throw s3Fault('MaxMessageLengthExceeded')
  const parts: Uint8Array[] = []
  let size = 0
  const reader = body.stream?.getReader()
  try {
    for (let next = await reader?.read(); next !== undefined && !next.done; next = await reader?.read()) {
      size += next.value.byteLength
      if (size > bytes_max) throw s3Fault('MaxMessageLengthExceeded')
      parts.push(next.value)
    }
  } catch (error) {
    void reader?.cancel().catch(() => {})
    throw body.decoder?.failure ?? error
  }
  const bytes = new Uint8Array(Buffer.concat(parts))
  if (body.md5 !== null && createHash('md5').update(bytes).digest('hex') !== body.md5) throw s3Fault('BadDigest')
  if (body.sha256 !== null && digestOf('sha256', bytes) !== body.sha256) throw s3Fault('XAmzContentSHA256Mismatch')
  if (body.checksum?.value != null && digestOf(body.checksum.algorithm, bytes) !== body.checksum.value) throw s3Fault('BadDigest')
  return bytes
}

export async function readText(request: S3Request, verified = false): Promise<string> {
  const bytes = await readBody(request, XML_BYTES_MAX, verified)
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)
  } catch {
    throw s3Fault('MalformedXML')
  }
}
