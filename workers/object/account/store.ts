/** One account: its metadata, its containers and their totals. Runs in the Account object. */
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { type Metadata, mergeMeta } from '../headers.ts'
import { type ListQuery, type Listed, listNames, whereSql } from '../list.ts'
import { timestampOf } from '../timestamp.ts'

export interface Totals {
  container_count: number
  object_count: number
  bytes_used: number
}

export interface AccountInfo extends Totals {
  name: string
  created_at: string
  /** Full lower-case header names. */
  metadata: Metadata
  /** By policy index. */
  policies: Record<string, Totals>
  /** When it was deleted; what it has goes once the time to change one's mind has passed. */
  deleted_ms: number | null
}

/** What a container says of itself; `seq` orders the reports of one container. */
export interface ContainerReport {
  name: string
  seq: number
  policy: number
  put_at: string
  deleted: boolean
  object_count: number
  bytes_used: number
}

export interface ContainerEntry {
  name: string
  put_at: string
  object_count: number
  bytes_used: number
}

export interface AccountHooks {
  /** Makes the account's project known to the region, whose directory `skyhook verify` goes by. */
  enter(account: string): Promise<void>
  /** Removes some of a container's objects, and the container after the last; true once it is gone. */
  reap(account: string, container: string): Promise<boolean>
  /** How long a deleted account is kept. */
  reap_delay_ms: number
}

export const ENTER_RETRY_MS = 30_000
export const REAP_RETRY_MS = 30_000
/** Rounds of one alarm: others want their turn. */
export const REAP_ROUNDS = 20

type Row = Record<string, unknown>

export class AccountStore {
  #deps: Deps
  #hooks: AccountHooks
  constructor(deps: Deps, hooks: AccountHooks) {
    this.#deps = deps
    this.#hooks = hooks
    deps.alarms.handle('enter', () => this.enter())
    deps.alarms.handle('reap', () => this.#reap())
  }

  info(): AccountInfo | null {
    const [row] = this.#rows('SELECT * FROM account')
    if (row === undefined) return null
    return {
      name: String(row.name), created_at: String(row.created_at), metadata: JSON.parse(String(row.metadata)) as Metadata, policies: JSON.parse(String(row.policies)) as Record<string, Totals>,
      container_count: Number(row.container_count), object_count: Number(row.object_count), bytes_used: Number(row.bytes_used), deleted_ms: row.deleted_ms === null ? null : Number(row.deleted_ms),
    }
  }

  post(name: string, changes: Metadata): void {
    this.#ensure(name)
    this.#rows('UPDATE account SET metadata = ?', JSON.stringify(mergeMeta(this.info()?.metadata ?? {}, changes, 'account')))
  }

  /** Enters the region's directory, once. */
  async enter(): Promise<void> {
    const [row] = this.#rows('SELECT name FROM account WHERE entered = 0')
    if (row === undefined) return
    try {
      await this.#hooks.enter(String(row.name))
    } catch (error) {
      this.#deps.log('account.enter_failed', { account: row.name, error: String((error as Error)?.message ?? error) })
      this.#deps.alarms.at('enter', this.#deps.clock.now_ms() + ENTER_RETRY_MS)
      return
    }
    this.#rows('UPDATE account SET entered = 1')
  }

  /** Marks it deleted; false where there is none. */
  remove(): boolean {
    if (this.info() === null) return false
    const now_ms = this.#deps.clock.now_ms()
    this.#rows('UPDATE account SET deleted_ms = COALESCE(deleted_ms, ?)', now_ms)
    this.#deps.alarms.at('reap', now_ms + this.#hooks.reap_delay_ms)
    return true
  }

  /** Makes it, or takes a deletion back as far as its containers are still there. True where it is new. */
  revive(name: string): boolean {
    const isNew = this.info() === null
    this.#ensure(name)
    this.#rows('UPDATE account SET deleted_ms = NULL')
    return isNew
  }

  async #reap(): Promise<void> {
    for (let round = 0; round < REAP_ROUNDS; round++) {
      const info = this.info()
      if (info === null || info.deleted_ms === null) return
      const [row] = this.#rows('SELECT name FROM containers WHERE deleted = 0 ORDER BY name LIMIT 1')
      if (row === undefined) {
        this.#rows("UPDATE account SET metadata = '{}'")
        this.#deps.log('account.reaped', { account: info.name })
        return
      }
      try {
        await this.#hooks.reap(info.name, String(row.name))
      } catch (error) {
        this.#deps.log('account.reap_failed', { account: info.name, container: row.name, error: String((error as Error)?.message ?? error) })
        this.#deps.alarms.at('reap', this.#deps.clock.now_ms() + REAP_RETRY_MS)
        return
      }
    }
    this.#deps.alarms.at('reap', this.#deps.clock.now_ms() + 1)
  }

