/**
 * The way in: what the Worker asks the Identity object while it authenticates somebody who has no token yet. Hashes are checked in the Worker (or the
 * hasher process), never here; unknown, locked and disabled users look like a wrong password to whoever asks.
 */
import { RpcTarget } from 'cloudflare:workers'
import { and, eq } from 'drizzle-orm'
import { applicationCredentials, credentials, passwords, seeded, totpUsed, trusts, users } from '../../../schema/identity/tables.ts'
import { systemCaller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { bootstrapAdminId } from '../bootstrap/seed.ts'
import { plainBlob } from '../credentials/store.ts'
import { type DirectoryRef, directoryLogin, directoryRef } from '../directory/store.ts'
import { type Realm, commit } from '../kernel/realm.ts'
import { makeReceipt, methodsOfReceipt } from '../mfa/receipts.ts'
import { rulesMet } from '../mfa/rules.ts'
import { base32, matchingStep } from '../mfa/totp.ts'
import { decoyHash, sameParams } from '../passwords/hash.ts'
import { checkMinimumAge, currentPassword, isInactive, isLocked, lockChanges, passwordHistory } from '../passwords/rules.ts'
import { ofUser } from '../revocations/concerned.ts'
import { localUserByName, userById } from '../users/rows.ts'
import { setPassword } from '../users/store.ts'
import { Issuer } from './issue.ts'
import type { Form, IssueRequest, NameRef, Rendered } from './scope.ts'
import { rendered, sharedText } from './views.ts'

/** Methods that take from the bucket of the client's address. */
const COUNTED = ['password', 'totp', 'application_credential']

export interface Challenge {
  /** null: nobody. The hash below then matches nothing, at the same cost. */
  user_id: string | null
  hash: string
  /** The password may be right and still not let in. */
  barred: boolean
  /** Under parameters that are no longer today's. */
  outdated: boolean
  /** Said only to those who know the password. */
  expired: boolean
  /** The first admin has no password yet: hash the deployment's secret and hand it in with `bootstrap`. */
  bootstrap: boolean
  /** Only a directory knows whether the password is right. */
  directory: DirectoryRef | null
}

export class Login extends RpcTarget {
  #realm: Realm
  constructor(realm: Realm) {
    super()
    this.#realm = realm
  }

  /** `address`: where the attempt comes from; what it takes there comes back with `issue` or `changePassword`. */
  passwordChallenge(ref: NameRef, address: string | null = null): Challenge {
    const { db, deps, options, attempts, standing } = this.#realm
    const known = standing.passwordChallenge(ref, address)
    if (known !== null) return known
    attempts.take(address)
    const user = this.#findUser(ref)
    const now = deps.clock.now_ms()
    const current = user === undefined ? undefined : currentPassword(db, user.id)
    const directory = user?.origin === 'local' ? null : directoryLogin(this.#realm, ref)
    const bootstrap = user !== undefined && current === undefined && bootstrapAdminId(deps) === user.id
    if (user === undefined || current === undefined) return standing.keepChallenge(ref, { user_id: null, hash: decoyHash(options.scrypt), outdated: false, barred: true, expired: false, bootstrap, directory })
    const barred = isLocked(user, options, now) || isInactive(user, options, now)
    const expired = current.expires_ms !== null && current.expires_ms <= now && user.options.ignore_password_expiry !== true
    const expires_ms = expired || user.options.ignore_password_expiry === true ? null : current.expires_ms
    return standing.keepChallenge(ref, { user_id: user.id, hash: current.hash, outdated: !sameParams(current.hash, options.scrypt), barred, expired, bootstrap: false, directory: null }, Math.min(expires_ms ?? Number.POSITIVE_INFINITY, lockChanges(user, options, now)))
  }

  /** Once: the first admin's password, as a hash. */
  bootstrap(hash: string, request_id: string): void {
    const { db, deps } = this.#realm
    const admin = bootstrapAdminId(deps)
    if (admin === null || currentPassword(db, admin) !== undefined) return
    commit(this.#realm, systemCaller(request_id), (tx) => {
      db.insert(passwords).values({ user_id: admin, hash, created_ms: tx.now_ms, expires_ms: null, self_service: false }).run()
      db.delete(seeded).where(eq(seeded.name, `admin/${admin}`)).run()
      tx.change('user', admin, 'update', null, { password: 'set' })
    })
  }

  /** Also for nobody (null): an unknown name must cost the caller as much as a wrong password. */
  passwordFailed(user_id: string | null): void {
    if (user_id === null) return
    const { db, deps, options } = this.#realm
    const user = userById(db, user_id)
    if (user === undefined || options.lockout_failure_attempts <= 0) return
    const now = deps.clock.now_ms()
    if (isLocked(user, options, now)) return
    const stale = user.failed_ms !== null && user.failed_count >= options.lockout_failure_attempts
    db.update(users).set({ failed_count: stale ? 1 : user.failed_count + 1, failed_ms: now }).where(eq(users.id, user_id)).run()
  }

  /** Hashes that a new password must differ from, newest first; refuses a change that comes too soon. */
  passwordHistory(user_id: string): string[] {
    const { db, deps, options } = this.#realm
    checkMinimumAge(currentPassword(db, user_id), options, deps.clock.now_ms())
    return passwordHistory(db, user_id).slice(0, options.unique_last_password_count).map((row) => row.hash)
  }

  /** The user's own change, after the old password was checked against `before`. Every token of the user ends. */
  async changePassword(user_id: string, before: string, hash: string, request_id: string, address: string | null = null): Promise<void> {
    const { db, revoker } = this.#realm
    const seq = commit(this.#realm, { request_id, user_id }, (tx) => {
      const user = new Issuer(this.#realm).liveUser(user_id)
      if (user.options.lock_password === true) throw new Fault('bad_request', 'The password of this user is locked.')
      if (currentPassword(db, user_id)?.hash !== before) throw new Fault('unauthorized', 'The request you have made requires authentication.')
      setPassword(this.#realm, tx, user, hash, undefined, true)
      if (user.failed_count > 0) db.update(users).set({ failed_count: 0, failed_ms: null }).where(eq(users.id, user_id)).run()
      tx.change('user', user_id, 'update', null, { password: 'changed' })
      const impact = ofUser(db, user_id)
      return revoker.record(impact.refs, impact.projectIds)
    })
    this.#realm.attempts.giveBack(address)
    await revoker.pushed(seq)
  }

  /** The user whose passcode this is, now; null for anybody else. A passcode is good once, and wrong ones count towards the lock as wrong passwords do. */
  totpUser(ref: NameRef, given: string, address: string | null = null): string | null {
    this.#realm.attempts.take(address)
    const { db, deps, options } = this.#realm
    const user = this.#findUser(ref)
    const now = deps.clock.now_ms()
    if (user === undefined || isLocked(user, options, now) || isInactive(user, options, now)) return null
    for (const row of db.select().from(credentials).where(and(eq(credentials.user_id, user.id), eq(credentials.type, 'totp'))).all()) {
      const secret = base32(plainBlob(this.#realm, row))
      if (secret === null) continue
      const used = db.select().from(totpUsed).where(eq(totpUsed.credential_id, row.id)).get()?.step ?? -1
      const step = matchingStep(secret, given, now, options.totp_included_previous_windows, used)
      if (step === null) continue
      db.insert(totpUsed).values({ credential_id: row.id, step }).onConflictDoUpdate({ target: totpUsed.credential_id, set: { step } }).run()
      return user.id
    }
    this.passwordFailed(user.id)
    return null
  }

  appCredChallenge(ref: { id?: string; name?: string; user?: NameRef }, address: string | null = null): { user_id: string | null; app_cred_id: string; hash: string; directory: DirectoryRef | null } {
    this.#realm.attempts.take(address)
    const { db, options } = this.#realm
    const nobody = { user_id: null, app_cred_id: '', hash: decoyHash(options.scrypt), directory: null }
    const owner = ref.id === undefined ? this.#findUser(ref.user ?? {}) : undefined
    if (ref.id === undefined && owner === undefined) return nobody
    const where = ref.id !== undefined ? eq(applicationCredentials.id, ref.id) : and(eq(applicationCredentials.user_id, owner?.id ?? ''), eq(applicationCredentials.name, ref.name ?? ''))
    const row = db.select().from(applicationCredentials).where(where).get()
    return row === undefined ? nobody : { user_id: row.user_id, app_cred_id: row.id, hash: row.secret_hash, directory: directoryRef(this.#realm, row.user_id) }
  }

  async issue(request: IssueRequest, form: Form): Promise<Rendered> {
    const { db, deps, options, revoker, standing } = this.#realm
    const known = standing.issue(request, form)
    if (known !== null) return await known
    const { parent } = request
    if (parent !== null) {
      if (parent.expires_ms <= deps.clock.now_ms() || revoker.matching(parent).length > 0) throw new Fault('not_found', 'Could not find token.')
      if (parent.trust_id) throw new Fault('forbidden', "Using method 'token' is not permitted with a trust-scoped token.")
      if (parent.credential_id) throw new Fault('forbidden', "Using method 'token' is not permitted with a token made by an EC2 credential.")
      if (parent.oauth_token_id) throw new Fault('forbidden', "Using method 'token' is not permitted with a token made by OAuth1.")
      if (parent.app_cred_id) throw new Fault('forbidden', "Using method 'token' is not permitted with an application credential token.")
    }
    const issuer = new Issuer(this.#realm)
    const user = issuer.liveUser(request.user_id)
    if (request.password !== null && issuer.passwordOf(user.id)?.hash !== request.password.hash) throw new Fault('unauthorized', 'The request you have made requires authentication.')
    const attempts = request.methods.filter((method) => COUNTED.includes(method)).length
    if (attempts > 0) this.#realm.attempts.giveBack(request.address ?? null, attempts)
    const proved = request.receipt === undefined ? request.methods : [...new Set([...request.methods, ...methodsOfReceipt(this.#realm, user, request.receipt)])]
    if (!rulesMet(user.options, [...proved, ...(parent?.methods ?? [])])) throw makeReceipt(this.#realm, user, issuer.domainName(user.domain_id), proved)
    const resolved = issuer.resolve(request)
    standing.keepSubject(request, resolved)
    const issued = await issuer.stamp(resolved, { ...request, methods: proved })
    if (request.password !== null) {
      if (user.failed_count > 0) db.update(users).set({ failed_count: 0, failed_ms: null }).where(eq(users.id, user.id)).run()
      if (request.password.upgraded !== null) db.update(passwords).set({ hash: request.password.upgraded }).where(and(eq(passwords.user_id, user.id), eq(passwords.hash, request.password.hash))).run()
    }
    if (request.scope.kind === 'trust') this.#useTrust(request.scope.trust_id)
    if (options.disable_user_account_days_inactive > 0) db.update(users).set({ active_ms: deps.clock.now_ms() }).where(eq(users.id, user.id)).run()
    return rendered(issued, sharedText(issued.record, form))
  }

  #useTrust(id: string): void {
    const { db } = this.#realm
    const row = db.select().from(trusts).where(eq(trusts.id, id)).get()
    if (row?.remaining_uses != null) db.update(trusts).set({ remaining_uses: row.remaining_uses - 1 }).where(eq(trusts.id, id)).run()
  }

  #findUser(ref: NameRef) {
    const { db } = this.#realm
    if (ref.id !== undefined) return userById(db, ref.id)
    const domain = new Issuer(this.#realm).findDomain(ref.domain ?? {})
    if (domain === undefined) return undefined
    return localUserByName(db, domain.id, ref.name ?? '')
  }
}
