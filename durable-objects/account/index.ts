/** Account object: one per Swift account. A shell; the logic is in workers/object/account/store.ts. */
import { migrations } from '../../schema/account/migrations.ts'
import { type AccountInfo, AccountStore, type ContainerEntry, type ContainerReport } from '../../workers/object/account/store.ts'
import type { Metadata } from '../../workers/object/headers.ts'
import type { ListQuery, Listed } from '../../workers/object/list.ts'
import { reapContainer } from '../../workers/object/features/reaper.ts'
import { projectOf } from '../../workers/object/names.ts'
import { DELAY_REAPING_S, swiftOptions } from '../../workers/object/options.ts'
import { projectTag } from '../../schema/values/ids.ts'
import { LazyObject } from '../container/lazy.ts'
import { type Rate, Throttle } from '../../workers/object/throttle.ts'
import type { Deps } from '../kernel/deps.ts'
import { type Env, REGION_OBJECT_NAME } from '../kernel/env.ts'

export class AccountObject extends LazyObject {
  #store: AccountStore | null = null
  #throttle = new Throttle()
  #bindings: Env
  constructor(state: DurableObjectState, env: Env) {
    super(state, env, migrations)
    this.#bindings = env
  }

  protected override boot(deps: Deps): void {
    const env = this.#bindings
    this.#store = new AccountStore(deps, {
      enter: async (account) => {
        await env.REGION.getByName(REGION_OBJECT_NAME).enterProject(projectOf(account), projectTag(projectOf(account)))
      },
      reap: (account, container) => reapContainer(env, account, container, deps.clock.now_ms()),
      reap_delay_ms: (swiftOptions(env).delay_reaping ?? DELAY_REAPING_S) * 1_000,
    })
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

  async report(account: string, report: ContainerReport): Promise<void> {
    const store = this.#open(this.deps)
    store?.report(account, report)
    await store?.enter()
  }

  /** Marks it deleted, to be reaped; false where there is none. */
  remove(): boolean {
    return this.#open(this.existing)?.remove() ?? false
  }

  /** Makes it, or takes its deletion back. True where it is new. */
  revive(account: string): boolean {
    return this.#open(this.deps)?.revive(account) ?? false
  }

  list(query: ListQuery): { info: AccountInfo | null; entries: Listed<ContainerEntry>[] } {
    return this.#open(this.existing)?.list(query) ?? { info: null, entries: [] }
  }

  /** `deps` only says that the tables are there. */
  #open(deps: Deps | null): AccountStore | null {
    return deps === null ? null : this.#store
  }
}
