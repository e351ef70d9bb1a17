import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '../../../schema/values/fault.ts'
import { clientAddress } from '../../http/client-address.ts'
import { DEFAULT_OPTIONS } from '../kernel/options.ts'
import { Attempts, prefixOf } from './attempts.ts'

test('a bucket empties with attempts, fills with time and with successes, and is one address\'s own', () => {
  let now = 1_000
  const attempts = new Attempts({ now_ms: () => now }, { ...DEFAULT_OPTIONS, login_failures_max: 3, login_failures_per_minute: 6 })
  const refused = (address: string) => {
    try {
      attempts.take(address)
      return null
    } catch (error) {
      assert.ok(isFault(error, 'rate_limited'))
      return error.headers?.['retry-after']
    }
  }
  assert.deepEqual([refused('a'), refused('a'), refused('a'), refused('a'), refused('b')], [null, null, null, '10', null])
  attempts.giveBack('a')
  assert.deepEqual([refused('a'), refused('a')], [null, '10'])
  now += 10_000
  assert.deepEqual([refused('a'), refused('a')], [null, '10'])
  attempts.giveBack('a', 100)
  assert.deepEqual([refused('a'), refused('a'), refused('a'), refused('a')], [null, null, null, '10'])
  for (let n = 0; n < 10; n++) attempts.take(null)
})

test('an IPv6 client is its /64, an IPv4 one is itself', () => {
  assert.equal(prefixOf('2001:db8::1'), prefixOf('2001:0DB8:0:0:ffff::2'))
  assert.notEqual(prefixOf('2001:db8:0:1::1'), prefixOf('2001:db8::1'))
  assert.equal(prefixOf('::ffff:10.0.0.1'), '10.0.0.1')
  assert.notEqual(prefixOf('10.0.0.1'), prefixOf('10.0.0.2'))
})

test('an address is what the platform says, before what a client says of itself', () => {
  const request = (headers: Record<string, string>, clientIp?: string) => Object.assign(new Request('http://h/', { headers }), clientIp === undefined ? {} : { cf: { clientIp } })
  const said = { 'cf-connecting-ip': '1.2.3.4', 'x-forwarded-for': '6.6.6.6, 5.5.5.5' }
  assert.equal(clientAddress({}, request(said)), '1.2.3.4')
  assert.equal(clientAddress({}, request(said, '127.0.0.1:4242')), '127.0.0.1')
  assert.equal(clientAddress({}, request({}, '[2001:db8::1]:4242')), '2001:db8::1')
  assert.equal(clientAddress({ CLIENT_ADDRESS_HEADER: 'x-forwarded-for' }, request(said, '127.0.0.1:1')), '5.5.5.5')
  assert.equal(clientAddress({}, request({})), null)
})
