/** What hosts are told: exactly what concerns them, newer each time, and withdrawn; and what their reports make of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DesiredItem, NetworkSpec, PortSpec, RouterSpec } from '../../../schema/agent/desired.ts'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { type PortRequest, peersOf } from '../../../durable-objects/project/peers.ts'
import { sessionOn } from '../../../durable-objects/kernel/rpc.ts'
import type { ProjectSession } from '../../../durable-objects/project/session.ts'
import { systemCaller } from '../../../schema/values/caller.ts'
import { RecordingHost, type NetworkCloud, joinHost, networkCloud, ok, publicNetwork, tenantNetwork, until } from './support.ts'

const told = <S>(host: string, kind: string, id: string) => RecordingHost.told.get(host)?.get(`${kind}/${id}`) as (DesiredItem & { spec: S }) | undefined
const project = (net: NetworkCloud, id: string) => net.cloud.cluster.instance('PROJECT', id) as { deps: Deps; observed(host: string, items: object[]): void }

function inside<T>(net: NetworkCloud, projectId: string, work: (tx: Tx, deps: Deps) => T): T {
  const { deps } = project(net, projectId)
  return deps.commit(systemCaller('test'), (tx) => work(tx, deps))
}

const take = (net: NetworkCloud, projectId: string, request: PortRequest, server: string) =>
  inside(net, projectId, (tx, deps) => peersOf(deps).ports.takeForServer(tx, systemCaller('test'), { ...request, server_id: server, server_name: 'My VM_1', security_groups: null, availability_zone: 'nova' }))
const bind = (net: NetworkCloud, projectId: string, server: string, host: string | null) => inside(net, projectId, (tx, deps) => peersOf(deps).ports.bind(tx, systemCaller('test'), server, host))

test('a bound port reaches its host with its network, moves with its server, and is withdrawn', async (t) => {
  const net = await networkCloud()
  t.after(net.close)
  const [h1, h2] = [await joinHost(net.cloud, 'h1'), await joinHost(net.cloud, 'h2', { tunnel_ip: '127.0.0.3' })]
  const { id: networkId, subnet_id } = await tenantNetwork(net.a)
  const port = take(net, 'project-a', { network_id: networkId }, 'server-1')
  assert.equal(port.fixed_ips[0]?.cidr, '10.0.0.0/24')
  bind(net, 'project-a', 'server-1', h1)
  await until('the port is told', () => told(h1, 'port', port.id) !== undefined && told(h1, 'network', networkId) !== undefined)
  const spec = told<PortSpec>(h1, 'port', port.id)?.spec
  assert.equal(spec?.server_id, 'server-1')
  assert.equal(spec?.hostname, 'my-vm-1')
  assert.equal(spec?.rules.length, 4)
  const network = told<NetworkSpec>(h1, 'network', networkId)?.spec
  assert.equal(network?.subnets[0]?.dhcp_ip, '10.0.0.2')
  assert.ok((network?.segment_id ?? 0) >= 4096)
  assert.match(network?.dhcp_mac ?? '', /^fa:16:3e/)
  project(net, 'project-a').observed(h1, [{ kind: 'port', id: port.id, generation: told(h1, 'port', port.id)?.generation, status: 'ready' }])
  assert.equal((await ok(net.a('GET', `/ports/${port.id}`), 200)).port.status, 'ACTIVE')
  const other = take(net, 'project-a', { network_id: networkId }, 'server-2')
  bind(net, 'project-a', 'server-2', h2)
  await until('both hosts know each other', () => told<NetworkSpec>(h1, 'network', networkId)?.spec.peers.length === 2 && told<NetworkSpec>(h2, 'network', networkId)?.spec.peers.length === 2)
  await until('the group has a new member', () => told<PortSpec>(h1, 'port', port.id)?.spec.rules.some((rule) => rule.remote_cidrs?.includes(`${other.fixed_ips[0]?.ip_address}/32`)) === true)
  const before = RecordingHost.puts
  await ok(net.a('PUT', `/networks/${networkId}`, { network: { description: 'nothing a host needs' } }), 200)
  await new Promise((resolve) => setTimeout(resolve, 60))
  assert.equal(RecordingHost.puts, before, 'a change that no host needs reaches no host')
  bind(net, 'project-a', 'server-1', h2)
  await until('the port moved', () => told(h1, 'port', port.id)?.state === 'absent' && told(h2, 'port', port.id)?.state === 'present' && told(h1, 'network', networkId)?.state === 'absent')
  project(net, 'project-a').observed(h1, [{ kind: 'port', id: port.id, generation: told(h1, 'port', port.id)?.generation, status: 'gone' }])
  inside(net, 'project-a', (tx, deps) => peersOf(deps).ports.release(tx, systemCaller('test'), 'server-1'))
  await until('the port is withdrawn', () => told(h2, 'port', port.id)?.state === 'absent')
  project(net, 'project-a').observed(h2, [{ kind: 'port', id: port.id, generation: told(h2, 'port', port.id)?.generation, status: 'gone' }])
  assert.equal((await net.a('GET', `/ports/${port.id}`)).status, 404)
  assert.equal(project(net, 'project-a').deps.storage.sql.exec('SELECT * FROM net_items WHERE id = ?', port.id).toArray().length, 0)
  assert.ok(subnet_id)
  net.verify()
})

test('a rule reaches the ports of its group and no others', async (t) => {
  const net = await networkCloud()
  t.after(net.close)
  const h1 = await joinHost(net.cloud, 'h1')
  const { id: networkId } = await tenantNetwork(net.a)
  const group = (await ok(net.a('POST', '/security-groups', { security_group: { name: 'web' } }), 201)).security_group
  const inGroup = (await ok(net.a('POST', '/ports', { port: { network_id: networkId, security_groups: [group.id] } }), 201)).port
  take(net, 'project-a', { port_id: inGroup.id }, 'server-1')
  const outside = take(net, 'project-a', { network_id: networkId }, 'server-2')
  bind(net, 'project-a', 'server-1', h1)
  bind(net, 'project-a', 'server-2', h1)
  await until('both are told', () => told(h1, 'port', inGroup.id) !== undefined && told(h1, 'port', outside.id) !== undefined)
  const [before, still] = [told(h1, 'port', inGroup.id)?.generation ?? 0, told(h1, 'port', outside.id)?.generation]
  await ok(net.a('POST', '/security-group-rules', { security_group_rule: { security_group_id: group.id, direction: 'ingress', protocol: 'tcp', port_range_min: 22, port_range_max: 22 } }), 201)
  await until('the rule is told', () => told<PortSpec>(h1, 'port', inGroup.id)?.spec.rules.some((rule) => rule.port_range_min === 22) === true)
  assert.ok((told(h1, 'port', inGroup.id)?.generation ?? 0) > before)
  assert.equal(told(h1, 'port', outside.id)?.generation, still)
  inside(net, 'project-a', (tx, deps) => peersOf(deps).ports.addSecurityGroup(tx, systemCaller('test'), 'server-2', 'web'))
  await until('the group was added', () => told<PortSpec>(h1, 'port', outside.id)?.spec.rules.some((rule) => rule.port_range_min === 22) === true)
  net.verify()
})

test('a router goes to the gateway host with fewest, with its floating IPs; its report makes them ACTIVE', async (t) => {
  const net = await networkCloud()
  t.after(net.close)
  const [h1, h2] = [await joinHost(net.cloud, 'h1'), await joinHost(net.cloud, 'h2')]
  const outside = await publicNetwork(net.admin)
  const { id: networkId, subnet_id } = await tenantNetwork(net.a)
  const { router } = await ok(net.a('POST', '/routers', { router: { external_gateway_info: { network_id: outside.id } } }), 201)
  await ok(net.a('PUT', `/routers/${router.id}/add_router_interface`, { subnet_id }), 200)
  const hostOf = () => [h1, h2].find((host) => told(host, 'router', router.id)?.state === 'present') ?? ''
  await until('the router has a host', () => hostOf() !== '' && told<RouterSpec>(hostOf(), 'router', router.id)?.spec.interfaces.length === 1)
  const host = hostOf()
  await until('both networks are there', () => told<NetworkSpec>(host, 'network', outside.id)?.spec.type === 'external' && told(host, 'network', networkId) !== undefined)
  assert.equal(told(host, 'network', outside.id)?.project_id, 'project-admin')
  const spec = told<RouterSpec>(host, 'router', router.id)?.spec
  assert.deepEqual(spec?.gateway?.fixed_ips, [{ ip_address: '172.24.4.10', prefix_length: 24, gateway_ip: '172.24.4.1' }])
  assert.deepEqual(spec?.interfaces[0]?.fixed_ips, [{ ip_address: '10.0.0.1', prefix_length: 24 }])
  const { port } = await ok(net.a('POST', '/ports', { port: { network_id: networkId } }), 201)
  const { floatingip } = await ok(net.a('POST', '/floatingips', { floatingip: { floating_network_id: outside.id, port_id: port.id } }), 201)
  await until('the floating IP is told', () => told<RouterSpec>(host, 'router', router.id)?.spec.floating_ips[0]?.id === floatingip.id)
  project(net, 'project-a').observed(host, [{ kind: 'router', id: router.id, generation: told(host, 'router', router.id)?.generation, status: 'ready' }])
  assert.equal((await ok(net.a('GET', `/floatingips/${floatingip.id}`), 200)).floatingip.status, 'ACTIVE')
  assert.equal((await ok(net.a('GET', `/ports?device_id=${router.id}`), 200)).ports[0].status, 'ACTIVE')
  const second = (await ok(net.b('POST', '/routers', { router: { external_gateway_info: { network_id: outside.id } } }), 201)).router
  const [free] = [h1, h2].filter((one) => one !== host)
  await until('the other host gets the next router', () => told(free ?? '', 'router', second.id) !== undefined)
  const moved = await ok(net.admin('PUT', `/subnets/${outside.subnet_id}`, { subnet: { gateway_ip: '172.24.4.2' } }), 200)
  assert.equal(moved.subnet.gateway_ip, '172.24.4.2')
  await until('the owner changed, the tenant routers follow', () => told<RouterSpec>(host, 'router', router.id)?.spec.gateway?.fixed_ips[0]?.gateway_ip === '172.24.4.2')
  await ok(net.a('DELETE', `/floatingips/${floatingip.id}`), 204)
  await ok(net.a('PUT', `/routers/${router.id}/remove_router_interface`, { subnet_id }), 200)
  await ok(net.a('DELETE', `/routers/${router.id}`), 204)
  await until('all is withdrawn', () => told(host, 'router', router.id)?.state === 'absent' && told(host, 'network', outside.id)?.state === 'absent' && told(host, 'network', networkId)?.state === 'absent')
  net.verify()
})

test('a port of another tenant on a shared network: its host hears of the network from the owner', async (t) => {
  const net = await networkCloud()
  t.after(net.close)
  const h1 = await joinHost(net.cloud, 'h1')
  const { network } = await ok(net.admin('POST', '/networks', { network: { shared: true } }), 201)
  await ok(net.admin('POST', '/subnets', { subnet: { network_id: network.id, ip_version: 4, cidr: '10.5.0.0/24' } }), 201)
  const { serverNetworks } = sessionOn<ProjectSession>(net.cloud.env.PROJECT.getByName('project-b'), { ...systemCaller('test'), roles: ['member'] }).network
  const [request] = await serverNetworks.prepare(null)
  assert.ok(request?.foreign)
  const port = take(net, 'project-b', request, 'server-b')
  assert.equal(port.fixed_ips[0]?.ip_address, request.foreign.fixed_ips[0]?.ip_address)
  bind(net, 'project-b', 'server-b', h1)
  await until('the owner tells the network', () => told(h1, 'network', network.id)?.project_id === 'project-admin' && told(h1, 'port', port.id)?.project_id === 'project-b')
  net.verify()
  inside(net, 'project-b', (tx, deps) => peersOf(deps).ports.release(tx, systemCaller('test'), 'server-b'))
  await until('all is withdrawn', () => told(h1, 'network', network.id)?.state === 'absent' && told(h1, 'port', port.id)?.state === 'absent')
  const [unused] = await serverNetworks.prepare([{ uuid: network.id }])
  await serverNetworks.abandon(unused === undefined ? [] : [unused])
  await until('nothing is claimed any more', async () => (await net.admin('DELETE', `/networks/${network.id}`)).status === 204)
  net.verify()
})
