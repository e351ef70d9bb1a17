/** Rows to specs: what a host needs, the same text for the same rows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NetworkRow, PortRow, RouterRow, SecurityGroupRuleRow, SubnetRow } from '../../../schema/project/network.ts'
import { compileNetwork, compilePort, compileRouter, expandRules } from './compile.ts'

const standard = { name: 'n', description: '', revision_number: 1, created_ms: 0, updated_ms: 0, tags: [] }
const network: NetworkRow = { ...standard, id: 'net', admin_state_up: true, status: 'ACTIVE', shared: false, external: false, is_default: false, mtu: 1450, port_security_enabled: true, network_type: 'vxlan', physical_network: null, segment_id: 5000, dns_domain: '', availability_zone_hints: [] }
const subnet: SubnetRow = {
  ...standard, id: 'sub', network_id: 'net', ip_version: 4, cidr: '10.0.0.0/24', gateway_ip: '10.0.0.1', enable_dhcp: true, allocation_pools: [], dns_nameservers: ['9.9.9.9'], host_routes: [], ipv6_ra_mode: null, ipv6_address_mode: null,
  subnetpool_id: null, service_types: [], dns_publish_fixed_ip: false,
}
const port: PortRow = {
  ...standard, id: 'port', network_id: 'net', network_owner_id: null, mac_address: 'fa:16:3e:00:00:01', admin_state_up: true, status: 'DOWN', device_id: 'server', device_owner: 'compute:nova', fixed_ips: [{ subnet_id: 'sub', ip_address: '10.0.0.3' }],
  security_groups: ['g'], allowed_address_pairs: [], extra_dhcp_opts: [], port_security_enabled: true, host_id: 'h', vnic_type: 'normal', binding_profile: {}, dns_name: 'vm', dns_domain: '', owned_by_server: true, device_tag: null,
}
const rule = (part: Partial<SecurityGroupRuleRow>): SecurityGroupRuleRow => ({ id: 'r', security_group_id: 'g', direction: 'ingress', ethertype: 'IPv4', protocol: null, port_range_min: null, port_range_max: null, remote_ip_prefix: null, remote_group_id: null, description: '', revision_number: 0, created_ms: 0, updated_ms: 0, ...part })

test('a network without a segment is not sent; with one, DHCP is where its port has an address', () => {
  assert.equal(compileNetwork({ ...network, segment_id: null }, [subnet], null, []), null)
  const dhcp = { ...port, id: 'dhcp', mac_address: 'fa:16:3e:00:00:02', fixed_ips: [{ subnet_id: 'sub', ip_address: '10.0.0.2' }] }
  const spec = compileNetwork(network, [subnet], dhcp, [{ host_id: 'b', tunnel_ip: '2' }, { host_id: 'a', tunnel_ip: '1' }])
  assert.equal(spec?.dhcp_mac, 'fa:16:3e:00:00:02')
  assert.equal(spec?.subnets[0]?.dhcp_ip, '10.0.0.2')
  assert.deepEqual(spec?.peers.map((peer) => peer.host_id), ['a', 'b'])
  assert.equal(compileNetwork(network, [{ ...subnet, enable_dhcp: false }], dhcp, [])?.dhcp_mac, null)
  assert.equal(compileNetwork({ ...network, physical_network: 'public' }, [], null, [])?.type, 'external')
})

test('rules: remote groups become addresses, none of them lets nothing in; order and doubles do not matter', () => {
  const members = (_group: string, version: 4 | 6) => (version === 4 ? ['10.0.0.3/32'] : [])
  const rules = [rule({ remote_group_id: 'g' }), rule({ ethertype: 'IPv6', remote_group_id: 'g' }), rule({ protocol: 'icmp', ethertype: 'IPv6' }), rule({ remote_ip_prefix: '10.0.0.0/8' }), rule({})]
  const expanded = expandRules(rules, members)
  assert.deepEqual(expanded.find((one) => one.ethertype === 'IPv6' && one.protocol === null)?.remote_cidrs, [])
  assert.ok(expanded.some((one) => one.remote_cidrs === null && one.protocol === null))
  assert.equal(expanded.find((one) => one.protocol !== null)?.protocol, 'icmpv6')
  assert.deepEqual(expandRules([...rules].reverse().concat(rules), members), expanded)
})

test('a port without port security carries no rules', () => {
  assert.deepEqual(compilePort({ ...port, port_security_enabled: false }, expandRules([rule({})], () => [])).rules, [])
  assert.equal(compilePort(port, []).hostname, 'vm')
})

test('a router knows prefixes, the outside gateway and where floating IPs lead', () => {
  const router: RouterRow = { ...standard, id: 'r', admin_state_up: true, status: 'ACTIVE', gateway_port_id: 'gw', gateway_network_id: 'net', enable_snat: true, routes: [], host_id: 'h', availability_zone_hints: [] }
  const fip = { ...standard, id: 'f', floating_network_id: 'ext', network_owner_id: null, floating_ip_address: '172.24.4.9', subnet_id: 'x', status: 'DOWN', router_id: 'r', port_id: 'port', fixed_ip_address: '10.0.0.3', dns_name: '', dns_domain: '' }
  const spec = compileRouter({ router, interfaces: [port], gateway: { ...port, id: 'gw' }, floatingIps: [fip, { ...fip, id: 'g', fixed_ip_address: null }], subnet: () => subnet })
  assert.deepEqual(spec.gateway?.fixed_ips, [{ ip_address: '10.0.0.3', prefix_length: 24, gateway_ip: '10.0.0.1' }])
  assert.deepEqual(spec.floating_ips, [{ id: 'f', floating_ip: '172.24.4.9', fixed_ip: '10.0.0.3' }])
})
