/**
 * What object hosts say to each other about replicas, over the LAN or through the plane: digests of whole partitions first, then suffix hashes, then versions, then the
 * versions that are missing. A host only ever pushes; what it is sent it may refuse, and anything said twice changes nothing.
 */
import type { ErasureScheme } from '../values/erasure.ts'
import type { FragmentFacts, ObjectHead } from './protocol.ts'
import type { SealedEntry, SealedText, SealedVersion } from './sealing.ts'

/** What is stored with a version, as it is. A tombstone has only the first two. */
export interface StoredVersion {
  name: string
  timestamp: string
  metadata?: Record<string, string>
  size_bytes?: number
  etag?: string
  sha512?: string
  digests?: ObjectHead['digests']
  inspection?: ObjectHead['inspection']
  /** base64 of one big-endian CRC-32 for each BLOCK_BYTES of the body: any part of it can be checked without the rest. */
  blocks?: string
  /** Where the version is encrypted: its body (what `blocks` are sums of) and, in here, all of the above but name, time and size. */
  sealed?: SealedVersion
  /** Where the body is a fragment: size_bytes, etag and blocks are its own, these are the object's. */
  fragment?: FragmentFacts
}

export type VersionKind = 'data' | 'meta' | 'ts'

export interface PartitionAt {
  device: string
  policy: number
  partition: number
}

/** The versions of one object on one device; null where there is none. `meta` only where it is newer than what it lies over. */
export interface VersionSet {
  hash: string
  data: string | null
  meta: string | null
  ts: string | null
  /** Fragments that lie there, also those that no write was acknowledged with yet. */
  fragments?: FragmentAt[]
}

export interface FragmentAt {
  timestamp: string
  index: number
  durable: boolean
}

export interface ReplicaQueries {
  /** One digest for each partition, of all its suffixes. */
  digests: { device: string; policy: number; partitions: number[] }
  /** Numbers of the fragments in each partition. */
  numbers: { device: string; policy: number; partitions: number[] }
  /** Hash of each suffix. */
  suffixes: PartitionAt
  versions: PartitionAt & { suffixes: string[] }
  /** Whether the device works. */
  device: { device: string; policy: number }
  /** This write was acknowledged: its fragments there count from now on. Answers whether there were any. */
  commit: PartitionAt & { hash: string; timestamp: string }
}

export interface ReplicaAnswers {
  digests: string[]
  numbers: number[][]
  suffixes: Record<string, string>
  versions: VersionSet[]
  /** Why it does not work; null where it does. */
  device: string | null
  commit: { committed: boolean }
}

export type ReplicaQuery = { [Q in keyof ReplicaQueries]: { what: Q } & ReplicaQueries[Q] }[keyof ReplicaQueries]

/** One version as it lies on a disk: to read it, and to write it elsewhere (`stored` is what it comes with). */
export interface VersionAt extends PartitionAt {
  hash: string
  kind: VersionKind
  timestamp: string
  /** Which fragment, where `data` is one. */
  fragment?: number
}

/** A version that is encrypted. */
export interface SealedAt {
  at: VersionAt
  entry: SealedEntry
  /** Of the file's body. */
  size_bytes: number
}

export interface ReceiveArgs extends VersionAt {
  stored: StoredVersion
}

/** A listing that could not be told of a write that the disks have: kept beside the data until it was. */
export interface ListingUpdate {
  account: string
  container: string
  object: string
  op: 'put' | 'post' | 'delete'
  timestamp: string
  /** put, post: the row as the container keeps it. */
  row?: object
  /** The plane's own mark on all of this: it is told as it was said. Nothing that a door leaves has one. */
  mark?: string
}

/** What happened to each of a batch of updates: told, or to be tried again. */
export interface ListingAnswer {
  done: boolean[]
}

/** An object as the auditor met it, to be held against its container's listing. */
export interface ListingEntry {
  name: string
  policy: number
  kind: 'data' | 'ts'
  timestamp: string
  posted: string | null
  size_bytes: number
  etag: string
  metadata: Record<string, string>
  /** Where it is encrypted: etag and metadata are empty, and in here. */
  sealed?: SealedText
}

