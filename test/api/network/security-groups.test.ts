/** Security groups and rules; quotas, tags, extensions and the small lists. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { joinHost, networkCloud, ok, publicNetwork, refused, tenantNetwork } from './support.ts'

test('the default group is there, with its rules, and stays', async (t) => {
  const { a, verify, close } = await networkCloud()
  t.after(close)
  const { security_group_rules: rules } = await ok(a('GET', '/security-group-rules'), 200)
  assert.equal(rules.length, 4)
  const { security_groups: [group] } = await ok(a('GET', '/security-groups?name=default'), 200)
  await refused(a('POST', '/security-groups', { security_group: { name: 'default' } }), 409, 'SecurityGroupDefaultAlreadyExists')
  await refused(a('DELETE', `/security-groups/${group.id}`), 409, 'SecurityGroupCannotRemoveDefault')
  verify()
})

test('rules: made, doubled, refused, used as remote, gone with their group', async (t) => {
  const { a, b, verify, close } = await networkCloud()
  t.after(close)
  const make = async (name: string) => (await ok(a('POST', '/security-groups', { security_group: { name, description: 'd' } }), 201)).security_group
  const [group, remote] = [await make('web'), await make('db')]
  assert.deepEqual(group.security_group_rules.map((rule: { direction: string }) => rule.direction), ['egress', 'egress'])
  const rule = { security_group_id: group.id, direction: 'ingress', protocol: 'tcp', port_range_min: 22, port_range_max: 22, remote_ip_prefix: '0.0.0.0/0' }
  const made = (await ok(a('POST', '/security-group-rules', { security_group_rule: rule }), 201)).security_group_rule
  assert.equal(made.ethertype, 'IPv4')
  await refused(a('POST', '/security-group-rules', { security_group_rule: rule }), 409, 'SecurityGroupRuleExists', new RegExp(made.id))
  await refused(a('POST', '/security-group-rules', { security_group_rule: { ...rule, port_range_min: 80, port_range_max: 79 } }), 400, 'SecurityGroupInvalidPortRange')
  await refused(a('POST', '/security-group-rules', { security_group_rule: { ...rule, direction: 'up' } }), 400, 'HTTPBadRequest', /direction/)
  await refused(b('POST', '/security-group-rules', { security_group_rule: rule }), 404, 'SecurityGroupNotFound')
  await ok(a('POST', '/security-group-rules', { security_group_rule: { security_group_id: group.id, direction: 'ingress', remote_group_id: remote.id } }), 201)
  const net = await tenantNetwork(a)
  const { port } = await ok(a('POST', '/ports', { port: { network_id: net.id, security_groups: [group.id] } }), 201)
  await refused(a('DELETE', `/security-groups/${group.id}`), 409, 'SecurityGroupInUse')
  await ok(a('DELETE', `/ports/${port.id}`), 204)
  await ok(a('DELETE', `/security-groups/${remote.id}`), 204)
  assert.equal((await ok(a('GET', `/security-groups/${group.id}`), 200)).security_group.security_group_rules.length, 3)
  await ok(a('DELETE', `/security-group-rules/${made.id}`), 204)
  await ok(a('DELETE', `/security-groups/${group.id}`), 204)
  verify()
})

test('quotas: an operator sets them, the tenant reads its own', async (t) => {
  const { a, b, admin, close } = await networkCloud()
  t.after(close)
  assert.equal((await ok(a('GET', '/quotas/project-a'), 200)).quota.network, 100)
  assert.equal((await b('GET', '/quotas/project-a')).status, 403)
  assert.equal((await a('PUT', '/quotas/project-a', { quota: { network: 1 } })).status, 403)
  await ok(admin('PUT', '/quotas/project-a', { quota: { network: 1 } }), 200)
  await tenantNetwork(a)
  assert.deepEqual((await ok(a('GET', '/quotas/project-a/details'), 200)).quota.network, { limit: 1, used: 1, reserved: 0 })
  await refused(a('POST', '/networks', { network: {} }), 409, 'OverQuota')
  assert.equal((await ok(admin('GET', '/quotas'), 200)).quotas[0].project_id, 'project-a')
  await refused(admin('PUT', '/quotas/project-a', { quota: { network: -2 } }), 400, 'HTTPBadRequest')
  await ok(admin('DELETE', '/quotas/project-a'), 204)
  assert.equal((await ok(a('GET', '/quotas/project-a'), 200)).quota.network, 100)
  assert.equal((await ok(a('GET', '/quotas/project-a/default'), 200)).quota.network, 100)
})

test('tags: replaced, added, removed, filtered', async (t) => {
  const { a, close } = await networkCloud()
  t.after(close)
  const net = await tenantNetwork(a)
  const base = `/networks/${net.id}/tags`
  assert.deepEqual((await ok(a('PUT', base, { tags: ['red', 'blue'] }), 200)).tags, ['blue', 'red'])
  await ok(a('PUT', `${base}/green`), 201)
  await ok(a('GET', `${base}/green`), 204)
  await refused(a('GET', `${base}/black`), 404, 'TagNotFound')
  await ok(a('DELETE', `${base}/red`), 204)
  assert.deepEqual((await ok(a('GET', `/networks?tags=blue,green`), 200)).networks[0].tags, ['blue', 'green'])
  assert.deepEqual((await ok(a('GET', `/networks?not-tags=blue`), 200)).networks, [])
  await ok(a('DELETE', base), 204)
  assert.deepEqual((await ok(a('GET', base), 200)).tags, [])
})

test('extensions, versions, zones, agents, availability', async (t) => {
  const { cloud, a, admin, close } = await networkCloud()
  t.after(close)
  const versions = await cloud.call('GET', '/network/')
  assert.equal(versions.body.versions[0].id, 'v2.0')
  const { extensions } = await ok(a('GET', '/extensions'), 200)
  for (const { alias } of extensions) assert.equal((await ok(a('GET', `/extensions/${alias}`), 200)).extension.alias, alias)
  await refused(a('GET', '/extensions/none'), 404, 'HTTPNotFound')
  assert.deepEqual((await ok(a('GET', '/agents'), 200)).agents, [])
  await joinHost(cloud, 'h1')
  const { agents } = await ok(admin('GET', '/agents?agent_type=L3 agent'), 200)
  assert.equal(agents.length, 1)
  assert.equal((await ok(admin('GET', `/agents/${agents[0].id}`), 200)).agent.host, 'h1')
  assert.ok((await ok(a('GET', '/availability_zones'), 200)).availability_zones.some((zone: { name: string; resource: string }) => zone.name === 'nova' && zone.resource === 'router'))
  const outside = await publicNetwork(admin)
  await ok(a('POST', '/floatingips', { floatingip: { floating_network_id: outside.id } }), 201)
  const { network_ip_availability: free } = await ok(admin('GET', `/network-ip-availabilities/${outside.id}`), 200)
  assert.deepEqual([free.total_ips, free.used_ips], [241, 1])
  assert.equal((await a('GET', '/network-ip-availabilities')).status, 403)
})
