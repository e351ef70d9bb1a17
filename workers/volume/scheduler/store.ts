/** The Region's side of placing volumes: hosts and claims, atomically, repeated claims answered alike. Runs in the Region object. */
import { RpcTarget } from 'cloudflare:workers'
import { eq, sql } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { volumeAllocations, volumeServices } from '../../../schema/region/volume.ts'
import type { HostFacts } from '../../../schema/agent/observed.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { HostsStore } from '../../agents/hosts/store.ts'
import { defaultTypeOf, readType } from '../types/store.ts'
import { type Backend, backendName, capabilities, DRIVER_VERSION, explain, type FunnelStep, PLACE_DEFAULTS, type PlaceOptions, place, PROTOCOL, VENDOR } from './place.ts'

export interface PlaceOrder {
  volume_id: string
  project_id: string
  size_gib: number
  volume_type_id: string | null
  availability_zone: string | null
  host_id: string | null
  /** Volumes named by scheduler hints. */
  same_as: string[]
  different_from: string[]
}

export interface Placement {
  host_id: string
  host: string
  availability_zone: string
  portal: string | null
  volume_type_id: string
  volume_type: string
}

export interface PoolView {
  name: string
  host_id: string
  driver: string
  pool: string
  total_gib: number
  free_gib: number
  provisioned_gib: number
  volumes: number
  capabilities: Record<string, string>
}

export interface ServiceState {
  host_id: string
  name: string
  driver: string
  zone: string
  up: boolean
  disabled: boolean
  disabled_reason: string | null
  frozen: boolean
  updated_ms: number
  volumes: number
  provisioned_gib: number
}

const ISCSI_PORT = 3260
/** facts.storage_ip may carry its port. Simulated hosts have no network; any address does. */
export function portalOf(facts: Pick<HostFacts, 'storage_ip' | 'simulated'> | null): string | null {
  const address = facts?.storage_ip ?? (facts?.simulated ? '127.0.0.1' : null)
  return address === null ? null : /:\d+$/.test(address) ? address : `${address}:${ISCSI_PORT}`
}

