/** The free ranges against a plain set of addresses. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type FreeRanges, type Range, giveBack, joined, rangesWithout, sizeOf, takeExact, takeLowest } from './ipam.ts'

class ArrayRanges implements FreeRanges {
  ranges: Range[]
  constructor(ranges: Range[]) {
    this.ranges = [...ranges]
  }
  lowest() {
    return this.ranges[0] ?? null
  }
  floor(value: bigint) {
    return this.ranges.filter((range) => range.first <= value).at(-1) ?? null
  }
  at(first: bigint) {
    return this.ranges.find((range) => range.first === first) ?? null
  }
  put(range: Range) {
    this.ranges = [...this.ranges, range].sort((a, b) => (a.first < b.first ? -1 : 1))
  }
  remove(first: bigint) {
    this.ranges = this.ranges.filter((range) => range.first !== first)
  }
}

const SPAN = 24
const step = fc.oneof(
  fc.record({ type: fc.constant('lowest' as const), value: fc.constant(0) }),
  fc.record({ type: fc.constant('exact' as const), value: fc.nat(SPAN + 4) }),
  fc.record({ type: fc.constant('back' as const), value: fc.nat(SPAN - 1) }),
)

test('free ranges behave as a set: no address twice, none lost, none invented, ranges stay maximal', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const free = new ArrayRanges([{ first: 0n, last: BigInt(SPAN - 1) }])
      const model = new Set(Array.from({ length: SPAN }, (_, i) => i))
      for (const { type, value } of steps) {
        if (type === 'lowest') {
          const taken = takeLowest(free)
          const expected = model.size === 0 ? null : Math.min(...model)
          assert.equal(taken === null ? null : Number(taken), expected)
          if (expected !== null) model.delete(expected)
        } else if (type === 'exact') {
          assert.equal(takeExact(free, BigInt(value)), model.delete(value))
        } else {
          giveBack(free, BigInt(value))
          model.add(value)
        }
        assert.equal(Number(sizeOf(free.ranges)), model.size)
        for (let i = 1; i < free.ranges.length; i++) assert.ok((free.ranges[i - 1]?.last ?? 0n) + 1n < (free.ranges[i]?.first ?? 0n), 'ranges are disjoint and not adjacent')
      }
    }),
  )
})

test('ranges without used addresses hold exactly the others', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(40), fc.nat(6)), { maxLength: 5 }), fc.uniqueArray(fc.nat(50), { maxLength: 20 }), (pairs, used) => {
      const pools = pairs.map(([first, size]) => ({ first: BigInt(first), last: BigInt(first + size) }))
      const expected = new Set(pairs.flatMap(([first, size]) => Array.from({ length: size + 1 }, (_, i) => first + i)))
      for (const value of used) expected.delete(value)
      const sorted = used.map(BigInt).sort((a, b) => (a < b ? -1 : 1))
      const found = rangesWithout(pools, sorted).flatMap((range) => Array.from({ length: Number(range.last - range.first) + 1 }, (_, i) => Number(range.first) + i))
      assert.deepEqual(found, [...expected].sort((a, b) => a - b))
    }),
  )
  assert.deepEqual(joined([{ first: 5n, last: 6n }, { first: 1n, last: 4n }]), [{ first: 1n, last: 6n }])
})
