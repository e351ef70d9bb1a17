/** OAuth1 from the consumer to a token, what that token may and may not do, and everything that ends it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ORIGIN } from '../../support/cloud.ts'
import { type OAuthClient, form, oauthHeader } from '../../support/oauth1.ts'
import { type IdentityCloud, identityCloud } from './support.ts'

const V3 = '/identity/v3'
const OAUTH = `${V3}/OS-OAUTH1`
let offset_ms = 0
const clock = { now_ms: () => Date.now() + offset_ms }
let cloud: IdentityCloud
let admin: string
let projectId: string
let userId: string
const roleIds: Record<string, string> = {}

before(async () => {
  cloud = identityCloud({ clock })
  admin = await cloud.admin()
  const { body } = await cloud.call('GET', `${V3}/auth/tokens`, { token: admin, headers: { 'x-subject-token': admin } })
  projectId = body.token.project.id
  userId = body.token.user.id
  for (const role of (await cloud.call('GET', `${V3}/roles`, { token: admin })).body.roles) roleIds[role.name] = role.id
})
after(() => cloud.close())

const post = (path: string, client: OAuthClient, headers: Record<string, string> = {}, json?: unknown) => cloud.call('POST', path, { headers: { authorization: oauthHeader(`${ORIGIN}${path}`, client), ...headers }, json })
async function consumer(): Promise<OAuthClient> {
  const { body } = await cloud.call('POST', `${OAUTH}/consumers`, { token: admin, json: { consumer: { description: 'a program' } } })
  return { key: body.consumer.id, secret: body.consumer.secret }
}
async function requested(client: OAuthClient) {
  const answer = await post(`${OAUTH}/request_token`, client, { 'requested-project-id': projectId })
  assert.equal(answer.status, 201, answer.text)
  const { oauth_token: key = '', oauth_token_secret: secret = '' } = form(answer.text)
  return { key, secret }
}
const authorize = (id: string, roles: unknown, token = admin) => cloud.call('PUT', `${OAUTH}/authorize/${id}`, { token, json: { roles } })
async function delegated(client: OAuthClient, roles: unknown = [{ id: roleIds.member }]): Promise<OAuthClient & { token: { key: string; secret: string } }> {
  const token = await requested(client)
  const { body } = await authorize(token.key, roles)
  const answer = await post(`${OAUTH}/access_token`, { ...client, token, verifier: body.token.oauth_verifier })
  assert.equal(answer.status, 201, answer.text)
  const { oauth_token: key = '', oauth_token_secret: secret = '' } = form(answer.text)
  return { ...client, token: { key, secret } }
}
const LOGIN = { auth: { identity: { methods: ['oauth1'], oauth1: {} } } }
async function login(client: OAuthClient) {
  const answer = await post(`${V3}/auth/tokens`, client, {}, LOGIN)
  return { ...answer, token: answer.headers.get('x-subject-token') ?? '' }
}

test('a consumer asks, a user authorizes, and the token carries the roles named, no more', async () => {
  const client = await consumer()
  const access = await delegated(client)
  const { status, body, token, text } = await login(access)
  assert.equal(status, 201, text)
  assert.deepEqual(body.token.methods, ['oauth1'])
  assert.deepEqual(body.token['OS-OAUTH1'], { access_token_id: access.token.key, consumer_id: client.key })
  assert.deepEqual(body.token.roles.map((role: { name: string }) => role.name), ['member', 'reader'])
  assert.deepEqual([body.token.project.id, body.token.user.id], [projectId, userId])
  assert.equal((await cloud.call('GET', '/compute/v2.1/servers', { token })).status, 200)
  const seen = await cloud.call('GET', `${V3}/auth/tokens`, { token: admin, headers: { 'x-subject-token': token } })
  assert.deepEqual(seen.body.token['OS-OAUTH1'], body.token['OS-OAUTH1'])
  const list = await cloud.call('GET', `${V3}/users/${userId}/OS-OAUTH1/access_tokens`, { token: admin })
  assert.deepEqual(list.body.access_tokens.map((row: { id: string; consumer_id: string }) => [row.id, row.consumer_id]), [[access.token.key, client.key]])
  assert.doesNotMatch(list.text, /secret/)
  assert.deepEqual((await cloud.call('GET', `${V3}/users/${userId}/OS-OAUTH1/access_tokens/${access.token.key}/roles`, { token: admin })).body.roles.map((role: { id: string }) => role.id), [roleIds.member])
  assert.equal((await login({ ...access, hash: 'SHA256' })).status, 201)
})

test('wrong secrets, keys, verifiers and times are refused; a signed request is taken once; a request token gives one access token', async () => {
  const client = await consumer()
  const ask = (given: OAuthClient) => post(`${OAUTH}/request_token`, given, { 'requested-project-id': projectId })
  assert.equal((await ask({ ...client, secret: 'wrong' })).status, 401)
  assert.equal((await ask({ ...client, key: 'f'.repeat(32) })).status, 404)
  for (const at_s of [0, Math.floor(Date.now() / 1000) - 1_000, Math.floor(Date.now() / 1000) + 1_000]) assert.equal((await ask({ ...client, at_s })).status, 401, String(at_s))
  const replayed = { ...client, nonce: 'once', at_s: Math.floor(Date.now() / 1000) }
  assert.deepEqual([(await ask(replayed)).status, (await ask(replayed)).status], [201, 401])
  assert.equal((await cloud.call('POST', `${OAUTH}/request_token`, { headers: { 'requested-project-id': projectId } })).status, 400)

  const token = await requested(client)
  const exchange = (verifier: string, given: OAuthClient = client) => post(`${OAUTH}/access_token`, { ...given, token, verifier })
  assert.equal((await exchange('early')).status, 401, 'before anybody authorized it')
  const { oauth_verifier: verifier } = (await authorize(token.key, [{ id: roleIds.member }])).body.token
  assert.equal((await exchange('guessed')).status, 401)
  assert.equal((await exchange(verifier, await consumer())).status, 401, 'of another consumer')
  assert.equal((await post(`${OAUTH}/access_token`, { ...client, token: { ...token, secret: 'wrong' }, verifier })).status, 401)
  assert.equal((await exchange(verifier)).status, 201)
  assert.equal((await exchange(verifier)).status, 404, 'it is used up')

  const access = await delegated(client)
  assert.equal((await login({ ...access, secret: 'wrong' })).status, 401)
  assert.equal((await login({ ...access, token: { ...access.token, secret: 'wrong' } })).status, 401)
  assert.equal((await login({ ...(await consumer()), token: access.token })).status, 401, "another consumer's signature")
})

test('a user authorizes no role that it does not have, and nobody a request token that is not there; members do not authorize at all, as upstream', async () => {
  const token = await requested(await consumer())
  const { body } = await cloud.call('POST', `${V3}/roles`, { token: admin, json: { role: { name: 'elsewhere' } } })
  assert.equal((await authorize(token.key, [{ id: body.role.id }])).status, 401)
  assert.equal((await authorize(token.key, [{ id: 'f'.repeat(32) }])).status, 401)
  assert.equal((await authorize(token.key, [{ name: 'nobody has heard of' }])).status, 404)
  assert.equal((await authorize('f'.repeat(32), [{ id: roleIds.member }])).status, 404)
  for (const bad of ['x', [{}], [{ id: 'a', name: 'b' }], [{ nonsense: 1 }]]) assert.equal((await authorize(token.key, bad)).status, 400, JSON.stringify(bad))
  const member = await cloud.tenant('oauth-member')
  assert.equal((await authorize(token.key, [{ id: roleIds.member }], member.token)).status, 403)
  assert.equal((await cloud.call('GET', `${V3}/users/${userId}/OS-OAUTH1/access_tokens`, { token: member.token })).status, 403)
})

test('S22: a delegated token makes nothing that outlives it: no token, credential, application credential, trust, nor another delegation', async () => {
  const client = await consumer()
  const { token } = await login(await delegated(client, [{ id: roleIds.admin }]))
  const calls: [string, string, unknown][] = [
    ['POST', `${V3}/auth/tokens`, { auth: { identity: { methods: ['token'], token: { id: token } } } }],
    ['POST', `${V3}/credentials`, { credential: { type: 'totp', blob: 'GEZDGNBVGY3TQOJQ', user_id: userId } }],
    ['POST', `${V3}/users/${userId}/credentials/OS-EC2`, { tenant_id: projectId }],
    ['POST', `${V3}/users/${userId}/application_credentials`, { application_credential: { name: 'x' } }],
    ['GET', `${V3}/users/${userId}/application_credentials`, undefined],
    ['POST', `${V3}/OS-TRUST/trusts`, { trust: { trustor_user_id: userId, trustee_user_id: userId, project_id: projectId, impersonation: false, roles: [{ name: 'member' }] } }],
    ['PUT', `${OAUTH}/authorize/${(await requested(client)).key}`, { roles: [{ id: roleIds.admin }] }],
    ['GET', `${V3}/users/${userId}/OS-OAUTH1/access_tokens`, undefined],
  ]
  for (const [method, path, json] of calls) assert.equal((await cloud.call(method, path, { token, json })).status, 403, `${method} ${path}`)
  assert.deepEqual((await cloud.call('GET', `${V3}/credentials`, { token })).body.credentials, [])
  assert.equal((await cloud.call('GET', `${V3}/auth/catalog`, { token })).status, 200, 'it is a token all the same')
})

test('S22: by a trust, too: who may act for somebody gets none of what lets that one in', async () => {
  const [trustor, trustee] = [await cloud.tenant('trustor'), await cloud.tenant('trustee')]
  await cloud.call('POST', `${V3}/users/${trustor.user_id}/credentials/OS-EC2`, { token: trustor.token, json: { tenant_id: trustor.project_id } })
  const { trust } = (await cloud.call('POST', `${V3}/OS-TRUST/trusts`, { token: trustor.token, json: { trust: { trustor_user_id: trustor.user_id, trustee_user_id: trustee.user_id, project_id: trustor.project_id, impersonation: true, roles: [{ name: 'member' }] } } })).body
  const answer = await cloud.call('POST', `${V3}/auth/tokens`, { json: { auth: { identity: { methods: ['password'], password: { user: { id: trustee.user_id, password: trustee.password } } }, scope: { 'OS-TRUST:trust': { id: trust.id } } } } })
  const token = answer.headers.get('x-subject-token') ?? ''
  assert.equal(answer.body.token.user.id, trustor.user_id)
  const own = `${V3}/users/${trustor.user_id}`
  const calls: [string, string, unknown][] = [
    ['POST', `${own}/application_credentials`, { application_credential: { name: 'backdoor' } }], ['GET', `${own}/application_credentials`, undefined], ['GET', `${own}/access_rules`, undefined],
    ['GET', `${own}/credentials/OS-EC2`, undefined], ['POST', `${V3}/credentials`, { credential: { type: 'totp', blob: 'GEZDGNBVGY3TQOJQ', user_id: trustor.user_id } }],
  ]
  for (const [method, path, json] of calls) assert.equal((await cloud.call(method, path, { token, json })).status, 403, `${method} ${path}`)
  assert.deepEqual((await cloud.call('GET', `${V3}/credentials`, { token })).body.credentials, [])
})

test('S20: taken back, its consumer deleted, a role or the user gone: the token ends at once, and the access token gives no other', async () => {
  const ends: Record<string, (client: OAuthClient & { token: { key: string } }) => Promise<{ status: number }>> = {
    'taken back': ({ token }) => cloud.call('DELETE', `${V3}/users/${userId}/OS-OAUTH1/access_tokens/${token.key}`, { token: admin }),
    'consumer deleted': ({ key }) => cloud.call('DELETE', `${OAUTH}/consumers/${key}`, { token: admin }),
  }
  for (const [name, end] of Object.entries(ends)) {
    const access = await delegated(await consumer())
    const { token } = await login(access)
    assert.equal((await cloud.call('GET', '/compute/v2.1/servers', { token })).status, 200)
    assert.equal((await end(access)).status, 204, name)
    assert.equal((await cloud.call('GET', '/compute/v2.1/servers', { token })).status, 401, name)
    assert.equal((await login(access)).status, 404, name)
  }
  const { role } = (await cloud.call('POST', `${V3}/roles`, { token: admin, json: { role: { name: 'of-the-night' } } })).body
  await cloud.call('PUT', `${V3}/roles/${roleIds.admin}/implies/${role.id}`, { token: admin })
  admin = await cloud.admin()
  const access = await delegated(await consumer(), [{ name: 'of-the-night' }])
  const { token } = await login(access)
  assert.equal((await cloud.call('GET', `${V3}/auth/catalog`, { token })).status, 200)
  assert.equal((await cloud.call('DELETE', `${V3}/roles/${role.id}`, { token: admin })).status, 204)
  admin = await cloud.admin()
  assert.equal((await cloud.call('GET', `${V3}/auth/catalog`, { token })).status, 401, 'it was only implied by what the user has')
  assert.equal((await login(access)).status, 401, 'no role is left')
})

test('request and access tokens end by time, and a token ends with its access token', async () => {
  const client = await consumer()
  const [token, access] = [await requested(client), await delegated(client)]
  offset_ms += 8 * 3_600_000 + 1_000
  const at_s = () => Math.floor(clock.now_ms() / 1000)
  admin = await cloud.admin()
  assert.equal((await authorize(token.key, [{ id: roleIds.member }])).status, 401)
  offset_ms += 15.5 * 3_600_000
  const late = await login({ ...access, at_s: at_s() })
  assert.equal(late.status, 201, late.text)
  assert.ok(Date.parse(late.body.token.expires_at) - clock.now_ms() < 31 * 60_000)
  offset_ms += 3_600_000
  assert.equal((await login({ ...access, at_s: at_s() })).status, 401)
})
