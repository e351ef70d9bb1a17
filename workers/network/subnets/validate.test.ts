/** Default pools leave out what no host may have, and nothing else. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cidrFrom, cidrOf, formatCidr, ipOf } from '../../../schema/values/ip.ts'
import { sizeOf } from '../ipam.ts'
import { checkGateway, checkPools, defaultGateway, defaultPools } from './validate.ts'

test('default pools of any block are sound and count right', () => {
  fc.assert(fc.property(fc.nat(0xffff_ffff), fc.integer({ min: 8, max: 32 }), (value, prefix) => {
    const cidr = cidrOf(4, BigInt(value), prefix)
    const gateway = defaultGateway(cidr)
    const pools = defaultPools(cidr, gateway)
    checkPools(pools, formatCidr(cidr))
    if (prefix < 31) checkGateway(gateway, pools, formatCidr(cidr))
    const expected = prefix >= 31 ? (1n << BigInt(32 - prefix)) - (gateway === null ? 0n : 1n) : (1n << BigInt(32 - prefix)) - 3n
    assert.equal(sizeOf(pools.map((pool) => ({ first: ipOf(pool.start).value, last: ipOf(pool.end).value }))), expected)
  }))
})

test('a gateway in the middle splits the pool', () => {
  assert.deepEqual(defaultPools(cidrFrom('10.0.0.0/29'), '10.0.0.3'), [{ start: '10.0.0.1', end: '10.0.0.2' }, { start: '10.0.0.4', end: '10.0.0.6' }])
  assert.deepEqual(defaultPools(cidrFrom('2001:db8::/64'), '2001:db8::1'), [{ start: '2001:db8::2', end: '2001:db8::ffff:ffff:ffff:ffff' }])
})
