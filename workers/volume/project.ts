/** What volume brings to a Project object: stores, outbox tasks, folds of host reports, quotas. */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Tasks } from '../../durable-objects/kernel/outbox.ts'
import type { Fold } from '../../durable-objects/project/peers.ts'
import type { QuotaSpec } from '../../durable-objects/project/quota.ts'
import type { Kind } from '../../schema/agent/desired.ts'
import type { Caller } from '../../schema/values/caller.ts'

/** One getter per resource. */
export class VolumeStores extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }
}

export const volumeStores = (deps: Deps, caller: Caller): VolumeStores => new VolumeStores(deps, caller)
export const volumeTasks: Tasks<Deps> = {}
export const volumeFolds = (_deps: Deps): Partial<Record<Kind, Fold>> => ({})
export const volumeQuota: QuotaSpec = { service: 'volume', defaults: {}, usage: () => ({}) }
import type { VolumesPeer } from '../../durable-objects/project/peers.ts'
export const volumesPeer = (_deps: Deps): VolumesPeer => ({}) as never
