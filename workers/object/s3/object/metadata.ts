/** What an object is stored with, out of a request's headers: its own headers, x-amz-meta-*, tags, list, locks; and back again. Pure. */
import { type Metadata, metaOf, titleCase } from '../../headers.ts'
import type { Bucket } from '../known.ts'
import { grantsOfHeaders } from '../acl.ts'
import { s3Fault } from '../errors.ts'
import type { S3Request } from '../request.ts'
import type { Extra, Retention } from './lock.ts'

export const META_BYTES_MAX = 2 * 1024
export const TAGS_MAX = 10
const KEPT = ['content-disposition', 'content-encoding', 'content-language', 'cache-control', 'expires'] as const
const META = 'x-amz-meta-'
const REDIRECT = 'X-Object-Sysmeta-S3-Redirect'
export const ETAG_META = 'X-Object-Sysmeta-S3-Etag'
/** 'algorithm value TYPE': what the object as a whole has; the value is '-' where the hosts know it. */
export const CHECKSUM_META = 'X-Object-Sysmeta-S3-Checksum'

const bytes = (text: string): number => new TextEncoder().encode(text).byteLength

/** What is asked for and is not there is refused, never dropped. */
export function refuseUnknown(headers: Headers): void {
  for (const [name] of headers) {
    if (name === 'x-amz-write-offset-bytes') throw s3Fault('NotImplemented', 'Appending to objects is not there.')
  }
  const storage = headers.get('x-amz-storage-class')
  if (storage !== null && storage !== 'STANDARD') throw s3Fault('InvalidStorageClass', `The storage class ${storage} is not there; STANDARD is.`)
}

export function userMetadata(headers: Headers): Metadata {
  const metadata: Metadata = {}
  let size = 0
  for (const [name, value] of headers) {
    if (!name.startsWith(META)) continue
    const key = name.slice(META.length)
    if (key === '') continue
    size += bytes(key) + bytes(value)
    metadata[titleCase(`x-object-meta-${key}`)] = value
  }
  if (size > META_BYTES_MAX) throw s3Fault('MetadataTooLarge', undefined, { Size: String(size), MaxSizeAllowed: String(META_BYTES_MAX) })
  return metadata
}

export interface Described {
  metadata: Metadata
  content_type: string
}

export function describe(headers: Headers): Described {
  const metadata = userMetadata(headers)
  for (const name of KEPT) {
    const value = headers.get(name)
    // The body's own form on the wire is not the object's.
    const kept = name === 'content-encoding' ? (value ?? '').split(',').map((part) => part.trim()).filter((part) => part !== '' && part.toLowerCase() !== 'aws-chunked').join(',') : value
    if (kept !== null && kept !== '') metadata[titleCase(name)] = kept
  }
  const redirect = headers.get('x-amz-website-redirect-location')
  if (redirect !== null) metadata[REDIRECT] = redirect
  return { metadata, content_type: headers.get('content-type') || 'binary/octet-stream' }
}

/** What a copy takes along of its source. */
export function carried(metadata: Metadata): Metadata {
  return Object.fromEntries(Object.entries(metadata).filter(([name]) => /^x-object-meta-/i.test(name) || (KEPT as readonly string[]).includes(name.toLowerCase())))
}

/** Stored metadata as response headers. */
export function metadataHeaders(metadata: Metadata): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(metadata)) {
    const lower = name.toLowerCase()
    if (lower.startsWith('x-object-meta-')) headers[`${META}${lower.slice('x-object-meta-'.length)}`] = value
    else if ((KEPT as readonly string[]).includes(lower)) headers[lower] = value
  }
  const redirect = metaOf(metadata, REDIRECT)
  if (redirect !== undefined) headers['x-amz-website-redirect-location'] = redirect
  return headers
}

// ---------------------------------------------------------------- tags

