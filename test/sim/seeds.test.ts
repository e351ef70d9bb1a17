/** 200 seeds without a violation. A failing one prints the command that replays it. SKYHOOK_SEEDS=from:count chooses others. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { replayCommand, runSeed } from './seed.ts'

const [from = 1, count = 200] = (process.env.SKYHOOK_SEEDS ?? '1:200').split(':').map(Number)

test(`${count} seeds from ${from} hold every invariant`, async () => {
  let operations = 0
  for (let seed = from; seed < from + count; seed++) {
    const result = await runSeed(seed)
    operations += result.operations
    assert.deepEqual(result.violations, [], `seed ${seed} broke an invariant; replay it with: ${replayCommand(seed)}`)
  }
  assert.ok(operations > count * 10, `only ${operations} operations were answered`)
})
