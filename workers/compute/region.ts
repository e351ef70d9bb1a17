/** What compute keeps in the Region object: what tenants share. */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Tasks } from '../../durable-objects/kernel/outbox.ts'
import type { Caller } from '../../schema/values/caller.ts'

/** One getter per resource. */
export class ComputeRegionStores extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }
}

export const computeRegionStores = (deps: Deps, caller: Caller): ComputeRegionStores => new ComputeRegionStores(deps, caller)
export const computeRegionTasks: Tasks<Deps> = {}
/** First boot: default rows. Idempotent. */
export function seedCompute(_deps: Deps): void {}
