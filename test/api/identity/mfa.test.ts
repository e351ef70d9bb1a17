/** One-time passcodes and multi-factor rules: what proves a user, what does not, and how a login in parts goes on with a receipt. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { base32, passcode, stepOf } from '../../../workers/identity/mfa/totp.ts'
import { type IdentityCloud, type Tenant, identityCloud } from './support.ts'

const V3 = '/identity/v3'
const SECRET = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'

async function setting(identity: Record<string, unknown> = {}) {
  let now = Date.now()
  const cloud = identityCloud({ clock: { now_ms: () => now }, identity })
  const ann = await cloud.tenant('ann')
  const made = await cloud.call('POST', `${V3}/credentials`, { token: ann.token, json: { credential: { type: 'totp', blob: SECRET, user_id: ann.user_id } } })
  assert.equal(made.status, 201, made.text)
  return { cloud, ann, pass: (ms: number) => (now += ms), code: (back = 0) => passcode(base32(SECRET) ?? new Uint8Array(), stepOf(now) - back), credential: made.body.credential.id as string }
}

const auth = (cloud: IdentityCloud, ann: Tenant, given: { password?: string; passcode?: string; token?: string }, receipt?: string) => {
  const user = { id: ann.user_id }
  const identity = {
    methods: [...(given.password === undefined ? [] : ['password']), ...(given.passcode === undefined ? [] : ['totp']), ...(given.token === undefined ? [] : ['token'])],
    ...(given.password === undefined ? {} : { password: { user: { ...user, password: given.password } } }), ...(given.passcode === undefined ? {} : { totp: { user: { ...user, passcode: given.passcode } } }), ...(given.token === undefined ? {} : { token: { id: given.token } }),
  }
  return cloud.call('POST', `${V3}/auth/tokens`, { json: { auth: { identity, scope: { project: { id: ann.project_id } } } }, headers: receipt === undefined ? {} : { 'openstack-auth-receipt': receipt } })
}

const rule = async (cloud: IdentityCloud, ann: Tenant, options: Record<string, unknown>) => cloud.call('PATCH', `${V3}/users/${ann.user_id}`, { token: await cloud.admin(), json: { user: { options } } })

test('a passcode is a login: by id, by name, of this window or the one before, once each', async () => {
  const { cloud, ann, pass, code } = await setting()
  const first = await auth(cloud, ann, { passcode: code(1) })
  assert.equal(first.status, 201, first.text)
  assert.deepEqual(first.body.token.methods, ['totp'])
  assert.equal((await auth(cloud, ann, { passcode: code(1) })).status, 401, 'used')
  assert.equal((await auth(cloud, ann, { passcode: code() })).status, 201)
  assert.equal((await auth(cloud, ann, { passcode: code() })).status, 401, 'used')
  const old = code()
  pass(60_000)
  assert.equal((await auth(cloud, ann, { passcode: old })).status, 401, 'past')
  const byName = { auth: { identity: { methods: ['totp'], totp: { user: { name: 'ann', domain: { id: 'default' }, passcode: code() } } } } }
  assert.equal((await cloud.call('POST', `${V3}/auth/tokens`, { json: byName })).status, 201)
  cloud.close()
})

test('a wrong passcode, another user\'s, and that of a deleted credential are refused alike; wrong ones lock as wrong passwords do', async () => {
  const { cloud, ann, pass, code, credential } = await setting({ lockout_failure_attempts: 3 })
  const bob = await cloud.tenant('bob')
  const bodies = new Set<string>()
  for (const answer of [await auth(cloud, bob, { passcode: code() }), await auth(cloud, ann, { passcode: '000000' }), await auth(cloud, { ...ann, user_id: 'nobody' }, { passcode: code() })]) {
    assert.equal(answer.status, 401)
    bodies.add(answer.text)
  }
  assert.equal(bodies.size, 1)
  for (let n = 0; n < 3; n++) await auth(cloud, ann, { passcode: '000000' })
  assert.equal((await auth(cloud, ann, { passcode: code() })).status, 401, 'locked')
  assert.equal((await auth(cloud, ann, { password: ann.password })).status, 401, 'locked for both')
  pass(1_800_001)
  assert.equal((await auth(cloud, ann, { passcode: code() })).status, 201)
  assert.equal((await cloud.call('DELETE', `${V3}/credentials/${credential}`, { token: await cloud.admin() })).status, 204)
  pass(30_000)
  assert.equal((await auth(cloud, ann, { passcode: code() })).status, 401)
  cloud.close()
})

test('a rule of two methods: both at once, or one after the other with the receipt of the first', async () => {
  const { cloud, ann, pass, code } = await setting()
  assert.equal((await rule(cloud, ann, { multi_factor_auth_rules: [['password', 'totp']], multi_factor_auth_enabled: true })).status, 200)
  assert.equal((await auth(cloud, ann, { password: ann.password, passcode: code() })).status, 201)
  pass(30_000)
  const half = await auth(cloud, ann, { password: ann.password })
  assert.equal(half.status, 401)
  assert.equal(half.headers.get('x-subject-token'), null)
  const receipt = half.headers.get('openstack-auth-receipt') ?? ''
  assert.deepEqual(half.body.required_auth_methods, [['password', 'totp']])
  assert.deepEqual([half.body.receipt.methods, half.body.receipt.user], [['password'], { id: ann.user_id, name: 'ann', domain: { id: 'default', name: 'Default' } }])
  assert.equal(Date.parse(half.body.receipt.expires_at) - Date.parse(half.body.receipt.issued_at), 300_000)
  const whole = await auth(cloud, ann, { passcode: code() }, receipt)
  assert.equal(whole.status, 201, whole.text)
  assert.deepEqual([...whole.body.token.methods].sort(), ['password', 'totp'])
  const token = whole.headers.get('x-subject-token') ?? ''
  assert.equal((await auth(cloud, ann, { token })).status, 201, 'a token remembers its methods')
  cloud.close()
})

test('a receipt is no token, no other user\'s, not for ever, and ends with the password it proves', async () => {
  const { cloud, ann, pass, code } = await setting()
  await rule(cloud, ann, { multi_factor_auth_rules: [['password', 'totp']] })
  const bob = await cloud.tenant('bob')
  await rule(cloud, bob, { multi_factor_auth_rules: [['password', 'totp']] })
  const receiptOf = async (who: Tenant) => (await auth(cloud, who, { password: who.password })).headers.get('openstack-auth-receipt') ?? ''
  const [mine, his] = [await receiptOf(ann), await receiptOf(bob)]
  assert.equal((await cloud.call('GET', `${V3}/auth/projects`, { token: mine })).status, 401)
  assert.equal((await auth(cloud, ann, { token: mine })).status, 404)
  assert.equal((await auth(cloud, ann, { passcode: code() }, his)).status, 401)
  pass(30_000)
  assert.equal((await auth(cloud, ann, { passcode: code() }, 'nonsense')).status, 401)
  pass(300_001)
  assert.equal((await auth(cloud, ann, { passcode: code() }, mine)).status, 401, 'expired')
  const again = await receiptOf(ann)
  pass(30_000)
  await cloud.call('PATCH', `${V3}/users/${ann.user_id}`, { token: await cloud.admin(), json: { user: { password: 'a new one' } } })
  assert.equal((await auth(cloud, ann, { passcode: code() }, again)).status, 401, 'of the old password')
  cloud.close()
})

test('rules off, none, or met by one method alone; an application credential needs a rule of its own', async () => {
  const { cloud, ann } = await setting()
  const made = (await cloud.call('POST', `${V3}/users/${ann.user_id}/application_credentials`, { token: ann.token, json: { application_credential: { name: 'ci' } } })).body.application_credential
  const withCredential = () => cloud.call('POST', `${V3}/auth/tokens`, { json: { auth: { identity: { methods: ['application_credential'], application_credential: { id: made.id, secret: made.secret } } } } })
  const status = async () => (await auth(cloud, ann, { password: ann.password })).status
  await rule(cloud, ann, { multi_factor_auth_rules: [['password', 'totp']] })
  assert.deepEqual([await status(), (await withCredential()).status], [401, 401])
  await rule(cloud, ann, { multi_factor_auth_rules: [['password', 'totp'], ['application_credential']] })
  assert.deepEqual([await status(), (await withCredential()).status], [401, 201])
  await rule(cloud, ann, { multi_factor_auth_enabled: false })
  assert.equal(await status(), 201)
  await rule(cloud, ann, { multi_factor_auth_enabled: true, multi_factor_auth_rules: [] })
  assert.equal(await status(), 201)
  for (const bad of ['x', [[]], [['password', 'password']], [['password'], ['password']], ['password'], [[1]]]) assert.equal((await rule(cloud, ann, { multi_factor_auth_rules: bad })).status, 400, JSON.stringify(bad))
  cloud.close()
})
