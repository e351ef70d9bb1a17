/** Quotas of one project as Nova shows and sets them. */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'

export class ComputeQuotas extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  get(): { limits: Record<string, number>; used: Record<string, number>; defaults: Record<string, number> } {
    const { quotas } = peersOf(this.#deps)
    return { limits: quotas.limits('compute'), used: quotas.usage('compute', this.#deps.db), defaults: quotas.defaults('compute') }
  }

  /** Security groups and floating IPs, for the limits of versions that had them. */
  network(): { limits: Record<string, number>; used: Record<string, number> } {
    const { quotas } = peersOf(this.#deps)
    return { limits: quotas.limits('network'), used: quotas.usage('network', this.#deps.db) }
  }

  set(limits: Record<string, number>, force: boolean): Record<string, number> {
    const { quotas } = peersOf(this.#deps)
    this.#deps.commit(this.#caller, (tx) => {
      const used = quotas.usage('compute', tx.db)
      for (const [resource, max] of Object.entries(limits)) {
        if (!force && max >= 0 && max < (used[resource] ?? 0)) throw new Fault('bad_request', `Quota limit ${max} for ${resource} must be greater than or equal to already used and reserved ${used[resource]}.`)
      }
      quotas.set('compute', limits)
      tx.change('quota', 'compute', 'update', null, limits)
    })
    return quotas.limits('compute')
  }

  reset(): void {
    this.#deps.commit(this.#caller, (tx) => {
      peersOf(this.#deps).quotas.reset('compute')
      tx.change('quota', 'compute', 'delete', null, null)
    })
  }
}
