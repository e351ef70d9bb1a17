/**
 * Random operations on objects with a model, fewer hosts failing than there are replicas: nothing acknowledged is lost or stale, neither while hosts are away nor after.
 * SKYHOOK_OBJECT_SEEDS=from:count chooses others.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ObjectStorm } from './objects.ts'
import { StormRun } from './storm-run.ts'

const [FROM = 1, COUNT = 50] = (process.env.SKYHOOK_OBJECT_SEEDS ?? '1:50').split(':').map(Number)
const HOSTS = 5
const OPERATIONS = 40
/** Fewer than the replicas. */
const AWAY_MAX = 2

test(`${COUNT} seeds from ${FROM}: nothing acknowledged is lost or stale while fewer hosts fail than there are replicas`, async () => {
  let acknowledged = 0
  for (let seed = FROM; seed < FROM + COUNT; seed++) {
    // Nothing is repaired but where the test says so: what a host missed stays missed for long.
    const storm = await ObjectStorm.start(seed, HOSTS, { limits: { replicator_interval_s: 86_400, auditor_interval_s: 86_400 } })
    const run = new StormRun(storm, HOSTS, AWAY_MAX)
    const replay = `seed ${seed}: SKYHOOK_OBJECT_SEEDS=${seed}:1`
    try {
      await run.storms(OPERATIONS)
      for (const host of [...run.away.keys()]) await run.restore(host)
      for (let pass = 0; pass < 2; pass++) await storm.pass()
      assert.deepEqual(await storm.differences(), [], replay)
      assert.deepEqual(await storm.strays(), [], replay)
      await run.healed(replay)
      acknowledged += run.acknowledged
    } finally {
      storm.close()
    }
  }
  assert.ok(acknowledged > COUNT * 15, `only ${acknowledged} writes were acknowledged`)
})
