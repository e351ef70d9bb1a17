/** Swift's timestamps: seconds with five decimals, fixed width, so that text order is time order. The newest wins everywhere. */
import { HOST_CLOCK_SKEW_MS } from '../../schema/agent/protocol.ts'

/** Ticks of 10 microseconds: five decimals as an integer, exact in a double until the year 4000. */
const TICKS_PER_MS = 100

export const ticksOf = (ms: number): number => Math.floor(ms * TICKS_PER_MS)
export const formatTicks = (ticks: number): string => {
  const text = String(ticks).padStart(15, '0')
  return `${text.slice(0, -5)}.${text.slice(-5)}`
}
export const parseTicks = (timestamp: string): number => Math.round(Number(timestamp) * 100_000)
export const timestampOf = (ms: number): string => formatTicks(ticksOf(ms))
/** Later than any honest host can say. */
export const isFuture = (timestamp: string, now_ms: number): boolean => msOf(timestamp) > now_ms + HOST_CLOCK_SKEW_MS
export const msOf = (timestamp: string): number => Math.floor(Number(timestamp) * 1000)

/** Hands out times that only grow, however the clock behaves. */
export class Stamps {
  #last: number
  constructor(last: string | null) {
    this.#last = last === null ? 0 : parseTicks(last)
  }
  /** What comes from elsewhere: the next time is after it. */
  saw(timestamp: string): void {
    this.#last = Math.max(this.#last, parseTicks(timestamp))
  }
  next(now_ms: number): string {
    this.#last = Math.max(ticksOf(now_ms), this.#last + 1)
    return formatTicks(this.#last)
  }
}

/** The second that Last-Modified shows: rounded up, so that If-Modified-Since with it is never too early (swift/obj/server.py). */
export const httpDate = (timestamp: string): string => new Date(Math.ceil(Number(timestamp)) * 1000).toUTCString()
/** 2014-01-02T03:04:05.678900: how listings show a time. */
export const listingTime = (timestamp: string): string => {
  const ticks = parseTicks(timestamp)
  const second = Math.floor(ticks / 100_000)
  // Neighbours in a listing were often written together.
  if (second !== shownSecond.at) shownSecond = { at: second, text: new Date(second * 1000).toISOString().slice(0, 19) }
  return `${shownSecond.text}.${String(ticks % 100_000).padStart(5, '0')}0`
}
let shownSecond = { at: -1, text: '' }
