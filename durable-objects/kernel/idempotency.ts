/**
 * Idempotency-Key: the first request with a key runs; the same key and body gets the same answer for a day; another body is a conflict.
 * A first request that died before its answer was kept is settled by the change log: if it changed something, the retry is refused with
 * what it made; if not, the retry runs. Neither the key nor the answer can be read from the rows (reply-seal.ts).
 */
import { Fault } from '../../schema/values/fault.ts'
import type { Deps } from './deps.ts'
import { NONCE_BYTES, ReplySeal, nameOf } from './reply-seal.ts'

export const IDEMPOTENCY_KEPT_MS = 24 * 3_600_000
/** How long a first request may be under way before its retry looks for what became of it. */
export const IDEMPOTENCY_PENDING_MS = 60_000
export const IDEMPOTENCY_KEY_CHARS_MAX = 255

export interface LedgerReply {
  status: number
  headers: [string, string][]
  body: string
}

export type LedgerAnswer = { state: 'new' } | { state: 'replay'; reply: LedgerReply }

export class Idempotency {
  #deps: Deps

  constructor(deps: Deps) {
    this.#deps = deps
    deps.storage.sql.exec('CREATE TABLE IF NOT EXISTS _idempotency (key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, request_id TEXT NOT NULL, at_ms INTEGER NOT NULL, reply TEXT)')
    this.#sealOlder()
  }

  begin(key: string, fingerprint: string, request_id: string): LedgerAnswer {
    const { sql } = this.#deps.storage
    const now = this.#deps.clock.now_ms()
    sql.exec('DELETE FROM _idempotency WHERE at_ms < ?', now - IDEMPOTENCY_KEPT_MS)
    const [row] = sql.exec('SELECT fingerprint, request_id, at_ms, reply FROM _idempotency WHERE key = ?', nameOf(key)).toArray()
    if (row === undefined) {
      sql.exec('INSERT INTO _idempotency (key, fingerprint, request_id, at_ms) VALUES (?, ?, ?, ?)', nameOf(key), this.#seals(key)[0]?.mark(fingerprint) ?? '', request_id, now)
      return { state: 'new' }
    }
    const seal = this.#seals(key).find((each) => each.isMark(String(row.fingerprint), fingerprint))
    if (seal === undefined) throw new Fault('conflict', 'This Idempotency-Key was used with another request.', { type: 'IdempotencyKeyReused' })
    if (row.reply !== null) return { state: 'replay', reply: replyOf(seal.open(String(row.reply))) }
    if (now - Number(row.at_ms) < IDEMPOTENCY_PENDING_MS) throw new Fault('conflict', 'The first request with this Idempotency-Key is still being worked on. Retry later.', { type: 'IdempotencyKeyInUse', headers: { 'retry-after': '1' } })
    const [made] = sql.exec('SELECT kind, resource_id FROM _changes WHERE request_id = ? ORDER BY seq LIMIT 1', String(row.request_id)).toArray()
    if (made !== undefined) throw new Fault('conflict', `The first request with this Idempotency-Key was carried out (${made.kind} ${made.resource_id}) but its answer was lost.`, { type: 'IdempotencyAnswerLost' })
    sql.exec('UPDATE _idempotency SET request_id = ?, at_ms = ? WHERE key = ?', request_id, now, nameOf(key))
    return { state: 'new' }
  }

  /** Keeps the answer; null forgets the key (the request failed without an effect: it may be tried again). */
  finish(key: string, reply: LedgerReply | null): void {
    const { sql } = this.#deps.storage
    if (reply === null) sql.exec('DELETE FROM _idempotency WHERE key = ?', nameOf(key))
    else sql.exec('UPDATE _idempotency SET reply = ? WHERE key = ?', this.#sealed(key, reply), nameOf(key))
  }

  /** The first one seals; an older secret of the deployment still opens what it sealed. */
  #seals(key: string): ReplySeal[] {
    const secrets = (this.#deps.env.IDENTITY_KEYS ?? '').split(',').map((text) => text.trim()).filter((text) => text !== '')
    return [...secrets, ''].map((secret) => new ReplySeal(key, secret))
  }

  #sealed(key: string, reply: LedgerReply): string {
    return this.#seals(key)[0]?.seal(JSON.stringify(reply), this.#deps.random.bytes(NONCE_BYTES)) ?? ''
  }

  /** Rows of releases that kept them readable: their keys are still known, for the last time. */
  #sealOlder(): void {
    const { sql } = this.#deps.storage
    for (const { key, fingerprint, reply } of sql.exec("SELECT key, fingerprint, reply FROM _idempotency WHERE key GLOB '*[^0-9a-f]*'").toArray()) {
      const given = String(key)
      const kept = reply === null ? null : this.#sealed(given, JSON.parse(String(reply)) as LedgerReply)
      sql.exec('UPDATE _idempotency SET key = ?, fingerprint = ?, reply = ? WHERE key = ?', nameOf(given), this.#seals(given)[0]?.mark(String(fingerprint)) ?? '', kept, given)
    }
  }
}

function replyOf(text: string | null): LedgerReply {
  if (text === null) throw new Fault('conflict', 'The first request with this Idempotency-Key was carried out, but its answer cannot be read any more.', { type: 'IdempotencyAnswerLost' })
  return JSON.parse(text) as LedgerReply
}
