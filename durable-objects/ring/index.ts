/** Ring object: one per storage policy. A shell; the logic is in workers/object/ring-store.ts. */
import { migrations } from '../../schema/ring/migrations.ts'
import { RingStore, type RingStatus, type RingView } from '../../workers/object/ring-store.ts'
import type { Env } from '../kernel/env.ts'
import { SkyObject } from '../kernel/object.ts'

export class RingObject extends SkyObject {
  #store: RingStore
  constructor(state: DurableObjectState, env: Env) {
    super(state, env, migrations, {})
    this.#store = new RingStore(this.deps)
  }

  current(known: number): RingView | null {
    return this.#store.current(known)
  }

  async refresh(): Promise<number> {
    return await this.#store.refresh()
  }

  status(): RingStatus {
    return this.#store.status()
  }

  drain(id: number, drained: boolean): number {
    return this.#store.drain(id, drained)
  }

  configure(change: { replicas?: number; min_part_hours?: number; overload?: number }): number {
    return this.#store.configure(change)
  }

  rebalance(): number {
    return this.#store.rebalance()
  }
}
