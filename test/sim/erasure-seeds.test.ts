/**
 * Random operations on erasure-coded objects with a model, at most m hosts failing, and one disk lost for good at a time: nothing acknowledged is lost or stale, neither while hosts are
 * away nor after. Every second seed is encrypted.
 * SKYHOOK_ERASURE_SEEDS=from:count chooses others.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ErasureStorm } from './erasure.ts'
import { StormRun } from './storm-run.ts'

const [FROM = 1, COUNT = 10] = (process.env.SKYHOOK_ERASURE_SEEDS ?? '1:10').split(':').map(Number)
/** Schemes in turn, with and without devices to spare. */
const SHAPES = [{ hosts: 6, data: 3, parity: 2 }, { hosts: 5, data: 3, parity: 2 }, { hosts: 6, data: 2, parity: 2 }, { hosts: 7, data: 2, parity: 3 }, { hosts: 5, data: 4, parity: 1 }] as const
const OPERATIONS = 40
/** Longer than a storm. */
const RECLAIM_AGE_S = 600

/** One seed's storms, its mistakes among the run. `weak`: with a fault planted. */
async function storms(seed: number, weak: boolean): Promise<{ storm: ErasureStorm; run: StormRun }> {
  const { hosts, data, parity } = SHAPES[seed % SHAPES.length] ?? SHAPES[0]
  const storm = await ErasureStorm.code(seed, hosts, { data, parity }, { limits: { reconstructor_interval_s: 86_400, auditor_interval_s: 86_400, reclaim_age_s: RECLAIM_AGE_S } })
  const run = new StormRun(storm, hosts, parity)
  if (weak) run.wrote = (name) => storm.weaken(name, storm.sim.hostIds.map((_, n) => n).filter((n) => !run.away.has(n)))
  await run.storms(OPERATIONS, (host) => storm.wipe(host))
  for (const host of [...run.away.keys()]) await run.restore(host)
  return { storm, run }
}

test(`${COUNT} seeds from ${FROM}: nothing acknowledged is lost or stale while no more than m hosts fail, and a disk is lost now and then`, async () => {
  let acknowledged = 0
  for (let seed = FROM; seed < FROM + COUNT; seed++) {
    const replay = `seed ${seed}: SKYHOOK_ERASURE_SEEDS=${seed}:1`
    const { storm, run } = await storms(seed, false)
    try {
      await storm.pass()
      // What writes left that never came to their end goes when it is old enough.
      await storm.sim.run(RECLAIM_AGE_S * 2_000)
      for (let pass = 0; pass < 2; pass++) await storm.pass()
      assert.deepEqual(await storm.wrong(), [], replay)
      await run.healed(replay)
      acknowledged += run.acknowledged
    } finally {
      storm.close()
    }
  }
  assert.ok(acknowledged > COUNT * 12, `only ${acknowledged} writes were acknowledged`)
})

test('writes that are acknowledged with one fragment less than they need are found by such storms', async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const { storm, run } = await storms(seed, true)
    storm.close()
    if (run.mistakes.length > 0) return
  }
  assert.fail('ten seeds saw nothing wrong with it')
})
