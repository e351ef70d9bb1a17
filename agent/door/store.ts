/**
 * What a door must not forget: the plane's last state, containers and accounts as last seen, and writes that were acknowledged without the plane. One SQLite file, synced
 * before an answer; writers that come together share a sync.
 */
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import type { DoorCall, DoorEvidence } from '../../schema/agent/door.ts'

/** A container's update that waits for the plane, with the request that it came from. */
export interface Pending {
  seq: number
  at_ms: number
  evidence: DoorEvidence
  call: Omit<DoorCall, 'evidence'>
  /** For a write: where its bytes should be. */
  object: { account: string; container: string; object: string; policy: number; timestamp: string } | null
}

export interface Refused extends Pending {
  reason: string
}

const TABLES = `
CREATE TABLE IF NOT EXISTS documents (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS known (key TEXT PRIMARY KEY, value TEXT NOT NULL, seen_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pending (seq INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, entry TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS refused (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, entry TEXT NOT NULL, reason TEXT NOT NULL);
`
/** Containers and accounts remembered; the longest unseen go first. */
export const KNOWN_MAX = 100_000

type Row = Record<string, unknown>
type Entry = Omit<Pending, 'seq' | 'at_ms'>

export class DoorStore {
  #db: DatabaseSync
  #waiting: { entry: Entry; at_ms: number; done: () => void; failed: (error: unknown) => void }[] = []
  #pending: number

  constructor(folder: string) {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const path = join(folder, 'door.sqlite')
    this.#db = new DatabaseSync(path)
    // Tokens of waiting writes are in it.
    chmodSync(path, 0o600)
    this.#db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; ${TABLES}`)
    this.#pending = Number(this.#rows('SELECT COUNT(*) AS n FROM pending')[0]?.n ?? 0)
  }

  document<T>(name: string): T | null {
    const [row] = this.#rows('SELECT value FROM documents WHERE name = ?', name)
    return row === undefined ? null : (JSON.parse(String(row.value)) as T)
  }

  keep(name: string, value: unknown): void {
    this.#rows('INSERT INTO documents (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value', name, JSON.stringify(value))
  }

  known<T>(key: string): T | null {
    const [row] = this.#rows('SELECT value FROM known WHERE key = ?', key)
    return row === undefined ? null : (JSON.parse(String(row.value)) as T)
  }

  /** All in one transaction; `null` forgets. */
  learn(values: ReadonlyMap<string, unknown>, now_ms: number): void {
    this.#db.exec('BEGIN')
    for (const [key, value] of values) {
      if (value === null) this.#rows('DELETE FROM known WHERE key = ?', key)
      else this.#rows('INSERT INTO known (key, value, seen_ms) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, seen_ms = excluded.seen_ms', key, JSON.stringify(value), now_ms)
    }
    const count = Number(this.#rows('SELECT COUNT(*) AS n FROM known')[0]?.n ?? 0)
    if (count > KNOWN_MAX) this.#rows('DELETE FROM known WHERE key IN (SELECT key FROM known ORDER BY seen_ms LIMIT ?)', count - KNOWN_MAX)
    this.#db.exec('COMMIT')
  }

  get pendingCount(): number {
    return this.#pending + this.#waiting.length
  }

  /** Resolves when the update is on disk. */
  add(entry: Entry, at_ms: number): Promise<void> {
    return new Promise((done, failed) => {
      this.#waiting.push({ entry, at_ms, done, failed })
      if (this.#waiting.length === 1) setImmediate(() => this.#flush())
    })
  }

  #flush(): void {
    const batch = this.#waiting
    this.#waiting = []
    try {
      this.#db.exec('BEGIN')
      for (const { entry, at_ms } of batch) this.#rows('INSERT INTO pending (at_ms, entry) VALUES (?, ?)', at_ms, JSON.stringify(entry))
      this.#db.exec('COMMIT')
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      for (const { failed } of batch) failed(error)
      return
    }
    this.#pending += batch.length
    for (const { done } of batch) done()
  }

  /** The oldest, in their order. */
  pending(limit: number): Pending[] {
    return this.#rows('SELECT seq, at_ms, entry FROM pending ORDER BY seq LIMIT ?', limit).map(toPending)
  }

  /** Delivered, or (with a reason) refused for good: kept aside for the operator, without the token. */
  settle(entry: Pending, reason: string | null): void {
    this.#db.exec('BEGIN')
    this.#rows('DELETE FROM pending WHERE seq = ?', entry.seq)
    const { evidence } = entry
    const shown = { ...entry, evidence: { ...evidence, headers: Object.fromEntries(Object.entries(evidence.headers).filter(([name]) => !/token|^authorization$/i.test(name))), path: evidence.path.replace(/\?.*$/s, '') } }
    if (reason !== null) this.#rows('INSERT OR REPLACE INTO refused (seq, at_ms, entry, reason) VALUES (?, ?, ?, ?)', entry.seq, entry.at_ms, JSON.stringify(shown), reason)
    this.#db.exec('COMMIT')
    this.#pending--
  }

  refused(limit: number): Refused[] {
    return this.#rows('SELECT seq, at_ms, entry, reason FROM refused ORDER BY seq DESC LIMIT ?', limit).map((row) => ({ ...toPending(row), reason: String(row.reason) }))
  }

  get refusedCount(): number {
    return Number(this.#rows('SELECT COUNT(*) AS n FROM refused')[0]?.n ?? 0)
  }

  close(): void {
    this.#db.close()
  }

  #rows(query: string, ...values: SQLInputValue[]): Row[] {
    return this.#db.prepare(query).all(...values) as Row[]
  }
}

const toPending = (row: Row): Pending => ({ ...(JSON.parse(String(row.entry)) as Entry), seq: Number(row.seq), at_ms: Number(row.at_ms) })
