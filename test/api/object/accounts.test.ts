/** The life of an account: known to the region from its first container, deleted by the operator or with its project, reaped after a while, taken back before that. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { identityCloud } from '../identity/support.ts'
import { ACCOUNT, type ObjectCloud, objectCloud } from './cloud.ts'

let cloud: ObjectCloud
let now = Date.now()
let operator: { token: string }
before(async () => {
  cloud = await objectCloud({ clock: { now_ms: () => now } })
  operator = { token: await cloud.token({ role: 'none', roles: ['ResellerAdmin'], project_id: 'operator', user_id: 'op' }) }
})
after(() => cloud.close())

const alarm = (account = ACCOUNT) => cloud.cluster.instance('ACCOUNT', account).alarm()
const stored = () => [...cloud.hosts.disks.values()].flatMap((disk) => [...disk.values()]).filter((replica) => replica.data !== null).length
const projects = () => cloud.cluster.instance('REGION', 'region').deps.storage.sql.exec('SELECT id FROM projects').toArray().map((row: { id: string }) => row.id)

test('the first container enters the project in the directory of the region, even where the region was away', async () => {
  assert.deepEqual(projects(), [])
  const region = cloud.cluster.instance('REGION', 'region')
  const enter = region.enterProject
  region.enterProject = () => {
    throw new Error('away')
  }
  assert.equal((await cloud.swift('PUT', '/c')).status, 201)
  assert.deepEqual(projects(), [])
  region.enterProject = enter
  now += 31_000
  await alarm()
  assert.deepEqual(projects(), ['project-a'])
})

test('a deleted account answers 410, comes back within its time, and is reaped whole after it', async () => {
  assert.equal((await cloud.swift('DELETE', '')).status, 405, 'not by its owner')
  await cloud.swift('PUT', '/c/o', { body: 'x' })
  await cloud.swift('PUT', '/v', { headers: { 'x-versions-enabled': 'true' } })
  for (const body of ['1', '2', '3']) await cloud.swift('PUT', '/v/o', { body })
  await cloud.swift('DELETE', '/v/o')
  for (let n = 0; n < 120; n++) await cloud.swift('PUT', `/c/many/${n}`, { body: 'y' })
  assert.equal(stored(), 124)
  assert.equal((await cloud.swift('DELETE', '', operator)).status, 204)
  for (const [method, path] of [['GET', ''], ['HEAD', ''], ['PUT', '/new'], ['POST', '']] as const) assert.equal((await cloud.swift(method, path)).status, 410, method)
  now += 3_600_000
  const member = await cloud.token()
  assert.equal((await cloud.swift('PUT', '', { ...operator, token: await cloud.token({ role: 'none', roles: ['ResellerAdmin'], project_id: 'operator', user_id: 'op' }) })).status, 202)
  await alarm()
  assert.equal((await cloud.swift('GET', '/c/o', { token: member })).text, 'x')
  now += 24 * 3_600_000
  await alarm()
  assert.equal(stored(), 124, 'taken back in time')
  const again = { token: await cloud.token({ role: 'none', roles: ['ResellerAdmin'], project_id: 'operator', user_id: 'op' }) }
  assert.equal((await cloud.swift('DELETE', '', again)).status, 204)
  now += 23 * 3_600_000
  await alarm()
  assert.equal(stored(), 124, 'not before its time')
  cloud.hosts.down.add('host-0')
  now += 2 * 3_600_000
  await alarm()
  cloud.hosts.down.delete('host-0')
  now += 60_000
  for (let n = 0; n < 5; n++, now += 1_000) await alarm()
  assert.equal(stored(), 0)
  assert.deepEqual(cloud.cluster.instance('ACCOUNT', ACCOUNT).list({ limit: 10, marker: '', end_marker: '', prefix: '', delimiter: '', reverse: false, path: null }).entries, [])
  assert.equal((await cloud.call('DELETE', '/object-store/v1/AUTH_nobody', { token: (await cloud.token({ role: 'none', roles: ['ResellerAdmin'], project_id: 'operator', user_id: 'op' })) })).status, 404)
})

test('a deleted project takes its account with it', async () => {
  const whole = identityCloud()
  const { project_id, token } = await whole.tenant('leaver')
  assert.equal((await whole.call('PUT', `/object-store/v1/AUTH_${project_id}/c`, { token })).status, 201)
  assert.equal((await whole.call('DELETE', `/identity/v3/projects/${project_id}`, { token: await whole.admin() })).status, 204)
  const info = async () => await whole.env.ACCOUNT.getByName(`AUTH_${project_id}`).info()
  for (let n = 0; n < 50 && (await info())?.deleted_ms == null; n++) await new Promise((resolve) => setTimeout(resolve, 20))
  assert.notEqual((await info())?.deleted_ms, null)
  whole.close()
})
