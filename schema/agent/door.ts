/**
 * The door's contract with the plane: a host that an administrator made a door (it has a `door_url`) serves the object-store handlers on site. It asks the plane by HTTP
 * with its host signature, always on behalf of a client's request, whose head goes along as evidence: the plane judges that request anew and does what it allows.
 *
 *   GET  /agents/v1/door/state?rings=VERSIONS&revocations=CURSOR    what a door keeps on disk: ring, token keys, revocations, other doors
 *   POST /agents/v1/door/calls?digest=SHA256                        calls on containers and accounts; the digest (base64url) is of the body, and signed with the path
 *   POST /agents/v1/door/replicas?op=OP&host=ID&args=...&evidence=  one replica on a host that has no door
 *   any  /agents/v1/door/s3?path=PATH&client=SHA256                 an S3 request as it is; the digest is of the header that says what the client's own head had
 */
import type { PublicKey } from '../values/token.ts'
import type { Caller, Revocation } from '../values/caller.ts'
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

/** How long before its last call an S3 request may have come: its signature is checked as of then, and bodies take their time. */
export const S3_REQUEST_MS_MAX = 6 * 3_600_000

/** The head of a client's request, as the door got it. */
export interface DoorEvidence {
  /** Absent: Swift's. */
  dialect?: 's3'
  method: string
  /** Path with query, raw. */
  path: string
  headers: Record<string, string>
  /** S3: when it came. */
  begun_ms?: number
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

/** Who signed an S3 request, as the plane found: the keys that say so stay there. */
export interface S3Verdict {
  caller: Omit<Caller, 'request_id'>
  access: string
  presigned: boolean
  /** x-amz-content-sha256, or what stands for it. */
  payload: string
  /** The signature that those of chunks go on from; null for version 2. */
  seed: string | null
}

/** The key of one day, region and S3 that a request is signed with, where the operator has doors told. */
export interface S3DoorKey {
  /** base64 */
  signing_key: string
  caller: Omit<Caller, 'request_id'>
}

/** Signatures of a streamed body's chunks, each with the SHA-256 of what it is of, in their order; the trailer's comes with its text. */
export interface ChunkLinks {
  /** The signature that they go on from. */
  previous: string
  chunks: [sha256: string, signature: string][]
  trailer?: [text: string, signature: string]
}

/** What only the plane can do for an S3 request at a door. */
export interface DoorS3 {
  signer(): Promise<S3Verdict | null>
  /** Fault SignatureDoesNotMatch where one of them is not right. */
  chunks(links: ChunkLinks): Promise<void>
  /** A decoded body for several replicas at once: no further ahead than the slowest is behind. */
  fan(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array>
  /** The request as it is, answered by the plane. Its body must not have been touched. */
  pass(): Promise<Response>
}

/** What a request passed on by a door was when it came there: its own signature, and what that covers. */
export interface PassedHead {
  host: string
  authorization: string | null
  client_ip: string
}
export const PASSED_HEADER = 'x-skyhook-client'

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
