/** Application credentials with access rules: their tokens make the requests that a rule names, on every service, and no others. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type IdentityCloud, type Tenant, identityCloud } from './support.ts'

const V3 = '/identity/v3'

async function ruledToken(cloud: IdentityCloud, tenant: Tenant, rules: { service: string; method: string; path: string }[]) {
  const made = await cloud.call('POST', `${V3}/users/${tenant.user_id}/application_credentials`, { token: tenant.token, json: { application_credential: { name: `ac-${rules.length}-${rules[0]?.path ?? ''}`, access_rules: rules } } })
  assert.equal(made.status, 201, made.text)
  const { id, secret } = made.body.application_credential
  const issued = await cloud.call('POST', `${V3}/auth/tokens`, { json: { auth: { identity: { methods: ['application_credential'], application_credential: { id, secret } } } } })
  assert.equal(issued.status, 201, issued.text)
  assert.equal(issued.body.token.application_credential.access_rules.length, rules.length)
  return { id, token: issued.headers.get('x-subject-token') ?? '' }
}

test('a token does what its rules name and nothing else, service by service', async () => {
  const cloud = identityCloud()
  const ann = await cloud.tenant('ann')
  const { token } = await ruledToken(cloud, ann, [
    { service: 'compute', method: 'GET', path: '/v2.1/servers' }, { service: 'compute', method: 'GET', path: '/v2.1/servers/{server_id}' }, { service: 'network', method: 'GET', path: '/v2.0/**' },
    { service: 'image', method: 'GET', path: '/image/v2/images' }, { service: 'block-storage', method: 'GET', path: '/v3/*/volumes' }, { service: 'object-store', method: 'PUT', path: `/v1/AUTH_${ann.project_id}/kept` },
  ])
  const status = async (method: string, path: string, json?: unknown) => (await cloud.call(method, path, { token, json })).status
  for (const path of ['/compute/v2.1/servers', '/network/v2.0/networks', '/network/v2.0/ports', '/image/v2/images', `/volume/v3/${ann.project_id}/volumes`]) assert.equal(await status('GET', path), 200, path)
  assert.equal(await status('GET', '/compute/v2.1/servers/00000000-0000-4000-8000-000000000000'), 404)
  assert.equal(await status('PUT', `/object-store/v1/AUTH_${ann.project_id}/kept`), 201)
  const refused: [string, string, unknown?][] = [
    ['GET', '/compute/v2.1/flavors'], ['GET', '/compute/v2.1/servers/00000000-0000-4000-8000-000000000000/ips'], ['HEAD', '/compute/v2.1/servers'], ['POST', '/compute/v2.1/servers', {}], ['DELETE', '/compute/v2.1/servers/00000000-0000-4000-8000-000000000000'],
    ['POST', '/network/v2.0/networks', { network: {} }], ['GET', '/image/v2/images/x'], ['GET', `/volume/v3/${ann.project_id}/snapshots`], ['GET', '/placement/resource_providers'],
    ['GET', `${V3}/auth/projects`], ['GET', `${V3}/users/${ann.user_id}`], ['POST', `${V3}/users/${ann.user_id}/application_credentials`, { application_credential: { name: 'x' } }],
    ['PUT', `/object-store/v1/AUTH_${ann.project_id}/other`], ['GET', `/object-store/v1/AUTH_${ann.project_id}/kept`], ['GET', `/object-store/v1/AUTH_${ann.project_id}`],
  ]
  for (const [method, path, json] of refused) assert.equal(await status(method, path, json), 401, `${method} ${path}`)
  for (const path of ['/object-store/v1/AUTH_x/%2e%2e/kept', '/compute/v2.1/servers/../flavors', '/compute/v2.1/servers/..%2Fflavors', '/compute//v2.1/flavors']) assert.ok([401, 404].includes(await status('GET', path)), path)
  assert.equal((await cloud.call('GET', '/compute/v2.1/flavors', { token: ann.token })).status, 200)
  cloud.close()
})

test('a token with rules can always be validated; an empty list of rules allows nothing more; its end is the credential\'s', async () => {
  const cloud = identityCloud()
  const ann = await cloud.tenant('ann')
  const { id, token } = await ruledToken(cloud, ann, [])
  assert.equal((await cloud.call('GET', `${V3}/auth/tokens`, { token, headers: { 'x-subject-token': token } })).status, 200)
  assert.equal((await cloud.call('GET', '/compute/v2.1/servers', { token })).status, 401)
  const open = await ruledToken(cloud, ann, [{ service: 'compute', method: 'GET', path: '/v2.1/servers' }])
  assert.equal((await cloud.call('GET', '/compute/v2.1/servers', { token: open.token })).status, 200)
  for (const each of [id, open.id]) assert.equal((await cloud.call('DELETE', `${V3}/users/${ann.user_id}/application_credentials/${each}`, { token: ann.token })).status, 204)
  assert.equal((await cloud.call('GET', '/compute/v2.1/servers', { token: open.token })).status, 401)
  cloud.close()
})

test('a service that passes a request on is not held to the user\'s rules; a user who says so is', async () => {
  const cloud = identityCloud()
  const [ann, nova] = [await cloud.tenant('ann'), await cloud.tenant('nova', 'service')]
  const { token } = await ruledToken(cloud, ann, [{ service: 'compute', method: 'POST', path: '/v2.1/servers' }])
  assert.equal((await cloud.call('GET', '/network/v2.0/ports', { token, headers: { 'x-service-token': nova.token } })).status, 200)
  assert.equal((await cloud.call('GET', '/network/v2.0/ports', { token, headers: { 'x-service-token': ann.token } })).status, 401)
  assert.equal((await cloud.call('GET', '/network/v2.0/ports', { token, headers: { 'x-service-token': 'nonsense' } })).status, 401)
  await cloud.call('DELETE', `${V3}/auth/tokens`, { token: await cloud.admin(), headers: { 'x-subject-token': nova.token } })
  assert.equal((await cloud.call('GET', '/network/v2.0/ports', { token, headers: { 'x-service-token': nova.token } })).status, 401, 'revoked')
  cloud.close()
})
