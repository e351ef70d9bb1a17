/** The shell of every object class: migrations at boot, one alarm, revocations, idempotency ledger. Logic lives in stores. */
import { DurableObject } from 'cloudflare:workers'
import type { Caller, Revocation } from '../../schema/values/caller.ts'
import { Fault } from '../../schema/values/fault.ts'
import { type Deps, buildDeps } from './deps.ts'
import type { Env } from './env.ts'
import { Idempotency, type LedgerAnswer, type LedgerReply } from './idempotency.ts'
import type { Migration } from './migrate.ts'
import type { PendingStep, Tasks } from './outbox.ts'
import { Revocations } from './revocations.ts'

export abstract class SkyObject extends DurableObject<Env> {
  protected deps: Deps
  #revocations: Revocations
  #idempotency: Idempotency

  constructor(state: DurableObjectState, env: Env, migrations: readonly Migration[], tasks: Tasks<Deps>) {
    super(state as never, env)
    this.deps = buildDeps(state, env, migrations, tasks)
    this.#revocations = new Revocations(this.deps)
    this.#idempotency = new Idempotency(this.deps)
  }

  override async alarm(): Promise<void> {
    await this.deps.alarms.fire()
  }

  /** Refuses a caller whose token was revoked or has expired since the edge verified it. */
  protected admit(caller: Caller): void {
    if (caller.expires_ms <= this.deps.clock.now_ms()) throw new Fault('unauthorized', 'The request you have made requires authentication.')
    if (this.isRevoked(caller)) throw new Fault('unauthorized', 'The request you have made requires authentication.')
  }

  protected isRevoked(caller: Caller): boolean {
    return this.#revocations.match(caller)
  }

  /** Identity pushes revocations here before it answers the revoking call. */
  revoke(events: Revocation[]): void {
    this.#revocations.add(events)
  }

  /** Events that may matter to one project. */
  protected revocationsFor(projectId: string): Revocation[] {
    return this.#revocations.all().filter(({ scope, subject }) => (scope === 'project' ? subject === projectId : scope === 'user_project' ? subject.endsWith(`:${projectId}`) : scope !== 'user_domain' && scope !== 'user_system'))
  }

  /** An earlier answer is given again only to a caller who would be let in now. */
  idempotencyBegin(key: string, fingerprint: string, request_id: string, caller: Caller): LedgerAnswer {
    this.admit(caller)
    return this.#idempotency.begin(key, fingerprint, request_id)
  }

  idempotencyFinish(key: string, reply: LedgerReply | null): void {
    this.#idempotency.finish(key, reply)
  }

  /** Outbox entries still to do: what `verify` and the simulator look at. */
  pendingSteps(): PendingStep[] {
    return this.deps.outbox.pending()
  }
}

