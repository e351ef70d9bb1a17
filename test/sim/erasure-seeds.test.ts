/**
 * Random operations on erasure-coded objects with a model, at most m hosts failing: nothing acknowledged is lost or stale, neither while hosts are away nor after.
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

test(`${COUNT} seeds from ${FROM}: nothing acknowledged is lost or stale while no more than m hosts fail`, async () => {
  let acknowledged = 0
  for (let seed = FROM; seed < FROM + COUNT; seed++) {
    const { hosts, data, parity } = SHAPES[seed % SHAPES.length] ?? SHAPES[0]
    const storm = await ErasureStorm.code(seed, hosts, { data, parity }, { limits: { reconstructor_interval_s: 86_400, auditor_interval_s: 86_400, reclaim_age_s: RECLAIM_AGE_S } })
    const run = new StormRun(storm, hosts, parity)
    const replay = `seed ${seed}: SKYHOOK_ERASURE_SEEDS=${seed}:1`
    try {
      await run.storms(OPERATIONS)
      for (const host of [...run.away.keys()]) await run.restore(host)
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
