/** Where Worker and Identity share a process a token is read from memory: only a moment long, and never past a change. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { identityCloud } from './support.ts'

const TOKENS = '/identity/v3/auth/tokens'

function counted(vars: Record<string, string> = {}) {
  let now = Date.now()
  const asked: string[] = []
  const cloud = identityCloud({ vars, clock: { now_ms: () => now }, hop: async (where) => void (where.startsWith('IDENTITY/') && !where.endsWith('answered') && asked.push(where)) })
  const validate = async (token: string, subject: string) => {
    asked.length = 0
    const { status, body } = await cloud.call('GET', TOKENS, { token, headers: { 'x-subject-token': subject } })
    return { status, body, messages: asked.filter((where) => where.includes('validateToken')).length }
  }
  return { cloud, validate, pass: (ms: number) => { now += ms } }
}

test('a token that was just read is read from memory; after a second, or any change, from state', async () => {
  const { cloud, validate, pass } = counted()
  const admin = await cloud.admin()
  const tenant = await cloud.tenant('acme')
  const first = await validate(admin, tenant.token)
  assert.deepEqual([first.status, first.messages], [200, 1])
  const second = await validate(admin, tenant.token)
  assert.deepEqual(second, { ...first, messages: 0 })
  pass(1_001)
  assert.equal((await validate(admin, tenant.token)).messages, 1)
  const { roles } = (await cloud.call('GET', '/identity/v3/roles?name=reader', { token: admin })).body
  assert.equal((await cloud.call('PUT', `/identity/v3/projects/${tenant.project_id}/users/${tenant.user_id}/roles/${roles[0].id}`, { token: admin })).status, 204)
  assert.equal((await validate(admin, tenant.token)).messages, 1, 'a role was added')
  assert.equal((await validate(admin, tenant.token)).messages, 0)
  assert.equal((await cloud.call('DELETE', TOKENS, { token: admin, headers: { 'x-subject-token': tenant.token } })).status, 204)
  assert.equal((await validate(admin, tenant.token)).status, 404, 'revoked')
  cloud.close()
})

test('whoever asks is admitted each time: a revoked or expired token reads nothing from memory', async () => {
  const { cloud, validate, pass } = counted()
  const admin = await cloud.admin()
  const other = await cloud.admin()
  await validate(other, admin)
  assert.equal((await validate(other, admin)).messages, 0)
  assert.equal((await cloud.call('DELETE', TOKENS, { token: admin, headers: { 'x-subject-token': other } })).status, 204)
  await validate(admin, admin)
  assert.equal((await validate(other, admin)).status, 401)
  pass(24 * 3_600_000)
  assert.equal((await validate(admin, admin)).status, 401)
  cloud.close()
})

test('an object that was started again takes the place of the one before', async () => {
  const { cloud, validate } = counted()
  const admin = await cloud.admin()
  await validate(admin, admin)
  cloud.cluster.crash('IDENTITY', 'identity')
  assert.equal((await cloud.call('DELETE', TOKENS, { token: admin, headers: { 'x-subject-token': admin } })).status, 204)
  assert.equal((await validate(admin, admin)).status, 401)
  cloud.close()
})

test('elsewhere the object is always asked', async () => {
  const { cloud, validate } = counted({ NEAR: '' })
  const admin = await cloud.admin()
  await validate(admin, admin)
  assert.equal((await validate(admin, admin)).messages, 1)
  cloud.close()
})
