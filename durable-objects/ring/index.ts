/** Ring object: one per storage policy. A shell; the logic is in workers/object/ring-store.ts. */
import type { ObjectRecon, RingForHosts } from '../../schema/agent/replication.ts'
import { migrations } from '../../schema/ring/migrations.ts'
import type { Component } from '../../workers/object/ring-compose.ts'
import { type RingConfig, RingStore, type RingStatus, type RingView } from '../../workers/object/ring-store.ts'
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

  setWeight(id: number, weight: number | null): number {
    return this.#store.setWeight(id, weight)
  }

  setRegion(id: number, region: number): number {
    return this.#store.setRegion(id, region)
  }

  compose(components: Component[] | null): number {
    return this.#store.compose(components)
  }

  remove(id: number, force: boolean): number {
    return this.#store.remove(id, force)
  }

  add(id: number, weight: number | null): number {
    return this.#store.add(id, weight)
  }

  configure(change: RingConfig): number {
    return this.#store.configure(change)
  }

  rebalance(): number {
    return this.#store.rebalance()
  }

  report(host_id: string, recon: ObjectRecon, drained: [device: number, partition: number][]): void {
    this.#store.report(host_id, recon, drained)
  }

  mark(text: string): string {
    return this.#store.mark(text)
  }

  isMarked(text: string, mark: string): boolean {
    return this.#store.isMarked(text, mark)
  }

  forHosts(policy: number, known: string): RingForHosts | null {
    return this.#store.forHosts(policy, known)
  }
}
