/**
 * Login attempts per client address: a bucket that each attempt takes from and each success gives back to, so that guessing is slow and many users behind one
 * address are not. It counts before anything is looked up, so it says nothing of who exists. In memory: a restart of the object forgives, the user's own lock
 * does not.
 */
import { Fault } from '../../../schema/values/fault.ts'
import type { Clock } from '../../../schema/values/time.ts'
import type { IdentityOptions } from '../kernel/options.ts'

const ADDRESSES_MAX = 20_000
const MINUTE_MS = 60_000

interface Bucket {
  left: number
  at_ms: number
}

export class Attempts {
  #clock: Clock
  #options: IdentityOptions
  #buckets = new Map<string, Bucket>()

  constructor(clock: Clock, options: IdentityOptions) {
    this.#clock = clock
    this.#options = options
  }

  /** 429 where this address has failed too often. null: nobody knows where the request came from. */
  take(address: string | null): void {
    if (address === null || this.#options.login_failures_max <= 0) return
    const bucket = this.#bucket(address)
    if (bucket.left < 1) throw new Fault('rate_limited', 'Too many failed logins from this address. Retry later.', { headers: { 'retry-after': String(Math.ceil((1 - bucket.left) * 60 / this.#options.login_failures_per_minute)) } })
    bucket.left--
  }

  giveBack(address: string | null, attempts = 1): void {
    if (address === null || this.#options.login_failures_max <= 0) return
    const bucket = this.#bucket(address)
    bucket.left = Math.min(this.#options.login_failures_max, bucket.left + attempts)
  }

  #bucket(address: string): Bucket {
    const { login_failures_max: max, login_failures_per_minute: rate } = this.#options
    const [now, key] = [this.#clock.now_ms(), prefixOf(address)]
    const known = this.#buckets.get(key) ?? { left: max, at_ms: now }
    const bucket = { left: Math.min(max, known.left + (Math.max(0, now - known.at_ms) / MINUTE_MS) * rate), at_ms: now }
    // The one seen longest ago goes first.
    this.#buckets.delete(key)
    if (this.#buckets.size >= ADDRESSES_MAX) this.#buckets.delete(this.#buckets.keys().next().value ?? '')
    this.#buckets.set(key, bucket)
    return bucket
  }
}

/** An IPv6 client has a /64 to itself. */
export function prefixOf(address: string): string {
  if (!address.includes(':')) return address
  if (/^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(address)) return address.replace(/^::ffff:/i, '')
  const [head = '', tail] = address.toLowerCase().split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const full = tail === undefined ? front : [...front, ...new Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0'), ...back]
  return full.slice(0, 4).map((part) => part.replace(/^0+(?=.)/, '')).join(':')
}
