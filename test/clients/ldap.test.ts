/** A domain whose users OpenLDAP has: the openstack command against a shipped cloud, whose simulated host asks a real slapd over its link. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Shipped, shipped } from '../support/shipped.ts'
import { BASE, MANAGER, type Slapd, runSlapd } from '../support/slapd.ts'

let cloud: Shipped
let slapd: Slapd
let admin: string
let domainId: string

async function ok(method: string, path: string, json?: unknown) {
  const answer = await cloud.call(method, `/identity/v3${path}`, { token: admin, json })
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`)
  // biome-ignore lint/suspicious/noExplicitAny: bodies are what the test looks at.
  return answer.body as any
}

const openstack = async (args: string[]) => {
  const { spawn } = await import('node:child_process')
  const child = spawn('openstack', args, { env: { PATH: process.env.PATH, HOME: cloud.home, PYTHONWARNINGS: 'ignore' } })
  const out = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) child[name].on('data', (chunk: Buffer) => (out[name] += chunk.toString()))
  return await new Promise<{ status: number | null; stdout: string; stderr: string }>((resolve) => child.on('close', (status) => resolve({ status, ...out })))
}
const as = (user: string, password: string) => ['--os-auth-url', `${cloud.url}/identity/v3`, '--os-identity-api-version', '3', '--os-username', user, '--os-user-domain-name', 'corp', '--os-password', password, '--os-project-name', 'work', '--os-project-domain-id', 'default']

before(async () => {
  slapd = await runSlapd()
  cloud = await shipped('sim:2', { SKYHOOK_OPTIONS: JSON.stringify({ identity: { directory_hosts: ['sim-1', 'sim-2'] } }) })
  const body = { auth: { identity: { methods: ['password'], password: { user: { name: 'admin', domain: { id: 'default' }, password: cloud.password } } }, scope: { project: { name: 'admin', domain: { id: 'default' } } } } }
  admin = (await cloud.call('POST', '/identity/v3/auth/tokens', { json: body })).headers.get('x-subject-token') ?? ''
  domainId = (await ok('POST', '/domains', { domain: { name: 'corp' } })).domain.id
  const ldap = {
    url: slapd.url, user: MANAGER.dn, password: MANAGER.password, suffix: BASE, page_size: 10, user_tree_dn: `ou=people,${BASE}`, user_objectclass: 'inetOrgPerson', user_id_attribute: 'uid', user_name_attribute: 'uid',
    user_enabled_attribute: 'employeeType', group_tree_dn: `ou=groups,${BASE}`, group_name_attribute: 'cn',
  }
  await ok('PUT', `/domains/${domainId}/config`, { config: { identity: { driver: 'ldap' }, ldap } })
  await ok('POST', '/projects', { project: { name: 'work', domain_id: 'default' } })
})
after(async () => {
  cloud?.remove()
  await slapd?.stop()
})

test('users and groups of OpenLDAP by the openstack command, roles for a group, a login with its password', async () => {
  const own = ['--os-auth-type', 'v3token', '--os-auth-url', `${cloud.url}/identity/v3`, '--os-token', admin, '--os-project-name', 'admin', '--os-project-domain-id', 'default']
  const said = async (args: string[]) => {
    const done = await openstack([...own, ...args, '-f', 'json'])
    assert.equal(done.status, 0, `${args.join(' ')}: ${done.stderr}`)
    return JSON.parse(done.stdout)
  }
  assert.equal((await said(['user', 'list', '--domain', 'corp'])).length, 28)
  assert.equal((await said(['user', 'show', '--domain', 'corp', 'ann'])).email, 'ann@example.org')
  assert.deepEqual((await said(['group', 'list', '--domain', 'corp'])).map((group: { Name: string }) => group.Name).sort(), ['developers', 'ops (*)'])
  assert.deepEqual((await said(['user', 'list', '--group', 'developers', '--domain', 'corp'])).map((user: { Name: string }) => user.Name).sort(), ['ann', 'bob'])
  assert.equal((await openstack([...own, 'role', 'add', '--project', 'work', '--group', 'developers', '--group-domain', 'corp', 'member'])).status, 0)
  const token = await openstack([...as('ann', 'secret of ann'), 'token', 'issue', '-f', 'json'])
  assert.equal(token.status, 0, token.stderr)
  const network = await openstack([...as('bob', 'secret of bob'), 'network', 'create', 'theirs', '-f', 'json'])
  assert.equal(network.status, 0, network.stderr)
  for (const [user, password] of [['ann', 'wrong'], ['cat', 'secret of cat'], ['nobody', 'x'], ['*', 'secret of ann']] as const) assert.notEqual((await openstack([...as(user, password), 'token', 'issue'])).status, 0, user)
})

test('what the directory changes is so at the next login, and a directory that is away lets nobody in', async () => {
  const client = await slapd.client()
  const { Attribute, Change } = await import('ldapts')
  const login = async (name: string) => (await cloud.call('POST', '/identity/v3/auth/tokens', { json: { auth: { identity: { methods: ['password'], password: { user: { name, domain: { id: domainId }, password: `secret of ${name}` } } } } } })).status
  assert.equal(await login('user1'), 201)
  await client.modify(`uid=user1,ou=people,${BASE}`, new Change({ operation: 'replace', modification: new Attribute({ type: 'employeeType', values: ['FALSE'] }) }))
  assert.equal(await login('user1'), 401)
  await client.unbind()
  await slapd.stop()
  slapd = undefined as never
  assert.equal(await login('user2'), 503)
})
