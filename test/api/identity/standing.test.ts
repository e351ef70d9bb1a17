/** Who logs in again does it without a message to the object, and never with what no longer holds. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authBody, identityCloud } from './support.ts'

const V3 = '/identity/v3'
const DAY_MS = 24 * 3_600_000

function counted(identity: Record<string, unknown> = {}, vars: Record<string, string> = {}) {
  let now = Date.now()
  const asked: string[] = []
  const cloud = identityCloud({ identity, vars, clock: { now_ms: () => now }, hop: async (where) => void (where.startsWith('IDENTITY/') && !where.endsWith('answered') && asked.push(where)) })
  /** Status of a login, and how many messages it took. */
  const login = async (request: Parameters<typeof authBody>[0]) => {
    asked.length = 0
    const { status, token, body } = await cloud.login(request)
    return { status, token, body, messages: asked.length }
  }
  /** Logs in until it takes no message. */
  const known = async (request: Parameters<typeof authBody>[0]) => {
    await login(request)
    const { status, messages } = await login(request)
    assert.deepEqual([status, messages], [201, 0], JSON.stringify(request))
  }
  /** A user with a role on a project, and how it logs in there. */
  const person = async (name: string) => {
    const tenant = await cloud.tenant(name)
    return { ...tenant, who: { user_id: tenant.user_id, password: tenant.password, project_id: tenant.project_id } }
  }
  return { cloud, login, known, person, pass: (ms: number) => { now += ms } }
}

test('the second login of a user takes no message and says the same but for its times', async () => {
  const { cloud, login, known, person, pass } = counted()
  const { who, ...ann } = await person('ann')
  await cloud.call('POST', `${V3}/roles`, { token: await cloud.admin(), json: { role: { name: 'a change' } } })
  const first = await login(who)
  pass(1_000)
  const again = await login(who)
  assert.deepEqual([first.status, again.status, first.messages > 0, again.messages], [201, 201, true, 0])
  const rest = ({ audit_ids: _a, issued_at: _i, expires_at: _e, ...token }: Record<string, unknown>) => token
  assert.deepEqual(rest(again.body.token), rest(first.body.token))
  assert.notDeepEqual(again.body.token.audit_ids, first.body.token.audit_ids)
  assert.ok(again.body.token.issued_at > first.body.token.issued_at && again.body.token.expires_at > first.body.token.expires_at)
  const admin = await cloud.admin()
  const { body } = await cloud.call('GET', `${V3}/auth/tokens`, { token: admin, headers: { 'x-subject-token': again.token } })
  assert.deepEqual(body.token, again.body.token)
  for (const scope of [{ unscoped: true }, {}, { project: 'ann' }]) {
    const other = { user: 'ann', password: ann.password, ...scope }
    await known(other)
  }
  cloud.close()
})

test('any change ends it: what is logged in with afterwards is what holds then', async () => {
  const { cloud, login, known, person } = counted()
  const { who, ...ann } = await person('ann')
  const token = await cloud.admin()
  const does = async (method: string, path: string, json?: unknown) => assert.ok((await cloud.call(method, `${V3}${path}`, { token, json })).status < 300, `${method} ${path}`)
  const [{ id: reader }] = (await cloud.call('GET', `${V3}/roles?name=reader`, { token })).body.roles
  const [{ id: member }] = (await cloud.call('GET', `${V3}/roles?name=member`, { token })).body.roles
  const role = `/projects/${ann.project_id}/users/${ann.user_id}/roles`
  const names = async () => (await login(who)).body.token.roles.map(({ name }: { name: string }) => name)
  await known(who)
  await does('DELETE', `${role}/${member}`)
  assert.equal((await login(who)).status, 401, 'no role is left')
  await does('PUT', `${role}/${reader}`)
  assert.deepEqual(await names(), ['reader'])
  await known(who)
  for (const [path, off, on] of [[`/users/${ann.user_id}`, { user: { enabled: false } }, { user: { enabled: true } }], [`/projects/${ann.project_id}`, { project: { enabled: false } }, { project: { enabled: true } }]] as const) {
    await does('PATCH', path, off)
    assert.equal((await login(who)).status, 401, path)
    await does('PATCH', path, on)
    await known(who)
  }
  await does('PATCH', `/users/${ann.user_id}`, { user: { password: 'another' } })
  assert.equal((await login(who)).status, 401, 'the old password')
  assert.equal((await login({ ...who, password: 'another' })).status, 201)
  await does('DELETE', `/users/${ann.user_id}`)
  assert.equal((await login({ ...who, password: 'another' })).status, 401, 'deleted')
  cloud.close()
})

