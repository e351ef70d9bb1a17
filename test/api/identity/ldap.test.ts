/** Domains whose users a directory has: through the API, with a directory in memory behind two hosts. The same driver against OpenLDAP is in test/drivers and test/clients. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type FakeDirectory, createFakeDirectory, createFakeDirectoryDriver } from '../../../agent/drivers/directory/fake.ts'
import type { HostFacts } from '../../../schema/agent/observed.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { type IdentityCloud, authBody, identityCloud } from './support.ts'

const V3 = '/identity/v3'
const BASE = 'dc=example,dc=org'
const SECRET = 'canary-of-the-searcher'
let cloud: IdentityCloud
let directory: FakeDirectory
let admin: string
let domainId: string
/** Hosts that answer, by name. */
const connected = new Set<string>()
const asked: string[] = []

class TestHost {
  #name: string
  constructor(state: { id: { name: string } }) {
    this.#name = state.id.name
  }
  async command(name: 'directory.search' | 'directory.bind', args: never) {
    asked.push(this.#name)
    if (!connected.has(this.#name)) throw new Fault('unavailable', 'The host cannot be reached: the connection was closed.')
    const driver = createFakeDirectoryDriver(directory)
    return name === 'directory.search' ? await driver.search(args) : await driver.bind(args)
  }
}

const call = (method: string, path: string, json?: unknown, token = admin) => cloud.call(method, `${V3}${path}`, { token, json })
async function ok(method: string, path: string, json?: unknown, token = admin) {
  const answer = await call(method, path, json, token)
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`)
  return answer.body
}
async function login(name: string, password: string, scope?: Record<string, unknown>) {
  const json = { auth: { identity: { methods: ['password'], password: { user: { name, domain: { id: domainId }, password } } }, ...(scope === undefined ? {} : { scope }) } }
  const answer = await cloud.call('POST', `${V3}/auth/tokens`, { json })
  return { ...answer, token: answer.headers.get('x-subject-token') ?? '' }
}
const publicId = (kind: string, local: string) => createHash('sha256').update(domainId + kind + local).digest('hex')
const roleId = async (name: string) => (await ok('GET', `/roles?name=${name}`)).roles[0].id as string
const person = (uid: string, more: Record<string, string[]> = {}) => ({ dn: `uid=${uid},ou=people,${BASE}`, password: `secret of ${uid}`, attributes: { objectclass: ['inetOrgPerson'], uid: [uid], mail: [`${uid}@example.org`], ...more } })
const group = (cn: string, members: string[]) => ({ dn: `cn=${cn},ou=groups,${BASE}`, attributes: { objectclass: ['groupOfNames'], cn: [cn], description: [`All ${cn}`], member: members.map((uid) => `uid=${uid},ou=people,${BASE}`) } })
const CONFIG = {
  identity: { driver: 'ldap' },
  ldap: {
    url: 'ldap://directory.test', user: `cn=admin,${BASE}`, password: SECRET, suffix: BASE, user_tree_dn: `ou=people,${BASE}`, user_objectclass: 'inetOrgPerson', user_id_attribute: 'uid', user_name_attribute: 'uid', user_enabled_attribute: 'employeeType',
    group_tree_dn: `ou=groups,${BASE}`, group_name_attribute: 'cn', group_id_attribute: 'cn',
  },
}

async function join(name: string, roles: string[]): Promise<void> {
  const region = cloud.cluster.instance('REGION', 'region')
  const { token } = region.system('test').hosts.createJoinToken()
  const host = region.join(token, name.padEnd(43, 'x'), name)
  region.hostReport(host.id, true, { hostname: name, roles } as unknown as HostFacts)
  connected.add(host.id)
  hosts.set(name, host.id)
}
const hosts = new Map<string, string>()

before(async () => {
  directory = createFakeDirectory()
  directory.entries = [
    { dn: `cn=admin,${BASE}`, attributes: {}, password: SECRET }, person('ann'), person('bob', { employeetype: ['FALSE'] }), person('cat', { employeetype: ['TRUE'] }), person('a*(b)'), group('developers', ['ann', 'bob']), group('ops', ['cat']),
    { dn: `uid=printer,ou=people,${BASE}`, attributes: { objectclass: ['device'], uid: ['printer'] } },
  ]
  cloud = identityCloud({ classes: { HOST: TestHost as never }, identity: { directory_hosts: ['door', 'spare'] } })
  admin = await cloud.admin()
  domainId = (await ok('POST', '/domains', { domain: { name: 'corp' } })).domain.id
  await ok('PUT', `/domains/${domainId}/config`, { config: CONFIG })
  await join('plain', ['compute'])
  // It says so itself; nobody has named it.
  await join('claims', ['directory'])
})
after(() => cloud.close())

test('with no host that may ask, nobody gets in and nothing is shown: 503 with a sentence', async () => {
  const refused = await login('ann', 'secret of ann')
  assert.equal(refused.status, 503)
  assert.match(refused.body.error.message, /no host with the role directory is connected/)
  assert.equal((await call('GET', `/users?domain_id=${domainId}`)).status, 503)
  assert.equal((await call('GET', `/groups?domain_id=${domainId}`)).status, 503)
  assert.deepEqual(asked, [], 'a host that nobody named is never asked, whatever roles it claims')
  await join('door', ['directory'])
  await join('spare', ['compute', 'directory'])
})

test('the password of the directory is never shown', async () => {
  for (const path of ['', '/ldap', '/ldap/url']) assert.ok(!(await call('GET', `/domains/${domainId}/config${path}`)).text.includes(SECRET))
  assert.equal((await call('GET', `/domains/${domainId}/config/ldap/password`)).status, 404)
})

test('users of the directory are listed, found and shown, with ids that never change', async () => {
  const { users } = await ok('GET', `/users?domain_id=${domainId}`)
  assert.deepEqual(users.map((user: { name: string; enabled: boolean }) => [user.name, user.enabled]).sort(), [['a*(b)', true], ['ann', true], ['bob', false], ['cat', true]])
  const { user } = await ok('GET', `/users/${publicId('user', 'ann')}`)
  assert.deepEqual({ ...user, links: undefined, options: undefined }, { id: publicId('user', 'ann'), name: 'ann', domain_id: domainId, enabled: true, email: 'ann@example.org', password_expires_at: null, links: undefined, options: undefined })
  const names = async (query: string) => (await ok('GET', `/users?domain_id=${domainId}&${query}`)).users.map((each: { name: string }) => each.name).sort()
  assert.deepEqual(await names('name=ann'), ['ann'])
  assert.deepEqual(await names(`name=${encodeURIComponent('*')}`), [])
  assert.deepEqual(await names(`name=${encodeURIComponent('a*(b)')}`), ['a*(b)'])
  assert.deepEqual(await names(`name=${encodeURIComponent('*)(objectClass=*')}`), [])
  assert.deepEqual(await names('name__startswith=a'), ['a*(b)', 'ann'])
  assert.deepEqual(await names('enabled=false'), ['bob'])
  assert.ok(directory.asked.at(-3)?.includes('(uid=\\2a\\29\\28objectClass=\\2a)'))
  const first = await ok('GET', `/users?domain_id=${domainId}&limit=2`)
  assert.equal(first.users.length, 2)
  assert.equal((await ok('GET', `/users?domain_id=${domainId}&limit=5&marker=${first.users[1].id}`)).users.length, 2)
})

test('a group whose members the directory gives in parts is whole', async () => {
  const many = Array.from({ length: 25 }, (_, n) => `many-${String(n).padStart(2, '0')}`)
  directory.entries.push(...many.map((uid) => person(uid)), group('everybody', many))
  directory.values_limit = 4
  const members = async () => (await ok('GET', `/groups/${publicId('group', 'everybody')}/users`)).users.map((each: { name: string }) => each.name).sort()
  await ok('GET', `/groups?domain_id=${domainId}`)
  assert.deepEqual(await members(), many)
  directory.values_limit = 5
  assert.deepEqual(await members(), many, 'also where the last part is full')
  directory.values_limit = 0
  directory.entries = directory.entries.filter(({ dn }) => !/many-|everybody/.test(dn))
})

test('groups of the directory, their members, and the groups of a user', async () => {
  const { groups } = await ok('GET', `/groups?domain_id=${domainId}`)
  assert.deepEqual(groups.map((each: { name: string }) => each.name).sort(), ['developers', 'ops'])
  const id = publicId('group', 'developers')
  assert.equal((await ok('GET', `/groups/${id}`)).group.description, 'All developers')
  assert.deepEqual((await ok('GET', `/groups/${id}/users`)).users.map((each: { name: string }) => each.name).sort(), ['ann', 'bob'])
  assert.deepEqual((await ok('GET', `/users/${publicId('user', 'ann')}/groups`)).groups.map((each: { name: string }) => each.name), ['developers'])
  assert.equal((await call('HEAD', `/groups/${id}/users/${publicId('user', 'ann')}`)).status, 204)
  assert.equal((await call('HEAD', `/groups/${id}/users/${publicId('user', 'cat')}`)).status, 404)
})

test('a user logs in with its password there and has the roles of its groups and its own', async () => {
  const { project } = await ok('POST', '/projects', { project: { name: 'work', domain_id: 'default' } })
  await ok('PUT', `/projects/${project.id}/groups/${publicId('group', 'developers')}/roles/${await roleId('member')}`)
  const unscoped = await login('ann', 'secret of ann')
  assert.equal(unscoped.status, 201, unscoped.text)
  assert.equal(unscoped.body.token.user.id, publicId('user', 'ann'))
  assert.deepEqual(unscoped.body.token.methods, ['password'])
  const scoped = await login('ann', 'secret of ann', { project: { id: project.id } })
  assert.deepEqual(scoped.body.token.roles.map((role: { name: string }) => role.name), ['member', 'reader'])
  assert.equal((await cloud.login({ token: unscoped.token, project_id: project.id })).status, 201)
  assert.equal((await login('cat', 'secret of cat', { project: { id: project.id } })).status, 401)
  await ok('PUT', `/projects/${project.id}/users/${publicId('user', 'cat')}/roles/${await roleId('reader')}`)
  assert.equal((await login('cat', 'secret of cat', { project: { id: project.id } })).status, 201)
  const byId = await cloud.call('POST', `${V3}/auth/tokens`, { json: authBody({ user_id: publicId('user', 'ann'), password: 'secret of ann', unscoped: true }) })
  assert.equal(byId.status, 201)
})

test('wrong, empty, injected, disabled, ambiguous and unknown are all the same 401', async () => {
  directory.entries.push({ ...person('twin'), dn: `uid=twin,cn=1,ou=people,${BASE}` }, { ...person('twin'), dn: `uid=twin,ou=people,${BASE}` }, { ...person('TWIN'), dn: `uid=TWIN2,ou=people,${BASE}` })
  const answers = await Promise.all([
    login('ann', 'wrong'), login('ann', ''), login('bob', 'secret of bob'), login('nobody', 'secret of ann'), login('*', 'secret of ann'), login('ann)(uid=*', 'secret of ann'), login('twin', 'secret of twin'), login('printer', ''), login('', 'x'),
  ])
  assert.deepEqual(answers.map((answer) => answer.status), answers.map(() => 401))
  assert.equal(new Set(answers.map((answer) => answer.text)).size, 1)
})

test('the directory is read only here', async () => {
  const ann = publicId('user', 'ann')
  for (const [method, path, json] of [
    ['POST', '/users', { user: { name: 'new', domain_id: domainId } }], ['PATCH', `/users/${ann}`, { user: { name: 'x' } }], ['PATCH', `/users/${ann}`, { user: { password: 'x' } }], ['DELETE', `/users/${ann}`, undefined],
    ['POST', '/groups', { group: { name: 'new', domain_id: domainId } }], ['PATCH', `/groups/${publicId('group', 'ops')}`, { group: { name: 'x' } }], ['DELETE', `/groups/${publicId('group', 'ops')}`, undefined], ['PUT', `/groups/${publicId('group', 'ops')}/users/${ann}`, undefined],
  ] as const) assert.equal((await call(method, path, json)).status, 403, `${method} ${path}`)
  const own = await ok('POST', '/groups', { group: { name: 'ours', domain_id: 'default' } })
  assert.equal((await call('PUT', `/groups/${own.group.id}/users/${ann}`)).status, 204)
  assert.deepEqual((await ok('GET', `/users/${ann}/groups`)).groups.map((each: { name: string }) => each.name).sort(), ['developers', 'ours'])
})

test('a host that does not answer is passed over; a directory that is away is a 503, and tokens made before go on', async () => {
  const before = await login('ann', 'secret of ann')
  const [door = '', spare = ''] = [hosts.get('door'), hosts.get('spare')]
  connected.delete(door)
  asked.length = 0
  assert.equal((await login('ann', 'secret of ann')).status, 201)
  assert.ok(asked.includes(door) && asked.includes(spare) && !asked.includes(hosts.get('plain') ?? ''))
  connected.add(door)
  directory.down = true
  assert.equal((await login('ann', 'secret of ann')).status, 503)
  assert.equal((await call('GET', `/users/${publicId('user', 'ann')}`)).status, 503)
  assert.equal((await cloud.call('GET', `${V3}/auth/projects`, { token: before.token })).status, 200)
  directory.down = false
})

test('disabled or gone in the directory: tokens and application credentials end with the next look', async () => {
  const [project] = (await ok('GET', '/projects?name=work')).projects
  const scoped = await login('ann', 'secret of ann', { project: { id: project.id } })
  const ann = publicId('user', 'ann')
  const made = await ok('POST', `/users/${ann}/application_credentials`, { application_credential: { name: 'robot', secret: 'robot secret' } }, scoped.token)
  const robot = async () => (await cloud.call('POST', `${V3}/auth/tokens`, { json: { auth: { identity: { methods: ['application_credential'], application_credential: { id: made.application_credential.id, secret: 'robot secret' } } } } })).status
  assert.equal(await robot(), 201)
  const entry = directory.entries.find((each) => each.dn.startsWith('uid=ann,'))
  assert.ok(entry)
  entry.attributes.employeetype = ['FALSE']
  assert.equal(await robot(), 401)
  assert.equal((await cloud.call('GET', `${V3}/auth/projects`, { token: scoped.token })).status, 401)
  entry.attributes.employeetype = ['TRUE']
  assert.equal(await robot(), 201)
  const later = await login('ann', 'secret of ann')
  directory.entries = directory.entries.filter((each) => each !== entry)
  assert.equal(await robot(), 401)
  assert.equal((await cloud.call('GET', `${V3}/auth/projects`, { token: later.token })).status, 401)
  assert.equal((await call('GET', `/users/${ann}`)).status, 404)
  assert.equal((await call('DELETE', `/users/${ann}`)).status, 204)
  directory.entries.push(entry)
  assert.equal((await login('ann', 'secret of ann')).body.token.user.id, ann)
  assert.equal((await login('ann', 'secret of ann', { project: { id: project.id } })).status, 201, 'by its group')
})

test('a group that the directory takes away ends what it gave at the next login', async () => {
  const [project] = (await ok('GET', '/projects?name=work')).projects
  const scoped = await login('ann', 'secret of ann', { project: { id: project.id } })
  const developers = directory.entries.find((each) => each.dn.startsWith('cn=developers,'))
  assert.ok(developers)
  developers.attributes.member = []
  assert.equal((await login('ann', 'secret of ann')).status, 201)
  assert.equal((await cloud.call('GET', `${V3}/auth/tokens`, { token: admin, headers: { 'x-subject-token': scoped.token } })).status, 404)
})

test('wrong settings are said, and let nobody in', async () => {
  const set = async (group: string, options: Record<string, unknown>) => await ok('PATCH', `/domains/${domainId}/config/${group}`, { config: { [group]: options } })
  await set('ldap', { user_id_attribute: 'uid)(x=*' })
  const refused = await login('cat', 'secret of cat')
  assert.equal(refused.status, 503)
  assert.match(refused.body.error.message, /user_id_attribute/)
  await set('ldap', { user_id_attribute: 'uid', password: 'not the password' })
  const wrong = await login('cat', 'secret of cat')
  assert.equal(wrong.status, 502)
  assert.ok(!wrong.text.includes('not the password'))
  await set('ldap', { password: SECRET, user_filter: '(mail=cat@example.org)' })
  assert.deepEqual((await ok('GET', `/users?domain_id=${domainId}`)).users.map((user: { name: string }) => user.name), ['cat'])
  await set('ldap', { group_ad_nesting: true })
  await set('identity', { driver: 'magic' })
  assert.equal((await login('cat', 'secret of cat')).status, 503)
  await set('identity', { driver: 'sql' })
  assert.equal((await login('cat', 'secret of cat')).status, 401)
})

test('where the operator has named nobody, no host is asked, whatever roles it claims', async () => {
  const named = { cloud, admin, domainId }
  cloud = identityCloud({ classes: { HOST: TestHost as never } })
  try {
    admin = await cloud.admin()
    domainId = (await ok('POST', '/domains', { domain: { name: 'corp' } })).domain.id
    await ok('PUT', `/domains/${domainId}/config`, { config: CONFIG })
    await join('evil', ['directory'])
    asked.length = 0
    const refused = await login('ann', 'secret of ann')
    assert.equal(refused.status, 503)
    assert.match(refused.body.error.message, /identity\.directory_hosts/)
    assert.deepEqual(asked, [])
  } finally {
    cloud.close()
    ;({ cloud, admin, domainId } = named)
  }
})
