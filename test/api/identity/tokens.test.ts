/** Tokens: issue, validate, re-scope, revoke; keys and their rotation. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ADMIN_PASSWORD, identityCloud } from './support.ts'

const TOKENS = '/identity/v3/auth/tokens'

test('the first admin logs in with the bootstrap password and gets roles, project and catalog', async () => {
  const cloud = identityCloud()
  const answer = await cloud.login({ project: 'admin' })
  assert.equal(answer.status, 201)
  const { token } = answer.body
  assert.deepEqual(token.roles.map((role: { name: string }) => role.name), ['admin', 'manager', 'member', 'reader'])
  assert.equal(token.project.name, 'admin')
  assert.deepEqual(token.project.domain, { id: 'default', name: 'Default' })
  const swift = token.catalog.find((service: { type: string }) => service.type === 'object-store')
  assert.equal(swift.endpoints[0].url, `http://cloud.test/object-store/v1/AUTH_${token.project.id}`)
  assert.equal(token.catalog.find((service: { type: string }) => service.type === 'volumev3').name, 'cinderv3')
  assert.equal(answer.headers.get('vary'), 'X-Auth-Token')
  const again = await cloud.login({ project: 'admin' })
  assert.equal(again.status, 201)
  cloud.close()
})

test('a wrong password, an unknown user and an unknown domain look alike', async () => {
  const cloud = identityCloud()
  const bodies = new Set<string>()
  for (const request of [{ password: 'wrong' }, { user: 'nobody' }, { user_id: 'f'.repeat(32) }]) {
    const answer = await cloud.login(request)
    assert.equal(answer.status, 401)
    bodies.add(answer.text)
  }
  assert.equal(bodies.size, 1)
  cloud.close()
})

test('unscoped, domain and system scopes; a scope without a role is 401', async () => {
  const cloud = identityCloud()
  const unscoped = await cloud.login({ unscoped: true })
  assert.equal(unscoped.status, 201)
  assert.equal(unscoped.body.token.roles, undefined)
  assert.equal(unscoped.body.token.catalog, undefined)
  const system = await cloud.login({ system: true })
  assert.deepEqual(system.body.token.system, { all: true })
  assert.equal((await cloud.login({ domain_id: 'default' })).status, 401)
  assert.equal((await cloud.login({ project: 'service' })).status, 401)
  assert.equal((await cloud.login({ project: 'no-such' })).status, 401)
  cloud.close()
})

test('a re-scoped token keeps its expiry and audit chain', async () => {
  const cloud = identityCloud()
  const first = await cloud.login({ unscoped: true })
  const second = await cloud.login({ token: first.token, project: 'admin' })
  assert.equal(second.status, 201)
  assert.equal(second.body.token.expires_at, first.body.token.expires_at)
  assert.equal(second.body.token.audit_ids[1], first.body.token.audit_ids[0])
  assert.deepEqual(new Set(second.body.token.methods), new Set(['token', 'password']))
  const third = await cloud.login({ token: second.token, unscoped: true })
  assert.equal(third.body.token.audit_ids[1], first.body.token.audit_ids[0])
  cloud.close()
})

test('validate, check and revoke; a revoked token is refused everywhere at once', async () => {
  const cloud = identityCloud()
  const admin = await cloud.admin()
  const other = await cloud.login({ project: 'admin' })
  const subject = { 'x-subject-token': other.token }
  const shown = await cloud.call('GET', TOKENS, { token: admin, headers: subject })
  assert.equal(shown.status, 200)
  assert.equal(shown.headers.get('x-subject-token'), other.token)
  assert.deepEqual(shown.body, other.body)
  assert.equal((await cloud.call('GET', `${TOKENS}?nocatalog`, { token: admin, headers: subject })).body.token.catalog, undefined)
  assert.equal((await cloud.call('HEAD', TOKENS, { token: admin, headers: subject })).status, 200)
  assert.equal((await cloud.call('GET', TOKENS, { token: admin, headers: { 'x-subject-token': 'garbage' } })).status, 404)
  assert.equal((await cloud.call('DELETE', TOKENS, { token: admin, headers: subject })).status, 204)
  assert.equal((await cloud.call('HEAD', TOKENS, { token: admin, headers: subject })).status, 404)
  assert.equal((await cloud.call('GET', '/identity/v3/auth/projects', { token: other.token })).status, 401)
  assert.equal((await cloud.login({ token: other.token })).status, 404)
  assert.equal((await cloud.call('GET', '/identity/v3/auth/projects', { token: admin })).status, 200)
  const project_id = shown.body.token.project.id
  const caller = { user_id: 'u', audit_ids: other.body.token.audit_ids, expires_ms: Date.now() + 60_000, issued_ms: 0, project_id } as never
  await assert.rejects(async () => await cloud.env.PROJECT.getByName(project_id).call(caller, [], []), /requires authentication/)
  await assert.rejects(async () => await cloud.env.REGION.getByName('region').call(caller, [], []), /requires authentication/)
  cloud.close()
})

test('expiry: an expired token is 401 for its user and 404 to a validator, unless expired ones are allowed', async () => {
  let now = Date.now()
  const cloud = identityCloud({ clock: { now_ms: () => now } })
  const old = await cloud.login({ project: 'admin' })
  now += 3_600_001
  assert.equal((await cloud.call('GET', '/identity/v3/auth/projects', { token: old.token })).status, 401)
  const admin = await cloud.admin()
  const headers = { 'x-subject-token': old.token }
  assert.equal((await cloud.call('GET', TOKENS, { token: admin, headers })).status, 404)
  assert.equal((await cloud.call('GET', `${TOKENS}?allow_expired=1`, { token: admin, headers })).status, 200)
  now += 49 * 3_600_000
  assert.equal((await cloud.call('GET', `${TOKENS}?allow_expired=1`, { token: await cloud.admin(), headers })).status, 404)
  cloud.close()
})

test('keys rotate without downtime: the next key is published ahead, tokens of the old one hold', async () => {
  const cloud = identityCloud()
  const identity = cloud.env.IDENTITY.getByName('identity')
  const before = await cloud.admin()
  const published = (await identity.publicKeys()).map((key) => key.kid)
  assert.equal(published.length, 2)
  await identity.rotateKeys()
  const after = await cloud.admin()
  const kid = (token: string) => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid
  assert.notEqual(kid(before), kid(after))
  assert.ok(published.includes(kid(after)))
  for (const token of [before, after]) assert.equal((await cloud.call('GET', '/identity/v3/auth/projects', { token })).status, 200)
  cloud.close()
})

test('a forged signature, another algorithm and inbound identity headers give nothing', async () => {
  const cloud = identityCloud()
  const token = await cloud.admin()
  const [head, body, signature] = token.split('.')
  const claims = JSON.parse(Buffer.from(body ?? '', 'base64url').toString())
  const forged = [head, Buffer.from(JSON.stringify({ ...claims, sub: 'somebody' })).toString('base64url'), signature].join('.')
  const none = [Buffer.from(JSON.stringify({ alg: 'none', kid: JSON.parse(Buffer.from(head ?? '', 'base64url').toString()).kid })).toString('base64url'), body, ''].join('.')
  for (const bad of [forged, none, `${token}x`, 'x'.repeat(10_000)]) assert.equal((await cloud.call('GET', '/identity/v3/auth/projects', { token: bad })).status, 401)
  assert.equal((await cloud.call('GET', '/identity/v3/auth/projects', { headers: { 'x-user-id': claims.sub, 'x-roles': 'admin', 'x-identity-status': 'Confirmed' } })).status, 401)
  cloud.close()
})

test('bad bodies are 400 and name the field', async () => {
  const cloud = identityCloud()
  const post = (json: unknown) => cloud.call('POST', TOKENS, { json })
  assert.equal((await post({})).status, 400)
  const noDomain = await post({ auth: { identity: { methods: ['password'], password: { user: { name: 'admin', password: ADMIN_PASSWORD } } } } })
  assert.equal(noDomain.status, 400)
  assert.match(noDomain.body.error.message, /domain/)
  assert.equal((await post({ auth: { identity: { methods: ['password'] } } })).status, 400)
  assert.equal((await post({ auth: { identity: { methods: [] } } })).status, 400)
  assert.equal((await post({ auth: { identity: { methods: Array.from({ length: 100 }, () => 'token') } } })).status, 400)
  cloud.close()
})

test('discovery answers without a token', async () => {
  const cloud = identityCloud()
  const root = await cloud.call('GET', '/identity')
  assert.equal(root.status, 300)
  assert.equal(root.body.versions.values[0].links[0].href, 'http://cloud.test/identity/v3/')
  for (const path of ['/identity/v3', '/identity/v3/']) assert.equal((await cloud.call('GET', path)).body.version.status, 'stable')
  cloud.close()
})
