/** Filters by upstream's names, in the order they are tried (nova/scheduler/filters). Capacity comes last, by resource class, so that a funnel says which one ran out. */
import type { Filter, HostState, PlaceRequest, Resources } from '../types.ts'

const spec = (request: PlaceRequest, prefix: string): [string, string][] => Object.entries(request.extra_specs).filter(([key]) => key.startsWith(prefix)).map(([key, value]) => [key.slice(prefix.length), value])

/** Extra spec values: a plain text, or an operator and an operand (nova/scheduler/filters/extra_specs_ops.py). */
export function matches(actual: string | undefined, wanted: string): boolean {
  const words = wanted.trim().split(/\s+/)
  const [operator = '', ...operands] = words
  if (operator === '<or>') return words.some((word, i) => words[i - 1] === '<or>' && word === actual)
  if (actual === undefined) return false
  if (operator === '<in>') return operands.every((operand) => operand === '<in>' || actual.includes(operand))
  const operand = operands[0] ?? ''
  switch (operator) {
    case '=':
    case '>=':
      return Number(actual) >= Number(operand)
    case '<=':
      return Number(actual) <= Number(operand)
    case '==':
      return Number(actual) === Number(operand)
    case '!=':
      return Number(actual) !== Number(operand)
    case 's==':
      return actual === operand
    case 's!=':
      return actual !== operand
    case 's<':
      return actual < operand
    case 's<=':
      return actual <= operand
    case 's>':
      return actual > operand
    case 's>=':
      return actual >= operand
    default:
      return actual === wanted
  }
}

const room = (name: string, key: keyof Resources): Filter => ({ name, passes: (host, request) => host.used[key] + request.resources[key] <= host.total[key] })

const capabilities = (host: HostState): Record<string, string> => ({ hypervisor_type: host.hypervisor_type, 'cpu_info:arch': host.arch, vcpus_total: String(host.total.vcpus), memory_mb: String(host.total.ram_mib) })

export const FILTERS: readonly Filter[] = [
  { name: 'ComputeFilter', passes: (host) => host.up && !host.disabled },
  { name: 'ForcedHost', passes: (host, request) => request.forced_host === null || host.name === request.forced_host },
  { name: 'RetryFilter', passes: (host, request) => !request.excluded_hosts.includes(host.id) },
  { name: 'AvailabilityZoneFilter', passes: (host, request) => request.availability_zone === null || host.availability_zone === request.availability_zone },
  {
    name: 'ComputeCapabilitiesFilter',
    passes: (host, request) => spec(request, 'capabilities:').every(([key, wanted]) => matches(capabilities(host)[key], wanted)),
  },
  {
    name: 'ImagePropertiesFilter',
    passes: (host, request) => {
      const { hw_architecture, architecture, img_hv_type, hypervisor_type } = request.image_properties
      const arch = hw_architecture ?? architecture
      const type = img_hv_type ?? hypervisor_type
      return (arch === undefined || arch === host.arch) && (type === undefined || [host.hypervisor_type, 'qemu', 'kvm'].includes(type.toLowerCase()))
    },
  },
  {
    name: 'AggregateInstanceExtraSpecsFilter',
    passes: (host, request) => spec(request, 'aggregate_instance_extra_specs:').every(([key, wanted]) => host.aggregates.some((aggregate) => matches(aggregate.metadata[key], wanted))),
  },
  {
    name: 'AggregateMultiTenancyIsolation',
    passes: (host, request) => {
      const tenants = host.aggregates.flatMap((aggregate) => Object.entries(aggregate.metadata).filter(([key]) => key.startsWith('filter_tenant_id')).flatMap(([, value]) => value.split(',').map((id) => id.trim())))
      return tenants.length === 0 || tenants.includes(request.project_id)
    },
  },
  { name: 'SameHostFilter', passes: (host, request) => request.same_hosts === null || request.same_hosts.includes(host.id) },
  { name: 'DifferentHostFilter', passes: (host, request) => !request.different_hosts.includes(host.id) },
  {
    name: 'ServerGroupAntiAffinityFilter',
    passes: (host, request) => request.group?.policy !== 'anti-affinity' || request.group.host_ids.filter((id) => id === host.id).length < request.group.max_server_per_host,
  },
  { name: 'ServerGroupAffinityFilter', passes: (host, request) => request.group?.policy !== 'affinity' || request.group.host_ids.length === 0 || request.group.host_ids.includes(host.id) },
  room('VCPU', 'vcpus'),
  room('MEMORY_MB', 'ram_mib'),
  room('DISK_GB', 'disk_gib'),
]
