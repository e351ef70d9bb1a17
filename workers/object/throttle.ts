/**
 * Rates of requests, as Swift's ratelimit middleware counts them: each request takes its share of a second, whoever comes too early waits, and whoever would wait too long is
 * refused. The count is kept in the Account or Container object concerned, so that it is one for all isolates; it need not outlive it.
 */
import type { RateLimits } from './options.ts'

export const SLEEP_MAX_S = 60
export const BUFFER_S = 5

export type RateKind = 'container_ratelimit' | 'container_listing_ratelimit'

/** Pairs of size and rate, the smallest size first. */
function steps(limits: RateLimits, kind: RateKind): [number, number][] {
  const found = Object.entries(limits).map(([name, rate]) => [new RegExp(`^${kind}_(\\d+)$`).exec(name)?.[1], rate] as const).filter(([size, rate]) => size !== undefined && typeof rate === 'number' && rate > 0)
  return found.map(([size, rate]) => [Number(size), Number(rate)] as [number, number]).sort(([a], [b]) => a - b)
}

/** Requests per second for a container of that many objects; between two sizes the rate falls evenly. Null: no limit. */
export function rateFor(limits: RateLimits, kind: RateKind, size: number): number | null {
  const known = steps(limits, kind)
  const at = known.findLastIndex(([from]) => size >= from)
  const here = known[at]
  if (here === undefined) return null
  const next = known[at + 1]
  return next === undefined ? here[1] : here[1] + ((size - here[0]) / (next[0] - here[0])) * (next[1] - here[1])
}

/** For GET /info. */
export const limitsShown = (limits: RateLimits) => ({
  account_ratelimit: limits.account_ratelimit ?? 0, max_sleep_time_seconds: limits.max_sleep_time_seconds ?? SLEEP_MAX_S,
  container_ratelimits: steps(limits, 'container_ratelimit'), container_listing_ratelimits: steps(limits, 'container_listing_ratelimit'),
})

export interface Rate {
  per_s: number
  sleep_max_s: number
  /** Seconds of unused share that may be caught up on. */
  buffer_s: number
}

export class Throttle {
  #running_ms = new Map<string, number>()

  /** How long the request waits; null where that would be too long (then it does not count). */
  take(key: string, rate: Rate, now_ms: number): number | null {
    const share = 1_000 / rate.per_s
    const before = this.#running_ms.get(key) ?? 0
    if (now_ms - (before + share) > rate.buffer_s * 1_000) {
      this.#running_ms.set(key, now_ms + share)
      return 0
    }
    const wait = Math.max(0, before - now_ms)
    if (wait >= rate.sleep_max_s * 1_000) return null
    this.#running_ms.set(key, before + share)
    return wait
  }
}
