/** What compute brings to a Project object: stores, outbox tasks, folds of host reports, quotas. */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Tasks } from '../../durable-objects/kernel/outbox.ts'
import type { Fold } from '../../durable-objects/project/peers.ts'
import type { QuotaSpec } from '../../durable-objects/project/quota.ts'
import type { Kind } from '../../schema/agent/desired.ts'
import type { Caller } from '../../schema/values/caller.ts'

/** One getter per resource. */
export class ComputeStores extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }
}

export const computeStores = (deps: Deps, caller: Caller): ComputeStores => new ComputeStores(deps, caller)
export const computeTasks: Tasks<Deps> = {}
export const computeFolds = (_deps: Deps): Partial<Record<Kind, Fold>> => ({})
export const computeQuota: QuotaSpec = { service: 'compute', defaults: {}, usage: () => ({}) }
import type { ServersPeer } from '../../durable-objects/project/peers.ts'
export const serversPeer = (_deps: Deps): ServersPeer => ({}) as never
