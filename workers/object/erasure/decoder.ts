/**
 * The bytes of an erasure-coded object, segment by segment, from any k of its fragments: the data fragments first, for nothing has to be computed from those. A fragment that
 * fails, or keeps the others waiting, is replaced by another one in the middle of the body. One segment is held at a time.
 */
import { createHash } from 'node:crypto'
import { type Env, systemTimers } from '../../../durable-objects/kernel/env.ts'
import type { ObjectArgs, ObjectHead } from '../../../schema/agent/protocol.ts'
import { codeOf, decodeSegment, fragmentBytes, segmentLength, type Stretch, stretchOf } from '../../../schema/values/erasure.ts'
import { tellDoubts } from '../doubts.ts'
import { swiftFault } from '../errors.ts'
import type { Located } from '../placement.ts'
import { attempt, avoided, hostOf, tombstoneArgs as placeOf } from '../replica-calls.ts'
import { dataAt, type Holders } from '../replicas-read.ts'
import type { RingDevice } from '../ring.ts'
import { timestampOf } from '../timestamp.ts'
import { openSegment } from './seal.ts'

/** A fragment that is waited for this long, with the others there, gets a competitor. */
export const SLOW_FRAGMENT_MS = 2_000
/** One that is to show which of the others is wrong is waited for so long. */
export const PATIENCE_MS = 10_000

interface DecoderOptions {
  env: Env
  at: Located
  head: ObjectHead
  holders: Holders
  /** Of an encrypted object. */
  key: Uint8Array | null
  /** Of the object, both inclusive. */
  range: [number, number]
  now_ms: number
}

interface Source {
  index: number
  device: RingDevice
}

/** Exact pieces of a stream. */
class Pieces {
  readonly index: number
  readonly device: RingDevice
  #reader: ReadableStreamDefaultReader<Uint8Array>
  #rest: Uint8Array = new Uint8Array(0)

  constructor({ index, device }: Source, body: ReadableStream<Uint8Array>) {
    this.index = index
    this.device = device
    this.#reader = body.getReader()
  }

  async take(size: number): Promise<Uint8Array> {
    const out = new Uint8Array(size)
    for (let at = 0; at < size; ) {
      if (this.#rest.byteLength === 0) {
        const { done, value } = await this.#reader.read()
        if (done) throw new Error('a fragment ended early')
        this.#rest = value
        continue
      }
      const part = this.#rest.subarray(0, size - at)
      out.set(part, at)
      at += part.byteLength
      this.#rest = this.#rest.subarray(part.byteLength)
    }
    return out
  }

  drop(): void {
    void this.#reader.cancel().catch(() => {})
  }
}

/** Sets of fragments that are tried where a segment does not open: enough for any two wrong ones of 10 + 4. */
const CHOICES_MAX = 200

