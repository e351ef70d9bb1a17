/** Which parts of a large container had better be one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { joinable } from './shards.ts'

test('neighbours are joined where one is small and both together are; what was just split is not', () => {
  const parts = (...counts: number[]) => counts.map((object_count) => ({ object_count }))
  const pair = (...counts: number[]) => joinable(parts(...counts), 100)
  assert.equal(pair(), null)
  assert.equal(pair(0), null)
  assert.equal(pair(50, 51), null)
  assert.equal(pair(11, 11), null)
  assert.equal(pair(5, 71), null)
  assert.deepEqual(pair(5, 70), { left: { object_count: 5 }, right: { object_count: 70 } })
  assert.deepEqual(pair(60, 10, 90, 10, 20), { left: { object_count: 10 }, right: { object_count: 20 } })
})
