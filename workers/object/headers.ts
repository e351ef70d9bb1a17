/** Metadata in headers: which ones are kept, their limits, and Swift's rules for setting and removing (swift/common/constraints.py). */
import { swiftFault } from './errors.ts'

export const LIMITS = {
  account_listing_limit: 10_000, container_listing_limit: 10_000, max_file_size: 5_368_709_122, max_header_size: 8_192, max_meta_count: 90, max_meta_name_length: 128,
  max_meta_overall_size: 4_096, max_meta_value_length: 256, max_account_name_length: 256, max_container_name_length: 256, max_object_name_length: 1_024, extra_header_count: 0,
} as const

export type Metadata = Record<string, string>
export type Level = 'account' | 'container' | 'object'

/** Kept with an object besides Content-Type and X-Object-Meta-*. */
export const OBJECT_HEADERS = ['content-disposition', 'content-encoding', 'content-language', 'cache-control', 'expires', 'x-robots-tag', 'x-delete-at', 'x-object-manifest'] as const

const titleWord = (word: string) => word.slice(0, 1).toUpperCase() + word.slice(1)
export const titleCase = (name: string): string => name.toLowerCase().split('-').map(titleWord).join('-')

/** A header of stored metadata, whatever its case. */
export function metaOf(metadata: Metadata, name: string): string | undefined {
  const exact = metadata[titleCase(name)]
  if (exact !== undefined) return exact
  const lower = name.toLowerCase()
  for (const [key, value] of Object.entries(metadata)) if (key.toLowerCase() === lower) return value
  return undefined
}

const bytes = (text: string): number => new TextEncoder().encode(text).byteLength

/** X-<Level>-Meta-* of a request, checked. Names come back without the prefix, lower case. */
export function userMeta(headers: Headers, level: Level): Metadata {
  const prefix = `x-${level}-meta-`
  const found: Metadata = {}
  let [count, size] = [0, 0]
  for (const [name, value] of headers) {
    if (bytes(value) > LIMITS.max_header_size) throw swiftFault(400, `Header value too long: ${name.slice(0, LIMITS.max_meta_name_length)}`)
    if (!name.startsWith(prefix)) continue
    const key = name.slice(prefix.length)
    const shown = `${titleCase(prefix)}${key}`
    if (key === '') throw swiftFault(400, 'Metadata name cannot be empty')
    if (bytes(key) > LIMITS.max_meta_name_length) throw swiftFault(400, `Metadata name too long: ${shown}`)
    if (bytes(value) > LIMITS.max_meta_value_length) throw swiftFault(400, `Metadata value longer than ${LIMITS.max_meta_value_length}: ${shown}`)
    count++
    size += bytes(key) + bytes(value)
    if (count > LIMITS.max_meta_count) throw swiftFault(400, `Too many metadata items; max ${LIMITS.max_meta_count}`)
    if (size > LIMITS.max_meta_overall_size) throw swiftFault(400, `Total metadata too large; max ${LIMITS.max_meta_overall_size}`)
    found[key] = value
  }
  return found
}

/** What a PUT or POST of an account or container sets ('' removes), by full lower-case header name. */
export function metaChanges(headers: Headers, level: 'account' | 'container', special: readonly string[]): Metadata {
  const changes: Metadata = {}
  for (const [name] of headers) {
    const match = new RegExp(`^x-remove-${level}-(.+)$`).exec(name)
    if (match !== null) changes[`x-${level}-${match[1]}`] = ''
    for (const one of special) if (name === one.replace(/^x-/, 'x-remove-')) changes[one] = ''
  }
  for (const [key, value] of Object.entries(userMeta(headers, level))) changes[`x-${level}-meta-${key}`] = value
  for (const one of special) {
    const value = headers.get(one)
    if (value !== null) changes[one] = value
  }
  for (const name of Object.keys(changes)) if (!name.startsWith(`x-${level}-meta-`) && !special.includes(name)) delete changes[name]
  return changes
}

