/** Placement's view of the region: each host as a provider with its inventory, usage, traits and aggregates. Runs in the Region object; reads what the scheduler reads. */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import { type AllocationRow, aggregates } from '../../schema/region/compute.ts'
import type { Caller } from '../../schema/values/caller.ts'
import { HostsStore } from '../agents/hosts/store.ts'
import { Scheduler, inventoryOf, schedulerOptions, usageByHost } from '../compute/scheduler/store.ts'

export type ResourceClass = 'VCPU' | 'MEMORY_MB' | 'DISK_GB'

export interface ProviderInventory {
  total: number
  reserved: number
  allocation_ratio: number
}

export interface ProviderFacts {
  id: string
  name: string
  generation: number
  inventories: Record<ResourceClass, ProviderInventory>
  used: Record<ResourceClass, number>
  traits: string[]
  aggregates: string[]
  available: boolean
}

export class PlacementFacts extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  providers(): ProviderFacts[] {
    const used = usageByHost(this.#deps.db)
    const groups = this.#deps.db.select().from(aggregates).all()
    const options = schedulerOptions(this.#deps.env)
    return new HostsStore(this.#deps, this.#caller).list().filter((host) => host.facts?.roles.includes('compute')).map((host) => {
      const taken = used.get(host.id)
      const traits = ['COMPUTE_NODE', 'COMPUTE_VOLUME_ATTACH', 'COMPUTE_DEVICE_TAGGING', 'COMPUTE_NET_ATTACH_INTERFACE', host.facts?.acceleration === 'kvm' ? 'HW_CPU_HYPERTHREADING' : '', host.disabled ? 'COMPUTE_STATUS_DISABLED' : '']
      return {
        id: host.id, name: host.name, generation: 1, inventories: inventoryOf(host, options), used: { VCPU: taken?.vcpus ?? 0, MEMORY_MB: taken?.ram_mib ?? 0, DISK_GB: taken?.disk_gib ?? 0 },
        traits: traits.filter((trait) => trait !== '').sort(), aggregates: groups.filter((group) => group.hosts.includes(host.name)).map((group) => group.uuid), available: host.up && !host.disabled && !host.forced_down,
      }
    })
  }

  allocations(filter: { consumer_id?: string; host_id?: string; project_id?: string }): AllocationRow[] {
    return new Scheduler(this.#deps, this.#caller).allocations(filter)
  }
}
