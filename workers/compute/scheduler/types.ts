/** What the scheduler is asked, what it knows of each host, and what it answers. Plain JSON. */
export interface Resources {
  vcpus: number
  ram_mib: number
  disk_gib: number
}

export interface PlaceRequest {
  consumer_id: string
  project_id: string
  user_id: string
  resources: Resources
  /** Asked for by the tenant; null is any. */
  availability_zone: string | null
  /** `az:host` of an admin: name of the one host that may be. */
  forced_host: string | null
  /** Ids of hosts that failed this server before. */
  excluded_hosts: string[]
  extra_specs: Record<string, string>
  image_properties: Record<string, string>
  /** Scheduler hints: same_host, different_host (ids of servers, resolved to host ids by the project). */
  same_hosts: string[] | null
  different_hosts: string[]
  group: { id: string; policy: string; host_ids: string[]; max_server_per_host: number } | null
}

export interface AggregateInfo {
  name: string
  metadata: Record<string, string>
}

export interface HostState {
  id: string
  name: string
  up: boolean
  disabled: boolean
  availability_zone: string
  hypervisor_type: string
  arch: string
  aggregates: AggregateInfo[]
  /** What may be allocated in all: capacity times overcommit, less what is reserved. */
  total: Resources
  used: Resources
  servers: number
}

export interface Placement {
  host: HostState
  /** The next best, in order: where to go when the first refuses. */
  alternates: string[]
  funnel: FunnelStep[]
}

/** One filter's work: how many hosts came in, how many were left. */
export interface FunnelStep {
  filter: string
  start: number
  end: number
}

export interface Filter {
  name: string
  passes(host: HostState, request: PlaceRequest): boolean
}

export interface Weigher {
  name: string
  multiplier: number
  /** Any number; hosts are compared after scaling to 0..1 over the hosts at hand. */
  weigh(host: HostState, request: PlaceRequest): number
}
