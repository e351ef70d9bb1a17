/** DurableObjectStorage on node:sqlite: exec with cursors, nested synchronous transactions, one alarm. What a crash keeps is the database and the alarm. */
import { DatabaseSync, type StatementSync } from 'node:sqlite'

/** As the platform words it: the caller sees that it may try again. */
export const resetError = (message: string): Error => Object.assign(new Error(message), { durableObjectReset: true, retryable: true })

interface Prepared {
  statement: StatementSync
  names: string[]
}

const SCHEMA = /^\s*(CREATE|ALTER|DROP)/i

export interface SimDisk {
  database: DatabaseSync
  prepared: Map<string, Prepared>
  alarm_ms: number | null
}

export const newDisk = (path = ':memory:'): SimDisk => {
  const database = new DatabaseSync(path)
  database.exec('PRAGMA foreign_keys = ON')
  return { database, prepared: new Map(), alarm_ms: null }
}

const isBlob = (value: unknown): value is Uint8Array => value instanceof Uint8Array
const readable = (value: unknown) => (isBlob(value) ? value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength) : typeof value === 'bigint' ? Number(value) : value)

/** Rows of one query. Column names may repeat (joins): raw() keeps them all, objects are made only where they are asked for. */
class Cursor {
  #arrays: unknown[][]
  #names: string[]
  #at = 0
  rowsRead: number
  rowsWritten = 0
  constructor(names: string[], arrays: unknown[][]) {
    this.#names = names
    this.#arrays = arrays
    this.rowsRead = arrays.length
  }
  get columnNames() {
    return this.#names
  }
  #object(values: unknown[]): Record<string, unknown> {
    return Object.fromEntries(this.#names.map((name, i) => [name, values[i]]))
  }
  toArray() {
    const rest = this.#arrays.slice(this.#at)
    this.#at = this.#arrays.length
    return rest.map((values) => this.#object(values))
  }
  one() {
    const [only] = this.#arrays
    if (only === undefined || this.#arrays.length !== 1) throw new Error(`Expected exactly one result from SQL query, but got ${this.#arrays.length}.`)
    return this.#object(only)
  }
  next() {
    const values = this.#arrays[this.#at++]
    return values === undefined ? { done: true as const, value: undefined } : { done: false as const, value: this.#object(values) }
  }
  *raw(): Generator<unknown[]> {
    yield* this.#arrays
  }
  [Symbol.iterator]() {
    return this.toArray()[Symbol.iterator]()
  }
}

export class SimStorage {
  #disk: SimDisk
  #depth = 0
  /** Set when the instance crashed: what it still tries to write is lost, as it would be. */
  dead = false
  #onAlarm: () => void
  sql: { exec(query: string, ...bindings: unknown[]): Cursor; databaseSize: number }

  constructor(disk: SimDisk, onAlarm: () => void = () => {}) {
    this.#disk = disk
    this.#onAlarm = onAlarm
    this.sql = { exec: (query, ...bindings) => this.#exec(query, bindings), databaseSize: 0 }
  }

  #exec(query: string, bindings: unknown[]): Cursor {
    this.#mustLive()
    const values = bindings.map((value) => (value instanceof ArrayBuffer ? new Uint8Array(value) : typeof value === 'boolean' ? (value ? 1 : 0) : value === undefined ? null : value))
    if (values.length > 100) throw new Error('too many SQL variables: an object binds at most 100 parameters')
    const { statement, names } = this.#prepare(query)
    const arrays = statement.all(...(values as never[])) as unknown as unknown[][]
    return new Cursor(names, arrays.map((row) => row.map(readable)))
  }

  /** Statements are kept until the schema changes. */
  #prepare(query: string): Prepared {
    const { database, prepared } = this.#disk
    const kept = prepared.get(query)
    if (kept !== undefined) return kept
    if (SCHEMA.test(query)) prepared.clear()
    const statement = database.prepare(query)
    statement.setReturnArrays(true)
    const made = { statement, names: statement.columns().map((column) => column.name) }
    if (!SCHEMA.test(query)) prepared.set(query, made)
    return made
  }

  #mustLive(): void {
    if (this.dead) throw resetError('the object was reset')
  }

  /** All is on disk when a statement has run. */
  async sync(): Promise<void> {
    this.#mustLive()
  }

  transactionSync<T>(work: () => T): T {
    this.#mustLive()
    const name = `t${this.#depth++}`
    this.#disk.database.exec(`SAVEPOINT ${name}`)
    try {
      const result = work()
      this.#disk.database.exec(`RELEASE ${name}`)
      return result
    } catch (error) {
      this.#disk.database.exec(`ROLLBACK TO ${name}`)
      this.#disk.database.exec(`RELEASE ${name}`)
      throw error
    } finally {
      this.#depth--
    }
  }

  async setAlarm(at: number | Date): Promise<void> {
    this.#mustLive()
    this.#disk.alarm_ms = Number(at)
    this.#onAlarm()
  }
  async getAlarm(): Promise<number | null> {
    return this.#disk.alarm_ms
  }
  async deleteAlarm(): Promise<void> {
    this.#disk.alarm_ms = null
  }
}
