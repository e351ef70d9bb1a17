/** What tenants share, and what a project keeps beside its servers: flavors, keys, aggregates, hypervisors, groups, quotas, versions. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SimCloud } from '../../sim/simcloud.ts'
import { Compute } from './client.ts'

let sim: SimCloud
let api: Compute
const admin = { tenant: 'admin' }
before(async () => {
  sim = await SimCloud.start(3, 2)
  api = new Compute(sim, 'project-a')
})
after(() => sim.close())

test('versions say their range', async () => {
  const answer = await api.call('GET', '/compute')
  assert.ok(answer.body.versions.some((version: { id: string }) => version.id === 'v2.1'))
  const { version } = await api.ok('GET', '/compute/v2.1')
  assert.deepEqual([version.min_version, version.version], ['2.1', '2.96'])
  const old = await sim.finish(sim.call('project-a', 'GET', '/compute/v2.1/flavors', undefined, { headers: { 'x-openstack-nova-api-version': '2.55' } }))
  assert.equal(old.headers.get('x-openstack-nova-api-version'), '2.55')
})

test('the five flavors are there; private ones only for those who were given access', async () => {
  const { flavors } = await api.ok('GET', '/compute/v2.1/flavors/detail')
  assert.deepEqual(flavors.map((flavor: { name: string; ram: number; disk: number; vcpus: number }) => [flavor.name, flavor.ram, flavor.disk, flavor.vcpus]), [['m1.tiny', 512, 1, 1], ['m1.small', 2048, 20, 1], ['m1.medium', 4096, 40, 2], ['m1.large', 8192, 80, 4], ['m1.xlarge', 16384, 160, 8]])
  const { flavor } = await api.ok('POST', '/compute/v2.1/flavors', { flavor: { name: 'private', ram: 64, vcpus: 1, disk: 0, 'os-flavor-access:is_public': false } }, admin)
  await api.fails(404, /could not be found/, 'GET', `/compute/v2.1/flavors/${flavor.id}`)
  await api.ok('POST', `/compute/v2.1/flavors/${flavor.id}/action`, { addTenantAccess: { tenant: 'project-a' } }, admin)
  await api.ok('GET', `/compute/v2.1/flavors/${flavor.id}`)
  await api.ok('POST', `/compute/v2.1/flavors/${flavor.id}/os-extra_specs`, { extra_specs: { 'walk:key': '1' } }, admin)
  assert.deepEqual((await api.ok('GET', `/compute/v2.1/flavors/${flavor.id}`, undefined, { minor: 61 })).flavor.extra_specs, { 'walk:key': '1' })
  await api.fails(409, /already exists/, 'POST', '/compute/v2.1/flavors', { flavor: { name: 'private', ram: 64, vcpus: 1, disk: 0 } }, admin)
})

test('keys are a user\'s own; status codes follow the version', async () => {
  // Generating one takes real time, which virtual time does not wait for: keys.test.ts has that.
  const public_key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIr0ca1JLtE0E9ifHiNAbPD4sxVHcWPHtDwbMXyrGSVI a@b'
  const made = await api.call('POST', '/compute/v2.1/os-keypairs', { keypair: { name: 'k', public_key } })
  assert.equal(made.status, 200)
  assert.match(made.body.keypair.fingerprint, /^([0-9a-f]{2}:){15}[0-9a-f]{2}$/)
  assert.deepEqual((await api.ok('GET', '/compute/v2.1/os-keypairs', undefined, { tenant: 'project-b' })).keypairs, [])
  await api.fails(409, /already exists/, 'POST', '/compute/v2.1/os-keypairs', { keypair: { name: 'k', public_key } })
  assert.equal((await api.call('POST', '/compute/v2.1/os-keypairs', { keypair: { name: 'k2', public_key, type: 'ssh' } }, { minor: 2 })).status, 201)
  await api.fails(400, /public_key/, 'POST', '/compute/v2.1/os-keypairs', { keypair: { name: 'k3' } }, { minor: 92 })
  assert.equal((await api.call('DELETE', '/compute/v2.1/os-keypairs/k')).status, 202)
  assert.equal((await api.call('DELETE', '/compute/v2.1/os-keypairs/k2', undefined, { minor: 2 })).status, 204)
})

test('aggregates make zones; hypervisors, services and placement show the same hosts', async () => {
  const { hypervisors } = await api.ok('GET', '/compute/v2.1/os-hypervisors/detail', undefined, { ...admin, minor: 53 })
  assert.equal(hypervisors.length, 2)
  const host = hypervisors[0].hypervisor_hostname
  const { aggregate } = await api.ok('POST', '/compute/v2.1/os-aggregates', { aggregate: { name: 'rack', availability_zone: 'az2' } }, admin)
  await api.ok('POST', `/compute/v2.1/os-aggregates/${aggregate.id}/action`, { add_host: { host } }, admin)
  const zones = (await api.ok('GET', '/compute/v2.1/os-availability-zone')).availabilityZoneInfo.map((zone: { zoneName: string }) => zone.zoneName).sort()
  assert.deepEqual(zones, ['az2', 'nova'])
  const { services } = await api.ok('GET', '/compute/v2.1/os-services?binary=nova-compute', undefined, { ...admin, minor: 53 })
  assert.equal(services.length, 2)
  const down = await api.ok('PUT', `/compute/v2.1/os-services/${services[0].id}`, { status: 'disabled', disabled_reason: 'test' }, { ...admin, minor: 53 })
  assert.equal(down.service.disabled_reason, 'test')
  const { resource_providers } = await api.ok('GET', '/placement/resource_providers', undefined, admin)
  assert.deepEqual(resource_providers.map((provider: { uuid: string }) => provider.uuid).sort(), hypervisors.map((one: { id: string }) => one.id).sort())
  const candidates = await api.ok('GET', '/placement/allocation_candidates?resources=VCPU:1,MEMORY_MB:64', undefined, { ...admin, headers: { 'openstack-api-version': 'placement 1.12' } })
  assert.equal(candidates.allocation_requests.length, 1)
  await api.ok('PUT', `/compute/v2.1/os-services/${services[0].id}`, { status: 'enabled' }, { ...admin, minor: 53 })
})

test('server groups and quotas', async () => {
  const { server_group } = await api.ok('POST', '/compute/v2.1/os-server-groups', { server_group: { name: 'g', policies: ['anti-affinity'] } })
  assert.deepEqual(server_group.policies, ['anti-affinity'])
  assert.equal((await api.ok('GET', `/compute/v2.1/os-server-groups/${server_group.id}`, undefined, { minor: 64 })).server_group.policy, 'anti-affinity')
  await api.fails(404, /could not be found/, 'GET', `/compute/v2.1/os-server-groups/${server_group.id}`, undefined, { tenant: 'project-b' })
  assert.equal((await api.call('DELETE', `/compute/v2.1/os-server-groups/${server_group.id}`)).status, 204)
  await api.ok('PUT', '/compute/v2.1/os-quota-sets/project-a', { quota_set: { instances: 3 } }, admin)
  assert.equal((await api.ok('GET', '/compute/v2.1/limits')).limits.absolute.maxTotalInstances, 3)
  await api.ok('PUT', '/compute/v2.1/os-quota-sets/project-a?user_id=u1', { quota_set: { instances: 2 } }, admin)
  assert.equal((await api.ok('GET', '/compute/v2.1/os-quota-sets/project-a?user_id=u1', undefined, admin)).quota_set.instances, 2)
  assert.equal((await api.ok('GET', '/compute/v2.1/os-quota-sets/project-a', undefined, admin)).quota_set.instances, 3)
  await api.fails(400, /must be less than or equal/, 'PUT', '/compute/v2.1/os-quota-sets/project-a?user_id=u1', { quota_set: { instances: 4 } }, admin)
  await api.ok('DELETE', '/compute/v2.1/os-quota-sets/project-a', undefined, admin)
  assert.equal((await api.ok('GET', '/compute/v2.1/os-quota-sets/project-a')).quota_set.instances, 10)
})
