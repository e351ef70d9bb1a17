/**
 * The host link: one outbound WebSocket per host (GET /agents/v1/link). Control messages are JSON text, one object each;
 * bytes are binary frames. Level-triggered: after a reconnect the plane sends what changed since the version in `hello`.
 *
 *   agent                                   plane (Host object)
 *   hello {version, facts, desired_version}  ->
 *                                           <- welcome {host_id, now_ms}
 *                                           <- desired {from, to, items}           (from 0: a snapshot)
 *   observed {seq, items}                   ->
 *                                           <- observed_ack {seq}
 *                                           <- command {id, name, args, deadline_ms}
 *   result {id, ok, value | error}          ->
 *                                           <- echo {nonce}
 *   echo_reply {nonce}                      ->   (answered by the same queue that runs commands: liveness, not socket health)
 *                                           <- open {stream, op, args}             (a byte stream; see streams below)
 *   head {stream, ok, value | error}        ->
 *   credit {stream, frames}                <->   (receiver grants; one frame is at most FRAME_BYTES_MAX)
 *   reset {stream, error}                  <->   (either side gives up)
 *
 * Binary frame: u32 stream id (big endian), u8 flags (1 = last, 2 = with the head), u32 sequence (from 0; a gap ends the stream, a repetition is dropped), payload. For `object.put` and `object.receive` the plane sends frames and
 * the agent answers `head` when all is on disk; for `object.get` and `object.read` the agent sends `head` and then frames; for `object.find` likewise, or all at once where the body is short: one
 * frame whose payload begins with the head (u32 length, JSON). For `console` the agent answers `head` once the machine's
 * socket is open, then both sides send frames until either says it was the last.
 */
import type { Command } from './commands.ts'
import type { DesiredItem } from './desired.ts'
import type { HostFacts, ObservedItem } from './observed.ts'
import type { DigestName } from '../values/digests.ts'
import type { ErasureScheme } from '../values/erasure.ts'
import type { ListingUpdate, ReceiveArgs, ReplicaQuery, VersionAt } from './replication.ts'
import type { SealedText, Sealing } from './sealing.ts'

export const PROTOCOL_VERSION = 6
/** Oldest agent or plane this build talks to. */
export const PROTOCOL_VERSION_MIN = 1
/** From this version on an agent knows consoles; an older one takes `open` of a console for a broken message. */
export const PROTOCOL_VERSION_CONSOLES = 2
/** From this version on an agent encrypts; an older one would store plainly what is to be sealed. */
export const PROTOCOL_VERSION_SEALING = 3
/** From this version on an agent knows fragments of erasure-coded objects. */
export const PROTOCOL_VERSION_FRAGMENTS = 4
/** From this version on an agent looks for an object on several of its devices at once. */
export const PROTOCOL_VERSION_FIND = 5
/** From this version on an agent knows fragments of encrypted objects, and looks again at what a reader doubts. */
export const PROTOCOL_VERSION_SEALED_FRAGMENTS = 6
export const FRAME_BYTES_MAX = 256 * 1024
export const FRAME_HEADER_BYTES = 9
export const FRAME_LAST = 1
export const FRAME_HEAD = 2
/** A body up to this size comes with what is said of it, in one message. */
export const BODY_AT_ONCE_BYTES = 64 * 1024
/** Frames a receiver lets the sender have in flight. */
export const STREAM_CREDITS = 8
export const ECHO_INTERVAL_MS = 10_000
/** Without an echo reply for this long a host counts as down: nothing new is placed on it. Nothing on it is touched. */
export const HOST_DOWN_AFTER_MS = 45_000
export const MESSAGE_BYTES_MAX = 16 * 1024 * 1024

export type AgentMessage =
  | { type: 'hello'; protocol_version: number; facts: HostFacts; desired_version: number }
  | { type: 'facts'; facts: HostFacts }
  | { type: 'observed'; seq: number; items: ObservedItem[] }
  | { type: 'result'; id: string; ok: true; value: unknown }
  | { type: 'result'; id: string; ok: false; error: WireError }
  | { type: 'echo_reply'; nonce: string }
  | { type: 'head'; stream: number; ok: true; value: unknown }
  | { type: 'head'; stream: number; ok: false; error: WireError }
  | { type: 'credit'; stream: number; frames: number }
  | { type: 'reset'; stream: number; error: string }

