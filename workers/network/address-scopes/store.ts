/** Address scopes of one project, in its object. */
import { RpcTarget } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { type AddressScopeRow, addressScopes, subnetPools } from '../../../schema/project/network.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { bumped, checkRevision, givenOnly, standardRow } from '../api/standard.ts'
import { conflict, notFound } from '../faults.ts'
import type { AddressScopeGiven } from './requests.ts'

export class AddressScopes extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(): AddressScopeRow[] {
    return this.#deps.db.select().from(addressScopes).all()
  }

  get(id: string): AddressScopeRow {
    const [row] = this.#deps.db.select().from(addressScopes).where(eq(addressScopes.id, id)).all()
    if (row === undefined) throw notFound('address_scope', id)
    return row
  }

  createMany(wanted: AddressScopeGiven[]): AddressScopeRow[] {
    return this.#deps.commit(this.#caller, (tx) => wanted.map((given) => {
      const row: AddressScopeRow = { ...standardRow(tx, this.#deps.newId(), given), ip_version: given.ip_version ?? 4, shared: given.shared ?? false }
      tx.db.insert(addressScopes).values(row).run()
      tx.change('address_scope', row.id, 'create', null, row)
      return row
    }))
  }

  update(id: string, given: AddressScopeGiven, revision: number | null): AddressScopeRow {
    return this.#deps.commit(this.#caller, (tx) => {
      const row = this.get(id)
      checkRevision('address_scope', row, revision)
      const next = { ...row, ...givenOnly(given), ...bumped(tx, row) }
      tx.db.update(addressScopes).set(next).where(eq(addressScopes.id, id)).run()
      tx.change('address_scope', id, 'update', row, next)
      return next
    })
  }

  remove(id: string, revision: number | null): void {
    this.#deps.commit(this.#caller, (tx) => {
      const row = this.get(id)
      checkRevision('address_scope', row, revision)
      if (tx.db.select({ id: subnetPools.id }).from(subnetPools).where(eq(subnetPools.address_scope_id, id)).limit(1).all().length > 0) throw conflict('AddressScopeInUse', `Unable to complete operation on address scope ${id}. There are one or more subnet pools in use on the address scope.`)
      tx.db.delete(addressScopes).where(eq(addressScopes.id, id)).run()
      tx.change('address_scope', id, 'delete', row, null)
    })
  }
}
