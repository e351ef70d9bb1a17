/** Container object: one per Swift container. A shell; the logic is in workers/object/container/store.ts. */
import { migrations } from '../../schema/container/migrations.ts'
import { Fault } from '../../schema/values/fault.ts'
import { type ContainerInfo, type ObjectRow, type VersionRow, storedName } from '../../workers/object/container/rows.ts'
import { ContainerStore } from '../../workers/object/container/store.ts'
import type { VersionQuery } from '../../workers/object/container/versions.ts'
import type { Metadata } from '../../workers/object/headers.ts'
import type { ListQuery, Listed } from '../../workers/object/list.ts'
import { syncAgreed, syncRow, syncTarget } from '../../workers/object/features/sync.ts'
import { deleteReplicas } from '../../workers/object/replicas.ts'
import { type Rate, Throttle } from '../../workers/object/throttle.ts'
import type { Deps } from '../kernel/deps.ts'
import type { Env } from '../kernel/env.ts'
import { LazyObject } from './lazy.ts'

export class ContainerObject extends LazyObject {
  #store: ContainerStore | null = null
  #throttle = new Throttle()
  #bindings: Env
  constructor(state: DurableObjectState, env: Env) {
    super(state, env, migrations)
    this.#bindings = env
  }

  protected override boot(deps: Deps): void {
    const env = this.#bindings
    this.#store = new ContainerStore(deps, {
      report: (account, report) => env.ACCOUNT.getByName(account).report(account, report),
      sync: async (info, rows) => {
        const target = syncTarget(env, info.metadata['x-container-sync-to'] ?? '')
        if (!(await syncAgreed(env, info, target))) return false
        for (const row of rows) await syncRow(env, info, target, row, deps.clock.now_ms())
        return true
      },
      expire: async (info, row, timestamp) => {
        await deleteReplicas(env, storedName({ account: info.account, container: info.name, object: row.name }, row.version), info.policy, timestamp, deps.clock.now_ms())
      },
    })
  }

  /** See throttle.ts: milliseconds to wait, null is too many. */
  throttle(key: string, rate: Rate): number | null {
    return this.#throttle.take(key, rate, this.now_ms)
  }

  info(): ContainerInfo | null {
    return this.#found()?.info() ?? null
  }

  put(account: string, name: string, policy: number | null, changes: Metadata): Promise<{ created: boolean; info: ContainerInfo }> {
    const ready = this.deps
    if (this.#store === null) throw new Error(`container ${ready.name} did not boot`)
    return this.#store.put(account, name, policy, changes)
  }

  post(changes: Metadata): void {
    this.#live().post(changes)
  }

  async remove(): Promise<void> {
    await this.#live().remove()
  }

  list(query: ListQuery): { info: ContainerInfo; entries: Listed<ObjectRow>[] } {
    return this.#live().list(query)
  }

  listVersions(query: VersionQuery): { info: ContainerInfo; entries: Listed<VersionRow>[] } {
    return this.#live().listVersions(query)
  }

  begin(name: string): { info: ContainerInfo; timestamp: string; existing: ObjectRow | null } | null {
    return this.#found()?.begin(name) ?? null
  }

  object(name: string): ObjectRow | null {
    return this.#found()?.object(name) ?? null
  }

  version(name: string, id: string): VersionRow | null {
    return this.#found()?.version(name, id) ?? null
  }

  latest(name: string): VersionRow | null {
    return this.#found()?.latest(name) ?? null
  }

  markDeleted(name: string, at: string, version: string): void {
    this.#live().markDeleted(name, at, version)
  }

  unlinkVersion(name: string): void {
    this.#live().unlinkVersion(name)
  }

  restoreVersion(name: string, id: string): boolean {
    return this.#live().restoreVersion(name, id)
  }

  removeVersion(name: string, version: string, heir: boolean): void {
    this.#live().removeVersion(name, version, heir)
  }

  putObject(row: ObjectRow): boolean {
    return this.#live().putObject(row)
  }

  postObject(name: string, modified_at: string, content_type: string | null, delete_at: number | null): void {
    this.#live().postObject(name, modified_at, content_type, delete_at)
  }

  deleteObject(name: string, at: string): boolean {
    return this.#live().deleteObject(name, at)
  }

  #found(): ContainerStore | null {
    return this.existing === null ? null : this.#store
  }

  #live(): ContainerStore {
    const store = this.#found()
    if (store === null) throw new Fault('not_found', 'The resource could not be found.')
    return store
  }
}
