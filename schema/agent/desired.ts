/**
 * What the plane wants on one host. Level-triggered: the agent gets a snapshot or the changes since a version, and
 * converges; nothing depends on a message having arrived. An item leaves a host only by an explicit `state: 'absent'`.
 * Units are in the names: _mib, _gib, _ms. Shapes are plain JSON.
 */

export type Kind = 'network' | 'port' | 'router' | 'volume' | 'snapshot' | 'export' | 'server'

/** The order in which kinds are made; they are removed in the reverse order. */
export const KIND_ORDER: readonly Kind[] = ['network', 'port', 'router', 'volume', 'snapshot', 'export', 'server']

export interface DesiredItem<K extends Kind = Kind> {
  kind: K
  id: string
  /** The owner of the resource (which Project object folds the reports). */
  project_id: string
  /** Bumped by the owner at each change of spec or state; an older or equal one is ignored. */
  generation: number
  state: 'present' | 'absent'
  /** Kept on absent items too: removal may need it (which image, which target). */
  spec: SpecOf[K]
}

export interface SpecOf {
  network: NetworkSpec
  port: PortSpec
  router: RouterSpec
  volume: VolumeSpec
  snapshot: SnapshotSpec
  export: ExportSpec
  server: ServerSpec
}

// ---------------------------------------------------------------- network

export interface SubnetSpec {
  id: string
  ip_version: 4 | 6
  cidr: string
  gateway_ip: string | null
  enable_dhcp: boolean
  /** The address of the network:dhcp port in this subnet; null where DHCP is off. */
  dhcp_ip: string | null
  dns_nameservers: string[]
  host_routes: { destination: string; nexthop: string }[]
}

export interface NetworkSpec {
  /** Overlay segment id, unique in the region; 24 bits (VXLAN VNI). */
  segment_id: number
  mtu: number
  /** `external`: plugged into the host's provider bridge (named by physical_network); `tenant`: overlay. */
  type: 'tenant' | 'external'
  physical_network: string | null
  subnets: SubnetSpec[]
  /** MAC of the distributed DHCP/metadata port; null where no subnet has DHCP. */
  dhcp_mac: string | null
  /** Where to send overlay frames: the tunnel addresses of the other hosts that carry this network. */
  peers: { host_id: string; tunnel_ip: string }[]
}

export interface SecurityRule {
  direction: 'ingress' | 'egress'
  ethertype: 'IPv4' | 'IPv6'
  /** IANA name or number as text, null is any. 'icmp', 'icmpv6', 'tcp', 'udp', '112'... */
  protocol: string | null
  /** Ports, or ICMP type and code. */
  port_range_min: number | null
  port_range_max: number | null
  /** Expanded remote: CIDRs of remote_ip_prefix or of the remote group's members. null is any. */
  remote_cidrs: string[] | null
}

export interface PortSpec {
  network_id: string
  mac_address: string
  fixed_ips: { subnet_id: string; ip_address: string }[]
  /** The server that uses the port (its tap is named by tapName(port id)); null for a port without a server here. */
  server_id: string | null
  admin_state_up: boolean
  /** False: neither anti-spoofing nor rules. True with no rules: nothing but DHCP passes. */
  port_security_enabled: boolean
  rules: SecurityRule[]
  allowed_address_pairs: { ip_address: string; mac_address: string }[]
  /** Served by DHCP: hostname and options by number or dnsmasq name. Values are validated, never raw config. */
  hostname: string | null
  extra_dhcp_opts: { opt_name: string; opt_value: string; ip_version: 4 | 6 }[]
}

export interface RouterSpec {
  admin_state_up: boolean
  interfaces: { port_id: string; network_id: string; mac_address: string; fixed_ips: { ip_address: string; prefix_length: number }[] }[]
  gateway: null | {
    port_id: string
    network_id: string
    mac_address: string
    fixed_ips: { ip_address: string; prefix_length: number; gateway_ip: string | null }[]
    enable_snat: boolean
  }
  floating_ips: { id: string; floating_ip: string; fixed_ip: string }[]
  routes: { destination: string; nexthop: string }[]
}

// ---------------------------------------------------------------- volume

export interface VolumeSpec {
  size_gib: number
  /** Made once, at the volume's birth. `image` is fetched from the plane and written as raw. */
  source: null | { type: 'volume' | 'snapshot'; id: string } | { type: 'image'; image: ImageRef }
}

export interface SnapshotSpec {
  volume_id: string
}

/** One volume offered to one initiator host over iSCSI. id of the item is the attachment id. */
export interface ExportSpec {
  volume_id: string
  iqn: string
  lun: number
  chap_user: string
  chap_secret: string
}

// ---------------------------------------------------------------- server

/** An image as a host fetches it: GET /agents/v1/images/{id}/file with the host's signature. */
export interface ImageRef {
  id: string
  /** The project whose object has the image row. */
  owner_id: string
  size_bytes: number
  sha512: string
  disk_format: string
  /** Glance properties that shape the machine: hw_disk_bus, hw_vif_model, hw_firmware_type... */
  properties: Record<string, string>
}

export type VolumeConnection =
  | { type: 'local'; volume_id: string }
  | { type: 'iscsi'; portal: string; iqn: string; lun: number; chap_user: string; chap_secret: string }

export interface DiskSpec {
  /** 'root' for the local root disk, else the volume id. */
  id: string
  /** Disk serial in the guest: its first 20 characters become /dev/disk/by-id/virtio-*. */
  serial: string
  boot: boolean
  source:
    | { type: 'image'; image: ImageRef; size_gib: number }
    | { type: 'blank'; size_gib: number }
    | { type: 'volume'; size_gib: number; connection: VolumeConnection }
}

export interface ServerSpec {
  name: string
  vcpus: number
  ram_mib: number
  /** What the tenant wants. A guest that shuts itself down is reported, not restarted; a host that rebooted restarts it. */
  power: 'on' | 'off' | 'paused' | 'suspended'
  /** Bumped when the machine must be started anew with this spec (resize, rebuild). */
  incarnation: number
  /** Bumped when the root disk must be made anew from its image (rebuild). */
  root_generation: number
  disks: DiskSpec[]
  nics: { port_id: string; mac_address: string; mtu: number }[]
  config_drive: boolean
  /** Served at 169.254.169.254 and written on the config drive. */
  metadata: ServerMetadata
  properties: Record<string, string>
}

export interface ServerMetadata {
  uuid: string
  name: string
  hostname: string
  project_id: string
  availability_zone: string
  launch_index: number
  instance_type: string
  meta: Record<string, string>
  public_keys: Record<string, string>
  keys: { name: string; type: 'ssh' | 'x509'; data: string }[]
  /** base64, as given to Nova; null is none. */
  user_data_base64: string | null
  admin_pass: string | null
  /** network_data.json of OpenStack's metadata service: links, networks, services. */
  network_data: unknown
}

/** Linux interface name of a port's tap, 14 characters: 'tap' + the first 11 of the port id, as Neutron does. */
export const tapName = (portId: string): string => `tap${portId.slice(0, 11)}`