test('wrong passwords count although the right one was at hand, and a lock that ends by the clock ends', async () => {
  const { cloud, login, known, person, pass } = counted({ lockout_failure_attempts: 2, lockout_duration_ms: 60_000 })
  const { who } = await person('ann')
  await known(who)
  for (const password of ['wrong', 'wrong too']) assert.equal((await login({ ...who, password })).status, 401)
  for (let n = 0; n < 2; n++) assert.equal((await login(who)).status, 401, 'locked, also where that is known already')
  pass(60_000)
  const freed = await login(who)
  assert.deepEqual([freed.status, freed.messages > 0], [201, true])
  await login(who)
  assert.deepEqual([(await login(who)).status, (await login(who)).messages], [201, 0], 'failures were forgotten')
  cloud.close()
})

test('a password that expires by the clock lets nobody in', async () => {
  const { cloud, login, known, person, pass } = counted({ password_expires_days: 1 })
  const { who } = await person('ann')
  await known(who)
  pass(DAY_MS)
  for (let n = 0; n < 2; n++) {
    const late = await login(who)
    assert.deepEqual([late.status, /expired/.test(late.body.error.message)], [401, true])
  }
  cloud.close()
})

test('rules that ask for more than a password are met each time, and days of absence are noted each time', async () => {
  const { cloud, login, person } = counted()
  const { who, ...ann } = await person('ann')
  const token = await cloud.admin()
  await login(who)
  await cloud.call('PATCH', `${V3}/users/${ann.user_id}`, { token, json: { user: { options: { multi_factor_auth_enabled: true, multi_factor_auth_rules: [['password', 'totp']] } } } })
  for (let n = 0; n < 3; n++) {
    const { status, messages } = await login(who)
    assert.deepEqual([status, messages > 0], [401, true])
  }
  cloud.close()
  const strict = counted({ disable_user_account_days_inactive: 10 })
  const bob = await strict.cloud.tenant('bob')
  for (let n = 0; n < 20; n += 5) {
    assert.equal((await strict.login({ user_id: bob.user_id, password: bob.password })).status, 201, `day ${n}`)
    strict.pass(5 * DAY_MS)
  }
  strict.pass(6 * DAY_MS)
  assert.equal((await strict.login({ user_id: bob.user_id, password: bob.password })).status, 401)
  strict.cloud.close()
})

test('who there is shows neither in the answer nor in the messages that it took', async () => {
  const { cloud, login } = counted()
  const ann = await cloud.tenant('ann')
  await login({ user: 'ann', password: ann.password })
  await login({ user: 'nobody', password: 'x' })
  const [known, unknown] = [await login({ user: 'ann', password: 'x' }), await login({ user: 'nobody', password: 'x' })]
  assert.deepEqual([known.status, known.messages, known.body.error.message], [unknown.status, unknown.messages, unknown.body.error.message])
  assert.equal(known.messages, 1, 'that it was wrong')
  cloud.close()
})

test('attempts from an address count where they are answered from memory', async () => {
  const { cloud } = counted({ login_failures_max: 4, login_failures_per_minute: 1 })
  const ann = await cloud.tenant('ann')
  const from = async (password: string) => (await cloud.call('POST', `${V3}/auth/tokens`, { json: authBody({ user: 'ann', password }), headers: { 'cf-connecting-ip': '192.0.2.7' } })).status
  for (let n = 0; n < 8; n++) assert.equal(await from(ann.password), 201, 'what succeeds is given back')
  const failed = []
  for (let n = 0; n < 6; n++) failed.push(await from('wrong'))
  assert.deepEqual(failed, [401, 401, 401, 401, 429, 429])
  assert.equal(await from(ann.password), 429)
  cloud.close()
})

test('where the object is elsewhere it is always asked', async () => {
  const { cloud, login, person } = counted({}, { NEAR: '' })
  const { who } = await person('ann')
  await login(who)
  assert.equal((await login(who)).messages, 2)
  cloud.close()
})

test('a token that waits for its proof is given to nobody whose state has changed meanwhile', async () => {
  const { default: hasher } = await import('../../../workers/hasher/index.ts')
  let during: () => Promise<unknown> = async () => {}
  const cloud = identityCloud({ hasher: async (request) => { const answer = await hasher.fetch(request); if (request.url.endsWith('/verify')) await during(); return answer } })
  const ann = await cloud.tenant('ann')
  const token = await cloud.admin()
  const who = { user_id: ann.user_id, password: ann.password, project_id: ann.project_id }
  for (let n = 0; n < 2; n++) assert.equal((await cloud.login(who)).status, 201)
  during = async () => {
    during = async () => {}
    assert.equal((await cloud.call('PATCH', `${V3}/users/${ann.user_id}`, { token, json: { user: { enabled: false } } })).status, 200)
  }
  assert.equal((await cloud.login(who)).status, 401)
  cloud.close()
})
