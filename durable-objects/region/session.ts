/** A caller's view of the region: one getter per resource. */
import { RpcTarget } from 'cloudflare:workers'
import type { Caller } from '../../schema/values/caller.ts'
import { HostsStore } from '../../workers/agents/hosts/store.ts'
import { computeRegionStores } from '../../workers/compute/region.ts'
import { networkRegionStores } from '../../workers/network/region.ts'
import { volumeRegionStores } from '../../workers/volume/region.ts'
import type { Deps } from '../kernel/deps.ts'
import { Directory } from './directory.ts'

export class RegionSession extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  get directory() {
    return new Directory(this.#deps)
  }

  get hosts() {
    return new HostsStore(this.#deps, this.#caller)
  }

  get compute() {
    return computeRegionStores(this.#deps, this.#caller)
  }

  get network() {
    return networkRegionStores(this.#deps, this.#caller)
  }

  get volume() {
    return volumeRegionStores(this.#deps, this.#caller)
  }
}
