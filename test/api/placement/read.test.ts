/** Placement's read paths agree with what the scheduler holds. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SimCloud } from '../../sim/simcloud.ts'
import { Compute } from '../compute/client.ts'

let sim: SimCloud
let api: Compute
before(async () => {
  sim = await SimCloud.start(5, 2)
  api = new Compute(sim, 'project-a')
  await api.prepare()
})
after(() => sim.close())

const ask = (path: string, minor = 0, tenant = 'admin') => api.call('GET', `/placement${path}`, undefined, { tenant, headers: { 'openstack-api-version': `placement 1.${minor}` } })

test('the version document is public, and versions outside the range are refused', async () => {
  assert.equal((await ask('')).body.versions[0].max_version, '1.39')
  const answer = await ask('/resource_providers', 99)
  assert.equal(answer.status, 406)
  assert.equal((await ask('/resource_providers', 39)).headers.get('openstack-api-version'), 'placement 1.39')
})

test("a server's allocation is on its host, in the provider's usages and in its project's", async () => {
  const id = await api.boot('held', { networks: undefined })
  const allocations = (await ask(`/allocations/${id}`, 38)).body
  const [[provider, held]] = Object.entries(allocations.allocations) as [[string, { resources: Record<string, number> }]]
  assert.deepEqual(held.resources, { VCPU: 1, MEMORY_MB: 512, DISK_GB: 1 })
  assert.equal(allocations.consumer_type, 'INSTANCE')
  assert.deepEqual((await ask(`/resource_providers/${provider}/usages`)).body.usages, held.resources)
  assert.deepEqual((await ask('/usages?project_id=project-a', 9)).body.usages, held.resources)
  assert.equal((await ask(`/resource_providers/${provider}/inventories`)).body.inventories.VCPU.allocation_ratio, 4)
  assert.equal((await ask(`/resource_providers/${provider}/allocations`)).body.allocations[id].resources.VCPU, 1)
})

test('candidates have the room that is asked for; nonsense is a 400; tenants are refused', async () => {
  assert.equal((await ask('/allocation_candidates?resources=VCPU:1', 12)).body.allocation_requests.length, 2)
  assert.equal((await ask('/allocation_candidates?resources=VCPU:100000', 12)).body.allocation_requests.length, 0)
  assert.equal((await ask('/allocation_candidates?resources=VCPU', 12)).status, 400)
  assert.equal((await ask('/allocation_candidates?resources=VCPU:1', 9)).status, 404)
  assert.equal((await ask('/resource_providers', 0, 'project-b')).status, 403)
  assert.equal((await ask('/usages?project_id=project-a', 9, 'project-b')).status, 403)
})
