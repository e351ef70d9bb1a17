/** Hosts as compute shows them: services, hypervisors, zones. Derived from what hosts report and what is allocated on them; nothing is stored twice. Runs in the Region object. */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { aggregates, allocations } from '../../../schema/region/compute.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { type HostRow, HostsStore } from '../../agents/hosts/store.ts'
import { hypervisorType, schedulerOptions, usageByHost, zoneOf } from '../scheduler/store.ts'
import type { Resources } from '../scheduler/types.ts'

export interface ComputeHost {
  id: string
  name: string
  up: boolean
  disabled: boolean
  disabled_reason: string | null
  forced_down: boolean
  availability_zone: string
  updated_ms: number
  hypervisor_type: string
  hypervisor_version: number
  host_ip: string
  uptime_s: number
  arch: string
  cpu_model: string
  /** Physical, without overcommit. */
  total: Resources
  used: Resources
  server_ids: string[]
}

export class ComputeHosts extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(): ComputeHost[] {
    const used = usageByHost(this.#deps.db)
    const groups = this.#deps.db.select().from(aggregates).all()
    const held = this.#deps.db.select({ consumer_id: allocations.consumer_id, host_id: allocations.host_id, type: allocations.consumer_type }).from(allocations).all()
    const reserved = schedulerOptions(this.#deps.env).reserved_host_memory_mb
    return this.#computeHosts().map((host) => {
      const taken = used.get(host.id)
      return {
        id: host.id, name: host.name, up: host.up && !host.forced_down, disabled: host.disabled, disabled_reason: host.disabled_reason, forced_down: host.forced_down,
        availability_zone: zoneOf(host, groups.filter((group) => group.hosts.includes(host.name))), updated_ms: Math.max(host.seen_ms, host.updated_ms), hypervisor_type: hypervisorType(host),
        hypervisor_version: host.facts?.hypervisor_version ?? 0, host_ip: host.facts?.tunnel_ip ?? '127.0.0.1', uptime_s: host.facts?.uptime_s ?? 0, arch: host.facts?.cpu.arch ?? '', cpu_model: host.facts?.cpu.model ?? '',
        total: { vcpus: host.facts?.cpu.cores ?? 0, ram_mib: host.facts?.ram_mib ?? 0, disk_gib: host.facts?.disk_gib ?? 0 },
        used: { vcpus: taken?.vcpus ?? 0, ram_mib: (taken?.ram_mib ?? 0) + reserved, disk_gib: taken?.disk_gib ?? 0 },
        server_ids: held.filter((row) => row.host_id === host.id && row.type === 'INSTANCE').map((row) => row.consumer_id),
      }
    })
  }

  set(id: string, change: { disabled?: boolean; disabled_reason?: string | null; forced_down?: boolean }): void {
    new HostsStore(this.#deps, this.#caller).set(id, change)
  }

  #computeHosts(): HostRow[] {
    return new HostsStore(this.#deps, this.#caller).list().filter((host) => host.facts?.roles.includes('compute'))
  }
}
