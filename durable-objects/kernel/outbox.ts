/**
 * The outbox: what a transaction promised to do elsewhere. An entry is written in the same transaction as the change that needs it and
 * runs at least once: straight after the commit, and again by the alarm until it succeeds, with backoff. A task says what to do (`run`, idempotent),
 * and what the promise turns into when it cannot be kept (`expire`: after its deadline, its last attempt, or a refusal that retrying can't cure).
 * So no transient state stays without an owner, a deadline and a next step.
 */
import { isFault } from '../../schema/values/fault.ts'
import type { Clock } from '../../schema/values/time.ts'
import type { Alarms } from './alarms.ts'
import type { Timers } from './env.ts'

export const OUTBOX_SQL = `CREATE TABLE IF NOT EXISTS _outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT, task TEXT NOT NULL, key TEXT NOT NULL, payload TEXT NOT NULL, request_id TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0, due_ms INTEGER NOT NULL, deadline_ms INTEGER NOT NULL, error TEXT)`

export const OUTBOX_BACKOFF_MS = 200
export const OUTBOX_BACKOFF_MAX_MS = 30_000
/** How long a step that runs is taken to be alive. */
export const OUTBOX_LEASE_MS = 30_000
/** How long an alarm waits for its steps. */
export const OUTBOX_HOLD_MS = 20_000
export const OUTBOX_DEADLINE_MS = 10 * 60_000
export const OUTBOX_ATTEMPTS_MAX = 1_000

// biome-ignore lint/suspicious/noExplicitAny: a payload is whatever its task says.
type Payload = any

export interface TaskEntry {
  id: number
  attempts: number
  request_id: string
  deadline_ms: number
}

export interface Task<D = unknown> {
  /** Idempotent. A thrown Fault of PERMANENT kind goes to `expire` at once; anything else is retried until the deadline. */
  run(deps: D, payload: Payload, entry: TaskEntry): Promise<void>
  /** Resolves the state the promise was about. Idempotent, must not throw; retried if it does. */
  expire?(deps: D, payload: Payload, error: string, entry: TaskEntry): Promise<void> | void
  deadline_ms?: number
  attempts_max?: number
}

export interface PendingStep {
  task: string
  key: string
  attempts: number
  due_ms: number
  deadline_ms: number
  error: string | null
}

export type Tasks<D> = Record<string, Task<D>>

const PERMANENT = new Set(['bad_request', 'forbidden', 'not_found', 'conflict', 'over_quota', 'unprocessable', 'not_implemented', 'gone', 'insufficient_storage'])

export interface OutboxDeps {
  sql: { exec(query: string, ...bindings: unknown[]): { toArray(): Record<string, unknown>[] } }
  clock: Clock
  alarms: Alarms
  log(event: string, fields: Record<string, unknown>): void
  /** Absent in unit tests. */
  timers?: Timers
}

interface Row extends TaskEntry {
  task: string
  key: string
  payload: string
  due_ms: number
}

export class Outbox<D> {
  #deps: OutboxDeps
  #host: () => D
  #tasks: Tasks<D>
  #running = new Set<number>()
  #busyKeys = new Set<string>()

