/** Rows of a container's listing as its tables hold them, and what one is called on the disks. */
import type { Metadata } from '../headers.ts'
import type { ObjectName } from '../names.ts'
import { parseTicks } from '../timestamp.ts'

export interface ContainerInfo {
  account: string
  name: string
  policy: number
  created_at: string
  put_at: string
  /** Full lower-case header names: x-container-meta-*, x-container-read, x-versions-enabled... */
  metadata: Metadata
  object_count: number
  /** Older versions too. */
  bytes_used: number
}

export interface ObjectRow {
  name: string
  /** Timestamp of the data. */
  at: string
  /** Timestamp of the newest change of metadata. */
  modified_at: string
  size: number
  etag: string
  content_type: string
  delete_at: number | null
  slo_etag: string | null
  /** Bytes of all segments, where it is a static manifest. */
  slo_size: number | null
  /** Id of this version (the time it was written); '' is the null version, written while the container was not versioned. */
  version: string
  /** What listings show besides (a symlink's target), or a dialect keeps with the row. */
  extra: Record<string, string> | null
}

/** One line of a container's history. */
export interface VersionRow extends ObjectRow {
  /** A delete marker: no bytes. */
  deleted: boolean
  is_latest: boolean
}

export type Row = Record<string, unknown>
export type Rows = (query: string, ...bindings: unknown[]) => Row[]

export const OBJECT_COLUMNS = 'name, version, at, modified_at, size, etag, content_type, delete_at, slo_etag, slo_size, extra'
export const objectValues = (row: ObjectRow): unknown[] => [row.name, row.version, row.at, row.modified_at, row.size, row.etag, row.content_type, row.delete_at, row.slo_etag, row.slo_size, row.extra === null ? null : JSON.stringify(row.extra)]

export const toInfo = (row: Row): ContainerInfo => ({
  account: String(row.account), name: String(row.name), policy: Number(row.policy), created_at: String(row.created_at), put_at: String(row.put_at), metadata: JSON.parse(String(row.metadata)) as Metadata,
  object_count: Number(row.object_count), bytes_used: Number(row.bytes_used),
})

export const toObject = (row: Row): ObjectRow => ({
  name: String(row.name), at: String(row.at), modified_at: String(row.modified_at), size: Number(row.size), etag: String(row.etag), content_type: String(row.content_type),
  delete_at: row.delete_at === null ? null : Number(row.delete_at), slo_etag: row.slo_etag === null ? null : String(row.slo_etag), slo_size: row.slo_size === null ? null : Number(row.slo_size),
  version: String(row.version), extra: row.extra === null ? null : (JSON.parse(String(row.extra)) as Record<string, string>),
})

const LAST_TICK = 999_999_999_999_999

/** Orders versions by name, then the newest first: no name holds NUL. */
export const versionKey = (name: string, at: string): string => `${name}\0${String(LAST_TICK - parseTicks(at)).padStart(15, '0')}`

export const NULL_VERSION = 'null'
/** As clients write and see it. */
export const versionId = (version: string): string => (version === '' ? NULL_VERSION : version)
export const versionOf = (id: string): string => (id === NULL_VERSION ? '' : id)

/** Off, on, or on once: then old versions stay, and what is written is the null version. */
export type Versioning = 'never' | 'enabled' | 'suspended'
export const versioningOf = (info: Pick<ContainerInfo, 'metadata'>): Versioning => {
  const set = info.metadata['x-versions-enabled']
  return set === undefined ? 'never' : set === 'True' ? 'enabled' : 'suspended'
}

/** Where the bytes of a version lie: a name that no client can write, for theirs hold no NUL. The null version has the object's own. */
export const storedName = (name: ObjectName, version: string): ObjectName =>
  version === '' ? name : { account: name.account, container: `\0versions\0${name.container}`, object: `\0${name.object}\0${version}` }
