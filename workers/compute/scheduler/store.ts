/**
 * Capacity and allocations (Placement's facts), in the Region object. Placing filters, weighs and claims in one step: nothing awaits between the look
 * and the claim, so two requests never get the same room. Every call is idempotent by its consumer.
 */
import { RpcTarget } from 'cloudflare:workers'
import { eq, sql } from 'drizzle-orm'
import type { Db, Deps } from '../../../durable-objects/kernel/deps.ts'
import { type AllocationRow, aggregates, allocations } from '../../../schema/region/compute.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { type HostRow, HostsStore } from '../../agents/hosts/store.ts'
import { type Decision, NO_VALID_HOST, place, rank } from './place.ts'
import type { FunnelStep, HostState, PlaceRequest, Resources } from './types.ts'

export interface SchedulerOptions {
  cpu_allocation_ratio: number
  ram_allocation_ratio: number
  disk_allocation_ratio: number
  reserved_host_memory_mb: number
  reserved_host_disk_mb: number
}

/** Upstream's defaults (nova/conf/compute.py). */
export const SCHEDULER_DEFAULTS: SchedulerOptions = { cpu_allocation_ratio: 4, ram_allocation_ratio: 1, disk_allocation_ratio: 1, reserved_host_memory_mb: 512, reserved_host_disk_mb: 0 }

export function schedulerOptions(env: { OPTIONS?: string }): SchedulerOptions {
  const given = env.OPTIONS ? (JSON.parse(env.OPTIONS) as { scheduler?: Partial<SchedulerOptions> }).scheduler : undefined
  return { ...SCHEDULER_DEFAULTS, ...given }
}

export interface Claim {
  host_id: string
  host_name: string
  availability_zone: string
  hypervisor_type: string
  alternates: string[]
  funnel: FunnelStep[]
}

const NOTHING: Resources = { vcpus: 0, ram_mib: 0, disk_gib: 0 }

export function usageByHost(db: Db): Map<string, Resources & { count: number }> {
  const rows = db
    .select({ host_id: allocations.host_id, vcpus: sql<number>`sum(vcpus)`, ram_mib: sql<number>`sum(ram_mib)`, disk_gib: sql<number>`sum(disk_gib)`, count: sql<number>`count(*)` })
    .from(allocations).groupBy(allocations.host_id).all()
  return new Map(rows.map(({ host_id, ...used }) => [host_id, used]))
}

export const hypervisorType = (host: HostRow): string => (host.facts?.drivers.hypervisor === 'fake' ? 'fake' : 'QEMU')

/** Physical capacity and overcommit of one host, as Placement's inventories say it. */
export function inventoryOf(host: HostRow, options: SchedulerOptions) {
  const facts = host.facts
  return {
    VCPU: { total: facts?.cpu.cores ?? 0, reserved: 0, allocation_ratio: options.cpu_allocation_ratio },
    MEMORY_MB: { total: facts?.ram_mib ?? 0, reserved: Math.min(options.reserved_host_memory_mb, Math.floor((facts?.ram_mib ?? 0) / 4)), allocation_ratio: options.ram_allocation_ratio },
    DISK_GB: { total: facts?.disk_gib ?? 0, reserved: Math.ceil(options.reserved_host_disk_mb / 1024), allocation_ratio: options.disk_allocation_ratio },
  }
}

const usable = ({ total, reserved, allocation_ratio }: { total: number; reserved: number; allocation_ratio: number }) => Math.floor((total - reserved) * allocation_ratio)

