/** Container object: one per Swift container. A shell; the logic is in workers/object/container/store.ts. */
import { migrations } from '../../schema/container/migrations.ts'
import { Fault } from '../../schema/values/fault.ts'
import { type MetOnDisk, reconcile, wrongAmong } from '../../workers/object/container/reconcile.ts'
import { type ContainerInfo, type ObjectRow, type VersionRow, storedName } from '../../workers/object/container/rows.ts'
import { type Page, type PageFormat, pageBody, pageRead } from '../../workers/object/container/pages.ts'
import type { Batch, Bulk, Edge } from '../../workers/object/container/ranges.ts'
import type { PartOf, RemotePart, Totals } from '../../workers/object/container/shards.ts'
import { ContainerStore } from '../../workers/object/container/store.ts'
import type { Keyed, VersionQuery } from '../../workers/object/container/versions.ts'
import { rowsText } from '../../workers/object/container/views.ts'
import type { Format } from '../../workers/object/listing.ts'
import type { Metadata } from '../../workers/object/headers.ts'
import type { ListQuery, Listed, Read } from '../../workers/object/list.ts'
import { shardKey } from '../../workers/object/names.ts'
import { syncAgreed, syncRow } from '../../workers/object/features/sync.ts'
import { syncTarget } from '../../workers/object/features/sync-realms.ts'
import { sendRow } from '../../workers/object/features/sync-send.ts'
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

/** Of the object's name, 'account/container', for a part too. */
const account = (name: string): { account: string; container: string } => {
  const at = name.indexOf('/')
  return { account: name.slice(0, at), container: name.slice(at + 1).split('\0', 1)[0] ?? '' }
}

