/** Random bytes are drawn many at once: nobody gets what somebody else got, and what was given away is not kept. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemRandom } from './random.ts'

test('as many bytes as were asked for, never the same ones, whatever is asked in between', () => {
  const seen = new Set<string>()
  for (let n = 0; n < 2_000; n++) {
    const count = [16, 32, 16, 64, 65, 600][n % 6] ?? 16
    const bytes = systemRandom.bytes(count)
    assert.equal(bytes.length, count)
    assert.ok(bytes.some((byte) => byte !== 0))
    const text = Buffer.from(bytes).toString('hex')
    assert.ok(!seen.has(text.slice(0, 32)))
    seen.add(text.slice(0, 32))
    bytes.fill(0)
  }
})