/** Merges; '' removes. The whole must stay within the limits, however many requests it took. */
export function mergeMeta(before: Metadata, changes: Metadata, level: 'account' | 'container'): Metadata {
  const after: Metadata = { ...before }
  for (const [name, value] of Object.entries(changes)) {
    if (value === '') delete after[name]
    else after[name] = value
  }
  const prefix = `x-${level}-meta-`
  const own = Object.entries(after).filter(([name]) => name.startsWith(prefix))
  if (own.length > LIMITS.max_meta_count) throw swiftFault(400, `Too many metadata items; max ${LIMITS.max_meta_count}`)
  if (own.reduce((sum, [name, value]) => sum + bytes(name) - prefix.length + bytes(value), 0) > LIMITS.max_meta_overall_size) throw swiftFault(400, `Total metadata too large; max ${LIMITS.max_meta_overall_size}`)
  return after
}

/** An object's metadata as a PUT or POST gives it, names in title case, Content-Type apart. */
export function objectMetadata(headers: Headers, now_s: number): Metadata {
  const metadata: Metadata = {}
  for (const [key, value] of Object.entries(userMeta(headers, 'object'))) metadata[titleCase(`x-object-meta-${key}`)] = value
  for (const name of OBJECT_HEADERS) {
    const value = headers.get(name)
    if (value !== null && value !== '' && name !== 'x-delete-at') metadata[titleCase(name)] = value
  }
  const deleteAt = deleteAtOf(headers, now_s)
  if (deleteAt !== null) metadata['X-Delete-At'] = String(deleteAt)
  const manifest = headers.get('x-object-manifest')
  if (manifest !== null && manifest !== '') {
    let value = manifest
    try {
      value = decodeURIComponent(manifest)
    } catch {}
    const at = value.indexOf('/')
    if (at <= 0 || at === value.length - 1 || /[?&]/.test(value)) throw swiftFault(400, 'X-Object-Manifest must be in the format container/prefix')
  }
  return metadata
}

/** When the object expires, in seconds; X-Delete-After counts from now and wins. */
export function deleteAtOf(headers: Headers, now_s: number): number | null {
  const after = headers.get('x-delete-after')
  if (after !== null && after !== '') {
    if (!/^[+-]?\d+$/.test(after.trim())) throw swiftFault(400, 'Non-integer X-Delete-After')
    const at = Math.floor(now_s) + Number(after)
    if (at <= now_s) throw swiftFault(400, 'X-Delete-After in past')
    return at
  }
  const text = headers.get('x-delete-at')
  if (text === null || text === '') return null
  if (!/^[+-]?\d+$/.test(text.trim())) throw swiftFault(400, 'Non-integer X-Delete-At')
  if (Number(text) < now_s) throw swiftFault(400, 'X-Delete-At in past')
  if (Number(text) > 9_999_999_999) throw swiftFault(400, 'X-Delete-At too large')
  return Number(text)
}

const TYPES: Record<string, string> = {
  html: 'text/html', htm: 'text/html', css: 'text/css', js: 'text/javascript', mjs: 'text/javascript', json: 'application/json', xml: 'application/xml', txt: 'text/plain', md: 'text/markdown', csv: 'text/csv',
  png: 'image/png', jpg: 'image/jpeg', jpeg: 'image/jpeg', gif: 'image/gif', svg: 'image/svg+xml', webp: 'image/webp', ico: 'image/vnd.microsoft.icon', pdf: 'application/pdf', zip: 'application/zip',
  tar: 'application/x-tar', mp3: 'audio/mpeg', mp4: 'video/mp4', webm: 'video/webm', wav: 'audio/x-wav', wasm: 'application/wasm',
}

export const guessType = (object: string): string => TYPES[/\.([^./]+)$/.exec(object)?.[1]?.toLowerCase() ?? ''] ?? 'application/octet-stream'

export function contentTypeOf(headers: Headers, object: string): string {
  const given = headers.get('content-type')
  const detect = /^(true|1|yes|on|t|y)$/i.test(headers.get('x-detect-content-type') ?? '')
  return given === null || given === '' || detect ? guessType(object) : given
}

export const isTrue = (text: string | null | undefined): boolean => /^(true|1|yes|on|t|y)$/i.test(text ?? '')
