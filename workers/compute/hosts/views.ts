/** Services, hypervisors, zones and hosts on the wire, by microversion. Pure. */
import { isoMicrosNoZone } from '../../../schema/values/time.ts'
import type { ComputeHost } from './store.ts'

/** Before 2.53 ids of services and hypervisors are integers: 28 bits of the UUID. */
export const numberOf = (id: string): number => Number.parseInt(id.slice(0, 7), 16)
export const instanceName = (serverId: string): string => `instance-${serverId.slice(0, 8)}`

export interface ServiceInfo {
  id: string
  binary: string
  host: string
  zone: string
  disabled: boolean
  disabled_reason: string | null
  up: boolean
  forced_down: boolean
  updated_ms: number
}

/** The plane's own parts, which every object and Worker is: shown as one host in the internal zone. */
export const CONTROL_HOST = 'skyhook'
export const INTERNAL_ZONE = 'internal'

export function servicesOf(hosts: readonly ComputeHost[], now_ms: number): ServiceInfo[] {
  const control = ['nova-scheduler', 'nova-conductor'].map((binary, i) => ({
    id: `00000${i + 1}00-0000-4000-8000-000000000000`, binary, host: CONTROL_HOST, zone: INTERNAL_ZONE, disabled: false, disabled_reason: null, up: true, forced_down: false, updated_ms: now_ms,
  }))
  return [
    ...control,
    ...hosts.map((host) => ({
      id: host.id, binary: 'nova-compute', host: host.name, zone: host.availability_zone, disabled: host.disabled, disabled_reason: host.disabled_reason, up: host.up, forced_down: host.forced_down, updated_ms: host.updated_ms,
    })),
  ]
}

export const serviceView = (minor: number, service: ServiceInfo) => ({
  id: minor >= 53 ? service.id : numberOf(service.id), binary: service.binary, host: service.host, zone: service.zone, status: service.disabled ? 'disabled' : 'enabled', state: service.up ? 'up' : 'down',
  updated_at: isoMicrosNoZone(service.updated_ms), disabled_reason: service.disabled_reason, ...(minor >= 11 ? { forced_down: service.forced_down } : {}),
})

export const hypervisorBrief = (minor: number, host: ComputeHost) => ({
  id: minor >= 53 ? host.id : numberOf(host.id), hypervisor_hostname: host.name, state: host.up ? 'up' : 'down', status: host.disabled ? 'disabled' : 'enabled',
})

export const serversOf = (host: ComputeHost) => ({ servers: host.server_ids.map((uuid) => ({ uuid, name: instanceName(uuid) })) })

export function uptimeText(host: ComputeHost, now_ms: number): string {
  const minutes = Math.floor(host.uptime_s / 60)
  const [days, hours, rest] = [Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60), minutes % 60]
  return ` ${new Date(now_ms).toISOString().slice(11, 19)} up ${days > 0 ? `${days} days, ` : ''}${hours}:${String(rest).padStart(2, '0')},  0 users,  load average: 0.00, 0.00, 0.00`
}

export function hypervisorView(minor: number, host: ComputeHost, withServers: boolean, now_ms: number) {
  const common = {
    ...hypervisorBrief(minor, host), host_ip: host.host_ip, hypervisor_type: host.hypervisor_type, hypervisor_version: host.hypervisor_version,
    service: { id: minor >= 53 ? host.id : numberOf(host.id), host: host.name, disabled_reason: host.disabled_reason }, ...(withServers && (minor >= 75 || host.server_ids.length > 0) ? serversOf(host) : {}),
  }
  if (minor >= 88) return { ...common, uptime: host.up ? uptimeText(host, now_ms) : null }
  const cpu = { arch: host.arch, model: host.cpu_model, vendor: '', features: [], topology: { cores: host.total.vcpus, threads: 1, sockets: 1 } }
  return {
    ...common, cpu_info: minor >= 28 ? cpu : JSON.stringify(cpu), current_workload: 0, running_vms: host.server_ids.length, vcpus: host.total.vcpus, vcpus_used: host.used.vcpus, memory_mb: host.total.ram_mib, memory_mb_used: host.used.ram_mib,
    free_ram_mb: host.total.ram_mib - host.used.ram_mib, local_gb: host.total.disk_gib, local_gb_used: host.used.disk_gib, free_disk_gb: host.total.disk_gib - host.used.disk_gib, disk_available_least: host.total.disk_gib - host.used.disk_gib,
  }
}

export function statisticsView(hosts: readonly ComputeHost[]) {
  const sum = (pick: (host: ComputeHost) => number) => hosts.filter((host) => !host.disabled).reduce((total, host) => total + pick(host), 0)
  return {
    hypervisor_statistics: {
      count: hosts.filter((host) => !host.disabled).length, current_workload: 0, running_vms: sum((host) => host.server_ids.length), vcpus: sum((host) => host.total.vcpus), vcpus_used: sum((host) => host.used.vcpus),
      memory_mb: sum((host) => host.total.ram_mib), memory_mb_used: sum((host) => host.used.ram_mib), free_ram_mb: sum((host) => host.total.ram_mib - host.used.ram_mib), local_gb: sum((host) => host.total.disk_gib),
      local_gb_used: sum((host) => host.used.disk_gib), free_disk_gb: sum((host) => host.total.disk_gib - host.used.disk_gib), disk_available_least: sum((host) => host.total.disk_gib - host.used.disk_gib),
    },
  }
}

export function zonesView(hosts: readonly ComputeHost[], detail: boolean, now_ms: number) {
  const services = servicesOf(hosts, now_ms)
  const names = [...new Set(services.filter((service) => detail || service.zone !== INTERNAL_ZONE).map((service) => service.zone))]
  return {
    availabilityZoneInfo: names.map((zoneName) => {
      const mine = services.filter((service) => service.zone === zoneName)
      const byHost: Record<string, Record<string, unknown>> = {}
      for (const service of mine) byHost[service.host] = { ...byHost[service.host], [service.binary]: { available: service.up, active: !service.disabled, updated_at: isoMicrosNoZone(service.updated_ms) } }
      return { zoneName, zoneState: { available: zoneName === INTERNAL_ZONE || mine.some((service) => !service.disabled) }, hosts: detail ? byHost : null }
    }),
  }
}

export const hostBrief = (service: ServiceInfo) => ({ host_name: service.host, service: service.binary.replace('nova-', ''), zone: service.zone })

export function hostResources(host: ComputeHost) {
  const line = (project: string, cpu: number, memory_mb: number, disk_gb: number) => ({ resource: { host: host.name, project, cpu, memory_mb, disk_gb } })
  return { host: [line('(total)', host.total.vcpus, host.total.ram_mib, host.total.disk_gib), line('(used_now)', host.used.vcpus, host.used.ram_mib, host.used.disk_gib), line('(used_max)', host.used.vcpus, host.used.ram_mib, host.used.disk_gib)] }
}
