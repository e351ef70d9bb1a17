/**
 * The body of a client's request for several takers at once: one for each replica. The socket is read into pieces that are used again and again (a fresh buffer for each of
 * them costs more than to write it to a disk), every taker is given the same ones, and a piece is filled anew only when the last has done with it. So memory is bounded, and the
 * client goes as slowly as the slowest taker; one that takes nothing for long while others wait is left behind.
 */
import type { IncomingMessage } from 'node:http'
import { Fault } from '../../schema/values/fault.ts'
import type { Timers } from '../timers.ts'
import { isOfPages, wholePages } from '../pages.ts'
import { outlived } from '../young.ts'

/** Of which a taker is given one at a time; each costs it a write. */
export const PIECE_BYTES = 512 * 1024
/** How far the fastest taker may be before the slowest. */
export const WINDOW_PIECES = 8
/** A taker that others wait for is given up then. */
export const STALLED_MS = 10_000
/** Kept for the next body, of all requests together. */
const IDLE_PIECES_MAX = 32

const idle: Uint8Array[] = []
/** What most pieces are cut from: disks take them without a copy. Undefined before the first body. */
let arena: Uint8Array | null | undefined

function take(): Uint8Array {
  if (arena === undefined) {
    arena = wholePages(IDLE_PIECES_MAX * PIECE_BYTES)
    for (let n = 0; arena !== null && n < IDLE_PIECES_MAX; n++) idle.push(arena.subarray(n * PIECE_BYTES, (n + 1) * PIECE_BYTES))
  }
  return idle.pop() ?? new Uint8Array(PIECE_BYTES)
}

/** Pieces beyond the arena's are for one use. */
function give(bytes: Uint8Array): void {
  if (isOfPages(bytes) || (arena === null && idle.length < IDLE_PIECES_MAX)) idle.push(bytes)
}

interface Piece {
  bytes: Uint8Array
  length: number
  /** Takers that have yet to finish with it. */
  takers: number
  /** Of those, given up with it in their hands: they may read it at any time, until they ask for more. */
  lost: number
  isOver: boolean
}

/** Out of the window: to be filled anew, once nobody reads it. */
function done(piece: Piece): void {
  piece.isOver = true
  if (piece.lost === 0) give(piece.bytes)
}

class Source {
  #message: IncomingMessage
  #timers: Timers
  #takers = new Set<Pieces>()
  #window: Piece[] = []
  /** Number of the window's first piece. */
  #first = 0
  #filling: Uint8Array | null = null
  #filled = 0
  #started = false
  #ended = false
  #failure: Error | null = null
  #cancelStall: (() => void) | null = null

  constructor(message: IncomingMessage, timers: Timers) {
    this.#message = message
    this.#timers = timers
  }

  get started(): boolean {
    return this.#started
  }

  join(): Pieces {
    const taker = new Pieces(this)
    this.#takers.add(taker)
    return taker
  }

