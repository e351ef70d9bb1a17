/** What network keeps in the Region object: what tenants share. */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Tasks } from '../../durable-objects/kernel/outbox.ts'
import type { Caller } from '../../schema/values/caller.ts'

/** One getter per resource. */
export class NetworkRegionStores extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }
}

export const networkRegionStores = (deps: Deps, caller: Caller): NetworkRegionStores => new NetworkRegionStores(deps, caller)
export const networkRegionTasks: Tasks<Deps> = {}
/** First boot: default rows. Idempotent. */
export function seedNetwork(_deps: Deps): void {}
