/** Quotas of one project, as os-quota-sets and limits show them. Runs in the Project object. */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import type { Caller } from '../../../schema/values/caller.ts'

export class VolumeQuotasStore extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  /** Own limits over the region's defaults over the built-in ones. */
  show(region_defaults: Record<string, number>): { limits: Record<string, number>; usage: Record<string, number> } {
    const { quotas } = peersOf(this.#deps)
    const plain = quotas.defaults('volume')
    const own = Object.fromEntries(Object.entries(quotas.limits('volume')).filter(([name, max]) => plain[name] !== max))
    return { limits: { ...plain, ...region_defaults, ...own }, usage: quotas.usage('volume', this.#deps.db) }
  }

  set(limits: Record<string, number>): void {
    this.#deps.commit(this.#caller, (tx) => {
      peersOf(this.#deps).quotas.set('volume', limits)
      tx.change('quota', 'volume', 'update', null, limits)
    })
  }

  reset(): void {
    this.#deps.commit(this.#caller, (tx) => {
      peersOf(this.#deps).quotas.reset('volume')
      tx.change('quota', 'volume', 'delete', null, null)
    })
  }
}
