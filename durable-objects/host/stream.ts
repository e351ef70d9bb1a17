/** What a host link keeps of a command that waits for its result, of a stream of bytes, and of a console. */
import { STREAM_CREDITS } from '../../schema/agent/protocol.ts'
import type { Fault } from '../../schema/values/fault.ts'

export interface Waiter {
  promise: Promise<unknown>
  resolve(value: unknown): void
  reject(error: unknown): void
  cancel(): void
}

export interface Stream {
  resolveHead(value: unknown): void
  rejectHead(error: unknown): void
  /** Frames we may still send. */
  credits: number
  wake: (() => void) | null
  /** get: frames arrived and not yet read. */
  queue: Uint8Array[]
  ended: boolean
  error: Fault | null
  pull: (() => void) | null
  /** Of the next frame to go, and of the next to come. */
  next: number
  expected: number
  headed: boolean
  /** Waiting for the client's next bytes. */
  reading: boolean
  /** The host has answered before the body was out: it wants no more of it. */
  answered: boolean
  /** May be silent for as long as it likes, once it has begun: a console. */
  quiet: boolean
  /** When the host last gave a sign of life. */
  heard_ms: number
  isWatched: boolean
  /** Ends the wait for a sign of life. */
  calm(): void
}

/** A line both ways to a machine's console. */
export interface ConsoleLine {
  output: ReadableStream<Uint8Array>
  /** At most FRAME_BYTES_MAX; resolves when it is on its way. */
  write(bytes: Uint8Array): Promise<void>
  /** The viewer left. */
  end(): void
}

export const newStream = (resolveHead: Stream['resolveHead'], rejectHead: Stream['rejectHead']): Stream => ({
  resolveHead, rejectHead, credits: STREAM_CREDITS, wake: null, queue: [], ended: false, error: null, pull: null, next: 0, expected: 0, headed: false, reading: false, answered: false, quiet: false, heard_ms: 0, isWatched: false, calm: () => {},
})
