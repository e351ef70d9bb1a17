/** Account object: one per Swift account. A shell; the logic is in workers/object/account/store.ts. */
import { migrations } from '../../schema/account/migrations.ts'
import { type AccountInfo, AccountStore, type ContainerEntry, type ContainerReport } from '../../workers/object/account/store.ts'
import type { Metadata } from '../../workers/object/headers.ts'
import type { ListQuery, Listed } from '../../workers/object/list.ts'
import { LazyObject } from '../container/lazy.ts'
import { type Rate, Throttle } from '../../workers/object/throttle.ts'
import type { Deps } from '../kernel/deps.ts'
import type { Env } from '../kernel/env.ts'

export class AccountObject extends LazyObject {
  #store: AccountStore | null = null
  #throttle = new Throttle()
  constructor(state: DurableObjectState, env: Env) {
    super(state, env, migrations)
  }

  protected override boot(deps: Deps): void {
    this.#store = new AccountStore(deps)
  }

  /** See throttle.ts: milliseconds to wait, null is too many. */
  throttle(key: string, rate: Rate): number | null {
    return this.#throttle.take(key, rate, this.now_ms)
  }

  info(): AccountInfo | null {
    return this.#open(this.existing)?.info() ?? null
  }

  post(account: string, changes: Metadata): void {
    this.#open(this.deps)?.post(account, changes)
  }

  report(account: string, report: ContainerReport): void {
    this.#open(this.deps)?.report(account, report)
  }

  list(query: ListQuery): { info: AccountInfo | null; entries: Listed<ContainerEntry>[] } {
    return this.#open(this.existing)?.list(query) ?? { info: null, entries: [] }
  }

  /** `deps` only says that the tables are there. */
  #open(deps: Deps | null): AccountStore | null {
    return deps === null ? null : this.#store
  }
}
