/** Revocations known to this object: in memory, on disk until no matching token can still be valid. */
import type { Caller, Revocation } from '../../schema/values/caller.ts'
import { RevocationIndex } from '../../schema/values/revocations.ts'
import type { Deps } from './deps.ts'

export class Revocations {
  #deps: Deps
  #events: RevocationIndex

  constructor(deps: Deps) {
    this.#deps = deps
    const { sql } = deps.storage
    sql.exec('CREATE TABLE IF NOT EXISTS _revocations (scope TEXT NOT NULL, subject TEXT NOT NULL, before_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, PRIMARY KEY (scope, subject))')
    sql.exec('CREATE INDEX IF NOT EXISTS _revocations_expires ON _revocations (expires_ms)')
    this.#events = new RevocationIndex(sql.exec('SELECT scope, subject, before_ms, expires_ms FROM _revocations').toArray() as unknown as Revocation[])
  }

  match(caller: Caller): boolean {
    return this.#events.matches(caller)
  }

  all(): Revocation[] {
    return this.#events.all()
  }

  add(events: Revocation[]): void {
    const now = this.#deps.clock.now_ms()
    this.#deps.storage.transactionSync(() => {
      this.#deps.storage.sql.exec('DELETE FROM _revocations WHERE expires_ms < ?', now)
      for (const event of events) {
        this.#deps.storage.sql.exec(
          'INSERT INTO _revocations (scope, subject, before_ms, expires_ms) VALUES (?, ?, ?, ?) ON CONFLICT (scope, subject) DO UPDATE SET before_ms = MAX(before_ms, excluded.before_ms), expires_ms = MAX(expires_ms, excluded.expires_ms)',
          event.scope, event.subject, event.before_ms, event.expires_ms)
      }
    })
    this.#events.drop(now)
    for (const event of events) this.#events.add(event)
  }
}
