/** Federation: what administrators configure, and tokens for those whom a real OpenID Connect provider vouches for. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { AUDIENCE, CLIENT, type RunningProvider, runProvider } from '../../support/oidc.ts'
import { type IdentityCloud, identityCloud } from './support.ts'

const FED = '/identity/v3/OS-FEDERATION'
const AUTH = `${FED}/identity_providers/acme/protocols/openid/auth`
let offset_ms = 0
const clock = { now_ms: () => Date.now() + offset_ms }

let cloud: IdentityCloud
let provider: RunningProvider
let admin: string
let domainId: string
const groupIds: Record<string, string> = {}

const call = (method: string, path: string, json?: unknown, token = admin) => cloud.call(method, path, { token, json })
async function ok(method: string, path: string, json?: unknown, token = admin) {
  const answer = await call(method, path, json, token)
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`)
  return answer.body
}
const bearer = (token: string, path = AUTH) => cloud.call('POST', path, { headers: { authorization: `Bearer ${token}` } })
async function enter(name: string) {
  const { access_token } = await provider.grant({ grant_type: 'password', username: name, password: 'pw' })
  const answer = await bearer(access_token)
  return { ...answer, token: answer.headers.get('x-subject-token') ?? '' }
}
const rescope = async (token: string, project_id: string) => await cloud.login({ token, project_id })
const roleId = async (name: string) => (await ok('GET', `/identity/v3/roles?name=${name}`)).roles[0].id as string

const RULES = [
  { local: [{ user: { name: '{0}', id: '{1}', email: '{2}' } }, { groups: '{3}', domain: { id: 'default' } }], remote: [{ type: 'HTTP_OIDC_NAME' }, { type: 'OIDC-sub' }, { type: 'email' }, { type: 'groups', whitelist: ['dev', 'ops'] }, { type: 'email_verified', any_one_of: ['true'] }] },
]
const OIDC = () => ({ issuer: provider.issuer, client_id: CLIENT.id, client_secret: CLIENT.secret, audiences: [AUDIENCE] })

before(async () => {
  provider = await runProvider()
  const person = (name: string, groups: string[]) => provider.accounts.set(name, { password: 'pw', claims: { name: `${name} of Acme`, email: `${name}@acme.test`, email_verified: true, groups } })
  person('alice', ['dev', 'secret'])
  person('bob', [])
  cloud = identityCloud({ clock, identity: { federation: { loopback_issuers: true } } })
  admin = await cloud.admin()
  for (const name of ['dev', 'ops']) groupIds[name] = (await ok('POST', '/identity/v3/groups', { group: { name, domain_id: 'default' } })).group.id
})
after(async () => {
  cloud.close()
  await provider.close()
})

test('identity providers, mappings, protocols and service providers are made, shown, changed, listed', async () => {
  const made = await call('PUT', `${FED}/identity_providers/acme`, { identity_provider: { description: 'Acme', enabled: true, remote_ids: [provider.issuer] } })
  assert.equal(made.status, 201)
  domainId = made.body.identity_provider.domain_id
  assert.deepEqual(made.body.identity_provider, {
    id: 'acme', domain_id: domainId, enabled: true, description: 'Acme', authorization_ttl: null, remote_ids: [provider.issuer],
    links: { self: `http://cloud.test${FED}/identity_providers/acme`, protocols: `http://cloud.test${FED}/identity_providers/acme/protocols` },
  })
  assert.equal((await ok('GET', `/identity/v3/domains/${domainId}`)).domain.name, 'acme')
  assert.equal((await call('PUT', `${FED}/identity_providers/acme`, { identity_provider: {} })).status, 409)
  assert.equal((await call('PUT', `${FED}/identity_providers/two`, { identity_provider: { remote_ids: [provider.issuer] } })).status, 409)
  assert.equal((await call('PUT', `${FED}/identity_providers/bad`, { identity_provider: { surprise: 1 } })).status, 400)
  assert.deepEqual((await ok('GET', `${FED}/identity_providers?enabled=true`)).identity_providers.map((row: { id: string }) => row.id), ['acme'])

  assert.equal((await call('PUT', `${FED}/mappings/people`, { mapping: { rules: RULES } })).status, 201)
  assert.equal((await call('PUT', `${FED}/mappings/bad`, { mapping: { rules: [{ local: [{ user: { name: '{4}' } }], remote: [{ type: 'x' }] }] } })).status, 400)
  assert.deepEqual((await ok('GET', `${FED}/mappings/people`)).mapping, { id: 'people', rules: RULES, schema_version: '1.0', links: { self: `http://cloud.test${FED}/mappings/people` } })

  assert.equal((await call('PUT', `${FED}/identity_providers/acme/protocols/openid`, { protocol: { mapping_id: 'nothing' } })).status, 400)
  const protocol = await call('PUT', `${FED}/identity_providers/acme/protocols/openid`, { protocol: { mapping_id: 'people' } })
  assert.equal(protocol.status, 201)
  assert.deepEqual(protocol.body.protocol.links, { identity_provider: `http://cloud.test${FED}/identity_providers/acme`, self: `http://cloud.test${FED}/identity_providers/acme/protocols/openid` })
  assert.equal((await call('DELETE', `${FED}/mappings/people`)).status, 409)

  const sp = { auth_url: 'https://other.test/v3', sp_url: 'https://other.test/saml' }
  assert.deepEqual((await ok('PUT', `${FED}/service_providers/other`, { service_provider: sp })).service_provider, { ...sp, id: 'other', enabled: false, description: null, relay_state_prefix: 'ss:mem:', links: { self: `http://cloud.test${FED}/service_providers/other` } })
  assert.equal((await ok('PATCH', `${FED}/service_providers/other`, { service_provider: { enabled: true } })).service_provider.enabled, true)
  assert.equal((await call('DELETE', `${FED}/service_providers/other`)).status, 204)
})

test('a protocol that nobody configured lets nobody in; its secret is taken and never shown', async () => {
  const { access_token } = await provider.grant({ grant_type: 'password', username: 'alice', password: 'pw' })
  assert.equal((await bearer(access_token)).status, 503)
  const path = `${FED}/identity_providers/acme/protocols/openid/oidc`
  const put = await call('PUT', path, { oidc: OIDC() })
  assert.equal(put.status, 200, put.text)
  assert.ok(!put.text.includes(CLIENT.secret))
  assert.ok(!(await call('GET', path)).text.includes(CLIENT.secret))
  const kept = await call('PUT', path, { oidc: { ...OIDC(), client_secret: undefined } })
  assert.deepEqual(kept.body.oidc.audiences, [AUDIENCE])
  for (const bad of [{ algorithms: ['HS256'] }, { algorithms: ['none'] }, { issuer: 'http://idp.example.org' }, { issuer: 'https://169.254.169.254/' }, { issuer: 'https://u:p@idp.example.org' }, { issuer: 'ftp://x' }, { scope: 'profile' }]) {
    assert.equal((await call('PUT', path, { oidc: { ...OIDC(), ...bad } })).status, 400, JSON.stringify(bad))
  }
  const member = (await cloud.tenant('plain')).token
  for (const each of [path, `${FED}/mappings`, `${FED}/identity_providers`, `${FED}/service_providers`]) assert.equal((await call('GET', each, undefined, member)).status, 403)
})

test('an access token of the provider gives an unscoped token, then a scoped one by the groups of the mapping', async () => {
  const { project } = await ok('POST', '/identity/v3/projects', { project: { name: 'work', domain_id: 'default' } })
  await ok('PUT', `/identity/v3/projects/${project.id}/groups/${groupIds.dev}/roles/${await roleId('member')}`)
  const alice = await enter('alice')
  assert.equal(alice.status, 201, alice.text)
  const { token } = alice.body
  assert.deepEqual(token.methods, ['openid'])
  assert.equal(token.user.name, 'alice of Acme')
  assert.deepEqual(token.user.domain, { id: domainId, name: 'acme' })
  assert.deepEqual(token.user['OS-FEDERATION'], { identity_provider: { id: 'acme' }, protocol: { id: 'openid' }, groups: [{ id: groupIds.dev }] })
  assert.equal(token.project, undefined)
  for (const path of ['/identity/v3/auth/projects', `${FED}/projects`]) assert.deepEqual((await ok('GET', path, undefined, alice.token)).projects.map((row: { name: string }) => row.name), ['work'])

  const scoped = await rescope(alice.token, project.id)
  assert.equal(scoped.status, 201, scoped.text)
  assert.deepEqual(scoped.body.token.roles.map((role: { name: string }) => role.name), ['member', 'reader'])
  assert.deepEqual(scoped.body.token.methods.sort(), ['openid', 'token'])
  assert.equal(scoped.body.token.user['OS-FEDERATION'].protocol.id, 'openid')
  assert.equal(scoped.body.token.expires_at, token.expires_at)
  const seen = await cloud.call('GET', '/identity/v3/auth/tokens', { token: admin, headers: { 'x-subject-token': scoped.token } })
  assert.deepEqual(seen.body.token.user['OS-FEDERATION'], token.user['OS-FEDERATION'])

  const again = await enter('alice')
  assert.equal(again.body.token.user.id, token.user.id)
  const { user } = await ok('GET', `/identity/v3/users/${token.user.id}`)
  assert.deepEqual(user.federated, [{ idp_id: 'acme', protocols: [{ protocol_id: 'openid', unique_id: 'alice' }] }])
  assert.equal(user.email, 'alice@acme.test')
  assert.equal((await ok('GET', `/identity/v3/users?domain_id=${domainId}`)).users.length, 1)
  const [membership] = (await ok('GET', `/identity/v3/users/${token.user.id}/groups`)).groups
  assert.equal(membership.name, 'dev')
  assert.ok(Math.abs(Date.parse(membership.membership_expires_at) - clock.now_ms() - 3_600_000) < 60_000)
  const by = async (query: string) => (await ok('GET', `/identity/v3/users?${query}`)).users.map((row: { id: string }) => row.id)
  assert.deepEqual(await by('idp_id=acme&unique_id=alice'), [token.user.id])
  assert.deepEqual(await by('idp_id=acme&protocol_id=other'), [])
})

test('a group that the provider takes away ends what it gave, tokens included', async () => {
  const alice = await enter('alice')
  const [project] = (await ok('GET', '/identity/v3/auth/projects', undefined, alice.token)).projects
  const scoped = await rescope(alice.token, project.id)
  const claims = provider.accounts.get('alice')?.claims as { groups: string[] }
  claims.groups = ['ops']
  const later = await enter('alice')
  assert.deepEqual(later.body.token.user['OS-FEDERATION'].groups, [{ id: groupIds.ops }])
  assert.equal((await cloud.call('GET', '/identity/v3/auth/tokens', { token: admin, headers: { 'x-subject-token': scoped.token } })).status, 404)
  assert.equal((await rescope(later.token, project.id)).status, 401)
  claims.groups = ['dev']
  await enter('alice')
})

test('memberships hold for authorization_ttl, and at least as long as the token', async () => {
  const alice = await enter('alice')
  const id = alice.body.token.user.id as string
  const groups = async () => (await ok('GET', `/identity/v3/users/${id}/groups`, undefined, await cloud.admin())).groups.length
  offset_ms += 3_599_000
  assert.equal(await groups(), 1)
  offset_ms += 2_000
  assert.equal(await groups(), 0)
  admin = await cloud.admin()
  await ok('PATCH', `${FED}/identity_providers/acme`, { identity_provider: { authorization_ttl: 120 } })
  offset_ms = 0
  await enter('alice')
  offset_ms = 3_700_000
  admin = await cloud.admin()
  assert.equal(await groups(), 1)
  offset_ms = 0
  admin = await cloud.admin()
})

test('a mapping may make projects with roles, name users of our own, and with version 2.0 choose the domain', async () => {
  await ok('PUT', `${FED}/mappings/homes`, { mapping: { rules: [{ local: [{ user: { name: '{0}' }, projects: [{ name: 'home-{0}', roles: [{ name: 'member' }] }] }], remote: [{ type: 'sub' }] }] } })
  await ok('PUT', `${FED}/identity_providers/acme/protocols/homes`, { protocol: { mapping_id: 'homes' } })
  await ok('PUT', `${FED}/identity_providers/acme/protocols/homes/oidc`, { oidc: OIDC() })
  const path = `${FED}/identity_providers/acme/protocols/homes/auth`
  const { access_token } = await provider.grant({ grant_type: 'password', username: 'bob', password: 'pw' })
  for (const _ of [1, 2]) {
    const bob = await bearer(access_token, path)
    assert.equal(bob.status, 201, bob.text)
    const projects = (await ok('GET', '/identity/v3/auth/projects', undefined, bob.headers.get('x-subject-token') ?? '')).projects
    assert.deepEqual(projects.map((row: { name: string; domain_id: string }) => [row.name, row.domain_id]), [['home-bob', domainId]])
  }
  await ok('PATCH', `${FED}/mappings/homes`, { mapping: { rules: [{ local: [{ user: { name: '{0}', type: 'local', domain: { id: 'default' } } }], remote: [{ type: 'sub' }] }] } })
  assert.equal((await bearer(access_token, path)).status, 401)
  const own = await ok('POST', '/identity/v3/users', { user: { name: 'bob', domain_id: 'default' } })
  const local = await bearer(access_token, path)
  assert.equal(local.body.token.user.id, own.user.id)
  assert.equal(local.body.token.user['OS-FEDERATION'], undefined)
  const rules = (multi_factor_auth_rules: string[][]) => ok('PATCH', `/identity/v3/users/${own.user.id}`, { user: { options: { multi_factor_auth_enabled: true, multi_factor_auth_rules } } })
  await rules([['password', 'totp']])
  const half = await bearer(access_token, path)
  assert.equal(half.status, 401, 'a provider\'s word is no second factor')
  assert.equal(half.headers.get('x-subject-token'), null)
  await rules([['mapped']])
  assert.equal((await bearer(access_token, path)).status, 201)
  await ok('PATCH', `/identity/v3/users/${own.user.id}`, { user: { enabled: false } })
  assert.equal((await bearer(access_token, path)).status, 401)
  await ok('PATCH', `${FED}/mappings/homes`, { mapping: { schema_version: '2.0', rules: [{ local: [{ user: { name: 'x-{0}', domain: { id: 'default' } } }], remote: [{ type: 'sub' }] }] } })
  assert.equal((await bearer(access_token, path)).body.token.user.domain.id, 'default')
  assert.equal((await call('DELETE', `${FED}/identity_providers/acme/protocols/homes`)).status, 204)
  assert.equal((await ok('GET', '/identity/v3/users?name=x-bob&domain_id=default')).users.length, 0)
})

test('two people of one name are two users, and neither gets in by a password', async () => {
  for (const [name, sub] of [['carol', 'carol'], ['carol', 'carol2']] as const) provider.accounts.set(sub, { password: 'pw', claims: { name, email: `${sub}@acme.test`, email_verified: true, groups: ['dev'] } })
  const [one, two] = [await enter('carol'), await enter('carol2')]
  assert.equal(one.body.token.user.name, two.body.token.user.name)
  assert.notEqual(one.body.token.user.id, two.body.token.user.id)
  assert.equal((await cloud.login({ user_id: one.body.token.user.id, password: 'pw', unscoped: true })).status, 401)
})

test('a disabled provider refuses its users and ends their tokens; one that is deleted takes them along', async () => {
  const alice = await enter('alice')
  const [project] = (await ok('GET', '/identity/v3/auth/projects', undefined, alice.token)).projects
  const scoped = await rescope(alice.token, project.id)
  const own = (token: string) => cloud.call('GET', '/identity/v3/auth/projects', { token })
  assert.equal((await own(scoped.token)).status, 200)
  await ok('PATCH', `${FED}/identity_providers/acme`, { identity_provider: { enabled: false } })
  assert.equal((await own(scoped.token)).status, 401)
  assert.equal((await own(alice.token)).status, 401)
  assert.equal((await enter('alice')).status, 403)
  await ok('PATCH', `${FED}/identity_providers/acme`, { identity_provider: { enabled: true } })
  assert.equal((await own(scoped.token)).status, 401)
  const later = await enter('alice')
  assert.equal((await own(later.token)).status, 200)
  assert.equal((await call('DELETE', `${FED}/identity_providers/acme`)).status, 204)
  assert.equal((await own(later.token)).status, 401)
  assert.equal((await call('GET', `/identity/v3/users/${alice.body.token.user.id}`)).status, 404)
  assert.equal((await enter('alice')).status, 404)
})