  constructor(deps: OutboxDeps, tasks: Tasks<D>, host: () => D) {
    this.#deps = deps
    this.#tasks = tasks
    this.#host = host
    deps.sql.exec(OUTBOX_SQL)
    deps.alarms.handle('outbox', () => this.#drainAwhile())
    const [first] = deps.sql.exec('SELECT MIN(due_ms) AS due_ms FROM _outbox').toArray()
    if (first?.due_ms != null) deps.alarms.at('outbox', Number(first.due_ms))
  }

  /** Called inside a transaction. Entries of one key run one at a time, in order. */
  add(task: string, payload: unknown, options: { key?: string; request_id?: string; deadline_ms?: number; delay_ms?: number } = {}): void {
    const spec = this.#tasks[task]
    if (spec === undefined) throw new Error(`outbox: no task named ${task}`)
    const now = this.#deps.clock.now_ms()
    const due = now + (options.delay_ms ?? 0)
    const deadline = now + (options.deadline_ms ?? spec.deadline_ms ?? OUTBOX_DEADLINE_MS)
    this.#deps.sql.exec('INSERT INTO _outbox (task, key, payload, request_id, due_ms, deadline_ms) VALUES (?, ?, ?, ?, ?, ?)', task, options.key ?? '', JSON.stringify(payload), options.request_id ?? '', due, deadline)
    // The lease: should the process die before the kick below has run, the alarm finds the entry.
    this.#deps.alarms.at('outbox', due + (options.delay_ms ? 0 : OUTBOX_BACKOFF_MS))
  }

  /** Starts what is due without waiting for the alarm. */
  kick(): void {
    // What fails here (storage that is gone with its object) is the alarm's to do again.
    queueMicrotask(() => void this.drain().catch((error: unknown) => this.#deps.log('outbox.drain_failed', { error: String((error as Error)?.message ?? error) })))
  }

  pending(): PendingStep[] {
    return this.#deps.sql.exec('SELECT task, key, attempts, due_ms, deadline_ms, error FROM _outbox ORDER BY id').toArray() as never
  }

  /** Runs what is due; each step that ends makes room for the next of its key, however long the others take. */
  async drain(): Promise<void> {
    const now = this.#deps.clock.now_ms()
    const rows = this.#deps.sql.exec("SELECT id, task, key, payload, request_id, attempts, due_ms, deadline_ms FROM _outbox WHERE due_ms <= ? OR key <> '' ORDER BY id", now).toArray() as unknown as Row[]
    const held = new Set<string>()
    const ready: Row[] = []
    for (const row of rows) {
      const blocked = row.key !== '' && (held.has(row.key) || this.#busyKeys.has(row.key))
      if (row.key !== '') held.add(row.key)
      if (!blocked && row.due_ms <= now && !this.#running.has(row.id)) ready.push(row)
    }
    const works = ready.map(async (row) => {
      await this.#attempt(row)
      await this.drain()
    })
    this.#arm()
    await Promise.all(works)
  }

  /** An object has one alarm at a time: a step that takes long goes on by itself, and what else is due is not kept waiting. */
  async #drainAwhile(): Promise<void> {
    const work = this.drain()
    const { timers } = this.#deps
    if (timers === undefined) return await work
    let cancel = () => {}
    const enough = new Promise<void>((resolve) => {
      cancel = timers.after(OUTBOX_HOLD_MS, resolve)
    })
    work.catch(() => {})
    await Promise.race([work, enough]).finally(cancel)
  }

  /** Wakes for the first of each key that waits; what runs is looked at again after a lease, for its process may have died. */
  #arm(): void {
    const now = this.#deps.clock.now_ms()
    const heads = this.#deps.sql.exec("SELECT id, key, due_ms FROM _outbox o WHERE key = '' OR id = (SELECT MIN(id) FROM _outbox WHERE key = o.key) ORDER BY due_ms LIMIT 100").toArray()
    const times = heads.map((row) => (this.#running.has(Number(row.id)) ? now + OUTBOX_LEASE_MS : Math.max(Number(row.due_ms), now + OUTBOX_BACKOFF_MS)))
    if (times.length > 0) this.#deps.alarms.at('outbox', Math.min(...times))
  }

  async #attempt(row: Row): Promise<void> {
    this.#running.add(row.id)
    if (row.key !== '') this.#busyKeys.add(row.key)
    const task = this.#tasks[row.task]
    const payload = JSON.parse(row.payload)
    try {
      if (task === undefined) throw new Error(`no task named ${row.task}`)
      try {
        await task.run(this.#host(), payload, row)
      } catch (error) {
        const permanent = isFault(error) && PERMANENT.has(error.kind)
        const late = this.#deps.clock.now_ms() >= row.deadline_ms || row.attempts + 1 >= (task.attempts_max ?? OUTBOX_ATTEMPTS_MAX)
        if (!permanent && !late) throw error
        this.#deps.log('outbox.expired', { task: row.task, key: row.key, request_id: row.request_id, error: String((error as Error)?.message ?? error) })
        await task.expire?.(this.#host(), payload, isFault(error) ? error.message : 'it could not be done in time', row)
      }
      this.#deps.sql.exec('DELETE FROM _outbox WHERE id = ?', row.id)
    } catch (error) {
      const delay = Math.min(OUTBOX_BACKOFF_MAX_MS, OUTBOX_BACKOFF_MS * 2 ** Math.min(row.attempts, 10))
      const message = String((error as Error)?.message ?? error).slice(0, 500)
      this.#deps.sql.exec('UPDATE _outbox SET attempts = attempts + 1, due_ms = ?, error = ? WHERE id = ?', this.#deps.clock.now_ms() + delay, message, row.id)
      this.#deps.log('outbox.retry', { task: row.task, key: row.key, attempts: row.attempts + 1, request_id: row.request_id, error: message })
    } finally {
      this.#running.delete(row.id)
      if (row.key !== '') this.#busyKeys.delete(row.key)
    }
  }
}