/** Checked pairs as kept: url-encoded, in their order. */
export function tagsText(pairs: readonly (readonly [string, string])[], count_max = TAGS_MAX): string {
  if (pairs.length > count_max) throw s3Fault('InvalidTag', `Object tags cannot be greater than ${count_max}`)
  if (new Set(pairs.map(([key]) => key)).size !== pairs.length) throw s3Fault('InvalidTag', 'Cannot provide multiple Tags with the same key')
  for (const [key, value] of pairs) {
    if (key === '' || [...key].length > 128) throw s3Fault('InvalidTag', 'The TagKey you have provided is invalid')
    if ([...value].length > 256 || !/^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u.test(value) || !/^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u.test(key)) throw s3Fault('InvalidTag', 'The TagValue you have provided is invalid')
    if (key.startsWith('aws:')) throw s3Fault('InvalidTag', 'System tags cannot be added/updated by requester')
  }
  return new URLSearchParams(pairs.map(([key, value]) => [key, value])).toString()
}

const tagsOfHeader = (header: string | null): string | null => (header === null || header === '' ? null : tagsText([...new URLSearchParams(header)]))

// ---------------------------------------------------------------- locks

export interface LockRule {
  mode: Retention['mode']
  days: number | null
  years: number | null
}

export interface LockConfig {
  enabled: boolean
  rule: LockRule | null
}

export const lockConfigOf = (bucket: Bucket): LockConfig | null => (bucket.config['object-lock'] === undefined ? null : (JSON.parse(bucket.config['object-lock']) as LockConfig))

export function parseRetention(mode: string | null | undefined, until: string | null | undefined, now_ms: number): Retention {
  if (mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE') throw s3Fault('MalformedXML')
  const until_ms = Date.parse(until ?? '')
  if (Number.isNaN(until_ms)) throw s3Fault('InvalidArgument', 'The retain until date must be provided in ISO 8601 format')
  if (until_ms <= now_ms) throw s3Fault('InvalidArgument', 'The retain until date must be in the future!')
  return { mode, until_ms }
}

const DAY_MS = 86_400_000

function lockExtra(headers: Headers, bucket: Bucket, now_ms: number): Record<string, string> {
  const [mode, until, hold] = [headers.get('x-amz-object-lock-mode'), headers.get('x-amz-object-lock-retain-until-date'), headers.get('x-amz-object-lock-legal-hold')]
  const config = lockConfigOf(bucket)
  if ((mode !== null || until !== null || hold !== null) && config === null) throw s3Fault('InvalidRequest', 'Bucket is missing Object Lock Configuration')
  if ((mode === null) !== (until === null)) throw s3Fault('InvalidArgument', 'x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied')
  if (hold !== null && hold !== 'ON' && hold !== 'OFF') throw s3Fault('InvalidArgument', 'Legal Hold must be either of "ON" or "OFF"')
  if (mode !== null && mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE') throw s3Fault('InvalidArgument', 'Unknown wormMode directive.')
  const rule = config?.rule ?? null
  const retention = mode !== null ? parseRetention(mode, until, now_ms) : rule === null ? null : { mode: rule.mode, until_ms: now_ms + ((rule.days ?? 0) + (rule.years ?? 0) * 365) * DAY_MS }
  return { ...(retention === null ? {} : { 's3-retention': JSON.stringify(retention) }), ...(hold === 'ON' ? { 's3-hold': 'ON' } : {}) }
}

/** What is kept with the row: tags, list of grants, locks. */
export function rowExtra(request: S3Request, bucket: Bucket): Record<string, string> {
  const { headers } = request
  const tags = tagsOfHeader(headers.get('x-amz-tagging'))
  const grants = grantsOfHeaders(headers, request.caller?.project_id ?? request.owner, request.owner)
  return { ...(tags === null ? {} : { 's3-tags': tags }), ...(grants === null || grants.length < 2 ? {} : { 's3-acl': JSON.stringify(grants) }), ...lockExtra(headers, bucket, request.now_ms) }
}

export function lockHeaders(extra: Extra): Record<string, string> {
  const retention = extra?.['s3-retention'] === undefined ? null : (JSON.parse(extra['s3-retention']) as Retention)
  return {
    ...(retention === null ? {} : { 'x-amz-object-lock-mode': retention.mode, 'x-amz-object-lock-retain-until-date': new Date(retention.until_ms).toISOString() }),
    ...(extra?.['s3-hold'] === 'ON' ? { 'x-amz-object-lock-legal-hold': 'ON' } : {}),
  }
}