export class VolumeScheduler extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  /** Fault insufficient_storage with the funnel where no host fits. The same volume again: the same place. */
  place(order: PlaceOrder): Placement {
    const type = order.volume_type_id === null ? defaultTypeOf(this.#deps, order.project_id) : readType(this.#deps, order.volume_type_id)
    const backends = this.#backends()
    const [known] = this.#deps.db.select().from(volumeAllocations).where(eq(volumeAllocations.volume_id, order.volume_id)).all()
    const before = known === undefined ? undefined : backends.find((backend) => backend.host.id === known.host_id)
    if (before !== undefined) return placement(before, type)
    const hosts = (ids: string[]) => ids.flatMap((id) => this.#deps.db.select().from(volumeAllocations).where(eq(volumeAllocations.volume_id, id)).all().map((row) => row.host_id))
    const { chosen, funnel } = place(
      { ...order, extra_specs: type.extra_specs, same_host: order.same_as.length === 0 ? null : hosts(order.same_as), different_host: hosts(order.different_from) }, backends, this.#options())
    if (chosen === null) throw new Fault('insufficient_storage', explain(funnel), { details: { funnel } })
    this.#deps.commit(this.#caller, (tx) => {
      this.#deps.db.insert(volumeAllocations).values({ volume_id: order.volume_id, project_id: order.project_id, host_id: chosen.host.id, pool: chosen.pool, size_gib: order.size_gib, volume_type_id: type.id })
        .onConflictDoUpdate({ target: volumeAllocations.volume_id, set: { host_id: chosen.host.id, pool: chosen.pool, size_gib: order.size_gib } }).run()
      tx.change('volume_allocation', order.volume_id, 'create', null, { host_id: chosen.host.id, size_gib: order.size_gib })
    })
    return placement(chosen, type)
  }

  /** A dry run: what place would do, and why. */
  explain(order: PlaceOrder): { host: string | null; funnel: FunnelStep[] } {
    const type = order.volume_type_id === null ? defaultTypeOf(this.#deps, order.project_id) : readType(this.#deps, order.volume_type_id)
    const { chosen, funnel } = place({ ...order, extra_specs: type.extra_specs, same_host: null, different_host: [] }, this.#backends(), this.#options())
    return { host: chosen === null ? null : backendName(chosen), funnel }
  }

  /** Room for a larger volume where it is. */
  resize(volume_id: string, size_gib: number): void {
    const [row] = this.#deps.db.select().from(volumeAllocations).where(eq(volumeAllocations.volume_id, volume_id)).all()
    if (row === undefined || row.size_gib === size_gib) return
    const backend = this.#backends().find((entry) => entry.host.id === row.host_id)
    if (size_gib > row.size_gib && backend !== undefined && backend.provisioned_gib - row.size_gib + size_gib > backend.total_gib * this.#options().over_subscription_ratio) {
      throw new Fault('insufficient_storage', `Host ${backend.host.name} has no room for ${size_gib} GiB.`)
    }
    this.#deps.db.update(volumeAllocations).set({ size_gib }).where(eq(volumeAllocations.volume_id, volume_id)).run()
  }

  reassign(volume_id: string, project_id: string): void {
    this.#deps.db.update(volumeAllocations).set({ project_id }).where(eq(volumeAllocations.volume_id, volume_id)).run()
  }

  retype(volume_id: string, volume_type_id: string): void {
    this.#deps.db.update(volumeAllocations).set({ volume_type_id }).where(eq(volumeAllocations.volume_id, volume_id)).run()
  }

  release(volume_id: string): void {
    this.#deps.db.delete(volumeAllocations).where(eq(volumeAllocations.volume_id, volume_id)).run()
  }

  /** What is promised, for verify. */
  allocations(): { volume_id: string; project_id: string; host_id: string; size_gib: number }[] {
    return this.#deps.db.select().from(volumeAllocations).all()
  }

  pools(): PoolView[] {
    return this.#backends().map((backend) => ({
      name: backendName(backend), host_id: backend.host.id, driver: backend.driver, pool: backend.pool, total_gib: backend.total_gib, free_gib: backend.free_gib, provisioned_gib: backend.provisioned_gib, volumes: backend.volumes,
      capabilities: { ...capabilities(backend), driver_version: DRIVER_VERSION, vendor_name: VENDOR, storage_protocol: PROTOCOL },
    }))
  }

  services(): ServiceState[] {
    const states = new Map(this.#deps.db.select().from(volumeServices).all().map((row) => [row.host_id, row]))
    return this.#backends().map(({ host, driver, volumes, provisioned_gib }) => {
      const state = states.get(host.id)
      return {
        host_id: host.id, name: host.name, driver, zone: host.availability_zone, up: host.up && !host.forced_down, disabled: state?.disabled ?? false, disabled_reason: state?.disabled_reason ?? null, frozen: state?.frozen ?? false,
        updated_ms: Math.max(host.seen_ms, state?.updated_ms ?? 0), volumes, provisioned_gib,
      }
    })
  }

  setService(host_id: string, change: { disabled?: boolean; disabled_reason?: string | null; frozen?: boolean }): void {
    this.#deps.commit(this.#caller, (tx) => {
      const [before] = this.#deps.db.select().from(volumeServices).where(eq(volumeServices.host_id, host_id)).all()
      const next = { host_id, disabled: before?.disabled ?? false, disabled_reason: before?.disabled_reason ?? null, frozen: before?.frozen ?? false, ...change, updated_ms: tx.now_ms }
      this.#deps.db.insert(volumeServices).values(next).onConflictDoUpdate({ target: volumeServices.host_id, set: next }).run()
      tx.change('volume_service', host_id, 'update', before ?? null, next)
    })
  }

  /** Volumes and sizes of each project on a host. */
  hostUsage(host_id: string): { project_id: string; volumes: number; size_gib: number }[] {
    return this.#deps.db.select({ project_id: volumeAllocations.project_id, volumes: sql<number>`COUNT(*)`, size_gib: sql<number>`SUM(size_gib)` }).from(volumeAllocations).where(eq(volumeAllocations.host_id, host_id)).groupBy(volumeAllocations.project_id).all()
  }

  #options(): PlaceOptions {
    const given = this.#deps.env.OPTIONS ? ((JSON.parse(this.#deps.env.OPTIONS) as { volume?: Partial<PlaceOptions> }).volume ?? {}) : {}
    return { ...PLACE_DEFAULTS, ...given }
  }

  /** Every host with the volume role, up or not, with what is promised to it. */
  #backends(): Backend[] {
    const promised = new Map(this.#deps.db.select({ host_id: volumeAllocations.host_id, volumes: sql<number>`COUNT(*)`, size_gib: sql<number>`SUM(size_gib)` }).from(volumeAllocations).groupBy(volumeAllocations.host_id).all().map((row) => [row.host_id, row]))
    const off = new Set(this.#deps.db.select().from(volumeServices).all().filter((row) => row.disabled).map((row) => row.host_id))
    return new HostsStore(this.#deps, this.#caller).list().flatMap((host) => {
      if (host.facts === null || !host.facts.roles.includes('volume')) return []
      const pool = host.facts.volume_pools[0] ?? { name: 'default', total_gib: 0, free_gib: 0 }
      const sums = promised.get(host.id)
      return [{ host, driver: host.facts.drivers.volume ?? 'file', pool: pool.name, total_gib: pool.total_gib, free_gib: pool.free_gib, provisioned_gib: Number(sums?.size_gib ?? 0), volumes: Number(sums?.volumes ?? 0), disabled: off.has(host.id) }]
    })
  }
}

const placement = (backend: Backend, type: { id: string; name: string }): Placement => ({
  host_id: backend.host.id, host: backendName(backend), availability_zone: backend.host.availability_zone, portal: portalOf(backend.host.facts), volume_type_id: type.id, volume_type: type.name,
})
