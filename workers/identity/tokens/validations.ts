/**
 * Validation, the hot path of services that ask instead of verifying: what a token says is rendered once and kept while nothing is written, and for a moment at
 * most, since some things end by the clock alone. Expiry and revocation are looked at each time. Lives in the Identity object.
 */
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { Realm } from '../kernel/realm.ts'
import { Shelf } from '../kernel/shelf.ts'
import { Issuer } from './issue.ts'
import type { Form } from './scope.ts'
import { tokenView } from './views.ts'

const KEPT_MS = 1_000
const KEPT_MAX = 2_000

/** A token's own audit id names it and no other; the claims are verified. */
const keyOf = (claims: Caller, form: Form): string => `${claims.audit_ids[0] ?? ''} ${form.catalog} ${form.origin}`

export class Validations {
  #realm: Realm
  #kept: Shelf<string>

  constructor(realm: Realm) {
    this.#realm = realm
    this.#kept = new Shelf(realm.deps, KEPT_MAX, () => realm.deps.storage.sync())
  }

  /** The JSON of a verified token, read from state; 404 where it no longer holds. */
  text(claims: Caller, allowExpired: boolean, form: Form): string {
    const { deps, options, revoker } = this.#realm
    const now = deps.clock.now_ms()
    if (claims.expires_ms + (allowExpired ? options.allow_expired_window_ms : 0) <= now || revoker.matching(claims).length > 0) throw new Fault('not_found', 'Could not find token.')
    const key = keyOf(claims, form)
    const known = this.#kept.get(key)
    if (known !== undefined) return known
    const text = JSON.stringify(tokenView(new Issuer(this.#realm).reread(claims, allowExpired), form))
    if (claims.audit_ids.length > 0) this.#kept.put(key, text, now + KEPT_MS)
    return text
  }

  /** What was rendered a moment ago and still holds: a revocation or any other change since would be a write. Reads memory alone. */
  atHand(claims: Caller, form: Form): string | null {
    return claims.expires_ms <= this.#realm.deps.clock.now_ms() ? null : (this.#kept.get(keyOf(claims, form)) ?? null)
  }
}
