/**
 * S20, generated: each event that ends a token, against every readable route of every service that this token could read before, its signature long since verified
 * and remembered by the Worker. What answered is 401 as soon as the event is answered; Swift, whose reads end at hosts, within its published five seconds.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SERVICES } from '../../../workers/services.ts'
import { REVOCATIONS_EVERY_MS } from '../../../workers/object/revoked.ts'
import { type IdentityCloud, identityCloud } from './support.ts'

const V3 = '/identity/v3'

interface Case {
  cloud: IdentityCloud
  admin: string
  user_id: string
  project_id: string
  password: string
  role_id: string
  group_id: string
  domain_id: string
  app_cred_id: string
  trust_id: string
}

type Login = 'password' | 'application credential' | 'trust'

/** What ends the token, and how the token was got. */
const EVENTS: Record<string, { login?: Login; act(given: Case, token: string): Promise<{ status: number }> }> = {
  'token revoked': { act: ({ cloud, admin }, token) => cloud.call('DELETE', `${V3}/auth/tokens`, { token: admin, headers: { 'x-subject-token': token } }) },
  'user disabled': { act: ({ cloud, admin, user_id }) => cloud.call('PATCH', `${V3}/users/${user_id}`, { token: admin, json: { user: { enabled: false } } }) },
  'user deleted': { act: ({ cloud, admin, user_id }) => cloud.call('DELETE', `${V3}/users/${user_id}`, { token: admin }) },
  'password set by an admin': { act: ({ cloud, admin, user_id }) => cloud.call('PATCH', `${V3}/users/${user_id}`, { token: admin, json: { user: { password: 'another one' } } }) },
  'password changed by the user': { act: ({ cloud, user_id, password }) => cloud.call('POST', `${V3}/users/${user_id}/password`, { json: { user: { original_password: password, password: 'another one' } } }) },
  'role removed': { act: ({ cloud, admin, user_id, project_id, role_id }) => cloud.call('DELETE', `${V3}/projects/${project_id}/users/${user_id}/roles/${role_id}`, { token: admin }) },
  'role deleted': { act: ({ cloud, admin, role_id }) => cloud.call('DELETE', `${V3}/roles/${role_id}`, { token: admin }) },
  'group left': { act: ({ cloud, admin, user_id, group_id }) => cloud.call('DELETE', `${V3}/groups/${group_id}/users/${user_id}`, { token: admin }) },
  'project disabled': { act: ({ cloud, admin, project_id }) => cloud.call('PATCH', `${V3}/projects/${project_id}`, { token: admin, json: { project: { enabled: false } } }) },
  'project deleted': { act: ({ cloud, admin, project_id }) => cloud.call('DELETE', `${V3}/projects/${project_id}`, { token: admin }) },
  'domain disabled': { act: ({ cloud, admin, domain_id }) => cloud.call('PATCH', `${V3}/domains/${domain_id}`, { token: admin, json: { domain: { enabled: false } } }) },
  'application credential deleted': { login: 'application credential', act: async ({ cloud, user_id, project_id, password, app_cred_id }) => cloud.call('DELETE', `${V3}/users/${user_id}/application_credentials/${app_cred_id}`, { token: (await cloud.login({ user_id, password, project_id })).token }) },
  'trust deleted': { login: 'trust', act: async ({ cloud, user_id, project_id, password, trust_id }) => cloud.call('DELETE', `${V3}/OS-TRUST/trusts/${trust_id}`, { token: (await cloud.login({ user_id, password, project_id })).token }) },
}

const post = async (cloud: IdentityCloud, token: string, path: string, json: unknown) => {
  const answer = await cloud.call('POST', `${V3}/${path}`, { token, json })
  assert.equal(answer.status, 201, `${path}: ${answer.text}`)
  return answer.body
}

