/** Flavors: what a server may be. Shared by all tenants, so they live in the Region object. */
import { RpcTarget } from 'cloudflare:workers'
import { and, eq } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { type FlavorRow, flavorAccess, flavors } from '../../../schema/region/compute.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'

export type Flavor = FlavorRow

export interface NewFlavor {
  id: string | null
  name: string
  vcpus: number
  ram_mib: number
  disk_gib: number
  ephemeral_gib: number
  swap_mib: number
  rxtx_factor: number
  is_public: boolean
  description: string | null
}

/** The five that every cloud of this kind begins with. */
export const DEFAULT_FLAVORS: readonly [string, string, number, number, number][] = [
  ['1', 'm1.tiny', 512, 1, 1], ['2', 'm1.small', 2048, 20, 1], ['3', 'm1.medium', 4096, 40, 2], ['4', 'm1.large', 8192, 80, 4], ['5', 'm1.xlarge', 16384, 160, 8],
]

const missing = (id: string) => new Fault('not_found', `Flavor ${id} could not be found.`, { type: 'FlavorNotFound' })

export class Flavors extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  /** `is_public`: null is all; `projectId`: adds the private ones it may use. */
  list(filter: { is_public: boolean | null; project_id: string | null; min_ram: number; min_disk: number }): Flavor[] {
    const access = new Set(filter.project_id === null ? [] : this.#deps.db.select().from(flavorAccess).where(eq(flavorAccess.project_id, filter.project_id)).all().map((row) => row.flavor_id))
    return this.#deps.db.select().from(flavors).orderBy(flavors.seq).all()
      .filter((row) => (filter.is_public === null || row.is_public === filter.is_public || (filter.is_public && access.has(row.id))) && row.ram_mib >= filter.min_ram && row.disk_gib >= filter.min_disk)
  }

  /** By id. Private ones only for those with access; `all` for admins. */
  get(id: string, projectId: string | null, all: boolean): Flavor {
    const row = this.#deps.db.select().from(flavors).where(eq(flavors.id, id)).get()
    if (row === undefined) throw missing(id)
    if (!row.is_public && !all && !this.#deps.db.select().from(flavorAccess).where(eq(flavorAccess.flavor_id, id)).all().some((access) => access.project_id === projectId)) throw missing(id)
    return row
  }

  create(given: NewFlavor): Flavor {
    const id = given.id ?? this.#deps.ids.uuid()
    return this.#deps.commit(this.#caller, (tx) => {
      if (tx.db.select().from(flavors).where(eq(flavors.name, given.name)).get() !== undefined) throw new Fault('conflict', `Flavor with name ${given.name} already exists.`)
      if (tx.db.select().from(flavors).where(eq(flavors.id, id)).get() !== undefined) throw new Fault('conflict', `Flavor with ID ${id} already exists.`)
      const row = tx.db.insert(flavors).values({ ...given, id, disabled: false, extra_specs: {}, created_ms: tx.now_ms, updated_ms: null }).returning().get()
      tx.change('flavor', id, 'create', null, row)
      return row
    })
  }

  describe(id: string, description: string | null): Flavor {
    return this.#update(id, () => ({ description }))
  }

  delete(id: string): void {
    this.#deps.commit(this.#caller, (tx) => {
      const row = this.get(id, null, true)
      tx.db.delete(flavors).where(eq(flavors.id, id)).run()
      tx.db.delete(flavorAccess).where(eq(flavorAccess.flavor_id, id)).run()
      tx.change('flavor', id, 'delete', row, null)
    })
  }

  setExtraSpecs(id: string, specs: Record<string, string>): Flavor {
    return this.#update(id, (row) => ({ extra_specs: { ...row.extra_specs, ...specs } }))
  }

  deleteExtraSpec(id: string, key: string): void {
    this.#update(id, (row) => {
      if (!(key in row.extra_specs)) throw new Fault('not_found', `Flavor ${id} has no extra specs with key ${key}.`)
      const { [key]: _, ...rest } = row.extra_specs
      return { extra_specs: rest }
    })
  }

  access(id: string): string[] {
    const row = this.get(id, null, true)
    if (row.is_public) throw new Fault('not_found', 'Access list not available for public flavors.')
    return this.#deps.db.select().from(flavorAccess).where(eq(flavorAccess.flavor_id, id)).orderBy(flavorAccess.project_id).all().map((access) => access.project_id)
  }

  addAccess(id: string, projectId: string): string[] {
    this.#deps.commit(this.#caller, (tx) => {
      const row = this.get(id, null, true)
      if (row.is_public) throw new Fault('conflict', 'Can not add access to a public flavor.')
      if (this.access(id).includes(projectId)) throw new Fault('conflict', `Flavor access already exists for flavor ${id} and project ${projectId} combination.`)
      tx.db.insert(flavorAccess).values({ flavor_id: id, project_id: projectId }).run()
      tx.change('flavor', id, 'update', null, { access: projectId })
    })
    return this.access(id)
  }

  removeAccess(id: string, projectId: string): string[] {
    this.#deps.commit(this.#caller, (tx) => {
      if (!this.access(id).includes(projectId)) throw new Fault('not_found', `Flavor access not found for ${id} / ${projectId} combination.`)
      tx.db.delete(flavorAccess).where(and(eq(flavorAccess.flavor_id, id), eq(flavorAccess.project_id, projectId))).run()
      tx.change('flavor', id, 'update', { access: projectId }, null)
    })
    return this.access(id)
  }

  #update(id: string, change: (row: Flavor) => Partial<Flavor>): Flavor {
    return this.#deps.commit(this.#caller, (tx) => {
      const before = this.get(id, null, true)
      const after = { ...before, ...change(before), updated_ms: tx.now_ms }
      tx.db.update(flavors).set({ description: after.description, extra_specs: after.extra_specs, updated_ms: tx.now_ms }).where(eq(flavors.id, id)).run()
      tx.change('flavor', id, 'update', before, after)
      return after
    })
  }
}

/** First boot only: an operator's deletion of a default flavor must hold. Called inside a transaction. */
export function seedFlavors(deps: Deps): void {
  const { sql } = deps.storage
  sql.exec('CREATE TABLE IF NOT EXISTS _seeded (what TEXT PRIMARY KEY)')
  if (sql.exec("SELECT what FROM _seeded WHERE what = 'flavors'").toArray().length > 0) return
  const now = deps.clock.now_ms()
  for (const [id, name, ram_mib, disk_gib, vcpus] of DEFAULT_FLAVORS) {
    deps.db.insert(flavors).values({ id, name, vcpus, ram_mib, disk_gib, ephemeral_gib: 0, swap_mib: 0, rxtx_factor: 1, is_public: true, disabled: false, description: null, extra_specs: {}, created_ms: now, updated_ms: null }).run()
  }
  sql.exec("INSERT INTO _seeded (what) VALUES ('flavors')")
}
