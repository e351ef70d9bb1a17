/** Weighers by upstream's names (nova/scheduler/weights): each scaled to 0..1 over the hosts at hand, times its multiplier, summed. */
import type { HostState, Weigher } from '../types.ts'

const inGroup = (host: HostState, ids: readonly string[]) => ids.filter((id) => id === host.id).length

export const WEIGHERS: readonly Weigher[] = [
  { name: 'RAMWeigher', multiplier: 1, weigh: (host) => host.total.ram_mib - host.used.ram_mib },
  { name: 'CPUWeigher', multiplier: 1, weigh: (host) => host.total.vcpus - host.used.vcpus },
  { name: 'DiskWeigher', multiplier: 1, weigh: (host) => host.total.disk_gib - host.used.disk_gib },
  { name: 'ServerGroupSoftAffinityWeigher', multiplier: 10, weigh: (host, request) => (request.group?.policy === 'soft-affinity' ? inGroup(host, request.group.host_ids) : 0) },
  { name: 'ServerGroupSoftAntiAffinityWeigher', multiplier: 10, weigh: (host, request) => (request.group?.policy === 'soft-anti-affinity' ? -inGroup(host, request.group.host_ids) : 0) },
]
