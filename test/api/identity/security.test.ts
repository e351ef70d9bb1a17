/** Security cases of identity by their number (NEEDS.md 5.2). S16, S17, S18 and S21 are in ec2.test.ts, S20's matrix in revocation.test.ts. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { PROOF_HEADER, readProof } from '../../../workers/identity/passwords/proof.ts'
import { AUTH_BODY_BYTES_MAX } from '../../../workers/identity/tokens/requests.ts'
import { type IdentityCloud, authBody, identityCloud } from './support.ts'

const V3 = '/identity/v3'
const attempt = (cloud: IdentityCloud, request: Parameters<typeof authBody>[0], address: string) => cloud.call('POST', `${V3}/auth/tokens`, { json: authBody(request), headers: { 'cf-connecting-ip': address } })

test('S24: an unknown user, a locked one, a disabled one and a wrong password are one answer', async () => {
  const verified: string[] = []
  const cloud = identityCloud({ identity: { lockout_failure_attempts: 2 } })
  const [locked, disabled, live] = [await cloud.tenant('locked'), await cloud.tenant('disabled'), await cloud.tenant('live')]
  for (let n = 0; n < 2; n++) await cloud.login({ user_id: locked.user_id, password: 'wrong' })
  await cloud.call('PATCH', `${V3}/users/${disabled.user_id}`, { token: await cloud.admin(), json: { user: { enabled: false } } })
  const answers = [
    await cloud.login({ user_id: 'nobody', password: 'x' }), await cloud.login({ user: 'nobody', password: 'x' }), await cloud.login({ user_id: locked.user_id, password: locked.password }), await cloud.login({ user_id: locked.user_id, password: 'x' }),
    await cloud.login({ user_id: disabled.user_id, password: disabled.password }), await cloud.login({ user_id: live.user_id, password: 'x' }),
  ]
  for (const { status, body, headers } of answers) verified.push(JSON.stringify([status, body, [...headers.keys()].sort()]))
  assert.equal(new Set(verified).size, 1, [...new Set(verified)].join('\n'))
  assert.equal(answers[0]?.status, 401)
  cloud.close()
})

test('S24: every refused login costs one hash of the same parameters, whoever is asked for', async () => {
  const hashes: string[] = []
  const { default: hasher } = await import('../../../workers/hasher/index.ts')
  const cloud = identityCloud({
    identity: { lockout_failure_attempts: 2 },
    hasher: async (request) => {
      if (new URL(request.url).pathname === '/verify') hashes.push((readProof(request.headers.get(PROOF_HEADER) ?? '')?.hash ?? '').split('$').slice(1, 3).join('$'))
      return await hasher.fetch(request)
    },
  })
  const locked = await cloud.tenant('locked')
  for (let n = 0; n < 3; n++) await cloud.login({ user_id: locked.user_id, password: 'wrong' })
  hashes.length = 0
  await cloud.login({ user_id: 'nobody', password: 'x' })
  await cloud.login({ user_id: locked.user_id, password: locked.password })
  await cloud.login({ password: 'wrong' })
  assert.deepEqual(hashes, ['scrypt$ln=4,r=8,p=1', 'scrypt$ln=4,r=8,p=1', 'scrypt$ln=4,r=8,p=1'])
  cloud.close()
})

test('S24: failed logins from one address are limited, whether the user exists or not; others and successes are not', async () => {
  const cloud = identityCloud({ identity: { login_failures_max: 4, login_failures_per_minute: 6 } })
  const ann = await cloud.tenant('ann')
  for (let n = 0; n < 8; n++) assert.equal((await attempt(cloud, { user_id: ann.user_id, password: ann.password }, '10.0.0.1')).status, 201, 'successes are free')
  const known: number[] = []
  const unknown: number[] = []
  for (let n = 0; n < 5; n++) {
    known.push((await attempt(cloud, { user_id: ann.user_id, password: 'wrong' }, '10.0.0.2')).status)
    unknown.push((await attempt(cloud, { user: `nobody-${n}`, password: 'wrong' }, '10.0.0.3')).status)
  }
  assert.deepEqual(known, [401, 401, 401, 401, 429])
  assert.deepEqual(unknown, known)
  const late = await attempt(cloud, { user_id: ann.user_id, password: ann.password }, '10.0.0.2')
  assert.deepEqual([late.status, Number(late.headers.get('retry-after')) > 0, late.body.error.title], [429, true, 'Too Many Requests'])
  assert.equal((await attempt(cloud, { user_id: ann.user_id, password: ann.password }, '10.0.0.1')).status, 201)
  const own = await cloud.call('POST', `${V3}/users/${ann.user_id}/password`, { json: { user: { original_password: 'x', password: 'y' } }, headers: { 'cf-connecting-ip': '10.0.0.2' } })
  assert.equal(own.status, 429, 'nor is there a way around it')
  cloud.close()
})

test('S24: twenty guesses at once are twenty attempts', async () => {
  const cloud = identityCloud({ identity: { login_failures_max: 5, login_failures_per_minute: 1 } })
  const statuses = await Promise.all(Array.from({ length: 20 }, () => attempt(cloud, { password: 'wrong' }, '10.0.0.9').then((answer) => answer.status)))
  assert.deepEqual([statuses.filter((status) => status === 401).length, statuses.filter((status) => status === 429).length], [5, 15])
  cloud.close()
})

test('S24: no signature, code or secret in the plane is compared but in constant time', () => {
  const root = join(import.meta.dirname, '../../..')
  const compared = /\b(\w*[sS]ignature|hmac|passcode|\w*[sS]ecret|secret_hash|sig)\s*[!=]==(?!\s*(null|undefined|''|true|false)\b|\s*'')|[!=]==\s*(\w*[sS]ignature|hmac|passcode|secret)\b(?!\.)/
  const found = globSync(['workers/**/*.ts', 'durable-objects/**/*.ts', 'schema/**/*.ts'], { cwd: root }).filter((path) => !path.endsWith('.test.ts') && !path.includes('/ui/'))
    .flatMap((path) => readFileSync(join(root, path), 'utf8').split('\n').map((line, n) => ({ path, line, n })).filter(({ line }) => compared.test(line) && !/^\s*(\*|\/\/)/.test(line)).map(({ n, line }) => `${path}:${n + 1}: ${line.trim()}`))
  assert.deepEqual(found, [])
})

