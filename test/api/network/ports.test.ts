/** Ports: addresses, security, what is refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { networkCloud, ok, refused, tenantNetwork } from './support.ts'

test('a port gets an address, a MAC and the default group; the address is free again after it', async (t) => {
  const { a, verify, close } = await networkCloud()
  t.after(close)
  const net = await tenantNetwork(a)
  const { port } = await ok(a('POST', '/ports', { port: { network_id: net.id, name: 'p' } }), 201)
  assert.deepEqual(port.fixed_ips, [{ subnet_id: net.subnet_id, ip_address: '10.0.0.3' }])
  assert.match(port.mac_address, /^fa:16:3e(:[0-9a-f]{2}){3}$/)
  assert.equal(port.status, 'DOWN')
  assert.equal(port['binding:host_id'], undefined)
  const { security_groups: groups } = await ok(a('GET', '/security-groups'), 200)
  assert.deepEqual(groups.map((one: { name: string }) => one.name), ['default'])
  assert.deepEqual(port.security_groups, [groups[0].id])
  await refused(a('POST', '/ports', { port: { network_id: net.id, fixed_ips: [{ ip_address: '10.0.0.3' }] } }), 409, 'IpAddressAlreadyAllocated', /already allocated/)
  await refused(a('POST', '/ports', { port: { network_id: net.id, fixed_ips: [{ ip_address: '10.9.0.3' }] } }), 400, 'InvalidIpForNetwork')
  await refused(a('POST', '/ports', { port: { network_id: net.id, fixed_ips: [{ subnet_id: net.subnet_id, ip_address: '10.0.0.255' }] } }), 400, 'InvalidIpForSubnet')
  await refused(a('POST', '/ports', { port: { network_id: net.id, mac_address: port.mac_address } }), 409, 'MacAddressInUse')
  await refused(a('POST', '/ports', { port: { network_id: net.id, fixed_ips: [{ what: 1 }] } }), 400, 'HTTPBadRequest', /fixed_ips/)
  await refused(a('POST', '/ports', { port: { network_id: net.id, security_groups: ['11111111-1111-4111-8111-111111111111'] } }), 404, 'SecurityGroupNotFound')
  await refused(a('POST', '/ports', { port: { network_id: '11111111-1111-4111-8111-111111111111' } }), 404, 'NetworkNotFound')
  await refused(a('DELETE', `/networks/${net.id}`), 409, 'NetworkInUse')
  await ok(a('DELETE', `/ports/${port.id}`), 204)
  const again = await ok(a('POST', '/ports', { port: { network_id: net.id, fixed_ips: [{ ip_address: '10.0.0.3' }] } }), 201)
  await ok(a('DELETE', `/ports/${again.port.id}`), 204)
  await ok(a('DELETE', `/networks/${net.id}`), 204)
  verify()
})

test('addresses change in place, the ones that stay are kept', async (t) => {
  const { a, verify, close } = await networkCloud()
  t.after(close)
  const net = await tenantNetwork(a)
  const { port } = await ok(a('POST', '/ports', { port: { network_id: net.id, fixed_ips: [{ ip_address: '10.0.0.50' }] } }), 201)
  const more = await ok(a('PUT', `/ports/${port.id}`, { port: { fixed_ips: [{ ip_address: '10.0.0.50' }, { ip_address: '10.0.0.60', subnet_id: net.subnet_id }] } }), 200)
  assert.deepEqual(more.port.fixed_ips.map((fixed: { ip_address: string }) => fixed.ip_address), ['10.0.0.50', '10.0.0.60'])
  const less = await ok(a('PUT', `/ports/${port.id}`, { port: { fixed_ips: [{ ip_address: '10.0.0.60' }] } }), 200)
  assert.equal(less.port.fixed_ips.length, 1)
  assert.equal((await ok(a('GET', '/ports?fixed_ips=ip_address=10.0.0.60'), 200)).ports.length, 1)
  assert.equal((await ok(a('GET', '/ports?fixed_ips=ip_address_substr=.0.6'), 200)).ports.length, 1)
  await ok(a('PUT', `/ports/${port.id}`, { port: { fixed_ips: [] } }), 200)
  verify()
})

test('a full pool says so, and takes nothing half', async (t) => {
  const { a, verify, close } = await networkCloud()
  t.after(close)
  const { network } = await ok(a('POST', '/networks', { network: {} }), 201)
  await ok(a('POST', '/subnets', { subnet: { network_id: network.id, ip_version: 4, cidr: '10.0.0.0/29', enable_dhcp: false, allocation_pools: [{ start: '10.0.0.2', end: '10.0.0.4' }] } }), 201)
  await refused(a('POST', '/ports', { ports: Array.from({ length: 4 }, () => ({ network_id: network.id })) }), 409, 'IpAddressGenerationFailure')
  assert.equal((await ok(a('GET', '/ports'), 200)).ports.length, 0)
  const { ports } = await ok(a('POST', '/ports', { ports: Array.from({ length: 3 }, () => ({ network_id: network.id })) }), 201)
  assert.equal(new Set(ports.map((port: { fixed_ips: { ip_address: string }[] }) => port.fixed_ips[0]?.ip_address)).size, 3)
  verify()
})

test('version 6: SLAAC addresses follow the MAC, stateful ones come from the pool', async (t) => {
  const { a, verify, close } = await networkCloud()
  t.after(close)
  const { network } = await ok(a('POST', '/networks', { network: {} }), 201)
  const slaac = (await ok(a('POST', '/subnets', { subnet: { network_id: network.id, ip_version: 6, cidr: '2001:db8:1::/64', ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac' } }), 201)).subnet
  const stateful = (await ok(a('POST', '/subnets', { subnet: { network_id: network.id, ip_version: 6, cidr: '2001:db8:2::/64', ipv6_address_mode: 'dhcpv6-stateful' } }), 201)).subnet
  const { port } = await ok(a('POST', '/ports', { port: { network_id: network.id, mac_address: 'fa:16:3e:01:02:03' } }), 201)
  const by = Object.fromEntries(port.fixed_ips.map((fixed: { subnet_id: string; ip_address: string }) => [fixed.subnet_id, fixed.ip_address]))
  assert.equal(by[slaac.id], '2001:db8:1:0:f816:3eff:fe01:203')
  assert.match(by[stateful.id] ?? '', /^2001:db8:2::/)
  await refused(a('POST', '/ports', { port: { network_id: network.id, fixed_ips: [{ subnet_id: slaac.id, ip_address: '2001:db8:1::77' }] } }), 400, 'InvalidInput', /automatic addresses/)
  await ok(a('DELETE', `/subnets/${slaac.id}`), 204)
  assert.equal((await ok(a('GET', `/ports/${port.id}`), 200)).port.fixed_ips.length, 1)
  verify()
})

test('pairs, options, port security', async (t) => {
  const { a, admin, verify, close } = await networkCloud()
  t.after(close)
  const net = await tenantNetwork(a)
  const { port } = await ok(a('POST', '/ports', { port: { network_id: net.id, allowed_address_pairs: [{ ip_address: '10.0.0.201' }], extra_dhcp_opts: [{ opt_name: 'bootfile-name', opt_value: 'a' }, { opt_name: 'mtu', opt_value: '9' }] } }), 201)
  assert.deepEqual(port.allowed_address_pairs, [{ ip_address: '10.0.0.201', mac_address: port.mac_address }])
  const changed = await ok(a('PUT', `/ports/${port.id}`, { port: { extra_dhcp_opts: [{ opt_name: 'mtu', opt_value: null }] } }), 200)
  assert.deepEqual(changed.port.extra_dhcp_opts, [{ opt_name: 'bootfile-name', opt_value: 'a', ip_version: 4 }])
  await refused(a('PUT', `/ports/${port.id}`, { port: { extra_dhcp_opts: [{ opt_name: 'x', opt_value: 'a\nb' }] } }), 400, 'HTTPBadRequest', /extra_dhcp_opts/)
  await refused(a('PUT', `/ports/${port.id}`, { port: { port_security_enabled: false } }), 409, 'PortSecurityPortHasSecurityGroup')
  await ok(a('PUT', `/ports/${port.id}`, { port: { port_security_enabled: false, security_groups: [], allowed_address_pairs: [] } }), 200)
  assert.equal((await a('PUT', `/ports/${port.id}`, { port: { 'binding:host_id': 'h' } })).status, 403)
  const seen = (await ok(admin('GET', `/ports/${port.id}`), 200)).port
  assert.equal(seen['binding:vif_type'], 'unbound')
  assert.equal((await a('POST', '/ports', { port: { network_id: net.id, device_owner: 'network:dhcp' } })).status, 403)
  verify()
})

test('an admin makes a port for himself on a tenant network, and it holds an address there', async (t) => {
  const { a, admin, verify, close } = await networkCloud()
  t.after(close)
  const net = await tenantNetwork(a)
  const { port } = await ok(admin('POST', '/ports', { port: { network_id: net.id, fixed_ips: [{ ip_address: '10.0.0.9' }], 'binding:host_id': 'nowhere' } }), 201)
  assert.equal(port.project_id, 'project-admin')
  await refused(a('POST', '/ports', { port: { network_id: net.id, fixed_ips: [{ ip_address: '10.0.0.9' }] } }), 409, 'IpAddressAlreadyAllocated')
  const moved = await ok(admin('PUT', `/ports/${port.id}`, { port: { fixed_ips: [{ ip_address: '10.0.0.10' }] } }), 200)
  assert.equal(moved.port.fixed_ips[0].ip_address, '10.0.0.10')
  verify()
  await ok(admin('DELETE', `/ports/${port.id}`), 204)
  await ok(a('POST', '/ports', { port: { network_id: net.id, fixed_ips: [{ ip_address: '10.0.0.10' }] } }), 201)
  const forTenant = await ok(admin('POST', '/ports', { port: { network_id: net.id, project_id: 'project-a' } }), 201)
  assert.equal((await ok(a('GET', `/ports/${forTenant.port.id}`), 200)).port.project_id, 'project-a')
  verify()
})

test('pages of ports cover all of them once', async (t) => {
  const { a, close } = await networkCloud()
  t.after(close)
  const net = await tenantNetwork(a)
  await ok(a('POST', '/ports', { ports: Array.from({ length: 7 }, (_, i) => ({ network_id: net.id, name: `p${i}` })) }), 201)
  const seen: string[] = []
  let path = '/ports?limit=3&sort_key=name&sort_dir=asc'
  while (path !== '') {
    const body = await ok(a('GET', path), 200)
    seen.push(...body.ports.map((port: { id: string }) => port.id))
    const next = body.ports_links?.find((link: { rel: string }) => link.rel === 'next')?.href as string | undefined
    path = next === undefined ? '' : next.slice(next.indexOf('/ports'))
  }
  assert.equal(seen.length, 8)
  assert.equal(new Set(seen).size, 8)
})

test('a thousand ports in one request stay quick', async (t) => {
  const { a, admin, verify, close } = await networkCloud()
  t.after(close)
  const net = await tenantNetwork(a, '10.0.0.0/16')
  await ok(admin('PUT', '/quotas/project-a', { quota: { port: -1 } }), 200)
  const started = performance.now()
  const { ports } = await ok(a('POST', '/ports', { ports: Array.from({ length: 1_000 }, () => ({ network_id: net.id })) }), 201)
  const took_ms = performance.now() - started
  assert.equal(ports.length, 1_000)
  assert.ok(took_ms < 30_000, `${took_ms} ms`)
  t.diagnostic(`bulk create of 1000 ports: ${Math.round(took_ms)} ms`)
  verify()
})
