/** Security cases of identity by their number (NEEDS.md 5.2). S16, S17, S18 and S21 are in ec2.test.ts, S20's matrix in revocation.test.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
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
      const copy = request.clone()
      if (new URL(request.url).pathname === '/verify') hashes.push(((await copy.json()) as { hash: string }).hash.split('$').slice(1, 3).join('$'))
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
