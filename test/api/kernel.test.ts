/** The kernel's promises, through the Worker: tokens, revocation, versions, idempotency, request ids, faults of each dialect. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type TestCloud, mintedCloud } from '../support/cloud.ts'

let cloud: TestCloud
before(async () => {
  cloud = await mintedCloud()
})
after(() => cloud.close())

test('an unknown prefix is 404 with a request id in the body', async () => {
  const answer = await cloud.call('GET', '/nowhere')
  assert.equal(answer.status, 404)
  assert.match(answer.body.error.request_id, /^req-/)
})

test('no token, a forged one, one of another key and an expired one are 401 and say how to get one', async () => {
  const good = await cloud.token()
  const [head = '', payload = '', signature = ''] = good.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
  const raised = [head, Buffer.from(JSON.stringify({ ...claims, rl: ['admin'] })).toString('base64url'), signature].join('.')
  const otherKey = [Buffer.from(JSON.stringify({ alg: 'EdDSA', kid: 'none' })).toString('base64url'), payload, signature].join('.')
  const unsigned = [Buffer.from(JSON.stringify({ alg: 'none', kid: 'test' })).toString('base64url'), payload, ''].join('.')
  const expired = await cloud.token({ expires_ms: Date.now() - 1 })
  for (const token of [undefined, '', 'x', raised, otherKey, unsigned, expired, `${good.slice(0, -4)}AAAA`, 'e'.repeat(20_000)]) {
    const answer = await cloud.call('GET', '/compute/v2.1/servers', { token })
    assert.equal(answer.status, 401, String(token).slice(0, 40))
    assert.match(answer.headers.get('www-authenticate') ?? '', /^Keystone uri=/)
  }
  assert.equal((await cloud.call('GET', '/compute/v2.1/servers', { token: good })).status, 200)
})

test('identity headers from outside are not believed', async () => {
  const token = await cloud.token({ role: 'reader' })
  const headers = { 'x-roles': 'admin', 'x-user-id': 'root', 'x-project-id': 'project-b', 'x-is-admin-project': 'True', 'x-identity-status': 'Confirmed' }
  assert.equal((await cloud.call('GET', '/compute/v2.1/os-services', { token, headers })).status, 403)
  assert.equal((await cloud.call('GET', '/compute/v2.1/servers', { headers })).status, 401)
})

test('a revocation refuses at once, in the own project and, for administrators, in every other', async () => {
  const token = await cloud.token({ user_id: 'leaver', project_id: 'project-r' })
  assert.equal((await cloud.call('GET', '/compute/v2.1/servers', { token })).status, 200)
  const event = [{ scope: 'user' as const, subject: 'leaver', before_ms: Date.now() + 60_000, expires_ms: Date.now() + 3_600_000 }]
  await cloud.env.PROJECT.getByName('project-r').revoke(event)
  await cloud.env.REGION.getByName('region').revoke(event)
  for (const path of ['/compute/v2.1/servers', '/network/v2.0/ports', '/compute/v2.1/flavors', '/image/v2/images']) assert.equal((await cloud.call('GET', path, { token })).status, 401, path)
  const owner = await cloud.token({ project_id: 'project-x' })
  const { network } = (await cloud.call('POST', '/network/v2.0/networks', { token: owner, json: { network: { name: 'n' } } })).body
  const admin = await cloud.token({ user_id: 'leaver', project_id: 'project-y', role: 'admin' })
  assert.equal((await cloud.call('GET', `/network/v2.0/networks/${network.id}`, { token: admin })).status, 401)
})

test('microversions: both headers in and out, 406 outside, 400 for nonsense', async () => {
  const token = await cloud.token()
  const get = (headers: Record<string, string>) => cloud.call('GET', '/compute/v2.1/servers', { token, headers })
  const answer = await get({ 'openstack-api-version': 'compute 2.53' })
  assert.equal(answer.headers.get('openstack-api-version'), 'compute 2.53')
  assert.equal(answer.headers.get('x-openstack-nova-api-version'), '2.53')
  assert.match(answer.headers.get('vary') ?? '', /OpenStack-API-Version/)
  assert.equal((await get({ 'x-openstack-nova-api-version': '2.10' })).headers.get('openstack-api-version'), 'compute 2.10')
  assert.equal((await get({ 'openstack-api-version': 'compute 9.1' })).status, 406)
  assert.equal((await get({ 'openstack-api-version': 'compute x.y' })).status, 400)
})

test('Idempotency-Key: same body same answer, another body 409, one effect', async () => {
  const token = await cloud.token({ project_id: 'project-i' })
  const post = (name: string, key: string) => cloud.call('POST', '/network/v2.0/networks', { token, json: { network: { name } }, headers: { 'idempotency-key': key } })
  const answers = [await post('one', 'k1'), await post('one', 'k1'), await post('one', 'k1')]
  assert.deepEqual(answers.map((answer) => answer.status), [201, 201, 201])
  assert.equal(new Set(answers.map((answer) => answer.body.network.id)).size, 1)
  assert.equal(answers[1]?.headers.get('idempotency-replayed'), 'true')
  assert.equal((await post('two', 'k1')).status, 409)
  assert.equal((await post('one', 'x'.repeat(256))).status, 400)
  assert.equal((await cloud.call('GET', '/network/v2.0/networks', { token })).body.networks.length, 1)
})

test('malformed JSON, a missing body and a wrong method say so in the dialect of the service', async () => {
  const token = await cloud.token()
  const headers = { 'content-type': 'application/json' }
  assert.equal((await cloud.call('POST', '/compute/v2.1/servers', { token, body: '{', headers })).body.badRequest.code, 400)
  assert.equal((await cloud.call('POST', '/network/v2.0/networks', { token, body: '', headers })).body.NeutronError.type, 'HTTPBadRequest')
  assert.equal((await cloud.call('PATCH', '/compute/v2.1/servers', { token, json: {} })).status, 405)
})
