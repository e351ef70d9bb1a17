/** Planted violations of network's invariants are found, each by its name; a sound project has none. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import type { Violation } from '../../../durable-objects/kernel/violation.ts'
import { type NetworkCloud, networkCloud, ok, publicNetwork, tenantNetwork, until } from './support.ts'

const object = (net: NetworkCloud) => net.cloud.cluster.instance('PROJECT', 'project-a') as { deps: Deps; verify(): Violation[] }

async function furnished(): Promise<NetworkCloud> {
  const net = await networkCloud()
  const outside = await publicNetwork(net.admin)
  const inside = await tenantNetwork(net.a)
  const { router } = await ok(net.a('POST', '/routers', { router: { external_gateway_info: { network_id: outside.id } } }), 201)
  await ok(net.a('PUT', `/routers/${router.id}/add_router_interface`, { subnet_id: inside.subnet_id }), 200)
  const { ports } = await ok(net.a('POST', '/ports', { ports: [{ network_id: inside.id }, { network_id: inside.id }] }), 201)
  for (const port of ports) await ok(net.a('POST', '/floatingips', { floatingip: { floating_network_id: outside.id, port_id: port.id } }), 201)
  await until('the outbox is quiet but for the router that waits for a host', () => object(net).deps.outbox.pending().every((entry) => entry.task === 'router-place'))
  assert.deepEqual(object(net).verify(), [])
  return net
}

const PLANTED: [what: string, sql: string, invariant: string, message: RegExp][] = [
  ['an address outside of its subnet', "UPDATE net_addresses SET ip = '000000000000000000000000ffffffff' WHERE ip = (SELECT MAX(ip) FROM net_addresses)", 'address-unique', /outside of its subnet/],
  ['an address that nobody holds', "UPDATE net_addresses SET holder_id = 'nobody' WHERE ip = (SELECT MAX(ip) FROM net_addresses)", 'reference-exists', /held by nobody/],
  ['an address that is free and used', "DELETE FROM net_free_ranges", 'address-unique', /free ranges/],
  ['a port without its network', "UPDATE net_ports SET network_id = 'none' WHERE device_owner = ''", 'reference-exists', /network none does not exist/],
  ['a port with a group that is not there', `UPDATE net_ports SET security_groups = '["none"]' WHERE device_owner = ''`, 'reference-exists', /security group none/],
  ['an interface of no router', "UPDATE net_ports SET device_id = 'none' WHERE device_owner = 'network:router_interface'", 'reference-exists', /router none does not exist/],
  ['a router without its gateway port', "UPDATE net_routers SET gateway_port_id = 'none'", 'reference-exists', /gateway port none/],
  ['two floating IPs with one address', "UPDATE net_floating_ips SET floating_ip_address = '172.24.4.99'", 'address-unique', /shares/],
  ['a floating IP to an address its port has not', "UPDATE net_floating_ips SET fixed_ip_address = '10.0.0.99'", 'reference-exists', /does not have 10.0.0.99/],
  ['a rule of no group', "UPDATE net_security_group_rules SET security_group_id = 'none'", 'reference-exists', /security group none/],
  ['a change that nobody carries to a host', "INSERT INTO net_items (kind, id, generation, dirty) VALUES ('port', 'lost', 1, 1)", 'no-overdue-state', /not on its way/],
  ['a network that nobody gives a segment', 'UPDATE net_networks SET segment_id = NULL', 'no-overdue-state', /no segment/],
]

for (const [what, sql, invariant, message] of PLANTED) {
  test(`${what} is found`, async (t) => {
    const net = await furnished()
    t.after(net.close)
    object(net).deps.storage.sql.exec(sql)
    const found = object(net).verify()
    assert.ok(found.some((one) => one.invariant === invariant && message.test(one.message)), JSON.stringify(found))
  })
}
