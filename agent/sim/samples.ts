/** Desired items as tests need them: small and whole. */
import type { DesiredItem, DiskSpec, ImageRef, NetworkSpec, PortSpec, ServerSpec } from '../../schema/agent/desired.ts'

export const networkItem = (id: string, generation = 1, spec: Partial<NetworkSpec> = {}): DesiredItem<'network'> => ({
  kind: 'network', id, project_id: 'p1', generation, state: 'present',
  spec: { segment_id: 100, mtu: 1450, type: 'tenant', physical_network: null, dhcp_mac: null, peers: [], subnets: [{ id: `${id}-s`, ip_version: 4, cidr: '10.0.0.0/24', gateway_ip: '10.0.0.1', enable_dhcp: false, dhcp_ip: null, dns_nameservers: [], host_routes: [] }], ...spec },
})

export const portItem = (id: string, network_id: string, server_id: string | null, generation = 1, spec: Partial<PortSpec> = {}): DesiredItem<'port'> => ({
  kind: 'port', id, project_id: 'p1', generation, state: 'present',
  spec: {
    network_id, server_id, mac_address: 'fa:16:3e:00:00:01', fixed_ips: [{ subnet_id: `${network_id}-s`, ip_address: '10.0.0.5' }], admin_state_up: true, port_security_enabled: true, rules: [], allowed_address_pairs: [], hostname: 'vm', extra_dhcp_opts: [], ...spec,
  },
})

export const volumeItem = (id: string, generation = 1, size_gib = 1): DesiredItem<'volume'> => ({ kind: 'volume', id, project_id: 'p1', generation, state: 'present', spec: { size_gib, source: null } })

export const imageDisk = (image: ImageRef, size_gib = 1): DiskSpec => ({ id: 'root', serial: 'root', boot: true, source: { type: 'image', image, size_gib } })
export const volumeDisk = (volume_id: string, size_gib = 1): DiskSpec => ({ id: volume_id, serial: volume_id, boot: false, source: { type: 'volume', size_gib, connection: { type: 'local', volume_id } } })

export function serverItem(id: string, generation = 1, spec: Partial<ServerSpec> = {}): DesiredItem<'server'> {
  const metadata = {
    uuid: id, name: id, hostname: id, project_id: 'p1', availability_zone: 'nova', launch_index: 0, instance_type: 'm1.tiny', meta: {}, public_keys: {}, keys: [], user_data_base64: null, admin_pass: null, network_data: {},
  }
  return {
    kind: 'server', id, project_id: 'p1', generation, state: 'present',
    spec: { name: id, vcpus: 1, ram_mib: 128, power: 'on', incarnation: 1, root_generation: 1, disks: [{ id: 'root', serial: 'root', boot: true, source: { type: 'blank', size_gib: 1 } }], nics: [], config_drive: false, metadata, properties: {}, ...spec },
  }
}

/** The same item, absent, one generation on. */
export const absent = <K extends DesiredItem['kind']>(item: DesiredItem<K>): DesiredItem<K> => ({ ...item, generation: item.generation + 1, state: 'absent' })
