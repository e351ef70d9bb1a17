/**
 * The shell of objects that anyone may name (an account or container in an anonymous URL): it writes nothing until something is stored, so that a
 * guessed name leaves no database behind.
 */
import { DurableObject } from 'cloudflare:workers'
import { systemClock } from '../../schema/values/time.ts'
import { type Deps, buildDeps } from '../kernel/deps.ts'
import type { Env } from '../kernel/env.ts'
import type { Migration } from '../kernel/migrate.ts'
import type { PendingStep } from '../kernel/outbox.ts'

export abstract class LazyObject extends DurableObject<Env> {
  #state: DurableObjectState
  #env: Env
  #migrations: readonly Migration[]
  #deps: Deps | null = null

  constructor(state: DurableObjectState, env: Env, migrations: readonly Migration[]) {
    super(state as never, env)
    this.#state = state
    this.#env = env
    this.#migrations = migrations
  }

  protected get now_ms(): number {
    return (this.#env.SIM?.clock ?? systemClock).now_ms()
  }

  /** Called once, when the tables are there. */
  protected abstract boot(deps: Deps): void

  /** Null where nothing was ever written. */
  protected get existing(): Deps | null {
    if (this.#deps !== null) return this.#deps
    const known = this.#state.storage.sql.exec("SELECT name FROM sqlite_master WHERE type = 'table' AND name = '_migrations'").toArray()
    return known.length === 0 ? null : this.deps
  }

  protected get deps(): Deps {
    if (this.#deps === null) {
      this.#deps = buildDeps(this.#state, this.#env, this.#migrations, {})
      this.boot(this.#deps)
    }
    return this.#deps
  }

  override async alarm(): Promise<void> {
    await this.existing?.alarms.fire()
  }

  pendingSteps(): PendingStep[] {
    return this.existing?.outbox.pending() ?? []
  }
}
