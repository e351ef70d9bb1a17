/**
 * Where a volume goes: filter the hosts, weigh what is left, say what each filter left over. Pure: the Region object reads hosts and allocations, asks here, and
 * claims in one transaction. Names of filters are upstream's (cinder/scheduler/filters).
 */
import type { HostRow } from '../../agents/hosts/store.ts'

export interface PlaceRequest {
  volume_id: string
  project_id: string
  size_gib: number
  extra_specs: Record<string, string>
  /** null: any. */
  availability_zone: string | null
  /** Clones and volumes of snapshots stay where their source is. */
  host_id: string | null
  /** Hosts of volumes that the hints name. */
  same_host: string[] | null
  different_host: string[]
}

export interface Backend {
  host: HostRow
  driver: string
  pool: string
  total_gib: number
  free_gib: number
  provisioned_gib: number
  volumes: number
  disabled: boolean
}

export type Weigher = 'fewest_volumes' | 'capacity'

export interface PlaceOptions {
  weigher: Weigher
  /** Provisioned over physical: sparse volumes take less than their size. */
  over_subscription_ratio: number
}

export const PLACE_DEFAULTS: PlaceOptions = { weigher: 'fewest_volumes', over_subscription_ratio: 20 }

export interface FunnelStep {
  filter: string
  start: number
  end: number
}

export const VENDOR = 'Skyhook'
export const PROTOCOL = 'iSCSI'
export const DRIVER_VERSION = '1.0.0'

/** host@driver#pool: what admins and pool listings call a backend. */
export const backendName = (backend: Pick<Backend, 'driver' | 'pool'> & { host: { name: string } }): string => `${backend.host.name}@${backend.driver}#${backend.pool}`

/** What a type's extra specs are compared with. */
export const capabilities = (backend: Backend): Record<string, string> => ({ volume_backend_name: backend.driver, vendor_name: VENDOR, storage_protocol: PROTOCOL, driver_version: DRIVER_VERSION, pool_name: backend.pool })

/** Scoped keys other than capabilities: speak to others (drivers, Nova); unscoped keys and capabilities: must match. */
function suits(backend: Backend, specs: Record<string, string>): boolean {
  const own = capabilities(backend)
  return Object.entries(specs).every(([key, wanted]) => {
    const name = key.startsWith('capabilities:') ? key.slice('capabilities:'.length) : key
    if (name.includes(':')) return true
    if (name === 'multiattach' || name === 'replication_enabled' || name === 'thin_provisioning_support') return true
    const value = own[name]
    const options = wanted.startsWith('<or> ') ? wanted.slice(5).split(' <or> ') : [wanted.replace(/^<is> |^s== /, '')]
    return value !== undefined && options.some((option) => option.toLowerCase() === value.toLowerCase())
  })
}

const FILTERS: [name: string, keeps: (backend: Backend, request: PlaceRequest, options: PlaceOptions) => boolean][] = [
  ['ServiceFilter', ({ host, disabled }) => host.up && !host.disabled && !host.forced_down && !disabled],
  ['AvailabilityZoneFilter', ({ host }, { availability_zone }) => availability_zone === null || host.availability_zone === availability_zone],
  ['SourceHostFilter', ({ host }, { host_id }) => host_id === null || host.id === host_id],
  ['CapabilitiesFilter', (backend, { extra_specs }) => suits(backend, extra_specs)],
  ['CapacityFilter', (backend, { size_gib }, options) => backend.free_gib > 0 && backend.provisioned_gib + size_gib <= backend.total_gib * options.over_subscription_ratio],
  ['SameBackendFilter', ({ host }, { same_host }) => same_host === null || same_host.includes(host.id)],
  ['DifferentBackendFilter', ({ host }, { different_host }) => !different_host.includes(host.id)],
]

/** More is better. */
const weight = (backend: Backend, options: PlaceOptions): number =>
  options.weigher === 'capacity' ? backend.total_gib * options.over_subscription_ratio - backend.provisioned_gib : -backend.volumes

export function place(request: PlaceRequest, backends: readonly Backend[], options: PlaceOptions): { chosen: Backend | null; funnel: FunnelStep[] } {
  const funnel: FunnelStep[] = []
  let left = [...backends]
  for (const [filter, keeps] of FILTERS) {
    const kept = left.filter((backend) => keeps(backend, request, options))
    funnel.push({ filter, start: left.length, end: kept.length })
    left = kept
  }
  left.sort((a, b) => weight(b, options) - weight(a, options) || b.free_gib - a.free_gib || a.host.name.localeCompare(b.host.name))
  return { chosen: left[0] ?? null, funnel }
}

/** 'AvailabilityZoneFilter (3 -> 0)': the first filter that left nothing. */
export function explain(funnel: readonly FunnelStep[]): string {
  const steps = funnel.map(({ filter, start, end }) => `${filter} ${start} -> ${end}`)
  const at = funnel.findIndex((step) => step.end === 0)
  return `No valid backend was found: ${steps.slice(0, at < 0 ? steps.length : at + 1).join(', ')}.`
}
