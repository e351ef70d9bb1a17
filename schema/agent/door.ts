/**
 * The door's contract with the plane: a host that an administrator made a door (it has a `door_url`) serves the object-store handlers on site. It asks the plane by HTTP
 * with its host signature, always on behalf of a client's request, whose head goes along as evidence: the plane judges that request anew and does what it allows.
 *
 *   GET  /agents/v1/door/state?rings=VERSIONS&revocations=CURSOR    what a door keeps on disk: ring, token keys, revocations, other doors
 *   POST /agents/v1/door/calls?digest=SHA256                        calls on containers and accounts; the digest (base64url) is of the body, and signed with the path
 *   POST /agents/v1/door/replicas?op=OP&host=ID&args=...&evidence=  one replica on a host that has no door
 */
import type { PublicKey } from '../values/token.ts'
import type { Revocation } from '../values/caller.ts'
import type { FaultKind } from '../values/fault.ts'

/** How often a door that is connected asks for its state: revocations are never older than this and one answer. */
export const DOOR_STATE_EVERY_MS = 2_000
/** A write that was acknowledged while the plane could not be reached is entered up to this long after it. */
export const DOOR_DELAY_MAX_MS = 7 * 24 * 3_600_000
/** Calls in one request. */
export const DOOR_CALLS_MAX = 256

/** Headers of a client's request that say what it may do and where. The client's address is the door's word. */
export const EVIDENCE_HEADERS = [
  'x-auth-token', 'x-storage-token', 'x-service-token', 'referer', 'cf-connecting-ip', 'destination', 'destination-account', 'x-copy-from', 'x-copy-from-account', 'x-object-manifest', 'x-symlink-target', 'x-symlink-target-account',
] as const

/** The head of a client's request, as the door got it. */
export interface DoorEvidence {
  method: string
  /** Path with query, raw. */
  path: string
  headers: Record<string, string>
  /** When it was answered, where that was without the plane. */
  at_ms?: number
}

export interface DoorCall {
  /** Index into `evidence`. */
  evidence: number
  on: 'container' | 'account' | 'identity'
  account: string
  /** Null for an account. */
  container: string | null
  method: string
  args: unknown[]
}

export interface DoorCalls {
  evidence: DoorEvidence[]
  calls: DoorCall[]
}

/** A Fault as it crosses, whole: the door throws the same. */
export interface DoorFault {
  kind: FaultKind
  message: string
  type?: string
  status?: number
  headers?: Record<string, string>
  details?: unknown
}

export type DoorResult = { ok: true; value: unknown } | { ok: false; error: DoorFault }

export interface DoorHost {
  id: string
  public_key: string
  /** Where its door listens; null where it has none. */
  door_url: string | null
  /** Its link to the plane holds. */
  up: boolean
}

export interface DoorRing {
  version: number
  part_power: number
  hash_prefix: string
  hash_suffix: string
  devices: { id: number; host_id: string; device: string; region: number; zone: string; weight: number }[]
  /** base64 of little-endian u16, one row a replica. */
  assignment: string[]
  /** Partitions that a device held before and may still hold. */
  moving?: { device: number; partitions: number[] }[]
}

export interface DoorState {
  now_ms: number
  /** By storage policy, where the door has another version. */
  rings: Record<string, DoorRing>
  keys: PublicKey[]
  revocations: { cursor: number; events: Revocation[] }
  hosts: DoorHost[]
  /** Ids of the root secrets of encrypted objects. Absent from planes of an earlier build. */
  roots?: string[]
  /** Settings that the handlers read. */
  vars: Record<string, string>
}