test('S19: lists show a user what is its own: credentials, projects, application credentials, limits of others are not in them', async () => {
  const cloud = identityCloud()
  const [ann, bob] = [await cloud.tenant('ann', 'reader'), await cloud.tenant('bob')]
  await cloud.call('POST', `${V3}/users/${bob.user_id}/credentials/OS-EC2`, { token: bob.token, json: { tenant_id: bob.project_id } })
  await cloud.call('POST', `${V3}/credentials`, { token: bob.token, json: { credential: { type: 'totp', blob: 'JBSWY3DP', user_id: bob.user_id } } })
  const get = async (path: string) => await cloud.call('GET', `${V3}/${path}`, { token: ann.token })
  for (const path of ['credentials', `credentials?user_id=${bob.user_id}`, 'credentials?type=ec2']) {
    const { status, body } = await get(path)
    assert.ok(status === 403 || !JSON.stringify(body.credentials).includes(bob.user_id), path)
  }
  for (const path of [`users/${bob.user_id}`, `users/${bob.user_id}/credentials/OS-EC2`, `users/${bob.user_id}/application_credentials`, `users/${bob.user_id}/access_rules`, `projects/${bob.project_id}`, 'users', 'projects', 'role_assignments']) assert.equal((await get(path)).status, 403, path)
  for (const path of ['auth/projects', 'OS-FEDERATION/projects', 'auth/domains', 'OS-FEDERATION/domains']) {
    const { status, text } = await get(path)
    assert.equal(status, 200, path)
    assert.ok(!text.includes(bob.project_id), path)
  }
  cloud.close()
})

test('S20: a chain of re-scoped tokens keeps the first one\'s end and audit id, however long it is', async () => {
  let now = Date.now()
  const cloud = identityCloud({ clock: { now_ms: () => now } })
  const ann = await cloud.tenant('ann')
  const first = await cloud.login({ user_id: ann.user_id, password: ann.password, project_id: ann.project_id })
  let { token } = first
  for (let n = 0; n < 5; n++) {
    now += 600_000
    const next = await cloud.login({ token, project_id: ann.project_id })
    assert.equal(next.status, 201)
    assert.equal(next.body.token.expires_at, first.body.token.expires_at)
    assert.equal(next.body.token.audit_ids.at(-1), first.body.token.audit_ids[0])
    token = next.token
  }
  now += 600_000
  assert.equal((await cloud.login({ token, project_id: ann.project_id })).status, 404)
  cloud.close()
})