/** The ring as hosts need it: who holds which partition, who held it before, and how to reach them. */
export interface RingForHosts {
  policy: number
  version: number
  /** Changes with the version, and with the addresses. */
  revision: string
  part_power: number
  /** Fragments instead of copies: the replica's number is the fragment's. Absent from a plane of an earlier release. */
  erasure?: ErasureScheme | null
  devices: { id: number; host_id: string; device: string; region: number; zone: string; weight: number }[]
  /** One base64 of 16-bit little-endian device ids for each replica, by partition; 65535 is nobody. */
  assignment: string[]
  /** [device id, partition]: not held there any more by this ring, and perhaps not yet empty. */
  moving: [device: number, partition: number][]
  hosts: { id: string; storage_ip: string | null; object_port: number | null; public_key: string }[]
  limits: Partial<ObjectServiceLimits>
}

/** What a host says at the begin of each pass, and what it hears. */
export interface HostSync {
  revisions: Record<string, string>
  recon: ObjectRecon
  /** [policy, device id, partition]: of what `moving` named, what is empty now. */
  drained: [policy: number, device: number, partition: number][]
}

export interface HostSyncAnswer {
  rings: RingForHosts[]
  /** As they are set now, whether rings came or not. Absent from a plane of an earlier release. */
  limits?: Partial<ObjectServiceLimits>
  /** What the root secrets of encrypted objects are called, the one that seals first. Absent from a plane of an earlier release. */
  roots?: string[]
}

/** Rates and times of the services, per device; set by OPTIONS ({"swift":{"object_services":{...}}}). */
export interface ObjectServiceLimits {
  auditor_bytes_per_s: number
  auditor_files_per_s: number
  /** From the end of one pass of the auditor to the next. */
  auditor_interval_s: number
  replicator_bytes_per_s: number
  replicator_interval_s: number
  reconstructor_interval_s: number
  updater_interval_s: number
  /** Versions looked at, where there is more than one root secret. */
  resealer_files_per_s: number
  resealer_interval_s: number
  /** How long a tombstone is kept at least. */
  reclaim_age_s: number
  /** A host that did not answer for so long is lost: what it held is filled up elsewhere. (A device that its own host calls broken is not waited for.) */
  host_lost_s: number
}

export const OBJECT_SERVICE_LIMITS: ObjectServiceLimits = {
  auditor_bytes_per_s: 10_000_000, auditor_files_per_s: 20, auditor_interval_s: 3_600, replicator_bytes_per_s: 50_000_000, replicator_interval_s: 30, reconstructor_interval_s: 30, updater_interval_s: 15, resealer_files_per_s: 50, resealer_interval_s: 3_600, reclaim_age_s: 7 * 86_400, host_lost_s: 3_600,
}

/** Figures of one device. Times are milliseconds since the epoch; 0 is never. */
export interface DeviceRecon {
  device: string
  error: string | null
  quarantined: number
  async_pending: number
  auditor: { passes: number; finished_ms: number; took_ms: number; files: number; bytes: number; quarantined: number; unlisted: number }
  replicator: { passes: number; finished_ms: number; took_ms: number; partitions: number; pushed: number; filled?: number; drained: number; reclaimed: number; failures: number }
  updater: { passes: number; finished_ms: number; told: number; failures: number }
  /** Where there are several root secrets: `left` is what the last pass left under older ones than `root`. Absent from hosts of an earlier release. */
  resealer?: { passes: number; finished_ms: number; took_ms: number; files: number; sealed: number; left: number; failures: number; root: string }
  /** Of devices in rings of erasure-coded policies. Absent from hosts of an earlier release. */
  reconstructor?: { passes: number; finished_ms: number; took_ms: number; partitions: number; rebuilt: number; pushed: number; filled?: number; drained: number; reclaimed: number; failures: number }
}

export interface ObjectRecon {
  ring_version: number
  devices: DeviceRecon[]
}

export type ObjectServiceName = 'auditor' | 'replicator' | 'reconstructor' | 'updater' | 'resealer'
