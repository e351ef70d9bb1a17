/**
 * Large objects: a static manifest (SLO: JSON of segments with their sizes and ETags, checked when it was written) or a dynamic one (DLO: every object under a prefix, as the
 * listing has it now). Following a manifest is allowed to whom each segment is allowed.
 */
import { createHash } from 'node:crypto'
import { isFault } from '../../../schema/values/fault.ts'
import type { ObjectRow } from '../container/store.ts'
import { swiftFault } from '../errors.ts'
import { linkRow } from '../features/symlink-row.ts'
import { follow, linkOf, linkPath } from '../features/symlink.ts'
import { LIMITS, type Metadata, isTrue, metaOf } from '../headers.ts'
import { isSubdir } from '../list.ts'
import { type ObjectName, containerKey, decodeName } from '../names.ts'
import type { ManifestReader } from '../request.ts'
import { type Opened, type Source, openStored, readText } from './read.ts'

export const MANIFEST_BYTES_MAX = 8 * 1024 * 1024
/** Manifests in manifests. */
export const NESTING_MAX = 10
export const DLO_SEGMENTS_MAX = 10_000

/** One line of a stored SLO manifest, as Swift stores it. */
export interface Segment {
  name?: string
  bytes: number
  hash: string
  content_type?: string
  last_modified?: string
  sub_slo?: boolean
  range?: string
  /** base64: bytes in the manifest itself. */
  data?: string
}

/** A stretch of bytes of the whole. */
interface Piece {
  length: number
  open(range: [number, number] | null): Promise<Source>
}

/** What a stored manifest or link stands for, as a write of it takes it. */
export function sloOf(metadata: Metadata): { slo?: { size: number; etag: string }; extra?: Record<string, string> } {
  const etag = metaOf(metadata, 'x-object-sysmeta-slo-etag')
  return { ...linkRow(metadata), ...(isSlo(metadata) && etag !== undefined ? { slo: { size: Number(metaOf(metadata, 'x-object-sysmeta-slo-size') ?? 0), etag } } : {}) }
}

export const isSlo = (metadata: Metadata): boolean => isTrue(metaOf(metadata, 'x-static-large-object'))

