/**
 * What an S3 request addresses, wherever it lands: `/bucket/key` at the root or below /s3, or `bucket.DOMAIN/key` where OPTIONS name domains
 * (`{"s3":{"domains":["s3.example.org"]}}`). 'PROJECT:bucket' names another project's bucket. The path is taken as it was sent, for signatures cover it.
 */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import type { RequestUrl } from '../../http/address.ts'
import { rawPath } from '../names.ts'
import { s3Fault } from './errors.ts'

export const PREFIX = '/s3'
export const KEY_BYTES_MAX = 1024

export interface Address {
  /** As it was sent, without the query: what is signed. */
  raw: string
  /** What version 2 signatures cover: the bucket of the host in front. */
  resource: string
  bucket: string | null
  /** The project that 'PROJECT:bucket' names. */
  project: string | null
  key: string | null
}

export interface S3Options {
  domains: string[]
  /** Requests signed for another region are refused; null takes any. */
  region: string | null
  /** Doors are told the keys of a day, region and S3 that requests at them are signed with: see docs/door.md. */
  door_keys: boolean
}

const known = new WeakMap<object, S3Options>()

export function s3Options(env: Env): S3Options {
  let options = known.get(env)
  if (options === undefined) {
    const given = (JSON.parse(env.OPTIONS || '{}') as { s3?: { domains?: string[]; region?: string; door_keys?: boolean } }).s3
    options = { domains: (given?.domains ?? []).map((domain) => domain.toLowerCase()), region: given?.region ?? null, door_keys: given?.door_keys === true }
    known.set(env, options)
  }
  return options
}

const hostOf = (request: Request): string => (request.headers.get('host') ?? new URL(request.url).host).toLowerCase().replace(/:\d+$/, '')

/** The bucket that the host names: '' where it is an S3 host without one, null where it is none of ours. */
function bucketOfHost(request: Request, env: Env): string | null {
  const { domains } = s3Options(env)
  if (domains.length === 0) return null
  const host = hostOf(request)
  for (const domain of domains) {
    if (host === domain) return ''
    if (host.endsWith(`.${domain}`)) return host.slice(0, -domain.length - 1)
  }
  return null
}

const isBelow = (path: string): boolean => path === PREFIX || path.startsWith(`${PREFIX}/`)

const isPresigned = (query: URLSearchParams): boolean =>
  (/\/s3\/aws4_request$/.test(query.get('X-Amz-Credential') ?? '') && query.has('X-Amz-Signature')) || (query.has('AWSAccessKeyId') && query.has('Signature') && query.has('Expires') && !query.has('Action'))

/** Whether a request that no prefix claims speaks S3: by its signature, its host, or as a form. `claimed`: its first segment is another service's. */
export function recognise(request: Request, env: Env, url: RequestUrl, claimed: boolean): boolean {
  if (bucketOfHost(request, env) !== null) return true
  const authorization = request.headers.get('authorization')
  if (authorization !== null) return /^AWS /.test(authorization) || (/^AWS4-HMAC-SHA256\b/.test(authorization) && /Credential=[^,]*\/s3\/aws4_request/.test(authorization))
  if (url.search !== '' && isPresigned(url.searchParams)) return true
  if (claimed) return false
  return (request.method === 'POST' && /^multipart\/form-data/i.test(request.headers.get('content-type') ?? '')) || (request.method === 'OPTIONS' && request.headers.has('access-control-request-method'))
}

function decode(raw: string): string {
  let text: string
  try {
    text = decodeURIComponent(raw)
  } catch {
    throw s3Fault('InvalidURI')
  }
  if (text.includes('\0')) throw s3Fault('InvalidURI')
  return text
}

export function addressOf(request: Request, env: Env): Address {
  const raw = rawPath(request.url)
  const ofHost = bucketOfHost(request, env)
  const path = (ofHost === null || ofHost === '') && isBelow(raw) ? raw.slice(PREFIX.length) : raw
  const [first, rest] = ofHost === null || ofHost === '' ? split(path) : [ofHost, path.slice(1)]
  const name = first === '' ? null : decode(first)
  const colon = name?.indexOf(':') ?? -1
  const key = rest === '' || name === null ? null : decode(rest)
  if (key !== null && new TextEncoder().encode(key).byteLength > KEY_BYTES_MAX) throw s3Fault('KeyTooLongError')
  const bucket = name === null || colon < 0 ? name : name.slice(colon + 1)
  if (bucket !== null) checkBucketName(bucket)
  if (name !== null && colon >= 0 && !isProject(name.slice(0, colon))) throw s3Fault('InvalidBucketName', undefined, { BucketName: name })
  return { raw, resource: ofHost === null || ofHost === '' ? raw : `/${ofHost}${raw}`, bucket, project: name === null || colon < 0 ? null : name.slice(0, colon), key }
}

function split(path: string): [string, string] {
  const text = path.replace(/^\//, '')
  const at = text.indexOf('/')
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

/** What may be addressed: containers made by Swift too, where their names can stand in a path and a host. */
export const isBucketName = (name: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/.test(name)

function checkBucketName(name: string): void {
  if (!isBucketName(name)) throw s3Fault('InvalidBucketName', undefined, { BucketName: name })
}

export const isProject = (id: string): boolean => /^[A-Za-z0-9_-]{1,64}$/.test(id)

/** What may be made: AWS's rules, so that the bucket works as a host name. */
export function checkNewBucketName(name: string): void {
  const good = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) && !/\.\.|\.-|-\./.test(name) && !/^\d+\.\d+\.\d+\.\d+$/.test(name) && !/^xn--|-s3alias$|--ol-s3$/.test(name)
  if (!good) throw s3Fault('InvalidBucketName', undefined, { BucketName: name })
}

/** Where the parts of multipart uploads lie, as Swift's own S3 dialect has them. */
export const segmentsOf = (bucket: string): string => `${bucket}+segments`