  /** The piece of this number: undefined where it is yet to come, null where there is none. Throws where the client went away. */
  piece(number: number): Uint8Array | null | undefined {
    if (this.#failure !== null) throw this.#failure
    if (!this.#started) this.#start()
    const piece = this.#window[number - this.#first]
    if (piece !== undefined) return piece.length === piece.bytes.length ? piece.bytes : piece.bytes.subarray(0, piece.length)
    return this.#ended ? null : undefined
  }

  /** A taker has done with a piece. */
  passed(number: number): void {
    const piece = this.#window[number - this.#first]
    if (piece === undefined) return
    piece.takers--
    this.#shift()
  }

  /** A taker wants no more, whatever it was given last. `holds`: it may still read that one, until it calls what it is answered with. */
  leave(taker: Pieces, next: number, holds: boolean): (() => void) | null {
    if (!this.#takers.delete(taker)) return null
    let returned: (() => void) | null = null
    for (let at = Math.max(0, next - this.#first); at < this.#window.length; at++) {
      const piece = this.#window[at] as Piece
      piece.takers--
      if (!holds || at !== next - this.#first) continue
      piece.lost++
      returned = () => {
        piece.lost--
        if (piece.isOver) done(piece)
      }
    }
    this.#shift()
    if (this.#takers.size === 0) this.#stop()
    return returned
  }

  #start(): void {
    this.#started = true
    const message = this.#message
    message.on('data', this.#fill)
    message.on('end', this.#end)
    message.on('error', this.#gone)
    message.on('close', this.#gone)
    if (message.destroyed && !message.complete) this.#gone()
  }

  #stop(): void {
    const message = this.#message
    message.off('data', this.#fill)
    message.off('end', this.#end)
    message.off('close', this.#gone)
    this.#cancelStall?.()
    for (const piece of this.#window.splice(0)) done(piece)
    if (this.#filling !== null) give(this.#filling)
    this.#filling = null
    // What is left of an unwanted body is for the server to read away.
    if (this.#started && !message.readableEnded) message.pause()
  }

  #fill = (chunk: Buffer): void => {
    for (let at = 0; at < chunk.length; ) {
      this.#filling ??= take()
      const length = Math.min(chunk.length - at, PIECE_BYTES - this.#filled)
      this.#filling.set(length === chunk.length ? chunk : chunk.subarray(at, at + length), this.#filled)
      this.#filled += length
      at += length
      if (this.#filled === PIECE_BYTES) this.#push()
    }
    outlived(chunk.length)
  }

  #push(): void {
    if (this.#filling === null) return
    this.#window.push({ bytes: this.#filling, length: this.#filled, takers: this.#takers.size, lost: 0, isOver: false })
    this.#filling = null
    this.#filled = 0
    if (this.#window.length >= WINDOW_PIECES && this.#cancelStall === null) {
      this.#message.pause()
      this.#cancelStall = this.#timers.after(STALLED_MS, () => this.#stalled())
    }
    this.#wake()
  }

  #end = (): void => {
    if (!this.#message.complete) return this.#gone()
    this.#push()
    this.#ended = true
    this.#wake()
  }

  #gone = (): void => {
    if (this.#ended || this.#failure !== null) return
    this.#failure = new Error('the client went away')
    this.#cancelStall?.()
    this.#wake()
  }

  #shift(): void {
    while (this.#window[0]?.takers === 0) {
      const piece = this.#window.shift() as Piece
      this.#first++
      done(piece)
    }
    if (this.#cancelStall === null || this.#window.length >= WINDOW_PIECES) return
    this.#cancelStall()
    this.#cancelStall = null
    if (!this.#ended) this.#message.resume()
  }

  /** Those that hold up others are given up; where all are as slow, the client waits. */
  #stalled(): void {
    this.#cancelStall = this.#timers.after(STALLED_MS, () => this.#stalled())
    const slow = [...this.#takers].filter((taker) => taker.at === this.#first)
    if (slow.length < this.#takers.size) for (const taker of slow) taker.giveUp()
  }

  #wake(): void {
    for (const taker of [...this.#takers]) taker.wake()
  }
}

/** What one taker sees. A piece is its own until it asks for the next one. */
export class Pieces implements AsyncIterableIterator<Uint8Array> {
  #source: Source
  /** Number of the piece that it was given, or that it waits for. */
  #at = 0
  #holds = false
  #over = false
  #cut = false
  #failure: Error | null = null
  #owed: (() => void) | null = null
  #waiting: { resolve(result: IteratorResult<Uint8Array>): void; reject(error: unknown): void } | null = null

  constructor(source: Source) {
    this.#source = source
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  get at(): number {
    return this.#at
  }

  /** Ended before the body did. */
  get isCut(): boolean {
    return this.#cut
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#holds && !this.#over) this.#source.passed(this.#at++)
    this.#holds = false
    this.#return()
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.wake()
    })
  }

  /** Gives what is there to the one who waits. */
  wake(): void {
    const waiting = this.#waiting
    if (waiting === null) return
    try {
      if (this.#over) return this.#settle(() => (this.#failure === null ? waiting.resolve({ done: true, value: undefined }) : waiting.reject(this.#failure)))
      const piece = this.#source.piece(this.#at)
      if (piece === undefined) return
      if (piece === null) this.#leave()
      else this.#holds = true
      this.#settle(() => waiting.resolve(piece === null ? { done: true, value: undefined } : { done: false, value: piece }))
    } catch (error) {
      this.#settle(() => waiting.reject(error))
    }
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    if (!this.#over) this.#cut = true
    this.#leave()
    this.#return()
    return { done: true, value: undefined }
  }

  /** Others wait for it: what it is given next is the reason. */
  giveUp(): void {
    this.#failure = new Fault('unavailable', `A replica took no byte for ${STALLED_MS} ms.`)
    this.#leave()
  }

  #leave(): void {
    if (this.#over) return
    this.#over = true
    this.#owed = this.#source.leave(this, this.#at, this.#holds && this.#failure !== null)
    this.wake()
  }

  /** It was given up, and has now put down what it held. */
  #return(): void {
    this.#owed?.()
    this.#owed = null
  }

  #settle(done: () => void): void {
    this.#waiting = null
    done()
  }
}

/** A body as the handlers take it. `tee` gives views of the same pieces, and whoever knows of pieces takes those; for anybody else it is a stream of copies. */
export class FanBody extends ReadableStream<Uint8Array> {
  readonly pieces: Pieces
  #source: Source

  constructor(source: Source) {
    const pieces = source.join()
    super(
      {
        async pull(controller) {
          const { done, value } = await pieces.next()
          if (done) controller.close()
          else controller.enqueue(value.slice())
        },
        async cancel() {
          await pieces.return()
        },
      },
      { highWaterMark: 0 },
    )
    this.pieces = pieces
    this.#source = source
  }

  override tee(): [ReadableStream<Uint8Array>, ReadableStream<Uint8Array>] {
    if (this.#source.started || this.locked) return super.tee() as [ReadableStream<Uint8Array>, ReadableStream<Uint8Array>]
    const both: [FanBody, FanBody] = [new FanBody(this.#source), new FanBody(this.#source)]
    void this.pieces.return()
    return both
  }
}

export const fanOf = (message: IncomingMessage, timers: Timers): FanBody => new FanBody(new Source(message, timers))