export type PlaneMessage =
  | { type: 'welcome'; protocol_version: number; host_id: string; now_ms: number }
  | { type: 'desired'; from: number; to: number; items: DesiredItem[] }
  | { type: 'observed_ack'; seq: number }
  | ({ type: 'command' } & Command)
  /** `version`: of the host's desired state. An agent that is behind asks anew: a lost change is found without waiting for the next one. */
  | { type: 'echo'; nonce: string; version?: number }
  | ({ type: 'open'; stream: number } & StreamRequest)
  | { type: 'credit'; stream: number; frames: number }
  | { type: 'reset'; stream: number; error: string }

/** Errors on the wire: a Fault's kind where there is one, so that both ends throw the same thing (wire.ts). */
export interface WireError {
  kind: string
  message: string
}

/** A host's clock may be ahead of the plane's by this much; a time beyond would make an object, or its absence, that no later write could replace. */
export const HOST_CLOCK_SKEW_MS = 5 * 60_000

/** What each operation on replicas takes. `fragments` and `commit` are of erasure-coded policies: what there is of an object, and that a write was acknowledged. `find` asks for heads on several devices, and for the body on the first of them. `query`, `read` and `receive` are between hosts; `defer` keeps word for a container that could not be told. */
export interface ObjectOpArgs {
  'object.fragments': ObjectArgs
  'object.commit': ObjectArgs
  'object.doubt': ObjectArgs
  'object.put': ObjectArgs
  'object.get': ObjectArgs
  'object.find': FindArgs
  'object.head': ObjectArgs
  'object.post': ObjectArgs
  'object.delete': ObjectArgs
  'object.query': ReplicaQuery
  'object.read': VersionAt
  'object.receive': ReceiveArgs
  'object.defer': { device: string; policy: number; hash: string; update: ListingUpdate }
}
/** What is done to one replica for a client. */
export type ObjectOp = 'object.put' | 'object.get' | 'object.head' | 'object.post' | 'object.delete' | 'object.fragments' | 'object.commit' | 'object.doubt'
/** And between hosts. */
export type DiskOp = keyof ObjectOpArgs
export type ObjectRequest = { [O in DiskOp]: { op: O; args: ObjectOpArgs[O] } }[DiskOp]
export type StreamRequest = ObjectRequest | { op: 'console'; args: ConsoleArgs }

/** One object on several devices of a host: `at` names the first, `also` the others. */
export interface FindArgs {
  at: ObjectArgs
  also: string[]
  /** With the body as the first device has it. */
  body: boolean
}

/** What a device has of it, in the order they were named. */
export type FoundHere = { head: ObjectHead } | { error: WireError }

export type ConsoleKind = 'vnc' | 'serial'

/** One viewer of one machine's screen (RFB) or serial line (plain bytes). */
export interface ConsoleArgs {
  server_id: string
  kind: ConsoleKind
  /** The machine that the viewer was let to see; another incarnation of it is another machine. */
  incarnation: number
}

/**
 * One object replica on one device. The path is what the ring gave: partition and hash. Timestamps are Swift's
 * ("1700000000.12345"): the newest wins, and a tombstone is a version too.
 */
export interface ObjectArgs {
  device: string
  policy: number
  partition: number
  /** hex MD5 of the path with the ring's hash prefix and suffix. */
  hash: string
  /** '/account/container/object', kept in the metadata to detect a misplaced file. */
  name: string
  timestamp: string
  /** put: whole metadata (Content-Type, X-Object-Meta-*, ...); post: the user metadata that replaces the old. */
  metadata?: Record<string, string>
  /** put: body length if known. */
  size_bytes?: number | null
  /** put: hashes besides MD5 that the answer should have, and whether to inspect as a disk image. */
  want?: ObjectWants
  /** put: refuse if the body's MD5 is another. hex. */
  etag?: string | null
  /** get: [first, last] bytes, both inclusive, already resolved against the size; null is all. */
  range?: [number, number] | null
  /** doubt, of a fragment: hex MD5 of the bytes of `range` as they were read, which are not what was written. */
  sum?: string
  /** put, get, head, post, doubt: the object's keys, for this request only. */
  sealing?: Sealing
  /** put: the body is one fragment of the object and ends with what is known of the object only then (`FragmentFooter`). get: this fragment of `at`, its own bytes. */
  fragment?: FragmentArgs
}

