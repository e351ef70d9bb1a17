/** Rows -> what a host needs. Pure: the same rows always compile to the same text, so that "nothing changed" can be seen by comparing. */
import type { NetworkSpec, PortSpec, RouterSpec, SecurityRule, SubnetSpec } from '../../../schema/agent/desired.ts'
import type { FloatingIpRow, NetworkRow, PortRow, RouterRow, SecurityGroupRuleRow, SubnetRow } from '../../../schema/project/network.ts'
import { cidrFrom } from '../../../schema/values/ip.ts'

export interface Peer {
  host_id: string
  tunnel_ip: string
}

export function compileSubnet(subnet: SubnetRow, dhcp: Pick<PortRow, 'fixed_ips'> | null): SubnetSpec {
  return {
    id: subnet.id, ip_version: subnet.ip_version, cidr: subnet.cidr, gateway_ip: subnet.gateway_ip, enable_dhcp: subnet.enable_dhcp,
    dhcp_ip: subnet.enable_dhcp ? (dhcp?.fixed_ips.find((fixed) => fixed.subnet_id === subnet.id)?.ip_address ?? null) : null,
    dns_nameservers: subnet.dns_nameservers, host_routes: subnet.host_routes,
  }
}

/** Null while the network has no segment yet. */
export function compileNetwork(network: NetworkRow, subnets: readonly SubnetRow[], dhcp: PortRow | null, peers: readonly Peer[]): NetworkSpec | null {
  if (network.segment_id === null) return null
  const compiled = subnets.map((subnet) => compileSubnet(subnet, dhcp))
  return {
    segment_id: network.segment_id, mtu: network.mtu, type: network.physical_network === null ? 'tenant' : 'external', physical_network: network.physical_network,
    subnets: compiled, dhcp_mac: compiled.some((subnet) => subnet.dhcp_ip !== null) ? (dhcp?.mac_address ?? null) : null,
    peers: [...peers].sort((a, b) => (a.host_id < b.host_id ? -1 : 1)),
  }
}

/** Rules with remote groups expanded to the addresses of their members. A remote group without members lets nothing in. */
export function expandRules(rules: readonly SecurityGroupRuleRow[], membersOf: (groupId: string, version: 4 | 6) => string[]): SecurityRule[] {
  const expanded = rules.map((rule) => ({
    direction: rule.direction, ethertype: rule.ethertype, protocol: normalProtocol(rule), port_range_min: rule.port_range_min, port_range_max: rule.port_range_max,
    remote_cidrs: rule.remote_group_id !== null ? membersOf(rule.remote_group_id, rule.ethertype === 'IPv4' ? 4 : 6) : rule.remote_ip_prefix !== null ? [rule.remote_ip_prefix] : null,
  }))
  const seen = new Map(expanded.map((rule) => [JSON.stringify(rule), rule]))
  return [...seen].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, rule]) => rule)
}

const V6_ICMP = new Set(['icmp', 'icmpv6', 'ipv6-icmp', '1', '58'])
const normalProtocol = (rule: SecurityGroupRuleRow): string | null => {
  if (rule.protocol === null || rule.protocol === 'any' || rule.protocol === '0') return null
  return rule.ethertype === 'IPv6' && V6_ICMP.has(rule.protocol) ? 'icmpv6' : rule.protocol
}

export function compilePort(port: PortRow, rules: SecurityRule[]): PortSpec {
  return {
    network_id: port.network_id, mac_address: port.mac_address, fixed_ips: port.fixed_ips, server_id: port.device_id === '' ? null : port.device_id, admin_state_up: port.admin_state_up,
    port_security_enabled: port.port_security_enabled, rules: port.port_security_enabled ? rules : [],
    allowed_address_pairs: port.allowed_address_pairs, hostname: port.dns_name === '' ? null : port.dns_name, extra_dhcp_opts: port.extra_dhcp_opts,
  }
}

export interface RouterParts {
  router: RouterRow
  interfaces: readonly PortRow[]
  gateway: PortRow | null
  floatingIps: readonly FloatingIpRow[]
  subnet(id: string): SubnetRow | undefined
}

export function compileRouter({ router, interfaces, gateway, floatingIps, subnet }: RouterParts): RouterSpec {
  const withPrefix = (fixed: PortRow['fixed_ips'][number]) => ({ ip_address: fixed.ip_address, prefix_length: prefixOf(subnet(fixed.subnet_id)) })
  return {
    admin_state_up: router.admin_state_up,
    interfaces: [...interfaces].sort(byId).map((port) => ({ port_id: port.id, network_id: port.network_id, mac_address: port.mac_address, fixed_ips: port.fixed_ips.map(withPrefix) })),
    gateway: gateway === null ? null : {
      port_id: gateway.id, network_id: gateway.network_id, mac_address: gateway.mac_address, enable_snat: router.enable_snat,
      fixed_ips: gateway.fixed_ips.map((fixed) => ({ ...withPrefix(fixed), gateway_ip: subnet(fixed.subnet_id)?.gateway_ip ?? null })),
    },
    floating_ips: [...floatingIps].sort(byId).flatMap((fip) => (fip.fixed_ip_address === null ? [] : [{ id: fip.id, floating_ip: fip.floating_ip_address, fixed_ip: fip.fixed_ip_address }])),
    routes: router.routes,
  }
}

const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1)
const prefixOf = (subnet: SubnetRow | undefined): number => (subnet === undefined ? 32 : cidrFrom(subnet.cidr).prefix)