/** A user in a domain of its own, with one role of its own on a project, once by itself and once through a group. */
async function setting(cloud: IdentityCloud, login: Login, byGroup: boolean): Promise<{ given: Case; token: string }> {
  const admin = await cloud.admin()
  const { domain } = await post(cloud, admin, 'domains', { domain: { name: 'd' } })
  const { project } = await post(cloud, admin, 'projects', { project: { name: 'p', domain_id: domain.id } })
  const { user } = await post(cloud, admin, 'users', { user: { name: 'u', domain_id: domain.id, password: 'a password' } })
  const { group } = await post(cloud, admin, 'groups', { group: { name: 'g', domain_id: domain.id } })
  const { role } = await post(cloud, admin, 'roles', { role: { name: 'worker' } })
  const member = (await cloud.call('GET', `${V3}/roles?name=member`, { token: admin })).body.roles[0].id
  await cloud.call('PUT', `${V3}/roles/${role.id}/implies/${member}`, { token: admin })
  await cloud.call('PUT', `${V3}/groups/${group.id}/users/${user.id}`, { token: admin })
  await cloud.call('PUT', `${V3}/projects/${project.id}/${byGroup ? `groups/${group.id}` : `users/${user.id}`}/roles/${role.id}`, { token: admin })
  const given: Case = { cloud, admin, user_id: user.id, project_id: project.id, password: 'a password', role_id: role.id, group_id: group.id, domain_id: domain.id, app_cred_id: '', trust_id: '' }
  const { token } = await cloud.login({ user_id: user.id, password: 'a password', project_id: project.id })
  if (login === 'application credential') {
    const { application_credential: made } = await post(cloud, token, `users/${user.id}/application_credentials`, { application_credential: { name: 'ac' } })
    const issued = await cloud.call('POST', `${V3}/auth/tokens`, { json: { auth: { identity: { methods: ['application_credential'], application_credential: { id: made.id, secret: made.secret } } } } })
    return { given: { ...given, app_cred_id: made.id }, token: issued.headers.get('x-subject-token') ?? '' }
  }
  if (login === 'trust') {
    const trustee = await cloud.tenant('trustee')
    const { trust } = await post(cloud, token, 'OS-TRUST/trusts', { trust: { trustor_user_id: user.id, trustee_user_id: trustee.user_id, project_id: project.id, impersonation: true, roles: [{ name: 'member' }] } })
    const identity = { methods: ['password'], password: { user: { id: trustee.user_id, password: trustee.password } } }
    const issued = await cloud.call('POST', `${V3}/auth/tokens`, { json: { auth: { identity, scope: { 'OS-TRUST:trust': { id: trust.id } } } } })
    assert.equal(issued.status, 201, issued.text)
    return { given: { ...given, trust_id: trust.id }, token: issued.headers.get('x-subject-token') ?? '' }
  }
  return { given, token }
}

/** Routes that a token can read without naming anything, Swift's account among them. */
const READS = SERVICES.flatMap((service) => service.routes.filter((route) => route.method === 'GET' && (route.policy !== 'public' || service.name === 'swift')).map((route) => ({ service, path: route.path })))
  .filter(({ path }) => !/:(?!project_id|account)/.test(path))

const urlOf = ({ service, path }: (typeof READS)[number], projectId: string) => `${service.prefix}${path.replace(/:project_id\+?/g, projectId).replace(/:account\+?/g, `AUTH_${projectId}`)}`

for (const [name, { login = 'password', act }] of Object.entries(EVENTS)) {
  test(`S20: ${name}: what the token could read, in every service, is 401 at once`, async () => {
    let now = Date.now()
    const cloud = identityCloud({ clock: { now_ms: () => now } })
    const { given, token } = await setting(cloud, login, name === 'group left')
    const reads: { url: string; service: string }[] = []
    await cloud.call('PUT', `/object-store/v1/AUTH_${given.project_id}/c`, { token })
    for (const read of READS) {
      const url = urlOf(read, given.project_id)
      // What is answered without a token is nobody's, /object-store/info for one.
      if ((await cloud.call('GET', url)).status < 300) continue
      if ((await cloud.call('GET', url, { token })).status < 300) reads.push({ url, service: read.service.name })
    }
    const services = new Set(reads.map((read) => read.service))
    for (const { name: service } of SERVICES) if (!['agents', 'placement', 'skyhook'].includes(service)) assert.ok(services.has(service) || !READS.some((read) => read.service.name === service), `${service} is not covered: ${[...services]}`)
    assert.ok(reads.length >= 40, `only ${reads.length} routes answered before`)
    const { status } = await act(given, token)
    assert.ok(status < 300, `${name}: ${status}`)
    const late: string[] = []
    for (const { url, service } of reads) if (service !== 'swift' && (await cloud.call('GET', url, { token })).status !== 401) late.push(url)
    now += REVOCATIONS_EVERY_MS
    for (const { url, service } of reads) if (service === 'swift' && (await cloud.call('GET', url, { token })).status !== 401) late.push(url)
    assert.deepEqual(late, [])
    cloud.close()
  })
}

test('S20: an administrator whose token was revoked changes no ring: those objects know of no revocations, so Region is asked first', async () => {
  const cloud = identityCloud()
  const token = await cloud.admin()
  const before = (await cloud.call('GET', '/agents/v1/rings/0', { token })).body
  await cloud.call('DELETE', `${V3}/auth/tokens`, { token: await cloud.admin(), headers: { 'x-subject-token': token } })
  for (const [method, path, json] of [['PATCH', '', { replicas: 2 }], ['POST', '/rebalance', {}], ['PATCH', '/devices/1', { weight: 1 }]] as const) assert.equal((await cloud.call(method, `/agents/v1/rings/0${path}`, { token, json })).status, 401, path)
  const { ring } = (await cloud.call('GET', '/agents/v1/rings/0', { token: await cloud.admin() })).body
  assert.deepEqual({ version: ring.version, replicas: ring.replicas }, { version: before.ring.version, replicas: before.ring.replicas })
  cloud.close()
})