export interface FragmentArgs {
  index: number
  /** put. */
  scheme?: ErasureScheme
  /** get: the timestamp of the write that it is of. */
  at?: string
}

/** The object that a fragment is of. */
export type ObjectFacts = Pick<ObjectHead, 'size_bytes' | 'etag' | 'sha512' | 'digests' | 'inspection'>

/** Kept with each fragment. */
export interface FragmentFacts {
  index: number
  scheme: ErasureScheme
  /** Where the object is encrypted: its size, and as its ETag a random mark that all fragments of the write have and no other. The rest is in the record (sealing.ts). */
  object: ObjectFacts
}

/** What a footer says: of an encrypted object its mark and key too. */
export type FragmentFooter = ObjectFacts & { sealed?: { mark: string; key: SealedText } }

/** The last bytes of the body that a fragment is written with: JSON of FragmentFooter, filled up with spaces. */
export const FRAGMENT_FOOTER_BYTES = 4096

/** One fragment as a device has it; `head` is the object's, with what was posted over it there. */
export interface FragmentFound {
  at: string
  index: number
  /** Its write was acknowledged, as far as this device knows. */
  durable: boolean
  scheme: ErasureScheme
  head: ObjectHead
  /** Where the object is encrypted. */
  sealed?: { mark: string; key: SealedText }
}

export interface FragmentsFound {
  fragments: FragmentFound[]
  /** Timestamp of a tombstone. */
  gone: string | null
}

export interface ObjectWants {
  sha512?: boolean
  inspect?: boolean
  /** Checksums to keep with the object, base64: refused where the body's is another than the one given; null only asks for it. */
  digests?: Partial<Record<DigestName, string | null>>
}

/** What put, head and get answer with. */
export interface ObjectHead {
  /** Of the newest change: the data, or a POST over it. */
  timestamp: string
  /** Of the data alone: what decides which replica is the newest. Absent from hosts of an earlier release. */
  data_at?: string
  size_bytes: number
  etag: string
  metadata: Record<string, string>
  sha512?: string
  /** base64, those that were asked for when it was written. */
  digests?: Partial<Record<DigestName, string>>
  /** Disk format found in the bytes: 'raw' where nothing is recognised. virtual_size_bytes only where the format says it. */
  inspection?: { format: string; virtual_size_bytes: number | null; problem: string | null }
  /** It is encrypted where it lies. */
  sealed?: true
}

export function encodeFrame(stream: number, flags: number, payload: Uint8Array, sequence: number): Uint8Array {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + payload.byteLength)
  const view = new DataView(frame.buffer)
  view.setUint32(0, stream)
  view.setUint32(5, sequence)
  frame[4] = flags
  frame.set(payload, FRAME_HEADER_BYTES)
  return frame
}

/** The whole answer in one frame: what is said of the body, then the body. */
export function encodeHeadFrame(stream: number, head: unknown, body: Uint8Array): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(head))
  const payload = new Uint8Array(4 + text.byteLength + body.byteLength)
  new DataView(payload.buffer).setUint32(0, text.byteLength)
  payload.set(text, 4)
  payload.set(body, 4 + text.byteLength)
  return encodeFrame(stream, FRAME_LAST | FRAME_HEAD, payload, 0)
}

export function decodeHead(payload: Uint8Array): { head: unknown; body: Uint8Array } {
  const end = 4 + new DataView(payload.buffer, payload.byteOffset).getUint32(0)
  return { head: JSON.parse(new TextDecoder().decode(payload.subarray(4, end))), body: payload.slice(end) }
}

export function decodeFrame(frame: Uint8Array): { stream: number; last: boolean; isHead: boolean; sequence: number; payload: Uint8Array } {
  if (frame.byteLength < FRAME_HEADER_BYTES) throw new Error(`frame of ${frame.byteLength} bytes is shorter than its header`)
  const view = new DataView(frame.buffer, frame.byteOffset)
  return { stream: view.getUint32(0), last: ((frame[4] ?? 0) & FRAME_LAST) !== 0, isHead: ((frame[4] ?? 0) & FRAME_HEAD) !== 0, sequence: view.getUint32(5), payload: frame.subarray(FRAME_HEADER_BYTES) }
}
