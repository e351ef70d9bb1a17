/**
 * Revocations in memory, found by what they name: a caller is looked up under its own dozen of names, however many others have been revoked. Of several that name
 * the same, one is kept that covers all: each outlives every token that it could match, so the later end of two changes nothing.
 */
import { type Caller, type Revocation, isRevokedBy } from './caller.ts'

const keyOf = (scope: Revocation['scope'], subject: string): string => `${scope} ${subject}`

/** Everything under which the caller's token could have been revoked. */
function namesOf(caller: Caller): string[] {
  const { user_id, project_id, domain_id } = caller
  const names = [keyOf('user', user_id), keyOf('domain', caller.user_domain_id), keyOf('user_project', `${user_id}:${project_id}`), keyOf('user_domain', `${user_id}:${domain_id}`)]
  const more: [Revocation['scope'], string | null | undefined][] = [
    ['audit', caller.audit_ids[0]], ['project', project_id], ['domain', caller.project_domain_id], ['domain', domain_id], ['user_system', caller.system ? user_id : null],
    ['app_cred', caller.app_cred_id], ['trust', caller.trust_id], ['credential', caller.credential_id], ['idp', caller.federation?.idp_id], ['oauth_token', caller.oauth_token_id],
  ]
  for (const [scope, subject] of more) if (subject != null) names.push(keyOf(scope, subject))
  for (const id of caller.audit_ids) names.push(keyOf('audit_chain', id))
  return names
}

export class RevocationIndex {
  #events = new Map<string, Revocation>()
  /** When the first of them ends. */
  #ends_ms = Number.POSITIVE_INFINITY

  constructor(events: Iterable<Revocation> = []) {
    for (const event of events) this.add(event)
  }

  add({ scope, subject, before_ms, expires_ms }: Revocation): void {
    const key = keyOf(scope, subject)
    const known = this.#events.get(key)
    this.#events.set(key, { scope, subject, before_ms: Math.max(before_ms, known?.before_ms ?? before_ms), expires_ms: Math.max(expires_ms, known?.expires_ms ?? expires_ms) })
    this.#ends_ms = Math.min(this.#ends_ms, expires_ms)
  }

  /** Forgets those that have ended before `now_ms`. */
  drop(now_ms: number): void {
    if (this.#ends_ms >= now_ms) return
    this.#ends_ms = Number.POSITIVE_INFINITY
    for (const [key, { expires_ms }] of this.#events) {
      if (expires_ms < now_ms) this.#events.delete(key)
      else this.#ends_ms = Math.min(this.#ends_ms, expires_ms)
    }
  }

  matches(caller: Caller): boolean {
    return this.#events.size > 0 && namesOf(caller).some((name) => this.#isHit(name, caller))
  }

  /** Those that the caller's token falls under. */
  matching(caller: Caller): Revocation[] {
    if (this.#events.size === 0) return []
    return [...new Set(namesOf(caller))].filter((name) => this.#isHit(name, caller)).map((name) => this.#events.get(name) as Revocation)
  }

  all(): Revocation[] {
    return [...this.#events.values()]
  }

  #isHit(name: string, caller: Caller): boolean {
    const event = this.#events.get(name)
    return event !== undefined && isRevokedBy(caller, event)
  }
}
