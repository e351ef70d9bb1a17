/** The revocation matrix: each event that must end a token, checked where requests end: Identity, Region, the project's own object, and the published list. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../../../schema/values/caller.ts'
import { type IdentityCloud, type Tenant, identityCloud } from './support.ts'

const V3 = '/identity/v3'

interface Case {
  cloud: IdentityCloud
  admin: string
  tenant: Tenant
  roleId: string
}

async function roleNamed(cloud: IdentityCloud, token: string, name: string): Promise<string> {
  return (await cloud.call('GET', `${V3}/roles?name=${name}`, { token })).body.roles[0].id
}

const callerOf = (token: string): Caller => {
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  return {
    user_id: claims.sub, user_name: claims.un, user_domain_id: claims.ud, project_id: claims.p?.[0] ?? null, project_name: claims.p?.[1] ?? null, project_domain_id: claims.p?.[2] ?? null, domain_id: claims.d ?? null, system: claims.s === 1,
    roles: claims.rl, audit_ids: claims.au, methods: claims.me, issued_ms: claims.iat, expires_ms: claims.exp, request_id: 'test', app_cred_id: claims.ac ?? null, trust_id: claims.tr ?? null,
  }
}

async function refusedEverywhere(cloud: IdentityCloud, token: string, admin: string): Promise<void> {
  const caller = callerOf(token)
  assert.equal((await cloud.call('GET', `${V3}/auth/projects`, { token })).status, 401, 'identity')
  await assert.rejects(async () => await cloud.env.REGION.getByName('region').call(caller, [], []), /requires authentication/, 'region')
  await assert.rejects(async () => await cloud.env.PROJECT.getByName(caller.project_id ?? '').call(caller, [], []), /requires authentication/, 'project')
  assert.equal((await cloud.call('GET', `${V3}/auth/tokens`, { token: admin, headers: { 'x-subject-token': token } })).status, 404, 'validation')
  assert.equal((await cloud.login({ token, project_id: caller.project_id ?? '' })).status, 404, 're-scope')
  assert.ok((await cloud.env.IDENTITY.getByName('identity').revocations(0)).events.length > 0, 'published')
}

/** name -> what ends the tenant's token. */
const EVENTS: Record<string, (given: Case) => Promise<number>> = {
  'token revoked': async ({ cloud, admin, tenant }) => (await cloud.call('DELETE', `${V3}/auth/tokens`, { token: admin, headers: { 'x-subject-token': tenant.token } })).status,
  'user disabled': async ({ cloud, admin, tenant }) => (await cloud.call('PATCH', `${V3}/users/${tenant.user_id}`, { token: admin, json: { user: { enabled: false } } })).status,
  'user deleted': async ({ cloud, admin, tenant }) => (await cloud.call('DELETE', `${V3}/users/${tenant.user_id}`, { token: admin })).status,
  'password set by an admin': async ({ cloud, admin, tenant }) => (await cloud.call('PATCH', `${V3}/users/${tenant.user_id}`, { token: admin, json: { user: { password: 'another one' } } })).status,
  'password changed by the user': async ({ cloud, tenant }) => (await cloud.call('POST', `${V3}/users/${tenant.user_id}/password`, { json: { user: { original_password: tenant.password, password: 'another one' } } })).status,
  'role removed': async ({ cloud, admin, tenant, roleId }) => (await cloud.call('DELETE', `${V3}/projects/${tenant.project_id}/users/${tenant.user_id}/roles/${roleId}`, { token: admin })).status,
  'project disabled': async ({ cloud, admin, tenant }) => (await cloud.call('PATCH', `${V3}/projects/${tenant.project_id}`, { token: admin, json: { project: { enabled: false } } })).status,
  'project deleted': async ({ cloud, admin, tenant }) => (await cloud.call('DELETE', `${V3}/projects/${tenant.project_id}`, { token: admin })).status,
}

