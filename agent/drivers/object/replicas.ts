/** What the consistency services need of a host's disks beside the driver: versions as they lie there, hashes over them, and a place for what is damaged. */
import type { FragmentAt, ListingEntry, ListingUpdate, PartitionAt, ReceiveArgs, SealedAt, StoredVersion, VersionAt, VersionSet } from '../../../schema/agent/replication.ts'
import type { ResealedEntry } from '../../../schema/agent/sealing.ts'

export interface Audited {
  /** Bytes read. */
  bytes: number
  /** Null where it is whole; else what is wrong with it, and it was put aside. */
  damage: string | null
  entry: ListingEntry | null
}

export interface PendingUpdate {
  file: string
  update: ListingUpdate
}

export interface ObjectReplicas {
  /** Partitions that there is a folder of. */
  partitions(device: string): Promise<{ policy: number; partition: number }[]>
  /** Suffix -> hash of all that lies under it, kept on disk until something there changes. */
  suffixes(at: PartitionAt): Promise<Record<string, string>>
  versions(at: PartitionAt & { suffixes: readonly string[] }): Promise<VersionSet[]>
  /** One version as it is; Fault not_found where it is no longer there. The reader must end or destroy the body. */
  read(at: VersionAt): Promise<{ stored: StoredVersion; body: AsyncIterable<Uint8Array> }>
  /** Takes in a version of another replica; false where there is one as new already. */
  receive(args: ReceiveArgs, body: AsyncIterable<Uint8Array>): Promise<boolean>
  /** Removes what was seen of an object, and only that: what came since stays. */
  drop(at: PartitionAt, seen: VersionSet): Promise<void>
  /** Removes tombstones older than this that lie alone; answers how many. */
  reclaim(at: PartitionAt, before: string): Promise<number>
  /** Which fragments lie in a partition, and suffix -> the oldest one there that no acknowledgement is known of. */
  fragments(at: PartitionAt): Promise<{ numbers: number[]; pending: Record<string, string> }>
  /** The fragments of this write count from now on; false where there are none. */
  commit(at: PartitionAt & { hash: string; timestamp: string }): Promise<boolean>
  /** Removes one fragment of an object. */
  dropFragment(at: PartitionAt & { hash: string }, fragment: Pick<FragmentAt, 'timestamp' | 'index'>): Promise<void>
  /** What lies there of an object encrypted: records as they are. */
  sealed(at: PartitionAt & { hash: string }): Promise<SealedAt[]>
  /** Another record in the place of `from`; false where that is no longer there. */
  reseal(at: VersionAt, from: string, to: ResealedEntry): Promise<boolean>
  /** Reads every byte of an object's versions; what is damaged goes to `quarantined`. */
  audit(at: PartitionAt, hash: string, paced: (bytes: number) => Promise<void>): Promise<Audited>
  quarantined(device: string): Promise<number>
  /** Keeps word for a container that could not be told. */
  defer(at: { device: string; policy: number; hash: string }, update: ListingUpdate): Promise<void>
  pending(device: string): Promise<PendingUpdate[]>
  settled(device: string, file: string): Promise<void>
  pendingCount(device: string): Promise<number>
  /** Why a device does not work; null where it does. */
  state(device: string): Promise<string | null>
  /** Devices that were taken out because they do not work, and why. */
  failures(): Record<string, string>
}
