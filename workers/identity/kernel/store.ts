/** Stores of the Identity object: a base with what they are given, and one for resources that are a table and nothing more. */
import { RpcTarget } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import type { SQLiteColumn, SQLiteTable } from 'drizzle-orm/sqlite-core'
import type { Db, Tx } from '../../../durable-objects/kernel/deps.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import type { Fault } from '../../../schema/values/fault.ts'
import { type ListQuery, listRows } from './listing.ts'
import { type Realm, commit, notFound } from './realm.ts'

/** Own properties are not reachable by RPC; only methods are. */
export class Store extends RpcTarget {
  readonly realm: Realm
  readonly caller: Caller
  constructor(realm: Realm, caller: Caller) {
    super()
    this.realm = realm
    this.caller = caller
  }
}

export const inTx = <T>(store: Store, work: (tx: Tx) => T): T => commit(store.realm, store.caller, work)

type IdTable = SQLiteTable & { id: SQLiteColumn }
export type RowOf<T extends SQLiteTable> = T['$inferSelect']

export interface TableSpec<T extends IdTable> {
  /** 'service': in messages and in the change log. */
  kind: string
  table: T
  /** Columns that the change log does not keep. */
  secrets?: readonly string[]
  /** How upstream words that it is not there, where it differs. */
  missing?(id: string): Fault
  /** Runs in the transaction before a row is written; throws what is wrong with it. */
  check?(store: Store, row: RowOf<T>, before: RowOf<T> | null): void
  /** Runs in the transaction before a row is deleted: refuses, or takes what hangs on it. */
  remove?(store: Store, row: RowOf<T>, tx: Tx): void
  /** Runs in the transaction once its rows are written (deleted: none). */
  changed?(store: Store, rows: RowOf<T>[]): void
}

export class TableStore<T extends IdTable> extends Store {
  readonly spec: TableSpec<T>
  constructor(realm: Realm, caller: Caller, spec: TableSpec<T>) {
    super(realm, caller)
    this.spec = spec
  }

  get(id: string): RowOf<T> {
    const row = this.realm.db.select().from(this.spec.table as never).where(eq(this.spec.table.id, id)).get() as RowOf<T> | undefined
    if (row === undefined) throw this.spec.missing?.(id) ?? notFound(this.spec.kind, id)
    return row
  }

  list(query: ListQuery): RowOf<T>[] {
    return listRows(this.realm.db, this.spec.table, query)
  }

  create(values: Partial<RowOf<T>>): RowOf<T> {
    return this.createAll([values])[0] as RowOf<T>
  }

  /** All or none. */
  createAll(list: Partial<RowOf<T>>[]): RowOf<T>[] {
    const { kind, table } = this.spec
    return inTx(this, (tx) => {
      const made = list.map((values) => {
        const row = { id: this.realm.deps.ids.hex(), ...values } as RowOf<T> & { id: string }
        this.spec.check?.(this, row, null)
        tx.db.insert(table as never).values(row as never).run()
        tx.change(kind, row.id, 'create', null, this.#logged(row))
        return this.get(row.id)
      })
      this.spec.changed?.(this, made)
      return made
    })
  }

  update(id: string, values: Partial<RowOf<T>>): RowOf<T> {
    const { kind, table } = this.spec
    return inTx(this, (tx) => {
      const before = this.get(id)
      const row = merged(before, values)
      this.spec.check?.(this, row, before)
      tx.db.update(table as never).set(row as never).where(eq(table.id, id)).run()
      tx.change(kind, id, 'update', this.#logged(before), this.#logged(row))
      const after = this.get(id)
      this.spec.changed?.(this, [after])
      return after
    })
  }

  delete(id: string): void | Promise<void> {
    const { kind, table } = this.spec
    inTx(this, (tx) => {
      const row = this.get(id)
      this.spec.remove?.(this, row, tx)
      tx.db.delete(table as never).where(eq(table.id, id)).run()
      tx.change(kind, id, 'delete', this.#logged(row), null)
      this.spec.changed?.(this, [])
    })
  }

  #logged(row: RowOf<T>): Record<string, unknown> {
    return Object.fromEntries(Object.entries(row).filter(([name]) => !this.spec.secrets?.includes(name)))
  }
}

/** A row with a change laid over it: attributes unknown to us are merged, an absent attribute stays. */
export function merged<R>(before: R, values: Partial<R>): R {
  const given = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<R> & { extra?: Record<string, unknown> }
  const row = { ...before, ...given } as R & { extra?: Record<string, unknown> }
  if (given.extra !== undefined) row.extra = { ...(before as { extra?: Record<string, unknown> }).extra, ...given.extra }
  return row
}

export const exists = (db: Db, table: IdTable, id: string): boolean => db.select({ id: table.id }).from(table as never).where(eq(table.id, id)).get() !== undefined
