/**
 * How a container's account hears of its totals: in the background after each change, one report at a time so that they arrive in order, and by an alarm should this process die
 * before. Who changes much is told of every now and then, for each report is a write of the account. What the account has is written down with the next change, or by that alarm: a row less for each write, and telling it twice changes nothing.
 */
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import type { Timers } from '../../../durable-objects/kernel/env.ts'
import { type Rows, toInfo } from './rows.ts'
import type { PartOf } from './shards.ts'
import type { ContainerHooks } from './upkeep.ts'

export const REPORT_LEASE_MS = 30_000
export const REPORT_RETRY_MS = 2_000
/** So many changes are told at once, the next ones at this pace. */
export const REPORTS_AT_ONCE = 8
export const REPORT_EVERY_MS = 250

export class Reports {
  #rows: Rows
  #deps: Deps
  #report: ContainerHooks['report']
  #timers: Timers
  #reporting: Promise<void> | null = null
  /** Asked for once more while a report was under way. */
  #again = false
  #told = 0
  /** Reports that may go at once; grows with time. */
  #left = REPORTS_AT_ONCE
  #counted_ms = 0
  #isDue = false

  constructor(rows: Rows, deps: Deps, hooks: Pick<ContainerHooks, 'report'>) {
    this.#rows = rows
    this.#deps = deps
    this.#report = hooks.report
    this.#timers = deps.timers
    deps.alarms.handle('report', async () => {
      await this.now()
      rows('UPDATE container SET reported_seq = ? WHERE reported_seq < ?', this.#told, this.#told)
    })
  }

  /** Number of the newest report that the account is known to have. */
  get told(): number {
    return this.#told
  }

  soon(): void {
    this.lease()
    if (this.#isDue) return
    // Whatever becomes of it, the alarm comes again.
    const tell = () => {
      this.#isDue = false
      void this.now().catch(() => {})
    }
    const wait_ms = this.#wait()
    this.#isDue = true
    if (wait_ms === 0) queueMicrotask(tell)
    else this.#timers.after(wait_ms, tell)
  }

  /** How long the next report has to wait for its turn. */
  #wait(): number {
    const now_ms = this.#deps.clock.now_ms()
    this.#left = Math.min(REPORTS_AT_ONCE, this.#left + Math.max(0, now_ms - this.#counted_ms) / REPORT_EVERY_MS)
    this.#counted_ms = now_ms
    this.#left--
    return this.#left >= 0 ? 0 : Math.ceil(-this.#left * REPORT_EVERY_MS)
  }

  /** Should this process die before the account has heard, the alarm tells it. */
  lease(): void {
    this.#deps.alarms.at('report', this.#deps.clock.now_ms() + REPORT_LEASE_MS)
  }

  /** Tells the account the totals as they are now. */
  now(): Promise<void> {
    if (this.#reporting !== null) {
      this.#again = true
      return this.#reporting
    }
    this.#again = false
    this.#reporting = this.#tell().finally(() => {
      this.#reporting = null
      return this.#again ? this.now() : undefined
    })
    return this.#reporting
  }

  async #tell(): Promise<void> {
    const [row] = this.#rows('SELECT * FROM container')
    if (row === undefined || Number(row.seq) <= Math.max(Number(row.reported_seq), this.#told)) return
    const info = toInfo(row)
    try {
      await this.#report(info.account, { name: info.name, seq: Number(row.seq), policy: info.policy, put_at: info.created_at, deleted: row.deleted === 1, object_count: info.object_count, bytes_used: info.bytes_used }, row.part_of === null ? null : (JSON.parse(String(row.part_of)) as PartOf))
    } catch (error) {
      this.#deps.log('container.report_failed', { account: info.account, container: info.name, error: String((error as Error)?.message ?? error) })
      this.#deps.alarms.at('report', this.#deps.clock.now_ms() + REPORT_RETRY_MS)
      return
    }
    this.#told = Number(row.seq)
  }
}