test('S22: a trust passes on its roles exactly, no deeper than it says, and is void when the trustor loses one', async () => {
  const cloud = identityCloud()
  const [ann, bob, eve] = [await cloud.tenant('ann', 'manager'), await cloud.tenant('bob'), await cloud.tenant('eve')]
  const make = (token: string, from: string, to: string, more: Record<string, unknown>) => cloud.call('POST', `${V3}/OS-TRUST/trusts`, { token, json: { trust: { trustor_user_id: from, trustee_user_id: to, project_id: ann.project_id, impersonation: true, ...more } } })
  const use = async (who: typeof bob, id: string) => {
    const answer = await cloud.call('POST', `${V3}/auth/tokens`, { json: { auth: { identity: { methods: ['password'], password: { user: { id: who.user_id, password: who.password } } }, scope: { 'OS-TRUST:trust': { id } } } } })
    return { ...answer, token: answer.headers.get('x-subject-token') ?? '' }
  }
  const first = (await make(ann.token, ann.user_id, bob.user_id, { roles: [{ name: 'member' }, { name: 'reader' }], allow_redelegation: true, redelegation_count: 1 })).body.trust
  const held = await use(bob, first.id)
  assert.deepEqual(held.body.token.roles.map((role: { name: string }) => role.name).sort(), ['member', 'reader'])
  assert.ok((await make(held.token, ann.user_id, eve.user_id, { roles: [{ name: 'manager' }], allow_redelegation: false })).status >= 400, 'a role that was not delegated')
  const second = await make(held.token, ann.user_id, eve.user_id, { roles: [{ name: 'reader' }], allow_redelegation: true, redelegation_count: 0 })
  assert.equal(second.status, 201, second.text)
  const further = await use(eve, second.body.trust.id)
  assert.deepEqual(further.body.token.roles.map((role: { name: string }) => role.name), ['reader'])
  assert.equal((await make(further.token, ann.user_id, bob.user_id, { roles: [{ name: 'reader' }] })).status, 403, 'no deeper')
  const admin = await cloud.admin()
  const manager = (await cloud.call('GET', `${V3}/roles?name=manager`, { token: admin })).body.roles[0].id
  assert.equal((await cloud.call('DELETE', `${V3}/projects/${ann.project_id}/users/${ann.user_id}/roles/${manager}`, { token: admin })).status, 204)
  for (const [who, id] of [[bob, first.id], [eve, second.body.trust.id]] as const) assert.ok([401, 403].includes((await use(who, id)).status))
  assert.equal((await cloud.call('GET', '/compute/v2.1/servers', { token: further.token })).status, 401)
  cloud.close()
})

test('S23: headers that upstream\'s middleware would set change nothing, with a token or without', async () => {
  const cloud = identityCloud()
  const [ann, admin] = [await cloud.tenant('ann', 'reader'), await cloud.admin()]
  const claims = JSON.parse(Buffer.from(admin.split('.')[1] ?? '', 'base64url').toString()) as { sub: string; p: string[] }
  const name = fc.constantFrom('x-roles', 'x-role', 'x-user-id', 'x-user-name', 'x-user-domain-id', 'x-project-id', 'x-project-name', 'x-tenant-id', 'x-tenant-name', 'x-domain-id', 'x-is-admin-project', 'x-identity-status', 'x-service-identity-status', 'x-service-roles', 'x-service-user-id', 'x-service-catalog', 'openstack-system-scope', 'x-forwarded-user', 'remote-user', 'x-remote-user', 'x_roles')
  const value = fc.constantFrom('admin', 'admin,member,service', 'Confirmed', 'True', 'all', claims.sub, claims.p[0] ?? '', 'default')
  const asked: [string, string, unknown?][] = [['GET', `${V3}/users`], ['GET', `${V3}/projects`], ['POST', `${V3}/projects`, { project: { name: 'x', domain_id: 'default' } }], ['GET', '/compute/v2.1/os-hypervisors'], ['GET', `/object-store/v1/AUTH_${claims.p[0]}`]]
  await fc.assert(fc.asyncProperty(fc.dictionary(name, value, { minKeys: 1 }), fc.constantFrom(...asked), fc.boolean(), async (headers, [method, path, json], withToken) => {
    const { status } = await cloud.call(method, path, { json, headers, ...(withToken ? { token: ann.token } : {}) })
    assert.ok(withToken ? status === 403 : status === 401, `${method} ${path} ${JSON.stringify(headers)}: ${status}`)
  }), { numRuns: 150 })
  cloud.close()
})

