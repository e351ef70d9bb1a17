/** Catalog, endpoint filters, limits, domain configuration, policies. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type IdentityCloud, identityCloud } from './support.ts'

const V3 = '/identity/v3'
const calls = async (cloud: IdentityCloud) => {
  const token = await cloud.admin()
  return (method: string, path: string, json?: unknown) => cloud.call(method, `${V3}/${path}`, { token, json })
}

test('an endpoint of the API is literal, its templates are filled per token, disabled ones are left out', async () => {
  const cloud = identityCloud()
  const as = await calls(cloud)
  const { service } = (await as('POST', 'services', { service: { type: 'walk', name: 'w' } })).body
  const made = await as('POST', 'endpoints', { endpoint: { service_id: service.id, interface: 'public', url: 'http://10.0.0.1/v1/%(project_id)s', region: 'Elsewhere' } })
  assert.equal(made.status, 201)
  assert.equal((await as('GET', 'regions/Elsewhere')).status, 200)
  const { body } = await cloud.login({ project: 'admin' })
  const entry = body.token.catalog.find((each: { type: string }) => each.type === 'walk')
  assert.equal(entry.endpoints[0].url, `http://10.0.0.1/v1/${body.token.project.id}`)
  assert.equal((await as('PATCH', `endpoints/${made.body.endpoint.id}`, { endpoint: { enabled: false } })).status, 200)
  assert.deepEqual((await cloud.login({ project: 'admin' })).body.token.catalog.find((each: { type: string }) => each.type === 'walk').endpoints, [])
  assert.equal((await as('DELETE', 'regions/Elsewhere')).status, 403)
  for (const endpoint of [{ interface: 'other' }, { url: 'not a url' }, { url: 'http://x/$(origin)s' }, { enabled: 'False' }, { service_id: 'none' }]) {
    assert.equal((await as('POST', 'endpoints', { endpoint: { service_id: service.id, interface: 'public', url: 'http://h', ...endpoint } })).status, 400, JSON.stringify(endpoint))
  }
  assert.equal((await as('DELETE', `services/${service.id}`)).status, 204)
  assert.equal((await as('GET', `endpoints/${made.body.endpoint.id}`)).status, 404)
  cloud.close()
})

test('our own endpoints follow the origin that they are asked at', async () => {
  const cloud = identityCloud({ vars: { PUBLIC_URL: 'https://cloud.example.org' } })
  const as = await calls(cloud)
  for (const { url } of (await as('GET', 'endpoints')).body.endpoints) assert.ok(url.startsWith('https://cloud.example.org/'), url)
  cloud.close()
})

test('a service that an operator deleted stays deleted over a restart', async () => {
  const cloud = identityCloud()
  const as = await calls(cloud)
  const [swift] = (await as('GET', 'services?type=object-store')).body.services
  assert.equal((await as('DELETE', `services/${swift.id}`)).status, 204)
  cloud.cluster.crash('IDENTITY', 'identity')
  assert.deepEqual((await as('GET', 'services?type=object-store')).body.services, [])
  assert.equal((await as('GET', 'users')).body.users.length, 1)
  cloud.close()
})

test('a project with associated endpoints sees only those', async () => {
  const cloud = identityCloud()
  const as = await calls(cloud)
  const ann = await cloud.tenant('ann')
  const [compute] = (await as('GET', 'services?type=compute')).body.services
  const group = await as('POST', 'OS-EP-FILTER/endpoint_groups', { endpoint_group: { name: 'g', filters: { service_id: compute.id, interface: 'public' } } })
  assert.equal(group.status, 201)
  const path = `OS-EP-FILTER/endpoint_groups/${group.body.endpoint_group.id}/projects/${ann.project_id}`
  assert.equal((await as('PUT', path)).status, 204)
  const { body } = await cloud.login({ user_id: ann.user_id, password: ann.password, project_id: ann.project_id })
  assert.deepEqual(body.token.catalog.map((each: { type: string; endpoints: unknown[] }) => [each.type, each.endpoints.length]), [['compute', 1]])
  assert.equal((await as('DELETE', path)).status, 204)
  assert.equal((await as('GET', path)).status, 404)
  cloud.close()
})

test('limits need a registered limit, and a tenant sees its own', async () => {
  const cloud = identityCloud()
  const as = await calls(cloud)
  const [ann, bob] = [await cloud.tenant('ann'), await cloud.tenant('bob')]
  const [glance] = (await as('GET', 'services?type=image')).body.services
  const place = { service_id: glance.id, region_id: 'RegionOne', resource_name: 'image_count_total' }
  const limit = { ...place, project_id: ann.project_id, resource_limit: 5 }
  assert.equal((await as('POST', 'limits', { limits: [limit] })).status, 403)
  const registered = await as('POST', 'registered_limits', { registered_limits: [{ ...place, default_limit: 10 }] })
  assert.equal(registered.status, 201)
  assert.equal((await as('POST', 'registered_limits', { registered_limits: [{ ...place, default_limit: 10 }] })).status, 409)
  const made = await as('POST', 'limits', { limits: [limit] })
  assert.equal(made.status, 201)
  assert.equal((await as('POST', 'limits', { limits: [limit] })).status, 409)
  const { id } = made.body.limits[0]
  assert.equal((await as('PATCH', `limits/${id}`, { limit: { resource_limit: 6 } })).body.limit.resource_limit, 6)
  assert.equal((await cloud.call('GET', `${V3}/limits`, { token: ann.token })).body.limits.length, 1)
  assert.equal((await cloud.call('GET', `${V3}/limits`, { token: bob.token })).body.limits.length, 0)
  assert.equal((await cloud.call('GET', `${V3}/limits/${id}`, { token: bob.token })).status, 403)
  assert.equal((await as('DELETE', `registered_limits/${registered.body.registered_limits[0].id}`)).status, 403)
  assert.equal((await as('PATCH', `registered_limits/${registered.body.registered_limits[0].id}`, { registered_limit: { default_limit: 12 } })).body.registered_limit.default_limit, 12)
  assert.equal((await as('GET', 'limits/model')).body.model.name, 'flat')
  cloud.close()
})

test('what is sensitive in a domain\'s configuration is never shown', async () => {
  const cloud = identityCloud()
  const as = await calls(cloud)
  const { domain } = (await as('POST', 'domains', { domain: { name: 'd' } })).body
  const config = { identity: { driver: 'ldap' }, ldap: { url: 'ldap://x', password: 'canary' } }
  const put = await as('PUT', `domains/${domain.id}/config`, { config })
  assert.equal(put.status, 201)
  assert.ok(!put.text.includes('canary'))
  assert.equal((await as('PUT', `domains/${domain.id}/config`, { config: { strange: { a: 1 } } })).status, 403)
  assert.equal((await as('PATCH', `domains/${domain.id}/config/identity`, { config: { ldap: {} } })).status, 403)
  assert.equal((await as('GET', `domains/${domain.id}/config/ldap/password`)).status, 404)
  const ann = await cloud.tenant('ann')
  assert.equal((await cloud.call('GET', `${V3}/domains/${domain.id}/config`, { token: ann.token })).status, 403)
  assert.equal((await cloud.call('GET', `${V3}/domains/default/config/security_compliance`, { token: ann.token })).status, 200)
  cloud.close()
})

test('tenants write nothing of the catalog, and read only their own part', async () => {
  const cloud = identityCloud()
  const { token } = await cloud.tenant('ann')
  const bodies: Record<string, unknown> = {
    services: { service: { type: 'x' } }, endpoints: { endpoint: { service_id: 'x', interface: 'public', url: 'http://h' } }, regions: { region: { id: 'x' } }, policies: { policy: { type: 'x', blob: 'y' } },
    'OS-OAUTH1/consumers': { consumer: {} }, 'OS-EP-FILTER/endpoint_groups': { endpoint_group: { name: 'x', filters: {} } }, registered_limits: { registered_limits: [] }, limits: { limits: [] },
  }
  for (const [path, json] of Object.entries(bodies)) assert.equal((await cloud.call('POST', `${V3}/${path}`, { token, json })).status, 403, path)
  for (const path of ['services', 'endpoints', 'policies', 'roles', 'domains', 'groups']) assert.equal((await cloud.call('GET', `${V3}/${path}`, { token })).status, 403, path)
  for (const path of ['regions', 'auth/catalog', 'registered_limits']) assert.equal((await cloud.call('GET', `${V3}/${path}`, { token })).status, 200, path)
  cloud.close()
})
