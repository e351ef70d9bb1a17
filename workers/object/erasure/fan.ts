/**
 * One writer, many readers, each with bytes of its own: the fragments of a body on their way to hosts. The writer waits for the slowest, so that what is held stays bounded;
 * one that takes nothing for long while enough others do is left behind.
 */
import type { Timers } from '../../../durable-objects/kernel/env.ts'

/** Pieces that a reader may be behind. */
export const PIECES_HELD_MAX = 2
/** A host that takes nothing for this long, while enough others have taken all, is given up. */
export const SLOW_SINK_MS = 10_000

interface Sink {
  queue: Uint8Array[]
  isOver: boolean
  error: unknown
  /** Wakes the reader. */
  wake: (() => void) | null
}

export class Fan {
  #sinks: Sink[]
  #timers: Timers
  #needed: number
  #room: (() => void) | null = null
  #lost = new Set<number>()

  /** `needed`: readers without whom there is no point in going on. */
  constructor(count: number, needed: number, timers: Timers) {
    this.#sinks = Array.from({ length: count }, () => ({ queue: [], isOver: false, error: null, wake: null }))
    this.#needed = needed
    this.#timers = timers
  }

  get isAlive(): boolean {
    return this.#sinks.length - this.#lost.size >= this.#needed
  }

  stream(n: number): ReadableStream<Uint8Array> {
    const sink = this.#sinks[n] as Sink
    return new ReadableStream({
      type: 'bytes',
      pull: async (controller) => {
        while (sink.queue.length === 0 && !sink.isOver && sink.error === null) await new Promise<void>((resolve) => (sink.wake = resolve))
        if (sink.error !== null) return controller.error(sink.error)
        const piece = sink.queue.shift()
        this.#room?.()
        if (piece !== undefined) return controller.enqueue(piece as never)
        controller.close()
        // A byte stream with a pending BYOB read closes only after an empty answer.
        ;(controller as { byobRequest?: { respond(count: number): void } | null }).byobRequest?.respond(0)
      },
      cancel: () => this.drop(n),
    } as UnderlyingByteSource) as ReadableStream<Uint8Array>
  }

  /** This reader wants no more. */
  drop(n: number): void {
    this.#lost.add(n)
    const sink = this.#sinks[n]
    if (sink !== undefined) sink.queue = []
    this.#room?.()
  }

  /** One piece for each reader; resolves when all that are left have room again. The pieces are the fan's from now on. False where too few are left. */
  async write(pieces: readonly Uint8Array[]): Promise<boolean> {
    for (const [n, sink] of this.#sinks.entries()) {
      const piece = pieces[n]
      if (this.#lost.has(n) || piece === undefined || piece.byteLength === 0) continue
      sink.queue.push(piece)
      sink.wake?.()
    }
    while (this.isAlive && this.#full().length > 0) await this.#changed()
    return this.isAlive
  }

  end(): void {
    for (const sink of this.#sinks) {
      sink.isOver = true
      sink.wake?.()
    }
  }

  /** Everyone sees the body break off: nothing of it is kept. */
  abort(error: unknown): void {
    for (const [n, sink] of this.#sinks.entries()) {
      sink.error ??= error
      sink.wake?.()
      this.drop(n)
    }
  }

  #full(): number[] {
    return [...this.#sinks.keys()].filter((n) => !this.#lost.has(n) && (this.#sinks[n]?.queue.length ?? 0) >= PIECES_HELD_MAX)
  }

  async #changed(): Promise<void> {
    const waited = this.#full()
    const isSpare = this.#sinks.length - this.#lost.size - waited.length >= this.#needed
    let cancel = (): void => {}
    await new Promise<void>((resolve) => {
      this.#room = resolve
      if (isSpare) cancel = this.#timers.after(SLOW_SINK_MS, () => {
        for (const n of waited) {
          const sink = this.#sinks[n] as Sink
          sink.error ??= new Error('the host was too slow')
          sink.wake?.()
          this.drop(n)
        }
      })
    })
    cancel()
    this.#room = null
  }
}