/** All ways to choose so many of them. */
function* choices(of: readonly number[], count: number, from = 0): Generator<number[]> {
  if (count === 0) return yield []
  for (let n = from; n <= of.length - count; n++) for (const rest of choices(of, count - 1, n + 1)) yield [of[n] as number, ...rest]
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.byteLength === b.byteLength && a.every((byte, n) => byte === b[n])

export class Decoder {
  #options: DecoderOptions
  #stretch: Stretch
  #sources: Source[]
  #open = new Map<number, Pieces>()
  #segment: number
  /** Where the current segment begins in the fragments. */
  #offset: number
  #ready: Uint8Array | null = null
  #isOver = false

  constructor(options: DecoderOptions) {
    const { env, holders, head, range, now_ms } = options
    this.#options = options
    this.#stretch = stretchOf(holders.scheme, head.size_bytes, range)
    this.#segment = this.#stretch.first_segment
    this.#offset = this.#stretch.archive[0]
    const all = [...holders.devices].flatMap(([index, devices]) => devices.map((device) => ({ index, device })))
    this.#sources = all.sort((a, b) => Number(avoided(env, a.device.host_id, now_ms)) - Number(avoided(env, b.device.host_id, now_ms)) || a.index - b.index)
  }

  /** Decodes what comes first. */
  async prime(): Promise<void> {
    this.#ready = await this.#next()
  }

  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream({
      type: 'bytes',
      pull: async (controller) => {
        const bytes = this.#ready ?? (await this.#next())
        this.#ready = null
        if (bytes !== null) return controller.enqueue(bytes as never)
        this.#drop()
        controller.close()
        // A byte stream with a pending BYOB read closes only after an empty answer.
        ;(controller as { byobRequest?: { respond(count: number): void } | null }).byobRequest?.respond(0)
      },
      cancel: () => this.#drop(),
    } as UnderlyingByteSource) as ReadableStream<Uint8Array>
  }

  #drop(): void {
    this.#isOver = true
    for (const pieces of this.#open.values()) pieces.drop()
    this.#open.clear()
  }

  /** The wanted bytes of the next segment; null after the last one. */
  async #next(): Promise<Uint8Array | null> {
    const { holders: { scheme }, head, key, range: [first, last] } = this.#options
    if (this.#isOver || this.#segment > this.#stretch.last_segment) return null
    const length = segmentLength(scheme, head.size_bytes, this.#segment)
    const size = fragmentBytes(scheme, length)
    const got = await this.#gather(size).catch((error: unknown) => {
      this.#drop()
      throw error
    })
    const numbers = [...got.keys()].sort((a, b) => a - b).slice(0, scheme.data)
    const decode = (from: readonly number[]): Uint8Array | null => {
      const encoded = decodeSegment(scheme, from, from.map((index) => got.get(index) as Uint8Array), length + (scheme.tag_bytes ?? 0))
      return key === null ? encoded : openSegment(key, this.#segment, encoded)
    }
    const bytes = decode(numbers) ?? (await this.#without(got, size, decode))
    const begin = this.#segment * scheme.segment_bytes
    this.#segment++
    this.#offset += size
    const wanted = bytes.subarray(Math.max(0, first - begin), Math.min(length, last + 1 - begin))
    // What is handed on is the reader's: its buffer may hold nothing else.
    return wanted.byteLength === wanted.buffer.byteLength ? wanted : new Uint8Array(wanted)
  }

  /** k fragments of the current segment. */
  async #gather(size: number): Promise<Map<number, Uint8Array>> {
    const { env, holders: { scheme } } = this.#options
    const timers = env.SIM?.timers ?? systemTimers
    const got = new Map<number, Uint8Array>()
    const waiting = new Map<number, RingDevice>()
    let isOver = false
    let wake = (): void => {}
    const settled = (index: number) => {
      waiting.delete(index)
      wake()
    }
    const take = (pieces: Pieces) => {
      const { index, device } = pieces
      if (isOver) return pieces.drop()
      this.#open.set(index, pieces)
      waiting.set(index, device)
      void pieces.take(size).then((bytes) => got.set(index, bytes), () => this.#forget(index)).finally(() => settled(index))
    }
    for (const pieces of this.#open.values()) take(pieces)
    // Those that keep the others waiting: still welcome, but no longer counted on.
    let slow = new Set<number>()
    while (got.size < scheme.data) {
      for (let more = scheme.data - got.size - [...waiting.keys()].filter((index) => !slow.has(index)).length; more > 0; more--) {
        const source = this.#another(waiting)
        if (source === null) break
        waiting.set(source.index, source.device)
        void this.#start(source).then((pieces) => (pieces === null ? settled(source.index) : take(pieces)))
      }
      if (waiting.size === 0) throw swiftFault(503)
      const cancel = timers.after(SLOW_FRAGMENT_MS, () => {
        slow = new Set(waiting.keys())
        wake()
      })
      await new Promise<void>((resolve) => (wake = resolve))
      cancel()
    }
    isOver = true
    // Whoever lost the race is let go, for it is behind; should others fail it may begin anew.
    for (const [index, device] of waiting) {
      this.#forget(index)
      this.#sources.push({ index, device })
    }
    return got
  }

  /** The segment does not open: one of its fragments is not what was written, though its check sums hold. Others are read until some k of them open, and those that don't fit are told of. */
  async #without(got: Map<number, Uint8Array>, size: number, decode: (from: readonly number[]) => Uint8Array | null): Promise<Uint8Array> {
    const { data } = this.#options.holders.scheme
    for (let tried = 0; ; ) {
      const fresh = await this.#more(got, size)
      if (fresh === null) throw this.#broken()
      for (const from of choices([...got.keys()].filter((index) => index !== fresh), data - 1)) {
        if (++tried > CHOICES_MAX) throw this.#broken()
        const bytes = decode([fresh, ...from])
        if (bytes === null) continue
        await this.#tell(got, [fresh, ...from], size)
        return bytes
      }
    }
  }

  #broken(): Error {
    this.#drop()
    return swiftFault(503)
  }

  /** One more fragment of the current segment; null where there is none. */
  async #more(got: Map<number, Uint8Array>, size: number): Promise<number | null> {
    for (let source = this.#another(got); source !== null; source = this.#another(got)) {
      const bytes = await this.#inTime(source, size)
      if (bytes === null) {
        this.#forget(source.index)
        continue
      }
      got.set(source.index, bytes)
      return source.index
    }
    return null
  }

  /** Null where it can't be had, or not in time. */
  async #inTime(source: Source, size: number): Promise<Uint8Array | null> {
    let cancel = (): void => {}
    let isLate = false
    const late = new Promise<null>((resolve) => {
      cancel = (this.#options.env.SIM?.timers ?? systemTimers).after(PATIENCE_MS, () => {
        isLate = true
        resolve(null)
      })
    })
    const read = async (): Promise<Uint8Array | null> => {
      const pieces = await this.#start(source)
      if (pieces === null || isLate) {
        pieces?.drop()
        return null
      }
      this.#open.set(source.index, pieces)
      return await pieces.take(size).catch(() => null)
    }
    return await Promise.race([read(), late]).finally(() => cancel())
  }

  /** Of what was read, all that does not follow from the k that open. */
  async #tell(got: ReadonlyMap<number, Uint8Array>, right: readonly number[], size: number): Promise<void> {
    const { env, at, holders } = this.#options
    const code = codeOf(holders.scheme)
    const fragments = right.map((index) => got.get(index) as Uint8Array)
    const doubts: { device: RingDevice; args: ObjectArgs }[] = []
    for (const [index, bytes] of got) {
      const device = this.#open.get(index)?.device
      if (right.includes(index) || isSame(code.rebuild(index, right, fragments), bytes)) continue
      this.#forget(index)
      if (device !== undefined) doubts.push({ device, args: { ...placeOf(at, device, holders.at), fragment: { index, at: holders.at }, range: [this.#offset, this.#offset + size - 1], sum: createHash('md5').update(bytes).digest('hex') } })
    }
    await tellDoubts(env, doubts)
  }

  #forget(index: number): void {
    this.#open.get(index)?.drop()
    this.#open.delete(index)
  }

  /** The next device with a fragment that is not read yet. */
  #another(waiting: ReadonlyMap<number, unknown>): Source | null {
    const at = this.#sources.findIndex(({ index }) => !this.#open.has(index) && !waiting.has(index))
    return at < 0 ? null : (this.#sources.splice(at, 1)[0] ?? null)
  }

  /** From the current segment on. Null where it can't be had. */
  async #start(source: Source): Promise<Pieces | null> {
    const { index, device } = source
    const { env, at, head, holders, now_ms } = this.#options
    const range: [number, number] = [this.#offset, this.#stretch.archive[1]]
    const outcome = await attempt(env, device, now_ms, () => hostOf(env, device).objectGet({ ...placeOf(at, device, timestampOf(now_ms)), range, fragment: { index, at: holders.at } }))
    if (!outcome.ok) return null
    const { head: found, body } = outcome.value
    if (!this.#isOver && dataAt(found) === holders.at && found.etag === (holders.sealed?.mark ?? head.etag)) return new Pieces(source, body)
    void body.cancel().catch(() => {})
    return null
  }
}
