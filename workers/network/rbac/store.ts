/** Grants on a project's networks, in its object. `shared` and `external` of a network say whether '*' has the right. */
import { RpcTarget } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import { type RbacPolicyRow, networks, rbacPolicies } from '../../../schema/project/network.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { badRequest, conflict, notFound, overQuota } from '../faults.ts'
import { refuseWithdrawal } from '../networks/store.ts'
import { networkMoved, settle } from '../networks/publish.ts'
import type { RbacGiven } from './requests.ts'

export class RbacPolicies extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(): RbacPolicyRow[] {
    return this.#deps.db.select().from(rbacPolicies).all()
  }

  get(id: string): RbacPolicyRow {
    const [row] = this.#deps.db.select().from(rbacPolicies).where(eq(rbacPolicies.id, id)).all()
    if (row === undefined) throw notFound('rbac_policy', id)
    return row
  }

  async create(given: RbacGiven): Promise<RbacPolicyRow> {
    const row = this.#deps.commit(this.#caller, (tx) => {
      const { object_id = '', action = 'access_as_shared' } = given
      if (tx.db.select({ id: networks.id }).from(networks).where(eq(networks.id, object_id)).all().length === 0) throw notFound('network', object_id)
      peersOf(this.#deps).quotas.claim('network', tx.db, { rbac_policy: 1 }, (over) => overQuota(over.map((one) => one.resource)))
      const fresh: RbacPolicyRow = { id: this.#deps.newId(), object_type: 'network', object_id, action, target_tenant: targetOf(given) ?? this.#deps.name }
      if (tx.db.select().from(rbacPolicies).where(eq(rbacPolicies.object_id, object_id)).all().some((one) => one.action === action && one.target_tenant === fresh.target_tenant)) {
        throw conflict('DuplicateRbacPolicy', 'An RBAC policy already exists with those values.')
      }
      tx.db.insert(rbacPolicies).values(fresh).run()
      tx.change('rbac_policy', fresh.id, 'create', null, fresh)
      this.#moved(tx, object_id)
      return fresh
    })
    await settle(this.#deps, row.object_id, this.#caller.request_id)
    return row
  }

  async update(id: string, given: RbacGiven): Promise<RbacPolicyRow> {
    const before = this.get(id)
    const target = targetOf(given)
    if (target === undefined) throw badRequest('target_tenant is all that can be updated')
    this.#deps.commit(this.#caller, (tx) => {
      this.#refuse(tx, before)
      tx.db.update(rbacPolicies).set({ target_tenant: target }).where(eq(rbacPolicies.id, id)).run()
      tx.change('rbac_policy', id, 'update', before, { ...before, target_tenant: target })
      this.#moved(tx, before.object_id)
    })
    await settle(this.#deps, before.object_id, this.#caller.request_id)
    return this.get(id)
  }

  async remove(id: string): Promise<void> {
    const row = this.get(id)
    this.#deps.commit(this.#caller, (tx) => {
      this.#refuse(tx, row)
      tx.db.delete(rbacPolicies).where(eq(rbacPolicies.id, id)).run()
      tx.change('rbac_policy', id, 'delete', row, null)
      this.#moved(tx, row.object_id)
      tx.outbox('network-settle', { network_id: row.object_id }, { key: `settle:${row.object_id}` })
    })
    await settle(this.#deps, row.object_id, this.#caller.request_id)
  }

  #refuse(tx: Tx, row: RbacPolicyRow): void {
    const [network] = tx.db.select().from(networks).where(eq(networks.id, row.object_id)).all()
    if (network !== undefined) refuseWithdrawal(tx, this.#deps.name, network, row.action, row.target_tenant)
  }

  #moved(tx: Tx, networkId: string): void {
    const grants = tx.db.select().from(rbacPolicies).where(eq(rbacPolicies.object_id, networkId)).all()
    const open = (action: RbacPolicyRow['action']) => grants.some((one) => one.action === action && one.target_tenant === '*')
    tx.db.update(networks).set({ shared: open('access_as_shared'), external: grants.some((one) => one.action === 'access_as_external') }).where(eq(networks.id, networkId)).run()
    networkMoved(tx, networkId)
  }
}

export const targetOf = (given: RbacGiven): string | undefined => given.target_tenant ?? given.target_project
