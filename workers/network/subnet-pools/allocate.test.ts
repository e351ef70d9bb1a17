/** Blocks of pools against the definition: inside a prefix, free, and the lowest. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cidrFrom, cidrOf, formatCidr, overlaps } from '../../../schema/values/ip.ts'
import { firstFreeBlock } from './allocate.ts'

test('the lowest free block of any length is found', () => {
  const homes = [cidrFrom('10.0.0.0/24'), cidrFrom('10.0.2.0/25')]
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(1023), fc.integer({ min: 26, max: 32 })), { maxLength: 12 }), fc.integer({ min: 24, max: 30 }), (blocks, prefix) => {
    const used = blocks.map(([offset, length]) => cidrOf(4, cidrFrom('10.0.0.0/24').first + BigInt(offset), length))
    const size = 1n << BigInt(32 - prefix)
    const all = homes.filter((home) => home.prefix <= prefix).flatMap((home) => Array.from({ length: Number((home.last - home.first + 1n) / size) }, (_, i) => cidrOf(4, home.first + BigInt(i) * size, prefix)))
    const expected = all.find((candidate) => !used.some((block) => overlaps(block, candidate)))
    const found = firstFreeBlock(homes, used, prefix)
    assert.equal(found === null ? null : formatCidr(found), expected === undefined ? null : formatCidr(expected))
  }))
})
