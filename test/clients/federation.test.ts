/** Real clients and a real provider: keystoneauth's OpenID Connect plugins, by the openstack command, against a shipped cloud. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { SignJWT } from 'jose'
import { AUDIENCE, CLIENT, type RunningProvider, runProvider } from '../support/oidc.ts'
import { type Shipped, shipped } from '../support/shipped.ts'

const FED = '/identity/v3/OS-FEDERATION'
let cloud: Shipped
let provider: RunningProvider
/** With a certificate of an authority that only this cloud trusts. */
let secured: RunningProvider
let folder: string
let admin: string

async function ok(method: string, path: string, json?: unknown) {
  const answer = await cloud.call(method, path, { token: admin, json })
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`)
  // biome-ignore lint/suspicious/noExplicitAny: bodies are what the test looks at.
  return answer.body as any
}

/** Not by spawnSync: the provider lives in this process and must answer meanwhile. */
function openstack(args: string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const child = spawn('openstack', args, { env: { PATH: process.env.PATH, HOME: cloud.home, PYTHONWARNINGS: 'ignore' } })
  const out = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) child[name].on('data', (chunk: Buffer) => (out[name] += chunk.toString()))
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, ...out })))
}

const common = (type: string) => ['--os-auth-type', type, '--os-auth-url', `${cloud.url}/identity/v3`, '--os-identity-provider', 'acme', '--os-protocol', 'openid', '--os-project-name', 'work', '--os-project-domain-id', 'default', '--os-region-name', 'RegionOne']
const client = () => ['--os-client-id', CLIENT.id, '--os-client-secret', CLIENT.secret, '--os-discovery-endpoint', `${provider.issuer}/.well-known/openid-configuration`]

async function tokenOf(args: string[]): Promise<{ user_id: string; project_id: string }> {
  const done = await openstack([...args, 'token', 'issue', '-f', 'json'])
  assert.equal(done.status, 0, done.stderr)
  return JSON.parse(done.stdout)
}

before(async () => {
  provider = await runProvider()
  folder = mkdtempSync(join(tmpdir(), 'skyhook-ca-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=Test provider', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert], { encoding: 'utf8' })
  assert.equal(made.status, 0, made.stderr)
  secured = await runProvider({ tls: { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }, host: 'localhost' })
  provider.accounts.set('alice', { password: 'pw', claims: { name: 'Alice', groups: ['dev'] } })
  provider.accounts.set(CLIENT.id, { password: 'none', claims: { name: 'the machine', groups: ['dev'] } })
  cloud = await shipped('sim:1', { SKYHOOK_CA_FILE: cert, SKYHOOK_OPTIONS: JSON.stringify({ identity: { federation: { loopback_issuers: true } } }) })
  const body = { auth: { identity: { methods: ['password'], password: { user: { name: 'admin', domain: { id: 'default' }, password: cloud.password } } }, scope: { project: { name: 'admin', domain: { id: 'default' } } } } }
  admin = (await cloud.call('POST', '/identity/v3/auth/tokens', { json: body })).headers.get('x-subject-token') ?? ''
  const { group } = await ok('POST', '/identity/v3/groups', { group: { name: 'dev', domain_id: 'default' } })
  const { project } = await ok('POST', '/identity/v3/projects', { project: { name: 'work', domain_id: 'default' } })
  const [role] = (await ok('GET', '/identity/v3/roles?name=member')).roles
  await ok('PUT', `/identity/v3/projects/${project.id}/groups/${group.id}/roles/${role.id}`)
  const rules = [{ local: [{ user: { name: '{0}', id: '{1}' } }, { groups: '{2}', domain: { id: 'default' } }], remote: [{ type: 'HTTP_OIDC_NAME' }, { type: 'HTTP_OIDC_SUB' }, { type: 'HTTP_OIDC_GROUPS' }] }]
  await ok('PUT', `${FED}/mappings/people`, { mapping: { rules } })
  await ok('PUT', `${FED}/identity_providers/acme`, { identity_provider: { enabled: true, remote_ids: [provider.issuer] } })
  await ok('PUT', `${FED}/identity_providers/acme/protocols/openid`, { protocol: { mapping_id: 'people' } })
  await ok('PUT', `${FED}/identity_providers/acme/protocols/openid/oidc`, { oidc: { issuer: provider.issuer, client_id: CLIENT.id, client_secret: CLIENT.secret, audiences: [AUDIENCE, CLIENT.id] } })
})
after(async () => {
  cloud.remove()
  await provider.close()
  await secured.close()
  rmSync(folder, { recursive: true, force: true })
})

test('v3oidcpassword, with the access token and with the ID token, v3oidcclientcredentials and v3oidcaccesstoken log in and use the cloud', async () => {
  const person = [...common('v3oidcpassword'), ...client(), '--os-username', 'alice', '--os-password', 'pw']
  const byPassword = await tokenOf(person)
  assert.equal((await tokenOf([...person, '--os-access-token-type', 'id_token'])).user_id, byPassword.user_id)
  const { access_token } = await provider.grant({ grant_type: 'password', username: 'alice', password: 'pw' })
  const byToken = [...common('v3oidcaccesstoken'), '--os-access-token', access_token]
  assert.deepEqual((({ user_id, project_id }) => ({ user_id, project_id }))(await tokenOf(byToken)), { user_id: byPassword.user_id, project_id: byPassword.project_id })
  const machine = await tokenOf([...common('v3oidcclientcredentials'), ...client()])
  assert.notEqual(machine.user_id, byPassword.user_id)
  assert.equal(machine.project_id, byPassword.project_id)
  const network = await openstack([...byToken, 'network', 'create', 'mine', '-f', 'json'])
  assert.equal(network.status, 0, network.stderr)
  assert.equal(JSON.parse(network.stdout).project_id, byPassword.project_id)
  assert.equal((await ok('GET', `/identity/v3/users/${byPassword.user_id}`)).user.name, 'Alice')
})

test('a wrong password, and a token of nobody, get nothing', async () => {
  assert.notEqual((await openstack([...common('v3oidcpassword'), ...client(), '--os-username', 'alice', '--os-password', 'no', 'token', 'issue'])).status, 0)
  const done = await openstack([...common('v3oidcaccesstoken'), '--os-access-token', 'abc', 'token', 'issue'])
  assert.notEqual(done.status, 0)
  assert.match(done.stderr, /requires authentication/)
})

test('the commands of the federation API', async () => {
  const own = ['--os-auth-type', 'v3token', '--os-auth-url', `${cloud.url}/identity/v3`, '--os-token', admin, '--os-project-name', 'admin', '--os-project-domain-id', 'default']
  const said = async (...args: string[]) => {
    const done = await openstack([...own, ...args, '-f', 'json'])
    assert.equal(done.status, 0, `${args.join(' ')}: ${done.stderr}`)
    return JSON.parse(done.stdout)
  }
  assert.equal((await said('identity', 'provider', 'create', 'second', '--remote-id', 'https://second.test')).id, 'second')
  assert.equal((await said('identity', 'provider', 'list')).length, 2)
  assert.equal((await said('federation', 'protocol', 'create', 'openid', '--identity-provider', 'second', '--mapping', 'people')).mapping, 'people')
  assert.equal((await said('federation', 'protocol', 'list', '--identity-provider', 'second')).length, 1)
  assert.equal((await said('mapping', 'show', 'people')).id, 'people')
  assert.equal((await said('service', 'provider', 'create', 'far', '--auth-url', 'https://far.test/v3', '--service-provider-url', 'https://far.test/sp')).id, 'far')
  assert.equal((await openstack([...own, 'identity', 'provider', 'delete', 'second'])).status, 0)
})

test('a provider over https, whose authority SKYHOOK_CA_FILE names', async () => {
  await ok('PUT', `${FED}/mappings/subjects`, { mapping: { rules: [{ local: [{ user: { name: '{0}' } }], remote: [{ type: 'sub' }] }] } })
  await ok('PUT', `${FED}/identity_providers/secured`, { identity_provider: { enabled: true } })
  await ok('PUT', `${FED}/identity_providers/secured/protocols/openid`, { protocol: { mapping_id: 'subjects' } })
  await ok('PUT', `${FED}/identity_providers/secured/protocols/openid/oidc`, { oidc: { issuer: secured.issuer, client_id: CLIENT.id } })
  const token = await new SignJWT({ sub: 'ann' }).setProtectedHeader({ alg: 'RS256', kid: secured.kid }).setIssuer(secured.issuer).setAudience(CLIENT.id).setIssuedAt().setExpirationTime('5m').sign(secured.key.privateKey)
  const answer = await cloud.call('POST', `${FED}/identity_providers/secured/protocols/openid/auth`, { headers: { authorization: `Bearer ${token}` } })
  assert.equal(answer.status, 201, answer.text)
})
