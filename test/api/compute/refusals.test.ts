/** What compute refuses, and that nothing is left behind: other tenants, missing roles, bad input, quota, no host, failing and silent hosts. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SimCloud } from '../../sim/simcloud.ts'
import { Compute } from './client.ts'

let sim: SimCloud
let api: Compute
before(async () => {
  sim = await SimCloud.start(2, 2)
  api = new Compute(sim, 'project-a')
  await api.prepare()
})
after(() => sim.close())

const verify = () => sim.cluster.instance('PROJECT', 'project-a').verify()

test("another tenant's server is not found, whatever is done to it; an admin finds it", async () => {
  const id = await api.boot('mine')
  const as = { tenant: 'project-b' }
  await api.fails(404, /could not be found/, 'GET', `/compute/v2.1/servers/${id}`, undefined, as)
  await api.fails(404, /could not be found/, 'DELETE', `/compute/v2.1/servers/${id}`, undefined, as)
  await api.fails(404, /could not be found/, 'POST', `/compute/v2.1/servers/${id}/action`, { 'os-stop': null }, as)
  await api.fails(404, /could not be found/, 'PUT', `/compute/v2.1/servers/${id}/metadata/k`, { meta: { k: 'v' } }, as)
  assert.deepEqual((await api.ok('GET', '/compute/v2.1/servers', undefined, as)).servers, [])
  assert.equal((await api.ok('GET', `/compute/v2.1/servers/${id}`, undefined, { tenant: 'admin' })).server['OS-EXT-SRV-ATTR:host'].startsWith('sim-'), true)
  assert.equal((await api.ok('GET', '/compute/v2.1/servers?all_tenants=1', undefined, { tenant: 'admin' })).servers.length, 1)
  assert.equal('OS-EXT-SRV-ATTR:host' in (await api.server(id)), false)
})

test('members may not ask what is for admins', async () => {
  const id = await api.boot('plain')
  for (const [method, path, body] of [
    ['GET', '/compute/v2.1/os-hypervisors', undefined], ['GET', '/compute/v2.1/servers?all_tenants=1', undefined], ['POST', '/compute/v2.1/flavors', { flavor: { name: 'f', ram: 1, vcpus: 1, disk: 1 } }],
    ['POST', `/compute/v2.1/servers/${id}/action`, { 'os-resetState': { state: 'error' } }], ['GET', '/compute/v2.1/os-services', undefined], ['GET', '/placement/resource_providers', undefined],
  ] as const) await api.fails(403, /Policy doesn't allow/, method, path, body)
})

test('bad input is a 400 that names the field', async () => {
  const boot = (change: object) => ['POST', '/compute/v2.1/servers', api.bootBody('bad', change)] as const
  await api.fails(400, /name/, ...boot({ name: '' }))
  await api.fails(400, /flavorRef/, ...boot({ flavorRef: null }))
  await api.fails(400, /Flavor no-such could not be found/, ...boot({ flavorRef: 'no-such' }))
  await api.fails(400, /image/, ...boot({ imageRef: 'not-an-id' }))
  await api.fails(400, /Can not find requested image/, ...boot({ imageRef: '11111111-1111-4111-8111-111111111111' }))
  await api.fails(400, /11111111-1111-4111-8111-111111111111/, ...boot({ networks: [{ uuid: '11111111-1111-4111-8111-111111111111' }] }))
  await api.fails(400, /key_name/, ...boot({ key_name: 'nobody' }))
  await api.fails(400, /base 64/, ...boot({ user_data: '###' }))
  await api.fails(400, /min_count/, ...boot({ min_count: 3, max_count: 2 }))
  await api.fails(400, /accessIPv6/, ...boot({ accessIPv6: 'x' }))
  await api.fails(400, /unknown_field/, ...boot({ unknown_field: 1 }))
  await api.fails(400, /availability zone/, ...boot({ availability_zone: 'mars' }))
  await api.fails(400, /no such action/, 'POST', '/compute/v2.1/servers/x/action', { fly: null })
  await api.fails(406, /2.999/, 'GET', '/compute/v2.1/servers', undefined, { minor: 999 })
  assert.deepEqual(verify(), [])
})

test('what does not fit the quota is refused whole, and the words say how much', async () => {
  await api.fails(403, /Quota exceeded for instances.*: Requested 50/, 'POST', '/compute/v2.1/servers', api.bootBody('many', { min_count: 50, max_count: 50 }))
  assert.equal((await api.ok('GET', '/compute/v2.1/servers?name=many')).servers.length, 0)
  const ports = (await api.ok('GET', '/network/v2.0/ports')).ports.filter((port: { device_owner: string }) => port.device_owner.startsWith('compute'))
  assert.equal(ports.length, (await api.ok('GET', '/compute/v2.1/servers')).servers.length)
})

test('no host with room is an error with the filter funnel, and it is gone when deleted', async () => {
  const flavor = (await api.ok('POST', '/compute/v2.1/flavors', { flavor: { name: 'huge', ram: 40_000_000, vcpus: 1, disk: 1 } }, { tenant: 'admin' })).flavor.id
  await api.ok('PUT', '/compute/v2.1/os-quota-sets/project-a', { quota_set: { ram: -1 } }, { tenant: 'admin' })
  const id = await api.create('huge', { flavorRef: flavor })
  const server = await api.status(id, 'ERROR')
  assert.match(server.fault.message, /No valid host was found/)
  assert.match(server.fault.details, /MEMORY_MB: 2->0/)
  await api.ok('DELETE', `/compute/v2.1/servers/${id}`)
  await api.gone(id)
  assert.deepEqual(verify(), [])
})

test('a host that cannot build is left for another', async () => {
  const [first, second] = sim.hosts
  assert.ok(first && second)
  first.faults.fail('ensure', { times: 1000 })
  const id = await api.create('retry')
  const server = await api.status(id, 'ACTIVE')
  assert.notEqual(server.hostId, '')
  first.faults.clear()
})

test('a locked server is left alone by its owner, not by an admin', async () => {
  const id = await api.boot('locked')
  await api.action(id, { lock: null })
  await api.fails(409, /is locked/, 'POST', `/compute/v2.1/servers/${id}/action`, { 'os-stop': null })
  await api.fails(409, /is locked/, 'DELETE', `/compute/v2.1/servers/${id}`)
  await api.action(id, { 'os-stop': null }, { tenant: 'admin' })
  await api.status(id, 'SHUTOFF')
  await api.action(id, { unlock: null })
  await api.ok('DELETE', `/compute/v2.1/servers/${id}`)
  await api.gone(id)
})

test('the same Idempotency-Key makes one server', async () => {
  const headers = { 'idempotency-key': 'once' }
  const one = await api.ok('POST', '/compute/v2.1/servers', api.bootBody('once'), { headers })
  const two = await api.ok('POST', '/compute/v2.1/servers', api.bootBody('once'), { headers })
  assert.equal(one.server.id, two.server.id)
  await api.fails(409, /Idempotency-Key/, 'POST', '/compute/v2.1/servers', api.bootBody('twice'), { headers })
  assert.equal((await api.ok('GET', '/compute/v2.1/servers?name=once')).servers.length, 1)
})

test('a server on a silent host is gone for its tenant after the deadline; its room is given back when the host is heard of again', async () => {
  const id = await api.boot('silent')
  const { host_id } = sim.cluster.instance('REGION', 'region').system('t').compute.scheduler.allocations({ consumer_id: id })[0]
  sim.net.sever(host_id)
  await api.ok('DELETE', `/compute/v2.1/servers/${id}`)
  await sim.run(60_000)
  assert.equal((await api.call('GET', `/compute/v2.1/servers/${id}`)).status, 200)
  await sim.run(120_000)
  assert.equal((await api.call('GET', `/compute/v2.1/servers/${id}`)).status, 404)
  const held = () => sim.cluster.instance('REGION', 'region').system('t').compute.scheduler.allocations({ consumer_id: id }).length
  assert.equal(held(), 1)
  sim.net.mend(host_id)
  await api.until('the room is given back', async () => held() === 0, 120_000)
  assert.deepEqual(verify(), [])
})
