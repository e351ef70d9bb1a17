/**
 * Revocations: recorded in the transaction that causes them, refused here at once, and pushed to Region and to every Project concerned and in use before
 * the revoking call is answered (one not in use yet asks Region at its first use). A push that fails is repeated by alarm until every object has it; readers that end in no object poll `since`.
 */
import { asc, eq, gt, lt } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { REGION_OBJECT_NAME } from '../../../durable-objects/kernel/env.ts'
import { revocationLog, revocationPushes } from '../../../schema/identity/tables.ts'
import type { Caller, Revocation } from '../../../schema/values/caller.ts'
import { RevocationIndex } from '../../../schema/values/revocations.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { IdentityOptions } from '../kernel/options.ts'

export const PUSH_RETRY_MS = 1_000
const PUSH_PARALLEL = 16
const READ_MAX = 1_000

export type RevocationRef = Pick<Revocation, 'scope' | 'subject'>
export interface RevocationPage {
  cursor: number
  events: Revocation[]
}

export class Revoker {
  #deps: Deps
  #options: IdentityOptions
  #admit: (events: Revocation[]) => void
  #known = new RevocationIndex()
  /** Number of the newest in it, and whether there may be newer ones: what a transaction recorded counts once it is read again. */
  #upTo = 0
  #isBehind = true

  /** `admit`: hands events to the object's own admission check. */
  constructor(deps: Deps, options: IdentityOptions, admit: (events: Revocation[]) => void) {
    this.#deps = deps
    this.#options = options
    this.#admit = admit
    deps.alarms.handle('revocations', () => this.#retry())
  }

  /** Inside the transaction of the change. The returned number is for `pushed`. */
  record(refs: RevocationRef[], projectIds: Iterable<string>): number {
    const { db, clock } = this.#deps
    const now = clock.now_ms()
    const expires_ms = now + this.#options.token_life_ms + this.#options.allow_expired_window_ms
    const events: Revocation[] = refs.map((ref) => ({ ...ref, before_ms: now, expires_ms }))
    if (events.length === 0) return 0
    db.delete(revocationLog).where(lt(revocationLog.expires_ms, now)).run()
    for (const event of events) db.insert(revocationLog).values({ ...event, at_ms: now }).run()
    const { seq } = db.insert(revocationPushes).values({ events, project_ids: [...new Set(projectIds)], at_ms: now }).returning({ seq: revocationPushes.seq }).get()
    this.#deps.alarms.at('revocations', now + PUSH_RETRY_MS)
    this.#isBehind = true
    return seq
  }

  /** After the commit: every object concerned has it, or the caller is told to retry (the alarm goes on by itself). */
  async pushed(seq: number): Promise<void> {
    if (seq === 0) return
    try {
      await this.#push(seq)
    } catch (error) {
      this.#deps.log('revocation.push_failed', { seq, error: String((error as Error)?.message ?? error) })
      throw new Fault('unavailable', 'The change was made, but not every part of the cloud has confirmed the revocation of tokens yet. It is being repeated.', { headers: { 'retry-after': '1' } })
    }
  }

  /** Whether `matching` can answer from memory. */
  get isAtHand(): boolean {
    return !this.#isBehind
  }

  /** Events that a caller's token falls under. */
  matching(caller: Caller): Revocation[] {
    if (this.#isBehind && this.#deps.isCommitting) return new RevocationIndex(this.#after(0)).matching(caller)
    if (this.#isBehind) this.#catchUp()
    return this.#known.matching(caller)
  }

  #catchUp(): void {
    this.#known.drop(this.#deps.clock.now_ms())
    for (const event of this.#after(this.#upTo)) {
      this.#known.add(event)
      this.#upTo = event.seq
    }
    this.#isBehind = false
  }

  #after(seq: number): (Revocation & { seq: number })[] {
    return this.#deps.db.select().from(revocationLog).where(gt(revocationLog.seq, seq)).orderBy(asc(revocationLog.seq)).all().map((row) => ({ ...row, scope: row.scope as Revocation['scope'] }))
  }

  since(cursor: number): RevocationPage {
    const rows = this.#deps.db.select().from(revocationLog).where(gt(revocationLog.seq, cursor)).orderBy(asc(revocationLog.seq)).limit(READ_MAX).all()
    return { cursor: rows.at(-1)?.seq ?? cursor, events: rows.map(({ scope, subject, before_ms, expires_ms }) => ({ scope: scope as Revocation['scope'], subject, before_ms, expires_ms })) }
  }

  async #push(seq: number): Promise<void> {
    const { db, env } = this.#deps
    const row = db.select().from(revocationPushes).where(eq(revocationPushes.seq, seq)).get()
    if (row === undefined) return
    const events = row.events as Revocation[]
    this.#admit(events)
    // Region first: a project that is used for the first time from now on gets the events there; those in use already are told one by one.
    const used = await env.REGION.getByName(REGION_OBJECT_NAME).revokeFor(events, row.project_ids)
    for (let at = 0; at < used.length; at += PUSH_PARALLEL) await Promise.all(used.slice(at, at + PUSH_PARALLEL).map((id) => env.PROJECT.getByName(id).revoke(events)))
    db.delete(revocationPushes).where(eq(revocationPushes.seq, seq)).run()
  }

  async #retry(): Promise<void> {
    for (const { seq } of this.#deps.db.select({ seq: revocationPushes.seq }).from(revocationPushes).orderBy(asc(revocationPushes.seq)).all()) {
      try {
        await this.#push(seq)
      } catch (error) {
        this.#deps.log('revocation.push_failed', { seq, error: String((error as Error)?.message ?? error) })
        this.#deps.alarms.at('revocations', this.#deps.clock.now_ms() + PUSH_RETRY_MS)
      }
    }
  }
}
