/** What an agent says of its host. */
import type { Kind } from './desired.ts'

export type PowerState = 'nostate' | 'running' | 'paused' | 'shutdown' | 'crashed' | 'suspended'

export interface ObservedItem {
  kind: Kind
  id: string
  /** Generation of the desired item that this report is about; 0 for an orphan nobody asked for. */
  generation: number
  /** `ready`: as desired. `working`: not yet. `failed`: this generation cannot be had (see error). `gone`: not on the host (any more). */
  status: 'working' | 'ready' | 'failed' | 'gone'
  /** One sentence for the operator and, after redaction, the tenant's fault. */
  error?: string
  /** server only. */
  power?: PowerState
  /** volume/snapshot: bytes as measured. */
  size_bytes?: number
  /** server: what a disk's device is known by, as verified on the host. */
  disks?: { id: string; serial: string }[]
  /** True for what the host has and nobody asked for. Never destroyed by itself. */
  orphan?: boolean
}

/** Drivers and capacity, fingerprinted at start and when they change. Facts decide what the host offers. */
export interface HostFacts {
  hostname: string
  agent_version: string
  roles: HostRole[]
  /** Driver names in force: {hypervisor:'qemu', volume:'file', network:'ovs', object:'xfs'}; 'fake' on simulated hosts. */
  drivers: Partial<Record<'hypervisor' | 'volume' | 'network' | 'object' | 'directory', string>>
  simulated: boolean
  cpu: { cores: number; model: string; arch: string }
  ram_mib: number
  disk_gib: number
  /** 'kvm' where a machine really started with it, else 'tcg'. */
  acceleration: 'kvm' | 'tcg' | 'none'
  hypervisor_version: number
  /** Address other hosts reach this one at, for tunnels and iSCSI; null where none. */
  tunnel_ip: string | null
  storage_ip: string | null
  /** Provider bridges for external networks. */
  physical_networks: string[]
  volume_pools: { name: string; total_gib: number; free_gib: number }[]
  /** Where this host takes replicas from others on storage_ip; null where it does not. */
  object_port?: number | null
  object_devices: { name: string; total_bytes: number; free_bytes: number }[]
  uptime_s: number
}

export type HostRole = 'compute' | 'volume' | 'gateway' | 'object' | 'image' | 'directory'
