/** Bounded rates: what was used up is waited for, so that a service never takes more of a disk than it was given. */
import { sleep, type Timers } from '../timers.ts'
import type { Clock } from '../../schema/values/time.ts'

/** Waits shorter than this are gathered up: a timer for each small file would cost more than the file. */
const WAIT_MIN_MS = 20

export class Pace {
  #clock: Clock
  #timers: Timers
  #free_ms = 0

  constructor(clock: Clock, timers: Timers) {
    this.#clock = clock
    this.#timers = timers
  }

  /** Takes `amount` of something of which there is `per_s` a second; 0 is without limit. */
  async take(amount: number, per_s: number): Promise<void> {
    if (per_s <= 0) return
    const now = this.#clock.now_ms()
    this.#free_ms = Math.max(this.#free_ms, now) + (amount / per_s) * 1_000
    const wait_ms = this.#free_ms - now
    if (wait_ms >= WAIT_MIN_MS) await sleep(this.#timers, wait_ms)
  }
}
