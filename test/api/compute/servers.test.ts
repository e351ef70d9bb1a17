/** The life of a server through the API, on simulated hosts under virtual time. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SimCloud } from '../../sim/simcloud.ts'
import { Compute } from './client.ts'

let sim: SimCloud
let api: Compute
before(async () => {
  sim = await SimCloud.start(1, 2)
  api = new Compute(sim, 'project-a')
  await api.prepare()
})
after(() => sim.close())

test('a server is created, placed, and becomes active with an address', async () => {
  const id = await api.boot('life')
  const server = await api.server(id)
  assert.equal(server.status, 'ACTIVE')
  assert.equal(server['OS-EXT-STS:power_state'], 1)
  assert.equal(Object.values(server.addresses).flat().length, 1)
})
