/** Quotas of one project as Nova shows and sets them. */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { userKey, userLimits, userUsage } from './quota.ts'

export class ComputeQuotas extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  /** Of the project, or of one user in it. */
  get(userId: string | null = null): { limits: Record<string, number>; used: Record<string, number>; defaults: Record<string, number> } {
    const { quotas } = peersOf(this.#deps)
    if (userId !== null) return { limits: userLimits(quotas.limits('compute'), userId), used: userUsage(this.#deps.db, userId), defaults: quotas.defaults('compute') }
    return { limits: quotas.limits('compute'), used: quotas.usage('compute', this.#deps.db), defaults: quotas.defaults('compute') }
  }

  /** Security groups and floating IPs, for the limits of versions that had them. */
  network(): { limits: Record<string, number>; used: Record<string, number> } {
    const { quotas } = peersOf(this.#deps)
    return { limits: quotas.limits('network'), used: quotas.usage('network', this.#deps.db) }
  }

  set(limits: Record<string, number>, force: boolean, userId: string | null = null): Record<string, number> {
    const { quotas } = peersOf(this.#deps)
    this.#deps.commit(this.#caller, (tx) => {
      const used = userId === null ? quotas.usage('compute', tx.db) : userUsage(tx.db, userId)
      const project = quotas.limits('compute')
      for (const [resource, max] of Object.entries(limits)) {
        if (!force && max >= 0 && max < (used[resource] ?? 0)) throw new Fault('bad_request', `Quota limit ${max} for ${resource} must be greater than or equal to already used and reserved ${used[resource]}.`)
      }
      for (const [resource, max] of Object.entries(userId === null ? {} : limits)) {
        const most = project[resource] ?? -1
        if (most >= 0 && (max < 0 || max > most)) throw new Fault('bad_request', `Quota limit ${max} for ${resource} must be less than or equal to ${most}.`)
      }
      quotas.set('compute', userId === null ? limits : Object.fromEntries(Object.entries(limits).map(([resource, max]) => [userKey(userId, resource), max])))
      tx.change('quota', 'compute', 'update', null, limits)
    })
    return userId === null ? quotas.limits('compute') : userLimits(quotas.limits('compute'), userId)
  }

  reset(userId: string | null = null): void {
    this.#deps.commit(this.#caller, (tx) => {
      if (userId === null) peersOf(this.#deps).quotas.reset('compute')
      else this.#deps.storage.sql.exec("DELETE FROM quotas WHERE service = 'compute' AND substr(resource, 1, ?) = ?", userKey(userId, '').length, userKey(userId, ''))
      tx.change('quota', 'compute', 'delete', null, null)
    })
  }
}
