/**
 * What the code inside an object is given: database, clock, ids, outbox, change log. Built once per instance; a simulation passes its own
 * clock and randomness through the environment.
 */
import { type DrizzleSqliteDODatabase, drizzle } from 'drizzle-orm/durable-sqlite'
import type { Caller } from '../../schema/values/caller.ts'
import { type Ids, createIds, projectTag } from '../../schema/values/ids.ts'
import { type Random, systemRandom } from '../../schema/values/random.ts'
import { type Clock, systemClock } from '../../schema/values/time.ts'
import { Alarms } from './alarms.ts'
import { type Env, systemTimers, type Timers } from './env.ts'
import { type Migration, migrate } from './migrate.ts'
import { Outbox, type Tasks } from './outbox.ts'
import { ObjectTimers } from './timers.ts'

export type Db = DrizzleSqliteDODatabase<Record<string, never>>

export interface Tx {
  db: Db
  now_ms: number
  /** Appends to the change log: what changed, before and after (JSON rows; null is absent). */
  change(kind: string, id: string, action: 'create' | 'update' | 'delete', before: unknown, after: unknown): void
  /** Promises a step elsewhere; runs after this transaction has committed. */
  outbox(task: string, payload: unknown, options?: { key?: string; deadline_ms?: number; delay_ms?: number }): void
}

export interface Deps {
  /** The object's name: a project id, host id, 'identity', 'region'... */
  name: string
  env: Env
  storage: DurableObjectStorage
  db: Db
  clock: Clock
  ids: Ids
  random: Random
  /** For what happens in this object; see ObjectTimers. */
  timers: Timers
  alarms: Alarms
  outbox: Outbox<Deps>
  /** A new resource id that carries this object's (project's) tag. */
  newId(): string
  /** One transaction: all of `work` or nothing; then the outbox is started. `work` must be synchronous. */
  commit<T>(caller: Pick<Caller, 'request_id' | 'user_id'>, work: (tx: Tx) => T): T
  /** How often this instance may have changed rows: what is kept of them in memory holds while it stands still. */
  readonly writes: number
  /** Whether what is read now may still be undone. */
  readonly isCommitting: boolean
  log(event: string, fields: Record<string, unknown>): void
}

/** Statements that change no rows. */
const READS = /^\s*(?:select|with)\b/i

export const KERNEL_SQL = `CREATE TABLE IF NOT EXISTS _changes (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, request_id TEXT NOT NULL, user_id TEXT NOT NULL,
  kind TEXT NOT NULL, resource_id TEXT NOT NULL, action TEXT NOT NULL, before TEXT, after TEXT)`

export interface ChangeRow {
  seq: number
  at_ms: number
  request_id: string
  user_id: string
  kind: string
  resource_id: string
  action: string
  before: unknown
  after: unknown
}

export function buildDeps(state: { storage: DurableObjectStorage; id: { name?: string } }, env: Env, migrations: readonly Migration[], tasks: Tasks<Deps>): Deps {
  const { storage } = state
  const clock = env.SIM?.clock ?? systemClock
  const random = env.SIM?.random ?? systemRandom
  const ids = createIds(random)
  const sql = storage.sql as unknown as ConstructorParameters<typeof Alarms>[0]['sql']
  storage.transactionSync(() => migrate(sql, migrations))
  sql.exec(KERNEL_SQL)
  const name = state.id.name ?? ''
  const timers = new ObjectTimers(env.SIM?.timers ?? systemTimers, clock)
  const tag = projectTag(name)
  const log = env.SIM?.log ?? ((event: string, fields: Record<string, unknown>) => console.log(JSON.stringify({ at: new Date(clock.now_ms()).toISOString(), event, object: name, ...fields })))
  const alarms = new Alarms({ sql, setAlarm: (at) => storage.setAlarm(at), getAlarm: () => storage.getAlarm() }, clock, (why) => log('alarm.failed', { error: why }))
  let writes = 0
  let committing = 0
  const logger = { logQuery: (query: string) => void (READS.test(query) || writes++) }
  const db = drizzle(storage, { logger }) as unknown as Db
  const transaction = <T>(work: () => T): T => {
    committing++
    try {
      return storage.transactionSync(work)
    } finally {
      committing--
    }
  }
  const deps: Deps = {
    get writes() {
      return writes
    },
    get isCommitting() {
      return committing > 0
    },
    name, env, storage, db, clock, ids, random, timers, alarms, log,
    outbox: undefined as unknown as Outbox<Deps>,
    newId: () => ids.tagged(tag),
    commit(caller, work) {
      writes++
      let promised = false
      const result = transaction(() => {
        const now_ms = clock.now_ms()
        return work({
          db,
          now_ms,
          change: (kind, id, action, before, after) => {
            sql.exec('INSERT INTO _changes (at_ms, request_id, user_id, kind, resource_id, action, before, after) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
              now_ms, caller.request_id, caller.user_id, kind, id, action, before == null ? null : JSON.stringify(before), after == null ? null : JSON.stringify(after))
          },
          outbox: (task, payload, options) => {
            promised = true
            deps.outbox.add(task, payload, { ...options, request_id: caller.request_id })
          },
        })
      })
      if (promised) deps.outbox.kick()
      return result
    },
  }
  deps.outbox = new Outbox<Deps>({ sql, clock, alarms, log, timers }, tasks, () => deps)
  return deps
}

/** Reads the change log after `after_seq`: history, events and audit all come from here. */
export function readChanges(deps: Deps, after_seq: number, limit: number): ChangeRow[] {
  const sql = deps.storage.sql as unknown as { exec(query: string, ...bindings: unknown[]): { toArray(): Record<string, unknown>[] } }
  return sql.exec('SELECT * FROM _changes WHERE seq > ? ORDER BY seq LIMIT ?', after_seq, limit).toArray().map((row) => ({
    ...(row as unknown as ChangeRow),
    before: row.before === null ? null : JSON.parse(String(row.before)),
    after: row.after === null ? null : JSON.parse(String(row.after)),
  }))
}
