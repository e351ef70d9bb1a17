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

type Row = Record<string, unknown>

export class AccountStore {
  #deps: Deps
  constructor(deps: Deps) {
    this.#deps = deps
  }

  info(): AccountInfo | null {
    const [row] = this.#rows('SELECT * FROM account')
    if (row === undefined) return null
    return {
      name: String(row.name), created_at: String(row.created_at), metadata: JSON.parse(String(row.metadata)) as Metadata, policies: JSON.parse(String(row.policies)) as Record<string, Totals>,
      container_count: Number(row.container_count), object_count: Number(row.object_count), bytes_used: Number(row.bytes_used),
    }
  }

  post(name: string, changes: Metadata): void {
    this.#ensure(name)
    this.#rows('UPDATE account SET metadata = ?', JSON.stringify(mergeMeta(this.info()?.metadata ?? {}, changes, 'account')))
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