export const segmentName = (account: string, path: string): ObjectName => {
  const [container = '', ...rest] = path.replace(/^\//, '').split('/')
  return { account, container, object: rest.join('/') }
}

export interface OpenOptions {
  withBody: boolean
  /** A manifest as it is stored. */
  raw?: boolean
  depth?: number
  version?: string
  /** 'get': a symbolic link as it is stored; 'static': such a link is followed only while it is a static one. */
  link?: 'get' | 'static'
}

/** The object with its symbolic links and its manifest followed; null where there is none. */
export async function openObject(request: ManifestReader, name: ObjectName, options: OpenOptions): Promise<Opened | null> {
  let [at, expected]: [ObjectName, string | null] = [name, null]
  for (let links = 0; ; links++) {
    const stored = await openStored(request.env, at, options.withBody, request.now_ms, links === 0 ? options.version : undefined)
    if (stored === null) {
      if (links > 0) throw swiftFault(404, undefined, { 'content-location': linkPath(at) })
      return null
    }
    const link = options.link === 'get' ? null : linkOf(stored.metadata, at.account)
    if (link === null || (options.link === 'static' && link.etag === null)) {
      const opened = await openManifest(request, at, stored, options)
      const etag = opened.etag.replace(/"/g, '')
      if (expected === null || expected === etag) return links === 0 ? opened : { ...opened, location: linkPath(at) }
      opened.drop()
      throw swiftFault(409, `Object Etag '${etag}' does not match X-Symlink-Target-Etag header '${expected}'`, { 'content-location': linkPath(at) })
    }
    stored.drop()
    at = await follow(request, link, stored.etag, expected, links, at)
    expected = link.etag
  }
}

async function openManifest(request: ManifestReader, name: ObjectName, stored: Opened, options: OpenOptions): Promise<Opened> {
  if (options.raw === true) return isSlo(stored.metadata) ? { ...stored, kind: 'manifest' } : stored
  if (isSlo(stored.metadata)) return await openSlo(request, name, stored, options)
  const manifest = metaOf(stored.metadata, 'x-object-manifest')
  return manifest === undefined ? stored : await openDlo(request, name, stored, manifest)
}

async function openSlo(request: ManifestReader, name: ObjectName, stored: Opened, options: { depth?: number }): Promise<Opened> {
  const depth = options.depth ?? 0
  const text = await readText(stored, MANIFEST_BYTES_MAX)
  const segments = JSON.parse(text) as Segment[]
  const size = segments.reduce((sum, segment) => sum + segmentLength(segment), 0)
  const etag = metaOf(stored.metadata, 'x-object-sysmeta-slo-etag') ?? sloEtag(segments)
  const open = (range: [number, number] | null) => {
    if (depth >= NESTING_MAX) throw swiftFault(409, 'Max recursion depth exceeded')
    return assemble(segments.map((segment) => sloPiece(request, name.account, segment, depth)), range)
  }
  return { ...stored, etag: `"${etag}"`, size, kind: 'slo', parts: segments.map(segmentLength), open: async (range) => open(range), drop: () => {} }
}

export const segmentRange = (segment: Segment): [number, number] => {
  const match = /^(\d+)-(\d+)$/.exec(segment.range ?? '')
  return match === null ? [0, segment.bytes - 1] : [Number(match[1]), Number(match[2])]
}
export const segmentLength = (segment: Segment): number => {
  if (segment.data !== undefined) return Buffer.from(segment.data, 'base64').byteLength
  const [first, last] = segmentRange(segment)
  return last - first + 1
}

/** MD5 over the segments' ETags and ranges, as clients compute it. */
export function sloEtag(segments: Segment[]): string {
  const hash = createHash('md5')
  for (const segment of segments) {
    if (segment.data !== undefined) hash.update(createHash('md5').update(Buffer.from(segment.data, 'base64')).digest('hex'))
    else hash.update(segment.range === undefined ? segment.hash : `${segment.hash}:${segment.range};`)
  }
  return hash.digest('hex')
}

function sloPiece(request: ManifestReader, account: string, segment: Segment, depth: number): Piece {
  if (segment.data !== undefined) {
    const bytes = Buffer.from(segment.data, 'base64')
    return { length: bytes.byteLength, open: async (range) => new Uint8Array(range === null ? bytes : bytes.subarray(range[0], range[1] + 1)) }
  }
  const name = segmentName(account, segment.name ?? '')
  const [first, last] = segmentRange(segment)
  const whole = segment.range === undefined
  return {
    length: last - first + 1,
    open: async (range) => {
      const opened = await openSegment(request, name, depth, whole && range === null)
      if (opened === null || opened.etag.replace(/"/g, '') !== segment.hash || opened.size !== segment.bytes) {
        opened?.drop()
        throw swiftFault(409)
      }
      return await opened.open(range === null ? (whole ? null : [first, last]) : [first + range[0], first + range[1]])
    },
  }
}

async function openSegment(request: ManifestReader, name: ObjectName, depth: number, withBody: boolean): Promise<Opened | null> {
  request.segments = true
  await request.needIn('object', 'get', name.container, name.object, name.account)
  return await openObject(request, name, { withBody, depth: depth + 1 })
}

/** A static link counts as what it links to. */
const shownSize = (row: ObjectRow): number => row.slo_size ?? (row.extra?.symlink_bytes === undefined ? row.size : Number(row.extra.symlink_bytes))

async function openDlo(request: ManifestReader, name: ObjectName, stored: Opened, manifest: string): Promise<Opened> {
  stored.drop()
  const at = manifest.indexOf('/')
  const [container, prefix] = [decodeName(manifest.slice(0, at)), decodeName(manifest.slice(at + 1))]
  const rows = await dloRows(request, name.account, container, prefix)
  const etag = createHash('md5').update(rows.map((row) => row.slo_etag ?? row.extra?.symlink_etag ?? row.etag).join('')).digest('hex')
  const pieces = rows.map((row): Piece => ({
    length: shownSize(row),
    open: async (range) => {
      const segment = { account: name.account, container, object: row.name }
      const opened = row.slo_size === null && row.extra?.symlink_target === undefined ? await openStored(request.env, segment, range === null, request.now_ms) : await openObject(request, segment, { withBody: true, depth: 1 })
      if (opened === null || opened.size !== shownSize(row)) {
        opened?.drop()
        throw swiftFault(409)
      }
      return await opened.open(range)
    },
  }))
  const size = rows.reduce((sum, row) => sum + shownSize(row), 0)
  const newest = rows.reduce((last, row) => (row.modified_at > last ? row.modified_at : last), stored.timestamp)
  return { ...stored, etag: `"${etag}"`, size, kind: 'dlo', timestamp: newest, open: async (range) => assemble(pieces, range), drop: () => {} }
}

async function dloRows(request: ManifestReader, account: string, container: string, prefix: string): Promise<ObjectRow[]> {
  request.segments = true
  await request.needIn('object', 'get', container, prefix, account)
  const rows: ObjectRow[] = []
  let marker = ''
  while (rows.length < DLO_SEGMENTS_MAX) {
    let page: ObjectRow[]
    try {
      const { entries } = await request.env.CONTAINER.getByName(containerKey(account, container)).list({ limit: LIMITS.container_listing_limit, marker, end_marker: '', prefix, delimiter: '', reverse: false, path: null })
      page = entries.filter((entry): entry is ObjectRow => !isSubdir(entry))
    } catch (error) {
      if (isFault(error, 'not_found')) throw swiftFault(404)
      throw error
    }
    rows.push(...page)
    if (page.length < LIMITS.container_listing_limit) break
    marker = page.at(-1)?.name ?? ''
  }
  return rows
}

/** The bytes of `range` out of the pieces in their order. */
async function assemble(pieces: Piece[], range: [number, number] | null): Promise<Source> {
  const opens: (() => Promise<Source>)[] = []
  let at = 0
  for (const piece of pieces) {
    const [start, end] = [at, at + piece.length - 1]
    at = end + 1
    if (piece.length === 0) continue
    if (range === null) {
      opens.push(() => piece.open(null))
      continue
    }
    if (end < range[0] || start > range[1]) continue
    const part: [number, number] = [Math.max(range[0], start) - start, Math.min(range[1], end) - start]
    opens.push(() => piece.open(part[0] === 0 && part[1] === piece.length - 1 ? null : part))
  }
  const [first, ...rest] = opens
  if (first === undefined) return new Uint8Array()
  // The first piece is opened before the answer starts: what is wrong with it is still an error, not a cut stream.
  const head = await first()
  return { parts: [async () => head, ...rest], length: range === null ? at : range[1] - range[0] + 1 }
}
