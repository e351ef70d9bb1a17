/** What volume keeps in the Region object: what tenants share. */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Tasks } from '../../durable-objects/kernel/outbox.ts'
import type { Caller } from '../../schema/values/caller.ts'

/** One getter per resource. */
export class VolumeRegionStores extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }
}

export const volumeRegionStores = (deps: Deps, caller: Caller): VolumeRegionStores => new VolumeRegionStores(deps, caller)
export const volumeRegionTasks: Tasks<Deps> = {}
/** First boot: default rows. Idempotent. */
export function seedVolume(_deps: Deps): void {}
