/** A caller's view of a project: one getter per resource. Stores check nothing about roles (routes did); they know who acts. */
import { RpcTarget } from 'cloudflare:workers'
import type { Caller } from '../../schema/values/caller.ts'
import { computeStores } from '../../workers/compute/project.ts'
import { imageStores } from '../../workers/image/project.ts'
import { networkStores } from '../../workers/network/project.ts'
import { volumeStores } from '../../workers/volume/project.ts'
import type { Deps } from '../kernel/deps.ts'

export class ProjectSession extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  get compute() {
    return computeStores(this.#deps, this.#caller)
  }

  get network() {
    return networkStores(this.#deps, this.#caller)
  }

  get volume() {
    return volumeStores(this.#deps, this.#caller)
  }

  get image() {
    return imageStores(this.#deps, this.#caller)
  }
}
