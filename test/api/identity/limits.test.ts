/** Unified limits under the model strict_two_level: a domain's limit is above those of its projects, whoever comes first. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type IdentityCloud, identityCloud } from './support.ts'

const V3 = '/identity/v3'

async function setting(enforcement_model: string) {
  const cloud = identityCloud({ identity: { enforcement_model } })
  const token = await cloud.admin()
  const call = (method: string, path: string, json?: unknown) => cloud.call(method, `${V3}/${path}`, { token, json })
  const service_id = (await call('GET', 'services?type=compute')).body.services[0].id as string
  assert.equal((await call('POST', 'registered_limits', { registered_limits: [{ service_id, resource_name: 'cores', default_limit: 10 }] })).status, 201)
  const domain_id = (await call('POST', 'domains', { domain: { name: 'd' } })).body.domain.id as string
  const project = async (name: string, parent_id = domain_id) => await call('POST', 'projects', { project: { name, domain_id, parent_id } })
  const [a, b] = [(await project('a')).body.project.id as string, (await project('b')).body.project.id as string]
  const limit = (owner: Record<string, string>, resource_limit: number) => ({ ...owner, service_id, resource_name: 'cores', resource_limit })
  const create = (...list: unknown[]) => call('POST', 'limits', { limits: list })
  return { cloud, call, domain: { domain_id }, a: { project_id: a }, b: { project_id: b }, limit, create, project }
}

const close = (cloud: IdentityCloud) => cloud.close()

test('the model says its name; under flat nothing is compared', async () => {
  const { cloud, call, domain, a, limit, create } = await setting('flat')
  assert.equal((await call('GET', 'limits/model')).body.model.name, 'flat')
  assert.equal((await create(limit(domain, 5), limit(a, 50))).status, 201)
  close(cloud)
})

test('a project stays under its domain, or under the registered default where that has no limit', async () => {
  const { cloud, call, domain, a, b, limit, create } = await setting('strict_two_level')
  assert.equal((await call('GET', 'limits/model')).body.model.name, 'strict_two_level')
  assert.equal((await create(limit(a, 11))).status, 403, 'above the default')
  const low = await create(limit(a, 10))
  assert.equal(low.status, 201, low.text)
  assert.equal((await create(limit(domain, 9))).status, 403, 'below its project')
  const made = await create(limit(domain, 20))
  assert.equal(made.status, 201)
  assert.equal((await create(limit(b, 21))).status, 403)
  assert.equal((await create(limit(b, -1))).status, 403, 'no limit is above every limit')
  assert.equal((await create(limit(b, 20))).status, 201)
  assert.equal((await call('PATCH', `limits/${low.body.limits[0].id}`, { limit: { resource_limit: 21 } })).status, 403)
  assert.equal((await call('PATCH', `limits/${made.body.limits[0].id}`, { limit: { resource_limit: 19 } })).status, 403)
  assert.equal((await call('PATCH', `limits/${made.body.limits[0].id}`, { limit: { resource_limit: -1 } })).status, 200)
  assert.equal((await call('PATCH', `limits/${low.body.limits[0].id}`, { limit: { resource_limit: 100 } })).status, 200)
  assert.equal((await call('GET', `limits?project_id=${a.project_id}`)).body.limits[0].resource_limit, 100)
  close(cloud)
})

test('a domain and its projects come in one request in any order, all or none', async () => {
  const { cloud, call, domain, a, b, limit, create } = await setting('strict_two_level')
  assert.equal((await create(limit(a, 30), limit(domain, 20), limit(b, 1))).status, 403)
  assert.equal((await call('GET', 'limits')).body.limits.length, 0)
  assert.equal((await create(limit(a, 30), limit(domain, 40), limit(b, 40))).status, 201)
  close(cloud)
})

test('projects are directly in their domain: none is made below another', async () => {
  const { cloud, a, project } = await setting('strict_two_level')
  assert.equal((await project('c')).status, 201)
  assert.equal((await project('below', a.project_id)).status, 403)
  close(cloud)
})
