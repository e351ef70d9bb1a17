/**
 * How a container's account hears of its totals: in the background after each change, one report at a time so that they arrive in order, and by an alarm should this process die
 * before. What the account has is written down with the next change, or by that alarm: a row less for each write, and telling it twice changes nothing.
 */
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { type Rows, toInfo } from './rows.ts'
import type { PartOf } from './shards.ts'
import type { ContainerHooks } from './upkeep.ts'

export const REPORT_LEASE_MS = 30_000
export const REPORT_RETRY_MS = 2_000

export class Reports {
  #rows: Rows
  #deps: Deps
  #report: ContainerHooks['report']
  #reporting: Promise<void> | null = null
  #told = 0

  constructor(rows: Rows, deps: Deps, hooks: Pick<ContainerHooks, 'report'>) {
    this.#rows = rows
    this.#deps = deps
    this.#report = hooks.report
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
    // Whatever becomes of it, the alarm comes again.
    queueMicrotask(() => void this.now().catch(() => {}))
  }

  /** Should this process die before the account has heard, the alarm tells it. */
  lease(): void {
    this.#deps.alarms.at('report', this.#deps.clock.now_ms() + REPORT_LEASE_MS)
  }

  /** Tells the account the totals until it has the newest. */
  now(): Promise<void> {
    this.#reporting ??= this.#all().finally(() => {
      this.#reporting = null
    })
    return this.#reporting
  }

  async #all(): Promise<void> {
    for (;;) {
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
}
