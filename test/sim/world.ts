/**
 * Virtual time: a clock that only moves when everything has settled, timers in one ordered queue, randomness from one seed. Two runs of a seed do the same
 * things in the same order.
 */
import { createHash } from 'node:crypto'
import { type Random, seededRandom } from '../../schema/values/random.ts'
import type { Clock } from '../../schema/values/time.ts'

interface Event {
  at_ms: number
  order: number
  work: () => void
}

export const EPOCH_MS = Date.UTC(2026, 0, 1)
/** Turns of the event loop that make up "settled": promises, ticks and stream plumbing all need a few. */
const SETTLE_TURNS = 3

export class World {
  readonly seed: number
  readonly random: Random
  readonly clock: Clock
  readonly timers: { after(delay_ms: number, work: () => void): () => void }
  #now_ms = EPOCH_MS
  #order = 0
  #events: Event[] = []
  #digest = createHash('sha1')
  /** Every step in words, where asked for: the first difference of two runs says what is not deterministic. */
  trace: string[] | null = null

  constructor(seed: number) {
    this.seed = seed
    this.random = seededRandom(seed)
    this.clock = { now_ms: () => this.#now_ms }
    this.timers = { after: (delay_ms, work) => this.after(delay_ms, work) }
  }

  after(delay_ms: number, work: () => void): () => void {
    const event: Event = { at_ms: this.#now_ms + Math.max(0, delay_ms), order: this.#order++, work }
    let low = 0
    let high = this.#events.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = this.#events[middle]
      if (other !== undefined && (other.at_ms < event.at_ms || (other.at_ms === event.at_ms && other.order < event.order))) low = middle + 1
      else high = middle
    }
    this.#events.splice(low, 0, event)
    return () => {
      const at = this.#events.indexOf(event)
      if (at >= 0) this.#events.splice(at, 1)
    }
  }

  sleep(delay_ms: number): Promise<void> {
    return new Promise((resolve) => this.after(delay_ms, resolve))
  }

  /** What happened, in its order: two runs of a seed have the same digest. */
  note(text: string): void {
    const line = `${this.#now_ms - EPOCH_MS} ${text}`
    this.#digest.update(line)
    this.trace?.push(line)
  }

  digest(): string {
    return this.#digest.copy().digest('hex')
  }

  /** True once in `n` times. */
  oneIn(n: number): boolean {
    return this.random.below(n) === 0
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[this.random.below(Math.max(1, items.length))]
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < SETTLE_TURNS; turn++) await new Promise((resolve) => setImmediate(resolve))
  }

  /** Runs events until `until` holds after one, or virtual time reaches the limit. Answers whether it held. `each` runs after every event has settled. */
  async run(limit_ms: number, until: () => boolean = () => false, each: () => Promise<void> | void = () => {}): Promise<boolean> {
    const end = this.#now_ms + limit_ms
    for (;;) {
      await this.settle()
      if (until()) return true
      const next = this.#events[0]
      if (next === undefined || next.at_ms > end) {
        this.#now_ms = end
        return until()
      }
      this.#events.shift()
      this.#now_ms = Math.max(this.#now_ms, next.at_ms)
      next.work()
      await this.settle()
      await each()
    }
  }
}