/** Calls about one name. */
type RowCall = 'object' | 'version' | 'latest' | 'markDeleted' | 'unlinkVersion' | 'restoreVersion' | 'removeVersion' | 'putObject' | 'postObject' | 'expireObject' | 'deleteObject' | 'patchExtra' | 'word'

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
      report: (account, report, partOf) => (partOf === null ? env.ACCOUNT.getByName(account).report(account, report) : env.CONTAINER.getByName(partOf.root).shardReport(partOf.id, report)),
      shard: (id) => this.#shard(id) as unknown as RemotePart,
      sync: async (info, row) => {
        const target = syncTarget(env, info.metadata['x-container-sync-to'] ?? '')
        if (target.far !== null) return await sendRow(env, info, { ...target, far: target.far }, row, deps.ids.hex(), deps.clock.now_ms())
        if (!(await syncAgreed(env, info, target))) throw new Error('the other container does not agree')
        await syncRow(env, info, target, row, deps.clock.now_ms())
        return 'sent'
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

  async post(changes: Metadata): Promise<void> {
    await this.#live().post(changes)
  }

  async remove(): Promise<void> {
    await this.#live().remove()
  }

  async list(query: ListQuery): Promise<{ info: ContainerInfo; entries: Listed<ObjectRow>[] }> {
    const store = this.#live()
    if (!store.shards.active) return store.list(query)
    const entries = await store.shards.list(query)
    return { info: this.#infoOf(store), entries }
  }

  /** The body of a listing: one text, for thousands of rows cost more on their way than to be made. */
  async listText(query: ListQuery, format: Format): Promise<{ info: ContainerInfo; text: string }> {
    const store = this.#live()
    if (!store.shards.active) return store.listText(query, format)
    const flat = pageRead(query, format)
    const page = flat === null ? null : await store.shards.page(flat.read, flat.format)
    if (flat !== null && page !== null) return { info: this.#infoOf(store), text: pageBody(page, flat.format) }
    const { info, entries } = await this.list(query)
    return { info, text: rowsText(format, info, entries) }
  }

  async listVersions(query: VersionQuery): Promise<{ info: ContainerInfo; entries: Listed<VersionRow>[] }> {
    const store = this.#live()
    if (!store.shards.active) return store.listVersions(query)
    const entries = await store.shards.listVersions(query, (name, id) => this.version(name, id))
    return { info: this.#infoOf(store), entries }
  }

  async begin(name: string): Promise<{ info: ContainerInfo; timestamp: string; existing: ObjectRow | null } | null> {
    const store = this.#found()
    if (store === null || !store.shards.active) return store?.begin(name) ?? null
    const existing = await this.object(name)
    const begun = store.begin(name)
    return begun === null ? null : { ...begun, existing }
  }

  async object(name: string): Promise<ObjectRow | null> {
    return this.#found() === null ? null : await this.#at(name, 'object', [name])
  }

  async version(name: string, id: string): Promise<VersionRow | null> {
    return this.#found() === null ? null : await this.#at(name, 'version', [name, id])
  }

  async latest(name: string): Promise<VersionRow | null> {
    return this.#found() === null ? null : await this.#at(name, 'latest', [name])
  }

  async markDeleted(name: string, at: string, version: string): Promise<void> {
    await this.#at(name, 'markDeleted', [name, at, version])
  }

  async unlinkVersion(name: string): Promise<void> {
    await this.#at(name, 'unlinkVersion', [name])
  }

  async restoreVersion(name: string, id: string): Promise<boolean> {
    return await this.#at(name, 'restoreVersion', [name, id])
  }

  async removeVersion(name: string, version: string, heir: boolean): Promise<void> {
    await this.#at(name, 'removeVersion', [name, version, heir])
  }

  async patchExtra(name: string, id: string | null, patch: Record<string, string | null>): Promise<VersionRow | null> {
    return await this.#at(name, 'patchExtra', [name, id, patch])
  }

  s3Bucket(): { info: ContainerInfo; config: BucketConfig } | null {
    const info = this.info()
    return info === null ? null : { info, config: this.#bucket().config() }
  }

  s3Configure(changes: Record<string, string | null>): void {
    this.#live()
    this.#bucket().configure(changes)
  }

  s3Name(name: string): string | null {
    return this.existing === null ? null : (this.#s3?.nameOwner(name) ?? null)
  }

  /** See s3/known.ts: the object of names is no container. */
  s3Claim(name: string, account: string | null, before: string | null): void {
    if (this.deps.name !== '') this.#s3?.giveName(name, account, before)
  }

  /** Once the container is gone: the next one of its name begins anew. */
  s3Clear(): void {
    if (this.existing !== null && this.info() === null) this.#bucket().clear()
  }

  /** Opens a write with conditions: while it lasts no other one with conditions is opened for the name. */
  async s3Begin(name: string, conditions: BucketHold): Promise<{ info: ContainerInfo; timestamp: string; existing: ObjectRow | null } | { refused: 'PreconditionFailed' | 'ConditionalRequestConflict' | 'NoSuchKey' } | null> {
    const begun = await this.begin(name)
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

  /** When an object was last written, changed and deleted, as far as this container knows. */
  async word(name: string): Promise<{ at: string | null; modified_at: string | null; deleted_at: string | null } | null> {
    return this.#found() === null ? null : await this.#at(name, 'word', [name])
  }

  async putObject(row: ObjectRow): Promise<boolean> {
    return await this.#at(row.name, 'putObject', [row])
  }

  async postObject(name: string, modified_at: string, content_type: string | null, delete_at: number | null): Promise<void> {
    await this.#at(name, 'postObject', [name, modified_at, content_type, delete_at])
  }

  /** Objects that end now are removed by the container itself, soon. */
  async expireObjects(names: string[], at_s: number): Promise<void> {
    for (const name of names) await this.#at(name, 'expireObject', [name, at_s])
  }

  async deleteObject(name: string, at: string): Promise<boolean> {
    return await this.#at(name, 'deleteObject', [name, at])
  }

  // ---------------------------------------------------------------- parts of a large container

  /** A part's counts, after it has changed by itself. */
  shardReport(id: string, totals: Totals): void {
    this.#found()?.shards.heard(id, totals)
  }

  /** One call of the container to the part that has the name. */
  routed(call: RowCall, args: unknown[]): { value: unknown; totals: Totals } {
    const store = this.#live()
    const value = (store[call] as (...given: unknown[]) => unknown)(...args)
    return { value, totals: store.totals() }
  }

  adopt(info: ContainerInfo, partOf: PartOf): void {
    const ready = this.deps
    if (this.#store === null) throw new Error(`part ${ready.name} did not boot`)
    this.#store.adopt(info, partOf)
  }

  abandon(): void {
    this.#found()?.abandon()
  }

  readRows(read: Read): ObjectRow[] {
    return this.#live().readRows(read)
  }

  readPage(read: Read, format: PageFormat): Page | null {
    return this.#live().readPage(read, format)
  }

  readVersions(read: Read): Keyed[] {
    return this.#live().readVersions(read)
  }

  edgeBatch(edge: Edge, low: string, high: string | null, limit: number): Batch | null {
    return this.#live().edgeBatch(edge, low, high, limit)
  }

  replaceRange(low: string, high: string | null, bulk: Bulk): Totals {
    return this.#live().replaceRange(low, high, bulk)
  }

  dropFrom(high: string): Totals {
    return this.#live().dropFrom(high)
  }

  holdsAny(): boolean {
    return this.#live().holdsAny()
  }

  /** The call where the name's row is: here, or in the part that has it. */
  async #at<K extends RowCall>(name: string, call: K, args: Parameters<ContainerStore[K]>): Promise<ReturnType<ContainerStore[K]>> {
    const store = this.#live()
    const own = () => (store[call] as (...given: unknown[]) => ReturnType<ContainerStore[K]>)(...args)
    if (!store.shards.active) return own()
    return await store.shards.run(async () => {
      const owner = store.shards.ownerOf(name)
      if (owner === '') return own()
      const { value, totals } = await this.#shard(owner).routed(call, args)
      store.shards.heard(owner, totals)
      return value as ReturnType<ContainerStore[K]>
    })
  }

  #shard(id: string) {
    return this.#bindings.CONTAINER.getByName(shardKey(this.deps.name, id))
  }

  #infoOf(store: ContainerStore): ContainerInfo {
    const info = store.info()
    if (info === null) throw new Fault('not_found', 'The resource could not be found.')
    return info
  }

  /** Enters what disks have and this listing does not know, by time; answers how many rows were wrong. */
  async reconcile(found: MetOnDisk[]): Promise<number> {
    const store = this.#live()
    if (!store.shards.active) return reconcile(store, found)
    let wrong = 0
    for (const one of found) {
      wrong += await store.shards.run(async () => {
        const owner = store.shards.ownerOf(one.row.name)
        if (owner === '') return reconcile(store, [one])
        const { value, totals } = await this.#shard(owner).reconciled([one])
        store.shards.heard(owner, totals)
        return value
      })
    }
    return wrong
  }

  /** What the container asks of the part that has the names. */
  reconciled(found: MetOnDisk[]): { value: number; totals: Totals } {
    const store = this.#live()
    const value = reconcile(store, found)
    return { value, totals: store.totals() }
  }

  /** What of this the listing does not say: nothing is changed. */
  async wrongAmong(found: MetOnDisk[]): Promise<MetOnDisk[]> {
    const store = this.#live()
    if (!store.shards.active) return wrongAmong(store, found)
    const wrong: MetOnDisk[] = []
    for (const one of found) {
      const owner = await store.shards.run(() => store.shards.ownerOf(one.row.name))
      wrong.push(...(owner === '' ? wrongAmong(store, [one]) : await this.#shard(owner).wrongAmong([one])))
    }
    return wrong
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
