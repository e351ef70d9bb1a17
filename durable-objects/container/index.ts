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
import { runLifecycle, sweepUpload } from '../../workers/object/s3/chores.ts'
import { type BucketConfig, type BucketHold, BucketStore, type Upload, type UploadQuery } from '../../workers/object/s3/store.ts'
import { type Rate, Throttle } from '../../workers/object/throttle.ts'
import type { Deps } from '../kernel/deps.ts'
import type { Env } from '../kernel/env.ts'
import { LazyObject } from './lazy.ts'

const gone = (): never => {
  throw new Fault('not_found', 'The resource could not be found.')
}

/** Of the object's name, 'account/container'. */
const account = (name: string): { account: string; container: string } => {
  const at = name.indexOf('/')
  return { account: name.slice(0, at), container: name.slice(at + 1) }
}

export class ContainerObject extends LazyObject {
  #store: ContainerStore | null = null
  #s3: BucketStore | null = null
  #throttle = new Throttle()
  #bindings: Env
  constructor(state: DurableObjectState, env: Env) {
    super(state, env, migrations)
    this.#bindings = env
  }

  protected override boot(deps: Deps): void {
    const env = this.#bindings
    const live = (): ContainerInfo => this.#live().info() ?? gone()
    const s3 = new BucketStore(deps, {
      sweep: (upload) => sweepUpload(env, account(deps.name), upload, deps.clock.now_ms()),
      lifecycle: (rules) => runLifecycle(env, live(), rules, deps.clock.now_ms()),
    })
    this.#s3 = s3
    this.#store = new ContainerStore(deps, {
      released: (upload) => s3.discard(upload),
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

  patchExtra(name: string, id: string | null, patch: Record<string, string | null>): VersionRow | null {
    return this.#live().patchExtra(name, id, patch)
  }

  s3Bucket(): { info: ContainerInfo; config: BucketConfig } | null {
    const info = this.info()
    return info === null ? null : { info, config: this.#bucket().config() }
  }

  s3Configure(changes: Record<string, string | null>): void {
    this.#live()
    this.#bucket().configure(changes)
  }

  /** Once the container is gone: the next one of its name begins anew. */
  s3Clear(): void {
    if (this.existing !== null && this.info() === null) this.#bucket().clear()
  }

  /** Opens a write with conditions: while it lasts no other one with conditions is opened for the name. */
  s3Begin(name: string, conditions: BucketHold): { info: ContainerInfo; timestamp: string; existing: ObjectRow | null } | { refused: 'PreconditionFailed' | 'ConditionalRequestConflict' | 'NoSuchKey' } | null {
    const begun = this.begin(name)
    if (begun === null) return null
    const refused = this.#bucket().hold(name, begun.timestamp, begun.existing, conditions)
    return refused === null ? begun : { refused }
  }

  s3End(name: string, timestamp: string): void {
    if (this.existing !== null) this.#bucket().release(name, timestamp)
  }

  s3AddUpload(upload: Upload): void {
    this.#live()
    this.#bucket().addUpload(upload)
  }

  s3Upload(key: string, id: string): Upload | null {
    return this.#found() === null ? null : this.#bucket().upload(key, id)
  }

  s3Uploads(query: UploadQuery): Upload[] {
    this.#live()
    return this.#bucket().uploads(query)
  }

  /** `discard`: nothing came of it, and what was uploaded is removed later (again). */
  s3EndUpload(key: string, id: string, discard: boolean): void {
    if (this.existing !== null) this.#bucket().endUpload(key, id, discard)
  }

  #bucket(): BucketStore {
    this.#live()
    if (this.#s3 === null) return gone()
    return this.#s3
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
