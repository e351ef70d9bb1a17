/** What a host said before does not undo what it said since: a report that is delivered twice or late changes nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ObservedItem } from '../../schema/agent/observed.ts'
import { Model, prepare } from './operations.ts'
import { calm } from './seed.ts'
import { SimCloud } from './simcloud.ts'

test('an old report that arrives again does not replace a newer one', async () => {
  const sim = await SimCloud.start(9, 1)
  try {
    const model = new Model()
    await prepare(sim, model)
    const made = await sim.finish(sim.call('project-a', 'POST', '/compute/v2.1/servers', { server: { name: 's', flavorRef: '1', imageRef: model.imageId, networks: [{ uuid: model.networks.get('project-a') }] } }))
    assert.ok(await calm(sim))
    const host = sim.cluster.instance('HOST', sim.hostIds[0] ?? '')
    const seen = (): ObservedItem | undefined => (host.inspect().observed as ObservedItem[]).find((item) => item.id === made.body.server.id)
    const before = seen()
    assert.equal(before?.status, 'ready')
    const [socket] = host.ctx.getWebSockets('agent')
    await host.webSocketMessage(socket, JSON.stringify({ type: 'observed', seq: 1, items: [{ ...before, status: 'working' }] }))
    assert.deepEqual(seen(), before)
  } finally {
    sim.close()
  }
})
