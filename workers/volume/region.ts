/** What volume keeps in the Region object: types, QoS specs, defaults; hosts' promised room. */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Tasks } from '../../durable-objects/kernel/outbox.ts'
import { volumeTypes } from '../../schema/region/volume.ts'
import type { Caller } from '../../schema/values/caller.ts'
import { GroupTypesStore } from './group-types/store.ts'
import { VolumeScheduler } from './scheduler/store.ts'
import { DEFAULT_TYPE } from './types/default-type.ts'
import { VolumeTypesStore } from './types/store.ts'

/** One getter per resource. */
export class VolumeRegionStores extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  get types() {
    return new VolumeTypesStore(this.#deps, this.#caller)
  }

  get groupTypes() {
    return new GroupTypesStore(this.#deps, this.#caller)
  }

  get scheduler() {
    return new VolumeScheduler(this.#deps, this.#caller)
  }
}

export const volumeRegionStores = (deps: Deps, caller: Caller): VolumeRegionStores => new VolumeRegionStores(deps, caller)
export const volumeRegionTasks: Tasks<Deps> = {}

/** First boot: the default type. Idempotent. */
export function seedVolume(deps: Deps): void {
  deps.db.insert(volumeTypes).values({ ...DEFAULT_TYPE, is_public: true, extra_specs: {}, access: [], qos_specs_id: null, encryption: null, created_ms: deps.clock.now_ms() }).onConflictDoNothing().run()
}
