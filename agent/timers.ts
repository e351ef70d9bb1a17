/** Delays, passed in beside the clock: the system's in production, virtual in simulations. */
export interface Timers {
  /** Calls `run` after `delay_ms`; the returned function cancels it. */
  after(delay_ms: number, run: () => void): () => void
}

export const systemTimers: Timers = {
  after(delay_ms, run) {
    const timer = setTimeout(run, delay_ms)
    return () => clearTimeout(timer)
  },
}

export const sleep = (timers: Timers, delay_ms: number): Promise<void> => new Promise((resolve) => timers.after(delay_ms, resolve))

/** Exponential backoff with full jitter: anywhere in [0, min(cap, base * 2^attempt)], never below `floor_ms`. */
export function backoff(attempt: number, random: { below(bound: number): number }, limits: { base_ms: number; cap_ms: number; floor_ms?: number }): number {
  const ceiling = Math.min(limits.cap_ms, limits.base_ms * 2 ** Math.min(attempt, 20))
  return Math.max(limits.floor_ms ?? 0, random.below(Math.ceil(ceiling) + 1))
}
