/** Providers, inventories, allocations on the wire, by microversion (placement api-ref). Pure. */
import type { AllocationRow } from '../../schema/region/compute.ts'
import type { ProviderFacts, ResourceClass } from './facts.ts'

export const CLASSES: readonly ResourceClass[] = ['VCPU', 'MEMORY_MB', 'DISK_GB']
export const CLASS_LIST = ['VCPU', 'MEMORY_MB', 'DISK_GB', 'PCI_DEVICE', 'SRIOV_NET_VF', 'NUMA_SOCKET', 'NUMA_CORE', 'NUMA_THREAD', 'NUMA_MEMORY_MB', 'IPV4_ADDRESS', 'VGPU', 'VGPU_DISPLAY_HEAD', 'NET_BW_EGR_KILOBIT_PER_SEC', 'NET_BW_IGR_KILOBIT_PER_SEC', 'PCPU', 'MEM_ENCRYPTION_CONTEXT', 'FPGA', 'PGPU', 'NET_PACKET_RATE_KILOPACKET_PER_SEC', 'NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC', 'NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC']

const path = (id: string) => `/placement/resource_providers/${id}`

export function providerView(minor: number, provider: ProviderFacts) {
  const rels = ['inventories', 'usages', ...(minor >= 1 ? ['aggregates'] : []), ...(minor >= 6 ? ['traits'] : []), ...(minor >= 11 ? ['allocations'] : [])]
  return {
    uuid: provider.id, name: provider.name, generation: provider.generation, links: [{ rel: 'self', href: path(provider.id) }, ...rels.map((rel) => ({ rel, href: `${path(provider.id)}/${rel}` }))],
    ...(minor >= 14 ? { parent_provider_uuid: null, root_provider_uuid: provider.id } : {}),
  }
}

export function inventoryView(provider: ProviderFacts, resource: ResourceClass) {
  const { total, reserved, allocation_ratio } = provider.inventories[resource]
  return { total, reserved, min_unit: 1, max_unit: Math.max(total, 1), step_size: 1, allocation_ratio }
}

export const resourcesOf = (row: Pick<AllocationRow, 'vcpus' | 'ram_mib' | 'disk_gib'>): Partial<Record<ResourceClass, number>> => ({
  ...(row.vcpus > 0 ? { VCPU: row.vcpus } : {}), ...(row.ram_mib > 0 ? { MEMORY_MB: row.ram_mib } : {}), ...(row.disk_gib > 0 ? { DISK_GB: row.disk_gib } : {}),
})

const capacityOf = (provider: ProviderFacts, resource: ResourceClass): number => {
  const { total, reserved, allocation_ratio } = provider.inventories[resource]
  return Math.floor((total - reserved) * allocation_ratio)
}

export const hasRoom = (provider: ProviderFacts, wanted: Record<string, number>): boolean =>
  Object.entries(wanted).every(([resource, amount]) => (CLASSES as string[]).includes(resource) && provider.used[resource as ResourceClass] + amount <= capacityOf(provider, resource as ResourceClass))

export function candidatesView(minor: number, providers: readonly ProviderFacts[], wanted: Record<string, number>) {
  const fitting = providers.filter((provider) => hasRoom(provider, wanted))
  const allocation = (provider: ProviderFacts) =>
    minor >= 12 ? { allocations: { [provider.id]: { resources: wanted } }, ...(minor >= 34 ? { mappings: { '': [provider.id] } } : {}) } : { allocations: [{ resource_provider: { uuid: provider.id }, resources: wanted }] }
  const summary = (provider: ProviderFacts) => ({
    resources: Object.fromEntries(CLASSES.filter((resource) => minor >= 27 || resource in wanted).map((resource) => [resource, { capacity: capacityOf(provider, resource), used: provider.used[resource] }])),
    ...(minor >= 17 ? { traits: provider.traits } : {}), ...(minor >= 29 ? { parent_provider_uuid: null, root_provider_uuid: provider.id } : {}),
  })
  return { allocation_requests: fitting.map(allocation), provider_summaries: Object.fromEntries(fitting.map((provider) => [provider.id, summary(provider)])) }
}
