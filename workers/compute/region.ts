/** What compute keeps in the Region object: what tenants share. */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Tasks } from '../../durable-objects/kernel/outbox.ts'
import type { Caller } from '../../schema/values/caller.ts'
import { Aggregates } from './aggregates/store.ts'
import { Flavors, seedFlavors } from './flavors/store.ts'
import { ComputeHosts } from './hosts/store.ts'
import { Keypairs } from './keypairs/store.ts'
import { Scheduler } from './scheduler/store.ts'
import { PlacementFacts } from '../placement/facts.ts'

/** One getter per resource. */
export class ComputeRegionStores extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  get flavors() {
    return new Flavors(this.#deps, this.#caller)
  }

  get keypairs() {
    return new Keypairs(this.#deps, this.#caller)
  }

  get aggregates() {
    return new Aggregates(this.#deps, this.#caller)
  }

  get hosts() {
    return new ComputeHosts(this.#deps, this.#caller)
  }

  get placement() {
    return new PlacementFacts(this.#deps, this.#caller)
  }

  get scheduler() {
    return new Scheduler(this.#deps, this.#caller)
  }
}

export const computeRegionStores = (deps: Deps, caller: Caller): ComputeRegionStores => new ComputeRegionStores(deps, caller)
export const computeRegionTasks: Tasks<Deps> = {}

/** First boot: default rows. Idempotent. */
export function seedCompute(deps: Deps): void {
  seedFlavors(deps)
}