test('S25: long passwords, huge and deep bodies, chained methods and XML are refused soon, and cost no hash', async () => {
  let hashes = 0
  const { default: hasher } = await import('../../../workers/hasher/index.ts')
  const cloud = identityCloud({ hasher: (request) => { hashes++; return hasher.fetch(request) } })
  const post = async (body: string, path = 'auth/tokens', type = 'application/json') => {
    const started = process.cpuUsage()
    const { status } = await cloud.call('POST', `${V3}/${path}`, { body, headers: { 'content-type': type } })
    const { user, system } = process.cpuUsage(started)
    return { status, cpu_ms: (user + system) / 1_000 }
  }
  await cloud.admin()
  const auth = (password: string, methods = ['password']) => JSON.stringify({ auth: { identity: { methods, password: { user: { name: 'admin', domain: { id: 'default' }, password } } } } })
  const deep = (n: number) => `{"auth":${'{"a":'.repeat(n)}1${'}'.repeat(n)}}`
  hashes = 0
  const cases: [string, number[], Awaited<ReturnType<typeof post>>][] = [
    ['body of 3 MB', [413], await post(auth('x'.repeat(3_000_000)))], ['body past the limit', [413], await post(auth('x'.repeat(AUTH_BODY_BYTES_MAX)))], ['password change of 3 MB', [413], await post(JSON.stringify({ user: { password: 'x'.repeat(3_000_000), original_password: 'y' } }), 'users/u/password')],
    ['deep', [400], await post(deep(15_000))], ['deep lists', [400], await post(`{"auth":${'['.repeat(50_000)}`)], ['a hundred methods', [400], await post(auth('x', new Array(100).fill('password')))],
    ['XML bomb', [400, 415], await post(`<?xml version="1.0"?><!DOCTYPE a [${'<!ENTITY b "bbbb">'.repeat(100)}]><a>&b;</a>`, 'auth/tokens', 'application/xml')], ['many keys', [400], await post(`{"auth":{${Array.from({ length: 10_000 }, (_, n) => `"k${n}":1`).join(',')}}}`)],
  ]
  for (const [name, statuses, { status, cpu_ms }] of cases) {
    assert.ok(statuses.includes(status), `${name}: ${status}`)
    assert.ok(cpu_ms < 200, `${name}: ${cpu_ms} ms of CPU (all of this process, several tests beside it)`)
  }
  assert.equal(hashes, 0)
  assert.equal((await post(auth('wrong', ['password', 'password', 'password']))).status, 401)
  assert.equal(hashes, 1, 'a method named three times is tried once')
  assert.equal((await post(auth('x'.repeat(5_000)))).status, 401)
  cloud.close()
})

test('S26: nothing but true is true: strings, numbers and lists for a boolean are refused everywhere', async () => {
  const cloud = identityCloud()
  const token = await cloud.admin()
  const { project } = (await cloud.call('POST', `${V3}/projects`, { token, json: { project: { name: 'p', domain_id: 'default' } } })).body
  const { user } = (await cloud.call('POST', `${V3}/users`, { token, json: { user: { name: 'u', domain_id: 'default' } } })).body
  const service = (await cloud.call('GET', `${V3}/services`, { token })).body.services[0].id
  const odd = fc.oneof(fc.constantFrom<unknown>('false', 'False', 'FALSE', 'true', '0', '1', '', 'no', 'off', [], [true], {}), fc.integer(), fc.string())
  const places: ((value: unknown) => [string, string, unknown])[] = [
    (enabled) => ['POST', 'projects', { project: { name: 'x', domain_id: 'default', enabled } }], (enabled) => ['PATCH', `projects/${project.id}`, { project: { enabled } }], (enabled) => ['POST', 'domains', { domain: { name: 'x', enabled } }],
    (enabled) => ['POST', 'users', { user: { name: 'x', domain_id: 'default', enabled } }], (enabled) => ['PATCH', `users/${user.id}`, { user: { enabled } }], (enabled) => ['POST', 'services', { service: { type: 'x', name: 'x', enabled } }],
    (enabled) => ['POST', 'endpoints', { endpoint: { service_id: service, interface: 'public', url: 'http://x/', enabled } }], (is_domain) => ['POST', 'projects', { project: { name: 'x', domain_id: 'default', is_domain } }],
    (lock_password) => ['PATCH', `users/${user.id}`, { user: { options: { lock_password } } }], (multi_factor_auth_enabled) => ['PATCH', `users/${user.id}`, { user: { options: { multi_factor_auth_enabled } } }], (immutable) => ['PATCH', `projects/${project.id}`, { project: { options: { immutable } } }],
    (unrestricted) => ['POST', `users/${user.id}/application_credentials`, { application_credential: { name: 'x', unrestricted } }],
  ]
  await fc.assert(fc.asyncProperty(odd, fc.constantFrom(...places), async (value, place) => {
    const [method, path, json] = place(value)
    const { status } = await cloud.call(method, `${V3}/${path}`, { token, json })
    assert.ok(status === 400 || (status === 403 && path.includes('application_credentials')), `${method} ${path} ${JSON.stringify(json)}: ${status}`)
  }), { numRuns: 150 })
  cloud.close()
})