for (const [name, act] of Object.entries(EVENTS)) {
  test(`${name}: the token is refused everywhere before the call is answered`, async () => {
    const cloud = identityCloud()
    const tenant = await cloud.tenant('acme')
    const bystander = await cloud.tenant('other')
    const admin = await cloud.admin()
    assert.equal((await cloud.call('GET', `${V3}/auth/projects`, { token: tenant.token })).status, 200)
    const status = await act({ cloud, admin, tenant, roleId: await roleNamed(cloud, admin, 'member') })
    assert.ok(status < 300, String(status))
    await refusedEverywhere(cloud, tenant.token, admin)
    assert.equal((await cloud.call('GET', `${V3}/auth/projects`, { token: bystander.token })).status, 200, 'others keep theirs')
    cloud.close()
  })
}

test('a domain disabled, and a domain deleted, end the tokens of its users and projects', async () => {
  for (const remove of [false, true]) {
    const cloud = identityCloud()
    const admin = await cloud.admin()
    const post = async (path: string, json: unknown) => (await cloud.call('POST', `${V3}/${path}`, { token: admin, json })).body
    const { domain } = await post('domains', { domain: { name: 'd' } })
    const { project } = await post('projects', { project: { name: 'p', domain_id: domain.id } })
    const { user } = await post('users', { user: { name: 'u', domain_id: domain.id, password: 'pw' } })
    const member = await roleNamed(cloud, admin, 'member')
    await cloud.call('PUT', `${V3}/projects/${project.id}/users/${user.id}/roles/${member}`, { token: admin })
    const { token } = await cloud.login({ user_id: user.id, password: 'pw', project_id: project.id })
    assert.equal((await cloud.call('DELETE', `${V3}/domains/${domain.id}`, { token: admin })).status, 403)
    assert.equal((await cloud.call('PATCH', `${V3}/domains/${domain.id}`, { token: admin, json: { domain: { enabled: false } } })).status, 200)
    if (remove) assert.equal((await cloud.call('DELETE', `${V3}/domains/${domain.id}`, { token: admin })).status, 204)
    await refusedEverywhere(cloud, token, admin)
    assert.equal((await cloud.login({ user_id: user.id, password: 'pw', project_id: project.id })).status, 401)
    cloud.close()
  }
})

test('leaving a group, losing the group\'s role, and deleting the group end what the group gave', async () => {
  for (const way of ['leave', 'ungrant', 'delete']) {
    const cloud = identityCloud()
    const tenant = await cloud.tenant('acme', null)
    const admin = await cloud.admin()
    const { group } = (await cloud.call('POST', `${V3}/groups`, { token: admin, json: { group: { name: 'g', domain_id: 'default' } } })).body
    const grant = `${V3}/projects/${tenant.project_id}/groups/${group.id}/roles/${await roleNamed(cloud, admin, 'member')}`
    assert.equal((await cloud.call('PUT', grant, { token: admin })).status, 204)
    assert.equal((await cloud.call('PUT', `${V3}/groups/${group.id}/users/${tenant.user_id}`, { token: admin })).status, 204)
    const { token } = await cloud.login({ user_id: tenant.user_id, password: tenant.password, project_id: tenant.project_id })
    assert.notEqual(token, '')
    const path = way === 'leave' ? `${V3}/groups/${group.id}/users/${tenant.user_id}` : way === 'ungrant' ? grant : `${V3}/groups/${group.id}`
    assert.equal((await cloud.call('DELETE', path, { token: admin })).status, 204)
    await refusedEverywhere(cloud, token, admin)
    cloud.close()
  }
})

test('a new token right after the event, in the same millisecond, holds', async () => {
  const now = Date.now()
  const cloud = identityCloud({ clock: { now_ms: () => now } })
  const tenant = await cloud.tenant('acme')
  await cloud.call('POST', `${V3}/users/${tenant.user_id}/password`, { json: { user: { original_password: tenant.password, password: 'another one' } } })
  const { token } = await cloud.login({ user_id: tenant.user_id, password: 'another one', project_id: tenant.project_id })
  assert.equal((await cloud.call('GET', `${V3}/auth/projects`, { token })).status, 200)
  assert.equal((await cloud.call('GET', `${V3}/auth/projects`, { token: tenant.token })).status, 401)
  cloud.close()
})

