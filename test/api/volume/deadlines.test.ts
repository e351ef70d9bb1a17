/** Silent hosts: nothing waits for ever, a late report still counts, and what cannot be undone is said. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { recordingCloud, until } from './recording-host.ts'

type Cloud = Awaited<ReturnType<typeof recordingCloud>>
let at: Cloud
let ahead_ms = 0
before(async () => {
  at = await recordingCloud({ clock: { now_ms: () => Date.now() + ahead_ms } })
})
after(() => at.cloud.close())

const call = async (method: string, path: string, json?: unknown) => at.cloud.call(method, `/volume/v3/project-a${path}`, { token: await at.cloud.token(), json })
const pass = async (ms: number) => {
  ahead_ms += ms
  await at.cloud.cluster.fireAlarms()
}
const make = async () => (await call('POST', '/volumes', { volume: { size: 1 } })).body.volume.id as string
const status = async (id: string) => {
  const answer = await call('GET', `/volumes/${id}`)
  return answer.status === 404 ? 'gone' : answer.body.volume.status
}
const clean = () => assert.deepEqual(at.cloud.cluster.instance('PROJECT', 'project-a').verify(), [])

test('a volume that no host answers for is an error after its time, and is still deleted when the host is back', async () => {
  at.record.behaviour.report = () => null
  const id = await make()
  const item = await until(async () => at.record.items.find((entry) => entry.id === id), (found) => found !== undefined, 'the host is told')
  assert.equal(await status(id), 'creating')
  clean()
  await pass(61 * 60_000)
  assert.equal(await status(id), 'error')
  clean()
  await at.cloud.env.PROJECT.getByName('project-a').observed(item?.host_id ?? '', [{ kind: 'volume', id, generation: 1, status: 'ready' }])
  assert.equal(await status(id), 'error', 'an error stays until its owner deletes or resets it')
  await call('DELETE', `/volumes/${id}`)
  assert.equal(await status(id), 'deleting')
  await pass(16 * 60_000)
  assert.equal(await status(id), 'error_deleting')
  await at.cloud.env.PROJECT.getByName('project-a').observed(item?.host_id ?? '', [{ kind: 'volume', id, generation: 2, status: 'gone' }])
  assert.equal(await status(id), 'gone')
  clean()
})

test('reports of another host or of an older generation say nothing', async () => {
  at.record.behaviour.report = () => null
  const id = await make()
  const item = await until(async () => at.record.items.find((entry) => entry.id === id), (found) => found !== undefined, 'the host is told')
  const project = at.cloud.env.PROJECT.getByName('project-a')
  await project.observed('somebody-else', [{ kind: 'volume', id, generation: 1, status: 'ready' }])
  await project.observed(item?.host_id ?? '', [{ kind: 'volume', id, generation: 0, status: 'failed' }])
  assert.equal(await status(id), 'creating')
  await project.observed(item?.host_id ?? '', [{ kind: 'volume', id, generation: 1, status: 'ready' }])
  await project.observed(item?.host_id ?? '', [{ kind: 'volume', id, generation: 1, status: 'ready' }])
  assert.equal(await status(id), 'available')
})

test('an object that dies in the middle goes on where it was', async () => {
  at.record.behaviour.report = (item) => (item.state === 'absent' ? 'gone' : 'ready')
  const id = await make()
  at.cloud.cluster.crash('PROJECT', 'project-a')
  at.cloud.cluster.crash('REGION', 'region')
  await pass(1_000)
  await until(() => status(id), (now) => now === 'available', 'available after the crash')
  assert.equal(at.record.items.filter((item) => item.id === id && item.state === 'present').every((item) => item.generation === 1), true)
  clean()
})