  report(account: string, report: ContainerReport): void {
    this.#deps.storage.transactionSync(() => {
      this.#ensure(account)
      const [before] = this.#rows('SELECT * FROM containers WHERE name = ?', report.name)
      if (before !== undefined && Number(before.seq) >= report.seq) return
      const was: Totals = before === undefined || before.deleted === 1 ? { container_count: 0, object_count: 0, bytes_used: 0 } : { container_count: 1, object_count: Number(before.object_count), bytes_used: Number(before.bytes_used) }
      const is: Totals = report.deleted ? { container_count: 0, object_count: 0, bytes_used: 0 } : { container_count: 1, object_count: report.object_count, bytes_used: report.bytes_used }
      this.#rows('INSERT OR REPLACE INTO containers (name, policy, put_at, deleted, seq, object_count, bytes_used) VALUES (?, ?, ?, ?, ?, ?, ?)',
        report.name, report.policy, report.put_at, report.deleted ? 1 : 0, report.seq, is.object_count, is.bytes_used)
      this.#replace(before === undefined ? report.policy : Number(before.policy), was, report.policy, is)
    })
  }

  list(query: ListQuery): { info: AccountInfo | null; entries: Listed<ContainerEntry>[] } {
    const entries = listNames<ContainerEntry>(query, ({ where, order, limit }) => {
      const [clause, values] = whereSql(where, 'deleted = 0')
      return this.#rows(`SELECT name, put_at, object_count, bytes_used FROM containers${clause} ORDER BY name ${order} LIMIT ?`, ...values, limit).map((row) => ({
        name: String(row.name), put_at: String(row.put_at), object_count: Number(row.object_count), bytes_used: Number(row.bytes_used),
      }))
    })
    return { info: this.info(), entries }
  }

  #replace(oldPolicy: number, was: Totals, policy: number, is: Totals): void {
    const info = this.info()
    if (info === null) return
    const change = (index: number, totals: Totals, factor: number) => {
      const own = info.policies[index] ?? { container_count: 0, object_count: 0, bytes_used: 0 }
      info.policies[index] = { container_count: own.container_count + factor * totals.container_count, object_count: own.object_count + factor * totals.object_count, bytes_used: own.bytes_used + factor * totals.bytes_used }
    }
    change(oldPolicy, was, -1)
    change(policy, is, 1)
    this.#rows('UPDATE account SET container_count = ?, object_count = ?, bytes_used = ?, policies = ?', info.container_count + is.container_count - was.container_count,
      info.object_count + is.object_count - was.object_count, info.bytes_used + is.bytes_used - was.bytes_used, JSON.stringify(info.policies))
  }

  #ensure(name: string): void {
    this.#rows("INSERT OR IGNORE INTO account (id, name, created_at, metadata, container_count, object_count, bytes_used, policies) VALUES (1, ?, ?, '{}', 0, 0, 0, '{}')", name, timestampOf(this.#deps.clock.now_ms()))
  }

  #rows(query: string, ...bindings: unknown[]): Row[] {
    return this.#deps.storage.sql.exec(query, ...(bindings as never[])).toArray() as Row[]
  }
}