test('a push that fails is told to the caller and repeated until it is through', async () => {
  let broken = false
  const cloud = identityCloud({
    hop: async (where) => {
      if (broken && where.startsWith('PROJECT/') && where.includes('revoke')) throw new Error('unreachable')
    },
  })
  const tenant = await cloud.tenant('acme')
  const admin = await cloud.admin()
  assert.equal((await cloud.call('GET', '/compute/v2.1/servers', { token: tenant.token })).status, 200, 'the project is in use')
  broken = true
  const answer = await cloud.call('DELETE', `${V3}/auth/tokens`, { token: admin, headers: { 'x-subject-token': tenant.token } })
  assert.equal(answer.status, 503)
  assert.equal((await cloud.call('GET', `${V3}/auth/projects`, { token: tenant.token })).status, 401, 'identity knows at once')
  broken = false
  const caller = callerOf(tenant.token)
  const deadline = Date.now() + 5_000
  for (;;) {
    const admitted = await cloud.env.PROJECT.getByName(tenant.project_id).call(caller, ['compute', 'quotas', 'all'], []).then(() => true, (error: Error) => !/requires authentication/.test(error.message))
    if (!admitted) break
    assert.ok(Date.now() < deadline, 'the alarm repeats the push')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  cloud.close()
})

test('revocations survive a crash of the object', async () => {
  const cloud = identityCloud()
  const tenant = await cloud.tenant('acme')
  const admin = await cloud.admin()
  await cloud.call('DELETE', `${V3}/auth/tokens`, { token: admin, headers: { 'x-subject-token': tenant.token } })
  cloud.cluster.crash('IDENTITY', 'identity')
  assert.equal((await cloud.call('GET', `${V3}/auth/projects`, { token: tenant.token })).status, 401)
  assert.equal((await cloud.call('GET', `${V3}/auth/projects`, { token: admin })).status, 200)
  cloud.close()
})

test('a project that was never used is not brought to life by a revocation, and knows of it at its first use', async () => {
  const cloud = identityCloud()
  const ann = await cloud.tenant('ann')
  const admin = await cloud.admin()
  const projects = () => cloud.cluster.objects().filter(({ kind }) => kind === 'PROJECT').map(({ id }) => id)
  const member = await roleNamed(cloud, admin, 'member')
  const tokens: string[] = []
  for (let n = 0; n < 5; n++) {
    const { project } = (await cloud.call('POST', `${V3}/projects`, { token: admin, json: { project: { name: `p${n}`, domain_id: 'default' } } })).body
    await cloud.call('PUT', `${V3}/projects/${project.id}/users/${ann.user_id}/roles/${member}`, { token: admin })
    tokens.push((await cloud.login({ user_id: ann.user_id, password: ann.password, project_id: project.id })).token)
  }
  assert.equal((await cloud.call('GET', '/compute/v2.1/servers', { token: tokens[0] })).status, 200)
  assert.equal(projects().length, 1)
  assert.equal((await cloud.call('PATCH', `${V3}/users/${ann.user_id}`, { token: admin, json: { user: { enabled: false } } })).status, 200)
  assert.equal(projects().length, 1)
  for (const token of tokens) assert.equal((await cloud.call('GET', '/compute/v2.1/servers', { token })).status, 401)
  cloud.close()
})

test('an earlier answer is not given again to a token that was revoked since', async () => {
  const cloud = identityCloud()
  const ann = await cloud.tenant('ann')
  const post = () => cloud.call('POST', '/network/v2.0/networks', { token: ann.token, json: { network: { name: 'n' } }, headers: { 'idempotency-key': 'k' } })
  assert.equal((await post()).status, 201)
  assert.equal((await post()).headers.get('idempotency-replayed'), 'true')
  await cloud.call('PATCH', `${V3}/users/${ann.user_id}`, { token: await cloud.admin(), json: { user: { enabled: false } } })
  assert.equal((await post()).status, 401)
  cloud.close()
})
