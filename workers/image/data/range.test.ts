import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isFault } from '../../../schema/values/fault.ts'
import { parseRange } from './range.ts'

test('ranges of a known size', () => {
  assert.equal(parseRange(null, 10), null)
  assert.deepEqual(parseRange('bytes=0-3', 10), [0, 3])
  assert.deepEqual(parseRange('bytes=8-100', 10), [8, 9])
  assert.deepEqual(parseRange('bytes=-3', 10), [7, 9])
  for (const header of ['bytes=10-', 'bytes=5-4', 'bytes=-', 'bytes=-0', 'lines=1-2', 'bytes=0-1,3-4']) assert.throws(() => parseRange(header, 10), (error) => isFault(error, 'range_not_satisfiable'), header)
})

test('a range lies within the size, or is refused', () => {
  fc.assert(fc.property(fc.option(fc.nat(30), { nil: null }), fc.option(fc.nat(30), { nil: null }), fc.nat(20), (from, to, size) => {
    try {
      const range = parseRange(`bytes=${from ?? ''}-${to ?? ''}`, size)
      assert.ok(range !== null && range[0] >= 0 && range[0] <= range[1] && range[1] < size)
    } catch (error) {
      assert.ok(isFault(error, 'range_not_satisfiable'))
    }
  }))
})
