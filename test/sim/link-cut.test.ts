/**
 * The WAN is cut for five minutes under load (virtual time): no guest changes power state, API calls during the cut get clear answers, and after healing desired = actual.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { afterHealing, converged, quiet, safety } from './invariants.ts'
import { Model, operate, prepare } from './operations.ts'
import { SimCloud, TENANTS } from './simcloud.ts'

const CUT_MS = 5 * 60_000
const HEAL_LIMIT_MS = 40 * 60_000

/** When each running machine was started, and that it runs: what a WAN loss must never change. */
function powers(sim: SimCloud): Map<string, { host: string; started_ms: number; power: string }> {
  const out = new Map<string, { host: string; started_ms: number; power: string }>()
  for (const host of sim.hosts) for (const [id, machine] of host.disk.hypervisor) out.set(id, { host: host.name, started_ms: machine.started_ms, power: machine.state.power })
  return out
}

async function withServers(seed: number, count: number): Promise<{ sim: SimCloud; model: Model; witnesses: string[] }> {
  const sim = await SimCloud.start(seed, 3)
  const model = new Model()
  await prepare(sim, model)
  const witnesses: string[] = []
  for (let n = 0; n < count; n++) {
    const tenant = TENANTS[n % TENANTS.length] ?? 'project-a'
    const answer = await sim.finish(sim.call(tenant, 'POST', '/compute/v2.1/servers', { server: { name: `w${n}`, flavorRef: '1', imageRef: model.imageId, networks: [{ uuid: model.networks.get(tenant) }] } }))
    assert.equal(answer.status, 202, answer.text)
    witnesses.push(answer.body.server.id)
  }
  assert.ok(await sim.run(600_000, () => quiet(sim)), 'the servers did not come up')
  return { sim, model, witnesses }
}

for (const [name, cut] of [['one host', (sim: SimCloud) => sim.hostIds.slice(0, 1)], ['every host', (sim: SimCloud) => sim.hostIds]] as const) {
  test(`the link of ${name} is cut for five minutes under load`, async () => {
    const { sim, model, witnesses } = await withServers(11, 6)
    try {
      const before = powers(sim)
      assert.equal(before.size, 6)
      for (const id of cut(sim)) sim.net.sever(id)
      let running = 0
      for (let n = 0; n < 30; n++) {
        sim.world.after(sim.world.random.below(CUT_MS), () => {
          running++
          void operate(sim, model).catch(() => {}).finally(() => running--)
        })
      }
      // The witnesses are nobody's to touch: load works on things that it made itself.
      await sim.run(CUT_MS)
      const during = powers(sim)
      for (const id of witnesses) assert.deepEqual(during.get(id), before.get(id), `server ${id} changed while the link was cut`)
      assert.deepEqual(safety(sim), [])
      await sim.heal()
      assert.ok(await sim.run(HEAL_LIMIT_MS, () => running === 0 && quiet(sim)), `not quiet after healing: ${JSON.stringify(converged(sim).slice(0, 3))}`)
      assert.deepEqual(converged(sim), [])
      const after = powers(sim)
      for (const id of witnesses) assert.deepEqual(after.get(id), before.get(id), `server ${id} changed when the link came back`)
      assert.deepEqual(await afterHealing(sim, model), [])
    } finally {
      sim.close()
    }
  })
}

test('during a cut: a create goes to another host, or fails with a clear fault; a delete is not stuck', async () => {
  const { sim, model, witnesses } = await withServers(12, 1)
  try {
    for (const id of sim.hostIds) sim.net.sever(id)
    await sim.run(120_000)
    const services = await sim.finish(sim.call('admin', 'GET', '/compute/v2.1/os-services?binary=nova-compute'))
    assert.deepEqual(services.body.services.map((service: { state: string }) => service.state), ['down', 'down', 'down'])
    const create = await sim.finish(sim.call('project-b', 'POST', '/compute/v2.1/servers', { server: { name: 'late', flavorRef: '1', imageRef: model.imageId, networks: [{ uuid: model.networks.get('project-b') }] } }))
    assert.equal(create.status, 202)
    await sim.run(30 * 60_000)
    const late = (await sim.finish(sim.call('project-b', 'GET', `/compute/v2.1/servers/${create.body.server.id}`))).body.server
    assert.equal(late.status, 'ERROR')
    assert.match(late.fault.message, /No valid host/)
    const gone = await sim.finish(sim.call('project-a', 'DELETE', `/compute/v2.1/servers/${witnesses[0]}`))
    assert.equal(gone.status, 204)
    await sim.run(30 * 60_000)
    assert.equal((await sim.finish(sim.call('project-a', 'GET', `/compute/v2.1/servers/${witnesses[0]}`))).status, 404, 'the delete waits for the host')
    assert.equal(powers(sim).get(witnesses[0] ?? '')?.power, 'running', 'silence destroyed a guest')
    await sim.heal()
    assert.ok(await sim.run(HEAL_LIMIT_MS, () => quiet(sim)))
    assert.equal(powers(sim).has(witnesses[0] ?? ''), false, 'the guest outlived its delete')
  } finally {
    sim.close()
  }
})
