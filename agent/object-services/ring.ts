/** The rings as this host knows them: who holds a partition, and what of ours is on its way elsewhere. Kept on disk, so that a host without the plane goes on with its work. */
import type { ObjectServiceLimits, RingForHosts } from '../../schema/agent/replication.ts'
import { OBJECT_SERVICE_LIMITS } from '../../schema/agent/replication.ts'
import { handoffs } from '../../schema/agent/handoffs.ts'
import type { StateStore } from '../state.ts'

export type RingDeviceAt = RingForHosts['devices'][number]

const NOBODY = 0xffff

export class HostRing {
  readonly ring: RingForHosts
  #rows: Uint16Array[]
  #byId: Map<number, RingDeviceAt>
  #moving: Set<number>

  constructor(ring: RingForHosts) {
    this.ring = ring
    this.#rows = ring.assignment.map((text) => {
      const bytes = Buffer.from(text, 'base64')
      return Uint16Array.from({ length: bytes.length / 2 }, (_, n) => bytes.readUInt16LE(n * 2))
    })
    this.#byId = new Map(ring.devices.map((device) => [device.id, device]))
    this.#moving = new Set(ring.moving.map(([, partition]) => partition))
  }

  primaries(partition: number): RingDeviceAt[] {
    return this.#rows.map((row) => this.#byId.get(row[partition] ?? NOBODY)).filter((device) => device !== undefined)
  }

  /** Who stands in where a primary is away, the first one first. */
  handoffs(partition: number): RingDeviceAt[] {
    return handoffs(this.ring.devices, this.primaries(partition), partition)
  }

  /** By the number of the replica: of erasure-coded policies the fragment's. Null where the ring has no device for it. */
  slots(partition: number): (RingDeviceAt | null)[] {
    const count = this.ring.erasure == null ? this.#rows.length : this.ring.erasure.data + this.ring.erasure.parity
    return Array.from({ length: count }, (_, index) => this.#byId.get(this.#rows[index]?.[partition] ?? NOBODY) ?? null)
  }

  /** Another device may still hold something of it that its primaries lack. */
  isMoving(partition: number): boolean {
    return this.#moving.has(partition)
  }

  host(id: string) {
    return this.ring.hosts.find((host) => host.id === id)
  }

  own(host_id: string, device: string): RingDeviceAt | undefined {
    return this.ring.devices.find((one) => one.host_id === host_id && one.device === device)
  }
}

export class Rings {
  #store: StateStore
  #rings = new Map<number, HostRing>()
  limits: ObjectServiceLimits = OBJECT_SERVICE_LIMITS

  constructor(store: StateStore) {
    this.#store = store
  }

  async load(): Promise<void> {
    const kept = (await this.#store.load('rings')) as RingForHosts[] | null
    for (const ring of kept ?? []) this.#take(ring)
  }

  get(policy: number): HostRing | undefined {
    return this.#rings.get(policy)
  }

  /** Public half of a host's key, where it is in any ring. */
  keyOf(host_id: string): string | null {
    for (const ring of this.#rings.values()) {
      const key = ring.host(host_id)?.public_key
      if (key !== undefined) return key
    }
    return null
  }

  /** Policy -> revision known here. */
  revisions(): Record<string, string> {
    return Object.fromEntries([...this.#rings].map(([policy, { ring }]) => [String(policy), ring.revision]))
  }

  /** `limits`: as they are set now, also for rings that are as they were. */
  async take(rings: readonly RingForHosts[], limits?: Partial<ObjectServiceLimits>): Promise<void> {
    const isSame = limits === undefined || [...this.#rings.values()].every(({ ring }) => JSON.stringify(ring.limits) === JSON.stringify(limits))
    if (rings.length === 0 && isSame) return
    for (const { ring } of this.#rings.values()) if (limits !== undefined) this.#take({ ...ring, limits })
    for (const ring of rings) this.#take(ring)
    await this.#store.save('rings', [...this.#rings.values()].map(({ ring }) => ring))
  }

  #take(ring: RingForHosts): void {
    this.#rings.set(ring.policy, new HostRing(ring))
    this.limits = { ...OBJECT_SERVICE_LIMITS, ...ring.limits }
  }
}