export class Scheduler extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  /** Filters, weighs and claims. A consumer that has a claim keeps its host. */
  place(request: PlaceRequest): Claim {
    return this.#deps.commit(this.#caller, (tx) => {
      const held = tx.db.select().from(allocations).where(eq(allocations.consumer_id, request.consumer_id)).get()
      if (held !== undefined && !request.excluded_hosts.includes(held.host_id)) return this.#held(held)
      const decision = place(this.#withGroup(request), this.hostStates())
      if (decision.host === null) throw new Fault('conflict', NO_VALID_HOST, { type: 'NoValidHost', details: { funnel: decision.funnel } })
      const { host, alternates, funnel } = decision
      if (held !== undefined) tx.db.delete(allocations).where(eq(allocations.consumer_id, request.consumer_id)).run()
      tx.db.insert(allocations).values({
        consumer_id: request.consumer_id, host_id: host.id, project_id: request.project_id, user_id: request.user_id, consumer_type: 'INSTANCE', ...request.resources, created_ms: tx.now_ms, group_id: request.group?.id ?? null,
        funnel: funnel.map((step) => `${step.filter}:${step.start}:${step.end}`),
      }).run()
      return { host_id: host.id, host_name: host.name, availability_zone: host.availability_zone, hypervisor_type: host.hypervisor_type, alternates, funnel }
    })
  }

  /** The same answer as place() would give, claiming nothing; with each candidate's weight. */
  explain(request: PlaceRequest): { decision: Decision; weights: { host: string; weight: number }[] } {
    const states = this.hostStates()
    const whole = this.#withGroup(request)
    const decision = place(whole, states)
    return { decision, weights: decision.host === null ? [] : rank(whole, states).map(({ host, weight }) => ({ host: host.name, weight })) }
  }

  /** Gives back what a consumer holds. Idempotent. */
  release(consumerId: string): void {
    this.#deps.db.delete(allocations).where(eq(allocations.consumer_id, consumerId)).run()
  }

  /** A resize on the same host holds both sizes: the old one goes under `keptId`. Fault NoValidHost where the new one has no room. Idempotent. */
  resize(consumerId: string, keptId: string, resources: Resources): void {
    this.#deps.commit(this.#caller, (tx) => {
      if (tx.db.select().from(allocations).where(eq(allocations.consumer_id, keptId)).get() !== undefined) return
      const held = tx.db.select().from(allocations).where(eq(allocations.consumer_id, consumerId)).get()
      if (held === undefined) throw new Fault('not_found', `Consumer ${consumerId} has no allocation.`)
      const host = this.hostStates().find((state) => state.id === held.host_id)
      const short = host === undefined ? 'ComputeFilter' : host.used.vcpus + resources.vcpus > host.total.vcpus ? 'VCPU' : host.used.ram_mib + resources.ram_mib > host.total.ram_mib ? 'MEMORY_MB' : host.used.disk_gib + resources.disk_gib > host.total.disk_gib ? 'DISK_GB' : null
      if (short !== null) throw new Fault('conflict', NO_VALID_HOST, { type: 'NoValidHost', details: { funnel: [{ filter: 'SameHostFilter', start: 1, end: 1 }, { filter: short, start: 1, end: 0 }] } })
      tx.db.update(allocations).set({ consumer_id: keptId, consumer_type: 'MIGRATION' }).where(eq(allocations.consumer_id, consumerId)).run()
      tx.db.insert(allocations).values({ ...held, ...resources, created_ms: tx.now_ms }).run()
    })
  }

  /** Undoes a resize: what was kept is the consumer's again. Idempotent. */
  revert(consumerId: string, keptId: string): void {
    this.#deps.commit(this.#caller, (tx) => {
      if (tx.db.select().from(allocations).where(eq(allocations.consumer_id, keptId)).get() === undefined) return
      tx.db.delete(allocations).where(eq(allocations.consumer_id, consumerId)).run()
      tx.db.update(allocations).set({ consumer_id: consumerId, consumer_type: 'INSTANCE' }).where(eq(allocations.consumer_id, keptId)).run()
    })
  }

  allocations(filter: { consumer_id?: string; host_id?: string; project_id?: string } = {}): AllocationRow[] {
    const query = this.#deps.db.select().from(allocations)
    if (filter.consumer_id !== undefined) return query.where(eq(allocations.consumer_id, filter.consumer_id)).all()
    if (filter.host_id !== undefined) return query.where(eq(allocations.host_id, filter.host_id)).all()
    if (filter.project_id !== undefined) return query.where(eq(allocations.project_id, filter.project_id)).all()
    return query.all()
  }

  hostStates(): HostState[] {
    const used = usageByHost(this.#deps.db)
    const groups = this.#deps.db.select().from(aggregates).all()
    const options = schedulerOptions(this.#deps.env)
    return new HostsStore(this.#deps, this.#caller).list().filter((host) => host.facts?.roles.includes('compute')).map((host) => {
      const inventory = inventoryOf(host, options)
      const mine = groups.filter((group) => group.hosts.includes(host.name))
      const { count = 0, ...taken } = used.get(host.id) ?? { ...NOTHING, count: 0 }
      return {
        id: host.id, name: host.name, up: host.up && !host.forced_down, disabled: host.disabled, availability_zone: zoneOf(host, mine), hypervisor_type: hypervisorType(host), arch: host.facts?.cpu.arch ?? '',
        aggregates: mine.map((group) => ({ name: group.name, metadata: group.metadata })), total: { vcpus: usable(inventory.VCPU), ram_mib: usable(inventory.MEMORY_MB), disk_gib: usable(inventory.DISK_GB) }, used: taken, servers: count,
      }
    })
  }

  /** Members of a group may be placed side by side: those that have a place here count, whether their project knows it yet or not. */
  #withGroup(request: PlaceRequest): PlaceRequest {
    if (request.group === null) return request
    const members = this.#deps.db.select().from(allocations).where(eq(allocations.group_id, request.group.id)).all().filter((row) => row.consumer_id !== request.consumer_id && row.consumer_type === 'INSTANCE')
    return { ...request, group: { ...request.group, host_ids: members.map((row) => row.host_id) } }
  }

  #held(row: AllocationRow): Claim {
    const host = this.hostStates().find((state) => state.id === row.host_id)
    const funnel = row.funnel.map((step) => {
      const [filter = '', start = '0', end = '0'] = step.split(':')
      return { filter, start: Number(start), end: Number(end) }
    })
    return { host_id: row.host_id, host_name: host?.name ?? row.host_id, availability_zone: host?.availability_zone ?? 'nova', hypervisor_type: host?.hypervisor_type ?? 'QEMU', alternates: [], funnel }
  }
}

/** An aggregate with a zone names the zone of its hosts; else the host's own. */
export const zoneOf = (host: { availability_zone: string }, groups: readonly { availability_zone: string | null }[]): string => groups.find((group) => group.availability_zone !== null)?.availability_zone ?? host.availability_zone
