/** What network brings to a Project object: stores, outbox tasks, folds of host reports, quotas. */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Tasks } from '../../durable-objects/kernel/outbox.ts'
import type { Fold } from '../../durable-objects/project/peers.ts'
import type { QuotaSpec } from '../../durable-objects/project/quota.ts'
import type { Kind } from '../../schema/agent/desired.ts'
import type { Caller } from '../../schema/values/caller.ts'

/** One getter per resource. */
export class NetworkStores extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }
}

export const networkStores = (deps: Deps, caller: Caller): NetworkStores => new NetworkStores(deps, caller)
export const networkTasks: Tasks<Deps> = {}
export const networkFolds = (_deps: Deps): Partial<Record<Kind, Fold>> => ({})
export const networkQuota: QuotaSpec = { service: 'network', defaults: {}, usage: () => ({}) }
import type { PortsPeer } from '../../durable-objects/project/peers.ts'
export const portsPeer = (_deps: Deps): PortsPeer => ({}) as never
