/** What network keeps in the Region object: segment ids, and which gateway host runs which router. Every call is atomic and idempotent by resource id. */
import { RpcTarget } from 'cloudflare:workers'
import { asc, eq, sql } from 'drizzle-orm'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Tasks } from '../../durable-objects/kernel/outbox.ts'
import { routerHosts, segments } from '../../schema/region/network.ts'
import type { Caller } from '../../schema/values/caller.ts'
import { Fault } from '../../schema/values/fault.ts'
import { HostsStore } from '../agents/hosts/store.ts'

/** Ids below stay free for VLANs and fixed uses. */
export const SEGMENT_MIN = 4_096
export const SEGMENT_MAX = 0xff_ff_ff

class Segments extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  /** The network's segment id: what it has, else `wanted`, else the next one free. */
  allocate(networkId: string, projectId: string, wanted: number | null = null): number {
    const { db } = this.#deps
    const [mine] = db.select().from(segments).where(eq(segments.network_id, networkId)).all()
    if (mine !== undefined) return mine.segment_id
    return this.#deps.commit(this.#caller, (tx) => {
      const segment_id = wanted ?? this.#nextFree()
      if (tx.db.select().from(segments).where(eq(segments.segment_id, segment_id)).all().length > 0) throw new Fault('conflict', `Unable to create the network. The tunnel ID ${segment_id} is in use.`, { type: 'TunnelIdInUse' })
      tx.db.insert(segments).values({ segment_id, network_id: networkId, project_id: projectId }).run()
      return segment_id
    })
  }

  release(networkId: string): void {
    this.#deps.db.delete(segments).where(eq(segments.network_id, networkId)).run()
  }

  /** One above the highest; when the top was reached, the lowest gap. */
  #nextFree(): number {
    const { db } = this.#deps
    const top = db.select({ max: sql<number | null>`MAX(segment_id)` }).from(segments).get()?.max ?? SEGMENT_MIN - 1
    if (top < SEGMENT_MAX) return Math.max(top + 1, SEGMENT_MIN)
    const gap = db.all<{ id: number }>(sql`SELECT segment_id + 1 AS id FROM net_segments s WHERE segment_id >= ${SEGMENT_MIN} AND NOT EXISTS (SELECT 1 FROM net_segments n WHERE n.segment_id = s.segment_id + 1) ORDER BY segment_id LIMIT 1`)[0]
    if (gap === undefined || gap.id > SEGMENT_MAX) throw new Fault('unavailable', 'Unable to create the network. No tenant network is available for allocation.', { type: 'NoNetworkAvailable' })
    return gap.id
  }
}

class Routers extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  /**
   * The gateway host of a router: the one it has while that is up, else the one with fewest routers among those that reach `physicalNetwork`.
   * Null where there is none now.
   */
  place(routerId: string, projectId: string, physicalNetwork: string | null): string | null {
    const { db } = this.#deps
    const reachable = new HostsStore(this.#deps, this.#caller).available('gateway').filter((host) => physicalNetwork === null || host.facts?.simulated || host.facts?.physical_networks.includes(physicalNetwork))
    const [mine] = db.select().from(routerHosts).where(eq(routerHosts.router_id, routerId)).all()
    if (mine !== undefined && (reachable.length === 0 || reachable.some((host) => host.id === mine.host_id))) return mine.host_id
    const counts = new Map(db.select({ host_id: routerHosts.host_id, count: sql<number>`COUNT(*)` }).from(routerHosts).groupBy(routerHosts.host_id).orderBy(asc(routerHosts.host_id)).all().map((row) => [row.host_id, row.count]))
    const [best] = reachable.sort((a, b) => (counts.get(a.id) ?? 0) - (counts.get(b.id) ?? 0) || (a.id < b.id ? -1 : 1))
    if (best === undefined) return null
    this.#deps.commit(this.#caller, (tx) => {
      tx.db.insert(routerHosts).values({ router_id: routerId, host_id: best.id, project_id: projectId }).onConflictDoUpdate({ target: routerHosts.router_id, set: { host_id: best.id } }).run()
      tx.change('router-host', routerId, mine === undefined ? 'create' : 'update', mine ?? null, { host_id: best.id })
    })
    return best.id
  }

  release(routerId: string): void {
    this.#deps.db.delete(routerHosts).where(eq(routerHosts.router_id, routerId)).run()
  }

  /** For agent views and operators. */
  list(): { router_id: string; host_id: string; project_id: string }[] {
    return this.#deps.db.select().from(routerHosts).all()
  }
}

export class NetworkRegionStores extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  get segments() {
    return new Segments(this.#deps, this.#caller)
  }

  get routers() {
    return new Routers(this.#deps, this.#caller)
  }
}

export const networkRegionStores = (deps: Deps, caller: Caller): NetworkRegionStores => new NetworkRegionStores(deps, caller)
export const networkRegionTasks: Tasks<Deps> = {}
/** Nothing is there at first boot: the first networks are made through the public API. */
export function seedNetwork(_deps: Deps): void {}
