/**
 * What the stores of one project may ask of each other inside a transaction: a server takes its ports and volumes with it or not at all. The object's
 * index wires these; a store never imports another service's store.
 */
import type { DesiredItem, DiskSpec, PortSpec } from '../../schema/agent/desired.ts'
import type { ObservedItem } from '../../schema/agent/observed.ts'
import type { Caller } from '../../schema/values/caller.ts'
import type { Deps, Tx } from '../kernel/deps.ts'
import type { Quotas } from './quota.ts'

/** A network owned by another project (shared or external), as its owner described it; addresses were claimed there beforehand. */
export interface ForeignNetwork {
  id: string
  owner_id: string
  name: string
  segment_id: number
  mtu: number
  external: boolean
  shared: boolean
  physical_network: string | null
  port_security_enabled: boolean
  dhcp_mac: string | null
  subnets: import('../../schema/agent/desired.ts').SubnetSpec[]
}

export interface PortRequest {
  /** An existing port of this project... */
  port_id?: string
  /** ...or a new one on this network. */
  network_id?: string
  fixed_ip?: string | null
  /** Where the network is another project's: its description and the addresses claimed there, under the port id chosen for it. */
  foreign?: { network: ForeignNetwork; port_id: string; fixed_ips: { subnet_id: string; ip_address: string }[] }
  tag?: string | null
}

/** A port as compute needs it. */
export interface PortInfo {
  id: string
  network_id: string
  network_name: string
  mac_address: string
  status: string
  mtu: number
  fixed_ips: { subnet_id: string; ip_address: string; version: 4 | 6; cidr: string; gateway_ip: string | null; dns_nameservers: string[]; enable_dhcp: boolean }[]
  floating_ips: { fixed_ip: string; floating_ip: string }[]
  security_groups: { id: string; name: string }[]
  /** True where compute made it, and so deletes it with the server. */
  owned_by_server: boolean
  tag: string | null
  /** Where it is bound; null is nowhere. */
  host_id: string | null
}

export interface PortsPeer {
  /** Existing or new port for a server. Faults as Neutron's client errors (over quota, no addresses, in use, not found -> bad_request for Nova to word). */
  takeForServer(tx: Tx, caller: Caller, request: PortRequest & { server_id: string; server_name: string; security_groups: string[] | null; availability_zone: string }): PortInfo
  ofServer(serverId: string): PortInfo[]
  /** Sets binding:host_id and promises the host its port, network (and withdraws them from the host before, if any). null unbinds. */
  bind(tx: Tx, caller: Caller, serverId: string, hostId: string | null): void
  /** Detaches: ports the server owns are deleted, others unbound. `portId` absent: all. */
  release(tx: Tx, caller: Caller, serverId: string, portId?: string): void
  /** Networks a server may use by default: own, else shared ones are not considered here. */
  networks(): { id: string; name: string; subnets: number }[]
  securityGroups(): { id: string; name: string }[]
  addSecurityGroup(tx: Tx, caller: Caller, serverId: string, nameOrId: string): void
  removeSecurityGroup(tx: Tx, caller: Caller, serverId: string, nameOrId: string): void
}

export interface VolumeInfo {
  id: string
  name: string
  size_gib: number
  status: string
  bootable: boolean
  multiattach: boolean
  availability_zone: string
  image_metadata: Record<string, string>
  host_id: string | null
}

export interface VolumesPeer {
  get(volumeId: string): VolumeInfo | null
  /** available -> reserved/attaching for this server, with an attachment row; Fault bad_request/conflict otherwise. */
  reserve(tx: Tx, caller: Caller, volumeId: string, serverId: string, device: string | null): { attachment_id: string }
  /** Connects the reserved attachment for the host the server runs on: promises the export (if not local) and returns how QEMU reaches it. */
  connect(tx: Tx, caller: Caller, attachmentId: string, hostId: string): DiskSpec
  /** The guest has it (or the host confirmed): attaching -> in-use. */
  complete(tx: Tx, caller: Caller, attachmentId: string): void
  /** in-use -> detaching. */
  beginDetach(tx: Tx, caller: Caller, attachmentId: string): void
  /** Detached for good, or attach undone: removes the export and the attachment row; status back to available (or error). */
  detach(tx: Tx, caller: Caller, attachmentId: string): void
  /** The server left its host and keeps the volume (shelved, or to be built elsewhere): back to reserved, no export. */
  park(tx: Tx, caller: Caller, attachmentId: string): void
  attachmentsOf(serverId: string): { id: string; volume_id: string; device: string | null; status: string; delete_on_termination: boolean }[]
  /** New volume for a block device mapping; becomes available by itself, then compute reserves it. */
  create(tx: Tx, caller: Caller, request: { id: string; size_gib: number; source: { type: 'image' | 'snapshot' | 'volume' | 'blank'; id?: string; image?: import('../../schema/agent/desired.ts').ImageRef }; name: string; availability_zone: string; volume_type?: string | null }): void
  delete(tx: Tx, caller: Caller, volumeId: string): void
}

export interface ServersPeer {
  /** For Neutron (device_id checks) and Cinder (attachment views). */
  get(serverId: string): { id: string; name: string; host_id: string | null; vm_state: string } | null
  /** True until its host has let go of it, also where its tenant sees it no more. */
  exists(serverId: string): boolean
  /** Its ports, their addresses or floating IPs changed: its host makes the machine fit, and updated_at moves. */
  touched(tx: Tx, serverId: string): void
  /** Volume side became ready/failed while a server waits for it (boot from volume, attach). */
  volumeChanged(tx: Tx, volumeId: string, status: string): void
}

export interface Peers {
  quotas: Quotas
  ports: PortsPeer
  volumes: VolumesPeer
  servers: ServersPeer
}

const wired = new WeakMap<Deps, Peers>()

export const setPeers = (deps: Deps, peers: Peers): void => void wired.set(deps, peers)

export function peersOf(deps: Deps): Peers {
  const found = wired.get(deps)
  if (found === undefined) throw new Error('the project is not wired yet')
  return found
}

/** Folds what a host reported about one of this service's kinds. Runs in one transaction per batch; older generations are dropped by the store. */
export type Fold = (tx: Tx, hostId: string, item: ObservedItem) => void

export type { DesiredItem, PortSpec }
