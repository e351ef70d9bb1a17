/** Network quotas of one project, in its object. */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import type { Caller } from '../../../schema/values/caller.ts'

export interface QuotaRecord {
  limits: Record<string, number>
  used: Record<string, number>
  defaults: Record<string, number>
  /** True where an operator has set any for this project. */
  own: boolean
}

export class NetworkQuotas extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  get(): QuotaRecord {
    const { quotas } = peersOf(this.#deps)
    const own = this.#deps.storage.sql.exec("SELECT resource FROM quotas WHERE service = 'network' LIMIT 1").toArray().length > 0
    return { limits: quotas.limits('network'), used: quotas.usage('network', this.#deps.db), defaults: quotas.defaults('network'), own }
  }

  /** For the listing of projects that have their own. */
  list(): { id: string; limits: Record<string, number> }[] {
    const { own, limits } = this.get()
    return own ? [{ id: this.#deps.name, limits }] : []
  }

  set(limits: Record<string, number>): QuotaRecord {
    this.#deps.commit(this.#caller, (tx) => {
      const before = this.get().limits
      peersOf(this.#deps).quotas.set('network', limits)
      tx.change('network-quota', this.#deps.name, 'update', before, { ...before, ...limits })
    })
    return this.get()
  }

  reset(): void {
    this.#deps.commit(this.#caller, (tx) => {
      const before = this.get().limits
      peersOf(this.#deps).quotas.reset('network')
      tx.change('network-quota', this.#deps.name, 'delete', before, null)
    })
  }
}
