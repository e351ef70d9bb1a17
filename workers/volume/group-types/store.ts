/** Group types: what a group of volumes is promised, as specs. Runs in the Region object. */
import { RpcTarget } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { type GroupTypeRow, groupTypes } from '../../../schema/region/volume.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'

export class GroupTypesStore extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(): GroupTypeRow[] {
    return this.#deps.db.select().from(groupTypes).all()
  }

  find(nameOrId: string): GroupTypeRow {
    const row = this.list().find((type) => type.id === nameOrId) ?? this.list().find((type) => type.name === nameOrId)
    if (row === undefined) throw new Fault('not_found', `Group type ${nameOrId} could not be found.`)
    return row
  }

  create(spec: Omit<GroupTypeRow, 'id'>): GroupTypeRow {
    this.#refuseName(spec.name, null)
    const row: GroupTypeRow = { id: this.#deps.ids.uuid(), ...spec }
    this.#deps.commit(this.#caller, (tx) => {
      this.#deps.db.insert(groupTypes).values(row).run()
      tx.change('volume_group_type', row.id, 'create', null, row)
    })
    return row
  }

  update(id: string, change: Partial<Omit<GroupTypeRow, 'id'>>): GroupTypeRow {
    const before = this.find(id)
    if (change.name !== undefined) this.#refuseName(change.name, before.id)
    this.#deps.commit(this.#caller, (tx) => {
      this.#deps.db.update(groupTypes).set({ ...before, ...change }).where(eq(groupTypes.id, before.id)).run()
      tx.change('volume_group_type', before.id, 'update', before, change)
    })
    return { ...before, ...change }
  }

  delete(id: string): void {
    const row = this.find(id)
    this.#deps.commit(this.#caller, (tx) => {
      this.#deps.db.delete(groupTypes).where(eq(groupTypes.id, row.id)).run()
      tx.change('volume_group_type', row.id, 'delete', row, null)
    })
  }

  #refuseName(name: string, own: string | null): void {
    const taken = this.list().find((type) => type.name === name)
    if (taken !== undefined && taken.id !== own) throw new Fault('conflict', `Group Type ${name} already exists.`)
  }
}
