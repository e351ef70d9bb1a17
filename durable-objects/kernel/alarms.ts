/** One alarm, multiplexed: an object has a single platform alarm; named wake-ups share it. Times in memory are rebuilt from rows at boot. */
import type { Clock } from '../../schema/values/time.ts'

export interface AlarmStorage {
  sql: { exec(query: string, ...bindings: unknown[]): { toArray(): Record<string, unknown>[] } }
  setAlarm(at_ms: number): void | Promise<void>
  getAlarm(): Promise<number | null>
}

export const ALARMS_SQL = 'CREATE TABLE IF NOT EXISTS _alarms (name TEXT PRIMARY KEY, due_ms INTEGER NOT NULL)'
/** An alarm never asks for a time nearer than this, so that a failing handler can't spin. */
export const ALARM_DELAY_MIN_MS = 1
/** When a wake-up whose handler failed comes again. */
export const ALARM_AGAIN_MS = 2_000

export class Alarms {
  #storage: AlarmStorage
  #clock: Clock
  #handlers = new Map<string, () => Promise<void> | void>()
  #due = new Map<string, number>()
  /** What the platform's alarm is set to, as far as this instance knows; null is unknown or none. */
  #armed_ms: number | null = null

  #failed: (why: string) => void

  constructor(storage: AlarmStorage, clock: Clock, failed: (why: string) => void = () => {}) {
    this.#storage = storage
    this.#clock = clock
    this.#failed = failed
    storage.sql.exec(ALARMS_SQL)
    for (const row of storage.sql.exec('SELECT name, due_ms FROM _alarms').toArray()) this.#due.set(String(row.name), Number(row.due_ms))
  }

  handle(name: string, handler: () => Promise<void> | void): void {
    this.#handlers.set(name, handler)
  }

  /** Wakes `name` at `due_ms` or before; a later time than the one set is ignored unless it is the only one. */
  at(name: string, due_ms: number): void {
    const before = this.#due.get(name)
    if (before !== undefined && before <= due_ms) return
    this.#due.set(name, due_ms)
    this.#storage.sql.exec('INSERT INTO _alarms (name, due_ms) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET due_ms = excluded.due_ms', name, due_ms)
    this.#arm()
  }

  /** Called by the object's alarm(): runs what is due; one that fails is woken again, and never stops the others. */
  async fire(): Promise<void> {
    this.#armed_ms = null
    const now = this.#clock.now_ms()
    const due = [...this.#due].filter(([, at]) => at <= now).map(([name]) => name)
    for (const name of due) {
      this.#due.delete(name)
      this.#storage.sql.exec('DELETE FROM _alarms WHERE name = ?', name)
    }
    const failed = (await Promise.allSettled(due.map(async (name) => this.#handlers.get(name)?.()))).flatMap((result, n) => (result.status === 'rejected' ? [{ name: due[n] ?? '', reason: result.reason }] : []))
    for (const { name } of failed) this.at(name, this.#clock.now_ms() + ALARM_AGAIN_MS)
    this.#arm()
    if (failed.length > 0) this.#failed(failed.map(({ name, reason }) => `${name}: ${String((reason as Error)?.message ?? reason)}`).join('; '))
  }

  next_ms(): number | null {
    return this.#due.size === 0 ? null : Math.min(...this.#due.values())
  }

  #arm(): void {
    const next = this.next_ms()
    if (next === null || (this.#armed_ms !== null && this.#armed_ms <= next)) return
    this.#armed_ms = next
    void this.#storage.setAlarm(Math.max(next, this.#clock.now_ms() + ALARM_DELAY_MIN_MS))
  }
}
