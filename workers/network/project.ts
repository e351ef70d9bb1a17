/** What network brings to a Project object: stores, outbox tasks, folds of host reports, quotas, and what compute may ask. */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Tasks } from '../../durable-objects/kernel/outbox.ts'
import type { Fold } from '../../durable-objects/project/peers.ts'
import type { Kind } from '../../schema/agent/desired.ts'
import type { Caller } from '../../schema/values/caller.ts'
import { AddressScopes } from './address-scopes/store.ts'
import { IpAvailability } from './availability/store.ts'
import { FloatingIps } from './floating-ips/store.ts'
import { networkSettle } from './networks/publish.ts'
import { Networks } from './networks/store.ts'
import { fold } from './plane/folds.ts'
import { Foreign, claimSettle, networkCarry, networkRelease } from './plane/foreign.ts'
import { ServerNetworks } from './plane/prepare.ts'
import { networkSync } from './plane/sync.ts'
import { Ports } from './ports/store.ts'
import { NetworkQuotas } from './quotas/store.ts'
import { RbacPolicies } from './rbac/store.ts'
import { routerPlace } from './routers/place.ts'
import { Routers } from './routers/store.ts'
import { SecurityGroups } from './security-groups/store.ts'
import { SubnetPools } from './subnet-pools/store.ts'
import { Subnets } from './subnets/store.ts'
import { Tags } from './tags/store.ts'

/** One getter per resource. */
export class NetworkStores extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  get networks() {
    return new Networks(this.#deps, this.#caller)
  }

  get subnets() {
    return new Subnets(this.#deps, this.#caller)
  }

  get subnetPools() {
    return new SubnetPools(this.#deps, this.#caller)
  }

  get addressScopes() {
    return new AddressScopes(this.#deps, this.#caller)
  }

  get ports() {
    return new Ports(this.#deps, this.#caller)
  }

  get routers() {
    return new Routers(this.#deps, this.#caller)
  }

  get floatingIps() {
    return new FloatingIps(this.#deps, this.#caller)
  }

  get securityGroups() {
    return new SecurityGroups(this.#deps, this.#caller)
  }

  get rbac() {
    return new RbacPolicies(this.#deps, this.#caller)
  }

  get quotas() {
    return new NetworkQuotas(this.#deps, this.#caller)
  }

  get tags() {
    return new Tags(this.#deps, this.#caller)
  }

  get ipAvailability() {
    return new IpAvailability(this.#deps)
  }

  /** Between projects: claims on this one's networks, news of others'. */
  get foreign() {
    return new Foreign(this.#deps, this.#caller)
  }

  /** For Nova: what its `networks` come to. */
  get serverNetworks() {
    return new ServerNetworks(this.#deps, this.#caller)
  }
}

export const networkStores = (deps: Deps, caller: Caller): NetworkStores => new NetworkStores(deps, caller)

export const networkTasks: Tasks<Deps> = {
  'network-sync': networkSync,
  'network-settle': networkSettle,
  'network-claim-settle': claimSettle,
  'network-release': networkRelease,
  'network-carry': networkCarry,
  'router-place': routerPlace,
}

export const networkFolds = (_deps: Deps): Partial<Record<Kind, Fold>> => ({ network: fold('network'), port: fold('port'), router: fold('router') })

export { portsPeer } from './plane/peer.ts'
export { networkQuota } from './quotas/spec.ts'