test('S27: passwords, codes, keys and tokens are in no fault, no log, no change log, and in no answer but the one that made them', async () => {
  const logs: string[] = []
  const cloud = identityCloud({ log: (event, fields) => logs.push(JSON.stringify([event, fields])) })
  const ann = await cloud.tenant('ann')
  const admin = await cloud.admin()
  const canary = (name: string) => `canary-${name}-${'x'.repeat(8)}`
  const call = (method: string, path: string, json: unknown, token: string | undefined = admin) => cloud.call(method, `${V3}/${path}`, { token, json })
  await call('PATCH', `users/${ann.user_id}`, { user: { password: canary('password') } })
  const { token } = await cloud.login({ user_id: ann.user_id, password: canary('password'), project_id: ann.project_id })
  const made = (await call('POST', `users/${ann.user_id}/application_credentials`, { application_credential: { name: 'ac', secret: canary('secret') } }, token)).body.application_credential
  const key = (await call('POST', `users/${ann.user_id}/credentials/OS-EC2`, { tenant_id: ann.project_id }, token)).body.credential
  await call('POST', 'credentials', { credential: { type: 'totp', blob: canary('blob'), user_id: ann.user_id } }, token)
  const user = { id: ann.user_id }
  const body = (identity: unknown) => ({ auth: { identity } })
  const answers = [
    await call('POST', 'auth/tokens', body({ methods: ['password'], password: { user: { ...user, password: `${canary('password')}!` } } }), undefined), await call('POST', 'auth/tokens', body({ methods: ['password'], password: { user: { ...user, password: [canary('password')] } } }), undefined),
    await call('POST', 'auth/tokens', body({ methods: ['password'], password: { user: { password: canary('password') } } }), undefined), await call('POST', 'auth/tokens', body({ methods: ['application_credential'], application_credential: { id: made.id, secret: `${canary('secret')}!` } }), undefined),
    await call('POST', 'auth/tokens', body({ methods: ['totp'], totp: { user: { ...user, passcode: canary('passcode') } } }), undefined), await call('POST', 'auth/tokens', body({ methods: ['token'], token: { id: canary('token') } }), undefined), await call('POST', 'users', { user: { name: 'x', password: canary('password').repeat(500) } }),
    await call('PATCH', `users/${ann.user_id}`, { user: { password: { of: canary('password') } } }), await call('POST', `users/${ann.user_id}/password`, { user: { original_password: 'wrong', password: canary('password') } }, undefined), await call('POST', `users/${ann.user_id}/password`, { user: { original_password: [canary('password')], password: 'x' } }, undefined),
    await call('POST', 'credentials', { credential: { type: 'ec2', blob: canary('blob'), user_id: ann.user_id, project_id: ann.project_id } }, token), await call('POST', 'credentials', { credential: { type: 'x', blob: [canary('blob')] } }, token), await call('GET', `users/${ann.user_id}`, undefined), await call('GET', 'users', undefined),
    await call('GET', `users/${ann.user_id}/application_credentials/${made.id}`, undefined, token), await call('GET', `users/${ann.user_id}/application_credentials`, undefined, token), await call('GET', 'auth/catalog', undefined, token), await call('POST', 'skyhook/import', { kind: 'user', rows: [{ id: 'x', password: canary('password') }] }),
    await cloud.call('GET', `${V3}/auth/tokens`, { token: admin, headers: { 'x-subject-token': canary('token') } }), await cloud.call('GET', `/compute/v2.1/servers/${canary('path')}`, { token: canary('token') }),
  ]
  const changes = JSON.stringify(cloud.cluster.instance('IDENTITY', 'identity').deps.storage.sql.exec('SELECT * FROM _changes').toArray())
  for (const [n, secret] of [canary('password'), canary('secret'), canary('passcode'), canary('token'), canary('blob'), key.secret as string, token, admin].entries()) {
    for (const [at, answer] of answers.entries()) assert.ok(!answer.text.includes(secret), `secret ${n} in answer ${at}: ${answer.text.slice(0, 300)}`)
    assert.ok(!logs.some((line) => line.includes(secret)), `secret ${n} in a log`)
    assert.ok(!changes.includes(secret), `secret ${n} in the change log`)
  }
  assert.ok(answers.every((answer) => !/scrypt|at .*\.ts:\d+|SQLITE/.test(answer.text)))
  cloud.close()
})
