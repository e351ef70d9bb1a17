/**
 * What was made of rows, kept in memory while this object writes none and no longer than its maker said. Lives in the Identity object. An answer of the object waits until all that it
 * has read is on disk; what a Worker reads here without asking the object must be so already, which `settled` says.
 */
import type { Deps } from '../../../durable-objects/kernel/deps.ts'

/** Strangers choose keys: names that they say they have. Nothing that is longer is anybody's. */
export const KEY_CHARACTERS_MAX = 1_024

interface Kept<T> {
  value: T
  until_ms: number
  isSettled: boolean
}

export class Shelf<T> {
  #deps: Pick<Deps, 'writes' | 'clock'>
  #most: number
  #settled: (() => Promise<void>) | null
  #kept = new Map<string, Kept<T>>()
  #writes = -1

  /** `settled`: when what was written so far is on disk; null where only the object itself reads what is kept. */
  constructor(deps: Pick<Deps, 'writes' | 'clock'>, most: number, settled: (() => Promise<void>) | null = null) {
    this.#deps = deps
    this.#most = most
    this.#settled = settled
  }

  /** Reads memory alone. */
  get(key: string): T | undefined {
    this.#tidy()
    const known = this.#kept.get(key)
    return known?.isSettled === true && known.until_ms > this.#deps.clock.now_ms() ? known.value : undefined
  }

  /** `until_ms`: when the clock alone makes it untrue. To be called where the rows were read, with nothing awaited in between. */
  put(key: string, value: T, until_ms = Number.POSITIVE_INFINITY): void {
    if (key.length > KEY_CHARACTERS_MAX) return
    this.#tidy()
    this.#kept.delete(key)
    if (this.#kept.size >= this.#most) this.#kept.delete(this.#kept.keys().next().value ?? '')
    const entry = { value, until_ms, isSettled: this.#settled === null }
    this.#kept.set(key, entry)
    if (!entry.isSettled) void this.#settled?.().then(() => (entry.isSettled = true), () => {})
  }

  #tidy(): void {
    if (this.#writes === this.#deps.writes) return
    this.#kept.clear()
    this.#writes = this.#deps.writes
  }
}
