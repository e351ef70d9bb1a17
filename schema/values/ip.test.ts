/** Addresses: strict in, canonical out. */
import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { cidrFrom, contains, eui64, formatCidr, formatIp, ipOf, keyOf, parseCidr, parseIp, parseMac, valueOfKey } from './ip.ts'

test('every address survives text and key', () => {
  fc.assert(fc.property(fc.bigInt(0n, (1n << 128n) - 1n), (value) => {
    const text = formatIp(6, value)
    assert.equal(isIP(text), 6)
    assert.deepEqual(parseIp(text), { version: 6, value })
    assert.equal(valueOfKey(keyOf(value)), value)
  }))
  fc.assert(fc.property(fc.ipV4(), (text) => assert.equal(formatIp(4, ipOf(text).value), text)))
})

test('parsing agrees with the platform on any text', () => {
  fc.assert(fc.property(fc.oneof(fc.ipV6(), fc.ipV4(), fc.stringMatching(/^[0-9a-f:.]{1,20}$/)), (text) => assert.equal(parseIp(text)?.version ?? 0, isIP(text))))
})

test('loose forms are refused', () => {
  for (const text of ['127.1', '010.0.0.1', '0x7f.0.0.1', '1.2.3.4.5', '::1%lo', '1:::2', '', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/08', '::/129']) assert.equal(parseCidr(text), null, text)
  for (const text of ['01:00:5e:00:00:01', '00:00:00:00:00:00', 'fa:16:3e:00:00', 'zz:16:3e:00:00:01']) assert.equal(parseMac(text), null, text)
})

test('blocks, membership and EUI-64', () => {
  const cidr = cidrFrom('10.1.2.77/24')
  assert.equal(formatCidr(cidr), '10.1.2.0/24')
  assert.ok(contains(cidr, ipOf('10.1.2.255')) && !contains(cidr, ipOf('10.1.3.0')) && !contains(cidr, ipOf('::1')))
  assert.equal(formatIp(6, eui64(cidrFrom('2001:db8::/64'), 'fa:16:3e:01:02:03')), '2001:db8::f816:3eff:fe01:203')
})
