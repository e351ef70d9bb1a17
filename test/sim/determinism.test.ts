/** A seed that failed can be replayed: two runs do the same things in the same order, to the last message. And each kind of trouble alone does no harm. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runSeed } from './seed.ts'
import { TROUBLES } from './weather.ts'

for (const seed of [1, 2, 3]) {
  test(`seed ${seed} does the same twice`, async () => {
    const [first, second] = [await runSeed(seed, { trace: true }), await runSeed(seed, { trace: true })]
    const at = first.trace.findIndex((line, n) => line !== second.trace[n])
    assert.equal(at, -1, `they part at step ${at}:\n${first.trace.slice(Math.max(0, at - 3), at + 1).join('\n')}\n--- and\n${second.trace[at]}`)
    assert.deepEqual(first.log, second.log)
    assert.equal(first.digest, second.digest)
  })
}

test('other seeds do other things', async () => {
  assert.notEqual((await runSeed(1)).digest, (await runSeed(2)).digest)
})

/** Each kind of trouble alone: what it breaks is easier to see than in a storm of all. */
for (const [n, kind] of TROUBLES.entries()) {
  test(`only ${kind}`, async () => {
    for (const seed of [1000 + n, 2000 + n]) {
      const result = await runSeed(seed, { kinds: [kind] })
      assert.deepEqual(result.violations, [], `seed ${seed} with only ${kind}`)
    }
  })
}
