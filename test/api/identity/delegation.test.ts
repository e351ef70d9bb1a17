/** Delegation: application credentials, trusts, EC2 keys. None gives more than its maker has, none outlives it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type IdentityCloud, type Tenant, identityCloud } from './support.ts'

const V3 = '/identity/v3'

async function appCred(cloud: IdentityCloud, tenant: Tenant, more: Record<string, unknown> = {}) {
  const made = await cloud.call('POST', `${V3}/users/${tenant.user_id}/application_credentials`, { token: tenant.token, json: { application_credential: { name: 'ci', ...more } } })
  return made
}

const loginWith = async (cloud: IdentityCloud, id: string, secret: string) => {
  const answer = await cloud.call('POST', `${V3}/auth/tokens`, { json: { auth: { identity: { methods: ['application_credential'], application_credential: { id, secret } } } } })
  return { ...answer, token: answer.headers.get('x-subject-token') ?? '' }
}

test('an application credential logs in with its roles on its project, and no further', async () => {
  const cloud = identityCloud()
  const ann = await cloud.tenant('ann')
  const made = await appCred(cloud, ann, { roles: [{ name: 'reader' }] })
  assert.equal(made.status, 201)
  const { id, secret } = made.body.application_credential
  const used = await loginWith(cloud, id, secret)
  assert.equal(used.status, 201)
  assert.equal(used.body.token.project.id, ann.project_id)
  assert.deepEqual(used.body.token.roles.map((role: { name: string }) => role.name), ['reader'])
  assert.equal(used.body.token.application_credential.restricted, true)
  assert.equal((await loginWith(cloud, id, 'wrong')).status, 401)
  assert.equal((await loginWith(cloud, 'f'.repeat(32), secret)).status, 401)
  const shown = await cloud.call('GET', `${V3}/users/${ann.user_id}/application_credentials/${id}`, { token: ann.token })
  assert.equal(shown.body.application_credential.secret, undefined)
  assert.equal((await cloud.login({ token: used.token, project_id: ann.project_id })).status, 403, 'it is no way to another token')
  cloud.close()
})

test('restricted ones manage neither their like, nor EC2 keys, nor trusts; roles beyond the maker are refused', async () => {
  const cloud = identityCloud()
  const [ann, bob] = [await cloud.tenant('ann'), await cloud.tenant('bob')]
  const { id, secret } = (await appCred(cloud, ann)).body.application_credential
  const { token } = await loginWith(cloud, id, secret)
  const limited = { ...ann, token }
  assert.equal((await appCred(cloud, limited, { name: 'more' })).status, 403)
  assert.equal((await cloud.call('POST', `${V3}/users/${ann.user_id}/credentials/OS-EC2`, { token, json: { tenant_id: ann.project_id } })).status, 403)
  const trust = { trustor_user_id: ann.user_id, trustee_user_id: bob.user_id, project_id: ann.project_id, impersonation: false, roles: [{ name: 'member' }] }
  assert.equal((await cloud.call('POST', `${V3}/OS-TRUST/trusts`, { token, json: { trust } })).status, 403)
  assert.equal((await appCred(cloud, ann, { name: 'admin', roles: [{ name: 'admin' }] })).status, 400)
  assert.equal((await appCred(cloud, ann)).status, 409)
  assert.equal((await appCred(cloud, { ...bob, user_id: ann.user_id })).status, 403)
  assert.equal((await appCred(cloud, ann, { name: 'late', expires_at: '2001-01-01T00:00:00' })).status, 400)
  cloud.close()
})

test('deleting one ends its tokens; losing the role ends its use', async () => {
  const cloud = identityCloud()
  const ann = await cloud.tenant('ann')
  const { id, secret } = (await appCred(cloud, ann)).body.application_credential
  const { token } = await loginWith(cloud, id, secret)
  assert.equal((await cloud.call('DELETE', `${V3}/users/${ann.user_id}/application_credentials/${id}`, { token: ann.token })).status, 204)
  assert.equal((await cloud.call('GET', `${V3}/auth/projects`, { token })).status, 401)
  assert.equal((await cloud.call('GET', `${V3}/auth/projects`, { token: ann.token })).status, 200)
  const next = (await appCred(cloud, ann)).body.application_credential
  const admin = await cloud.admin()
  const member = (await cloud.call('GET', `${V3}/roles?name=member`, { token: admin })).body.roles[0].id
  await cloud.call('DELETE', `${V3}/projects/${ann.project_id}/users/${ann.user_id}/roles/${member}`, { token: admin })
  assert.equal((await loginWith(cloud, next.id, next.secret)).status, 401)
  cloud.close()
})

test('a credential keeps its access rules, and a rule in use cannot be deleted', async () => {
  const cloud = identityCloud()
  const ann = await cloud.tenant('ann')
  const rule = { service: 'compute', method: 'GET', path: '/v2.1/servers' }
  const { id, secret, access_rules } = (await appCred(cloud, ann, { access_rules: [rule] })).body.application_credential
  assert.deepEqual(access_rules, [{ id: access_rules[0]?.id, ...rule }])
  assert.equal((await loginWith(cloud, id, secret)).status, 201)
  const rules = `${V3}/users/${ann.user_id}/access_rules`
  assert.equal((await cloud.call('GET', rules, { token: ann.token })).body.access_rules.length, 1)
  assert.equal((await cloud.call('DELETE', `${rules}/${access_rules[0]?.id}`, { token: ann.token })).status, 403)
  await cloud.call('DELETE', `${V3}/users/${ann.user_id}/application_credentials/${id}`, { token: ann.token })
  assert.equal((await cloud.call('DELETE', `${rules}/${access_rules[0]?.id}`, { token: ann.token })).status, 204)
  cloud.close()
})

async function trusted(cloud: IdentityCloud, more: Record<string, unknown> = {}) {
  const [ann, bob] = [await cloud.tenant('ann'), await cloud.tenant('bob')]
  const json = { trust: { trustor_user_id: ann.user_id, trustee_user_id: bob.user_id, project_id: ann.project_id, impersonation: true, roles: [{ name: 'reader' }], ...more } }
  const made = await cloud.call('POST', `${V3}/OS-TRUST/trusts`, { token: ann.token, json })
  assert.equal(made.status, 201, made.text)
  const { trust } = made.body
  const use = async (who: Tenant) => {
    const answer = await cloud.call('POST', `${V3}/auth/tokens`, { json: { auth: { identity: { methods: ['password'], password: { user: { id: who.user_id, password: who.password } } }, scope: { 'OS-TRUST:trust': { id: trust.id } } } } })
    return { ...answer, token: answer.headers.get('x-subject-token') ?? '' }
  }
  return { ann, bob, trust, use }
}

test('a trustee acts with the delegated roles alone; only the trustee; the token dies with the trust', async () => {
  const cloud = identityCloud()
  const { ann, bob, trust, use } = await trusted(cloud)
  const used = await use(bob)
  assert.equal(used.status, 201)
  assert.equal(used.body.token.user.id, ann.user_id)
  assert.deepEqual(used.body.token.roles.map((role: { name: string }) => role.name), ['reader'])
  assert.equal(used.body.token['OS-TRUST:trust'].trustee_user.id, bob.user_id)
  assert.equal((await use(ann)).status, 403)
  assert.equal((await cloud.login({ token: used.token, project_id: ann.project_id })).status, 403)
  assert.equal((await cloud.call('POST', `${V3}/users/${ann.user_id}/credentials/OS-EC2`, { token: used.token, json: { tenant_id: ann.project_id } })).status, 403)
  assert.equal((await cloud.call('DELETE', `${V3}/OS-TRUST/trusts/${trust.id}`, { token: bob.token })).status, 403)
  assert.equal((await cloud.call('DELETE', `${V3}/OS-TRUST/trusts/${trust.id}`, { token: ann.token })).status, 204)
  assert.equal((await cloud.call('GET', `${V3}/auth/projects`, { token: used.token })).status, 401)
  assert.equal((await use(bob)).status, 401)
  cloud.close()
})

test('uses are counted, and a trustor who lost the role voids the trust', async () => {
  const cloud = identityCloud()
  const { bob, use } = await trusted(cloud, { remaining_uses: 1 })
  assert.equal((await use(bob)).status, 201)
  assert.equal((await use(bob)).status, 403)
  cloud.close()
  const second = identityCloud()
  const other = await trusted(second)
  const admin = await second.admin()
  const member = (await second.call('GET', `${V3}/roles?name=member`, { token: admin })).body.roles[0].id
  await second.call('DELETE', `${V3}/projects/${other.ann.project_id}/users/${other.ann.user_id}/roles/${member}`, { token: admin })
  assert.ok([401, 403].includes((await other.use(other.bob)).status))
  second.close()
})

test('trusts are made by the trustor alone, with roles it has', async () => {
  const cloud = identityCloud()
  const [ann, bob] = [await cloud.tenant('ann'), await cloud.tenant('bob')]
  const make = async (token: string, trust: Record<string, unknown>) => (await cloud.call('POST', `${V3}/OS-TRUST/trusts`, { token, json: { trust } })).status
  const trust = { trustor_user_id: ann.user_id, trustee_user_id: bob.user_id, project_id: ann.project_id, impersonation: false, roles: [{ name: 'member' }] }
  assert.equal(await make(bob.token, trust), 403)
  assert.equal(await make(ann.token, { ...trust, roles: [{ name: 'admin' }] }), 403)
  assert.equal(await make(ann.token, { ...trust, roles: [] }), 403)
  assert.equal(await make(ann.token, { ...trust, project_id: bob.project_id }), 403)
  assert.equal(await make(ann.token, { ...trust, expires_at: 'bad.123Z' }), 400)
  assert.equal(await make(ann.token, { ...trust, impersonation: 'yes' }), 400)
  cloud.close()
})

test('credentials belong to their user: others get 403, a reader lists only its own, the owner cannot move one', async () => {
  const cloud = identityCloud()
  const [ann, bob] = [await cloud.tenant('ann'), await cloud.tenant('bob')]
  const ec2 = (await cloud.call('POST', `${V3}/users/${ann.user_id}/credentials/OS-EC2`, { token: ann.token, json: { tenant_id: ann.project_id } })).body.credential
  assert.equal((await cloud.call('GET', `${V3}/users/${ann.user_id}/credentials/OS-EC2/${ec2.access}`, { token: bob.token })).status, 403)
  assert.equal((await cloud.call('GET', `${V3}/credentials`, { token: bob.token })).body.credentials.length, 0)
  const [mine] = (await cloud.call('GET', `${V3}/credentials`, { token: ann.token })).body.credentials
  assert.equal(JSON.parse(mine.blob).access, ec2.access)
  assert.equal((await cloud.call('GET', `${V3}/credentials/${mine.id}`, { token: bob.token })).status, 403)
  assert.equal((await cloud.call('PATCH', `${V3}/credentials/${mine.id}`, { token: ann.token, json: { credential: { user_id: bob.user_id } } })).status, 403)
  assert.equal((await cloud.call('PATCH', `${V3}/credentials/${mine.id}`, { token: ann.token, json: { credential: { project_id: bob.project_id } } })).status, 403)
  assert.equal((await cloud.call('POST', `${V3}/credentials`, { token: ann.token, json: { credential: { user_id: bob.user_id, type: 'totp', blob: 'x' } } })).status, 403)
  assert.equal((await cloud.call('DELETE', `${V3}/users/${ann.user_id}/credentials/OS-EC2/${ec2.access}`, { token: ann.token })).status, 204)
  cloud.close()
})
