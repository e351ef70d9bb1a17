/** Namespaces of metadata definitions that a project owns. Runs in its Project object; others find them by the region's directory, where names are unique. */
import { RpcTarget } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { REGION_OBJECT_NAME } from '../../../durable-objects/kernel/env.ts'
import { type MetadefParts, type MetadefRow, metadefs } from '../../../schema/project/image.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'

export const PUBLISHED_METADEF = 'metadef'
/** Taken names, whoever may see what is behind them. */
export const PUBLISHED_NAME = 'metadef-name'
const PUBLISH_DELAY_MS = 1_000

export interface MetadefData extends MetadefRow {
  owner: string
}

export type Part = keyof MetadefParts
export const namespaceMissing = (namespace: string): Fault => new Fault('not_found', `Metadata definition namespace not found: ${namespace}`)

export async function publishMetadef(deps: Deps, namespace: string): Promise<void> {
  const row = deps.db.select().from(metadefs).where(eq(metadefs.namespace, namespace)).get()
  const region = deps.env.REGION.getByName(REGION_OBJECT_NAME)
  await region.publish(PUBLISHED_METADEF, namespace, deps.name, row === undefined ? [] : row.visibility === 'public' ? ['*'] : [deps.name], row ?? null)
  await region.publish(PUBLISHED_NAME, namespace, deps.name, row === undefined ? [] : ['*'], {})
}

export class MetadefsStore extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  get(namespace: string): MetadefData {
    return { ...this.#read(namespace), owner: this.#deps.name }
  }

  async create(spec: Omit<MetadefRow, 'created_ms' | 'updated_ms'>): Promise<MetadefData> {
    this.#deps.commit(this.#caller, (tx) => {
      if (this.#deps.db.select().from(metadefs).where(eq(metadefs.namespace, spec.namespace)).get() !== undefined) throw new Fault('conflict', `Metadata definition namespace ${spec.namespace} already exists.`)
      this.#deps.db.insert(metadefs).values({ ...spec, created_ms: tx.now_ms, updated_ms: tx.now_ms }).run()
      tx.change('metadef', spec.namespace, 'create', null, { namespace: spec.namespace })
      this.#promise(tx, spec.namespace)
    })
    await this.#publish(spec.namespace)
    return this.get(spec.namespace)
  }

  async update(namespace: string, change: Partial<Pick<MetadefRow, 'display_name' | 'description' | 'visibility' | 'protected'>>): Promise<MetadefData> {
    this.#write(namespace, () => change)
    await this.#publish(namespace)
    return this.get(namespace)
  }

  async delete(namespace: string): Promise<void> {
    this.#deps.commit(this.#caller, (tx) => {
      if (this.#read(namespace).protected) throw new Fault('forbidden', `Metadata definition namespace ${namespace} is protected and cannot be deleted.`)
      this.#deps.db.delete(metadefs).where(eq(metadefs.namespace, namespace)).run()
      tx.change('metadef', namespace, 'delete', { namespace }, null)
      this.#promise(tx, namespace)
    })
    await this.#publish(namespace)
  }

  /** Sets entries of one part; null removes. `fresh` refuses an entry that is there, its absence one that must be. */
  async setPart(namespace: string, part: Part, entries: Record<string, Record<string, unknown> | null>, mode: 'create' | 'change' | 'any'): Promise<void> {
    this.#write(namespace, (row, tx) => {
      const next: Record<string, unknown> = { ...row.parts[part] }
      for (const [name, value] of Object.entries(entries)) {
        if (mode === 'create' && name in next) throw new Fault('conflict', `A metadata definition ${part} entry with name=${name} already exists in namespace=${namespace}.`)
        if (mode === 'change' && !(name in next)) throw new Fault('not_found', `The metadata definition ${part} entry with name=${name} was not found in namespace=${namespace}.`)
        const before = next[name] as { created_ms?: number } | undefined
        if (value === null) delete next[name]
        else next[name] = { ...value, created_ms: before?.created_ms ?? tx.now_ms, updated_ms: tx.now_ms }
      }
      return { parts: { ...row.parts, [part]: next } as MetadefParts }
    })
    await this.#publish(namespace)
  }

  async clearPart(namespace: string, part: Part): Promise<void> {
    this.#write(namespace, (row) => ({ parts: { ...row.parts, [part]: {} } }))
    await this.#publish(namespace)
  }

  #write(namespace: string, change: (row: MetadefRow, tx: Tx) => Partial<MetadefRow>): void {
    this.#deps.commit(this.#caller, (tx) => {
      const changes = change(this.#read(namespace), tx)
      this.#deps.db.update(metadefs).set({ ...changes, updated_ms: tx.now_ms }).where(eq(metadefs.namespace, namespace)).run()
      tx.change('metadef', namespace, 'update', null, changes)
      this.#promise(tx, namespace)
    })
  }

  #promise(tx: Tx, namespace: string): void {
    tx.outbox('metadef.publish', { namespace }, { key: `metadef-${namespace}`, delay_ms: PUBLISH_DELAY_MS })
  }

  async #publish(namespace: string): Promise<void> {
    await publishMetadef(this.#deps, namespace).catch((error) => this.#deps.log('metadef.publish_later', { namespace, error: String(error) }))
  }

  #read(namespace: string): MetadefRow {
    const row = this.#deps.db.select().from(metadefs).where(eq(metadefs.namespace, namespace)).get()
    if (row === undefined) throw namespaceMissing(namespace)
    return row
  }
}
