/** Sends what was observed, in batches, one unacknowledged at a time, again until it is acknowledged. The newest word on an item wins. */
import type { ObservedItem } from '../schema/agent/observed.ts'
import type { AgentMessage } from '../schema/agent/protocol.ts'
import { keyOf } from './state.ts'
import type { Timers } from './timers.ts'

export const BATCH_ITEMS_MAX = 500
/** Long enough to gather what changed together, short enough that nobody waits for it. */
export const BATCH_DELAY_MS = 15
export const RESEND_AFTER_MS = 10_000

export class Reporter {
  private waiting = new Map<string, ObservedItem>()
  private flight: { seq: number; items: ObservedItem[] } | null = null
  private seq = 0
  private send: ((message: AgentMessage) => void) | null = null
  private cancelFlush: (() => void) | null = null
  private cancelResend: (() => void) | null = null
  private timers: Timers
  private acknowledged: (items: ObservedItem[]) => void

  constructor(timers: Timers, acknowledged: (items: ObservedItem[]) => void) {
    this.timers = timers
    this.acknowledged = acknowledged
  }

  add(items: readonly ObservedItem[]): void {
    for (const item of items) this.waiting.set(keyOf(item.kind, item.id), item)
    this.cancelFlush ??= this.timers.after(BATCH_DELAY_MS, () => {
      this.cancelFlush = null
      this.flush()
    })
  }

  /** The link is up: what was in flight on the old one goes first, unless there is newer. */
  connected(send: (message: AgentMessage) => void): void {
    this.send = send
    for (const item of this.flight?.items ?? []) {
      const key = keyOf(item.kind, item.id)
      if (!this.waiting.has(key)) this.waiting.set(key, item)
    }
    this.flight = null
    this.flush()
  }

  disconnected(): void {
    this.send = null
    this.cancelResend?.()
  }

  stop(): void {
    this.disconnected()
    this.cancelFlush?.()
  }

  ack(seq: number): void {
    if (this.flight?.seq !== seq) return
    const { items } = this.flight
    this.flight = null
    this.cancelResend?.()
    this.acknowledged(items)
    this.flush()
  }

  private flush(): void {
    if (!this.send || this.flight || this.waiting.size === 0) return
    const items: ObservedItem[] = []
    for (const [key, item] of this.waiting) {
      if (items.length >= BATCH_ITEMS_MAX) break
      items.push(item)
      this.waiting.delete(key)
    }
    this.flight = { seq: ++this.seq, items }
    this.transmit()
  }

  private transmit(): void {
    if (!this.send || !this.flight) return
    this.send({ type: 'observed', seq: this.flight.seq, items: this.flight.items })
    this.cancelResend?.()
    this.cancelResend = this.timers.after(RESEND_AFTER_MS, () => this.transmit())
  }
}
