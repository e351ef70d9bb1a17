/**
 * Logins of those who come again: what their rows say is kept while nothing is written (Shelf), so that a login need not read them anew. Only of our own users, by
 * password alone, on what ends by no clock but the one that is kept with it; everybody else's rows are read each time. Nothing is read here but memory, therefore
 * a Worker in the same process may ask as well (near.ts). What a login must write, it writes by the way of login.ts. Lives in the Identity object.
 */
import type { Realm } from '../kernel/realm.ts'
import { Shelf } from '../kernel/shelf.ts'
import { firstEnd } from '../federation/rows.ts'
import { rulesMet } from '../mfa/rules.ts'
import { Issuer, type Resolved } from './issue.ts'
import type { Challenge } from './login.ts'
import type { Form, IssueRequest, Issued, NameRef, Rendered } from './scope.ts'
import { rendered, sharedText } from './views.ts'

const CHALLENGES_MAX = 2_000
/** Each with some 5 KB of text for each form. */
const SUBJECTS_MAX = 500
/** Of one subject: clients name the host of links themselves. */
const FORMS_MAX = 2

interface Known extends Resolved {
  /** Of the password in force. */
  hash: string
  /** What its tokens share (views.ts), by the form that it is wanted in. */
  texts: Map<string, string>
}

/** A token that waits for a proof. */
export interface Prepared {
  /** Null where something was written meanwhile: ask Login.issue. */
  proved(): Promise<Rendered> | null
}

/** By password and by nothing else, with no delegation and nothing left of an earlier request. */
const isPlain = (request: IssueRequest): boolean =>
  request.password?.upgraded === null && request.methods.length === 1 && request.parent === null && request.app_cred_id === null && request.scope.kind !== 'trust' &&
  request.receipt === undefined && request.credential_id === undefined && request.oauth_token_id === undefined && request.federation === undefined

const keyOf = ({ user_id, scope }: IssueRequest): string => JSON.stringify([user_id, scope])

export class Standing {
  #realm: Realm
  #challenges: Shelf<Challenge>
  #subjects: Shelf<Known>

  constructor(realm: Realm) {
    this.#realm = realm
    const settled = () => realm.deps.storage.sync()
    this.#challenges = new Shelf(realm.deps, CHALLENGES_MAX, settled)
    this.#subjects = new Shelf(realm.deps, SUBJECTS_MAX, settled)
  }

  /** As Login.passwordChallenge; null: ask it. The attempt is counted here where it is answered. */
  passwordChallenge(ref: NameRef, address: string | null): Challenge | null {
    const known = this.#challenges.get(JSON.stringify(ref))
    if (known === undefined) return null
    this.#realm.attempts.take(address)
    return known
  }

  /** Nobody's too, and those of users who are not let in: how soon an answer comes must not tell who there is. `until_ms`: when the clock alone makes it another. */
  keepChallenge(ref: NameRef, challenge: Challenge, until_ms = Number.POSITIVE_INFINITY): Challenge {
    const isKept = !challenge.bootstrap && challenge.directory === null && this.#realm.options.disable_user_account_days_inactive <= 0
    if (isKept) this.#challenges.put(JSON.stringify(ref), challenge, until_ms)
    return challenge
  }

  /** As Login.issue, for whoever has proved the password; null: ask it. */
  issue(request: IssueRequest, form: Form): Promise<Rendered> | null {
    return this.prepare(request, form)?.proved() ?? null
  }

  /** The same while the proof is still awaited: nobody else is given the token. */
  prepare(request: IssueRequest, form: Form): Prepared | null {
    const { attempts, deps, keys, revoker } = this.#realm
    const known = isPlain(request) ? this.#subjects.get(keyOf(request)) : undefined
    if (known === undefined || known.hash !== request.password?.hash || !keys.isAtHand || !revoker.isAtHand) return null
    const { writes } = deps
    const made = new Issuer(this.#realm).stamp(known, request).then((issued) => rendered(issued, this.#shared(known, issued, form)))
    made.catch(() => {})
    return {
      proved: () => {
        if (deps.writes !== writes) return null
        attempts.giveBack(request.address ?? null)
        return made
      },
    }
  }

  #shared({ texts }: Known, { record }: Issued, form: Form): string {
    const key = `${form.catalog} ${form.origin}`
    const text = texts.get(key) ?? sharedText(record, form)
    if (texts.size < FORMS_MAX) texts.set(key, text)
    return text
  }

  /** Only who has nothing to be written at a login: no failures to forget, no day to note. */
  keepSubject(request: IssueRequest, resolved: Resolved): void {
    const { user } = resolved.subject
    const isKept = isPlain(request) && user.origin === 'local' && user.failed_count === 0 && this.#realm.options.disable_user_account_days_inactive <= 0 && rulesMet(user.options, request.methods)
    if (isKept && request.password !== null) this.#subjects.put(keyOf(request), { ...resolved, hash: request.password.hash, texts: new Map() }, firstEnd(this.#realm.db).get()?.at ?? undefined)
  }
}
