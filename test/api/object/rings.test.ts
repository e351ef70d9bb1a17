/** Rings by API: a composed one, made of regions, with objects in it while it is made. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { componentsOf } from '../../../bin/commands/ring.ts'
import { objectCloud } from './cloud.ts'

test('a ring is composed of regions: each has its replicas, what was written before is read all along, and a mistake is refused', async () => {
  let now = Date.now()
  const cloud = await objectCloud({ hosts: 6, clock: { now_ms: () => now } })
  const token = await cloud.token({ role: 'admin', project_id: 'project-admin', user_id: 'admin' })
  const call = (method: string, path: string, json?: unknown) => cloud.call(method, `/agents/v1/rings/0${path}`, { token, ...(json === undefined ? {} : { json }) })
  const view = () => cloud.cluster.instance('RING', '0').current(-1)
  const ring = async () => (await call('GET', '')).body.ring
  await cloud.swift('PUT', '/c')
  for (let n = 0; n < 10; n++) assert.equal((await cloud.swift('PUT', `/c/o${n}`, { body: `text ${n}` })).status, 201)
  const ids: number[] = (await ring()).devices.map((device: { id: number }) => device.id)
  for (const [n, id] of ids.entries()) assert.equal((await call('PATCH', `/devices/${id}`, { region: n < 3 ? 1 : 2 })).status, 200)
  const refused = async (components: unknown) => assert.equal((await call('PATCH', '', { components })).status, 400)
  await refused(componentsOf(['a=1:2']))
  await refused(componentsOf(['a=1:2', 'b=1+2:1']))
  await refused([{ name: 'a', regions: [1], replicas: 0 }, { name: 'b', regions: [2], replicas: 1 }])
  await refused(componentsOf(['a=9:1', 'b=1+2:2']))
  assert.equal((await ring()).components, null)
  const components = componentsOf(['east=1:2', 'west=2:1'])
  assert.equal((await call('PATCH', '', { components })).status, 200)
  const composed = await ring()
  assert.deepEqual([composed.components, composed.replicas, composed.dispersion.short], [components, 3, 0])
  const regions = new Map<number, number>(view().devices.map((device: { id: number; region: number }) => [device.id, device.region]))
  for (const [replica, row] of view().assignment.entries()) for (const id of row) assert.equal(regions.get(id), replica < 2 ? 1 : 2)
  now += 3_000
  for (let n = 0; n < 10; n++) assert.equal((await cloud.swift('GET', `/c/o${n}`)).text, `text ${n}`)
  assert.equal((await call('PATCH', '', { replicas: 2 })).status, 409)
  assert.equal((await call('PATCH', '', { components: null })).status, 200)
  assert.equal((await ring()).components, null)
  for (let n = 0; n < 10; n++) assert.equal((await cloud.swift('GET', `/c/o${n}`)).text, `text ${n}`)
  cloud.close()
})

test('components as they are written', () => {
  assert.deepEqual(componentsOf(['east=1+3:2', 'west=2:1']), [{ name: 'east', regions: [1, 3], replicas: 2 }, { name: 'west', regions: [2], replicas: 1 }])
  assert.equal(componentsOf(['none']), null)
  for (const bad of [[], ['east'], ['east=1'], ['east=:1'], ['=1:1'], ['none', 'east=1:1']]) assert.throws(() => componentsOf(bad))
})
