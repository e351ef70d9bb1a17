import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { guestPort, rule } from '../conformance.ts'
import { formatIp, parseIp } from '../../../../schema/values/ip.ts'
import { cidr, cidrText, ip, linkLocal } from './addr.ts'
import { bundleOf, compileNetwork, compilePort, cookieOf } from './flows.ts'
import { compileRules, portMasks } from './rules.ts'

describe('addresses', () => {
  it('IPv4 and IPv6 survive a round trip', () => {
    fc.assert(fc.property(fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }), (value) => parseIp(formatIp(6, value))?.value === value))
    fc.assert(fc.property(fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }), (value) => parseIp(formatIp(4, value))?.value === value))
  })
  it('are written in one form', () => {
    assert.equal(ip('2001:DB8:0:0:0:0:0:1'), '2001:db8::1')
    assert.equal(ip('::ffff:1.2.3.4'), '::ffff:102:304')
    assert.equal(cidrText(cidr('10.1.2.3/16')), '10.1.0.0/16')
    assert.equal(linkLocal('fa:16:3e:00:00:01'), 'fe80::f816:3eff:fe00:1')
  })
  it('nothing else passes', () => {
    for (const text of ['10.0.0.1,actions=normal', '10.0.0.0/33', '10.0.0.0/8/8', 'fe80::1%eth0', '1.2.3', '', '10.0.0.0/-1', '10.0.0.0/ 8']) assert.throws(() => cidr(text), /not a CIDR/)
  })
})

describe('rules', () => {
  it('port masks cover exactly the range', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 65535 }), fc.integer({ min: 0, max: 65535 }), (a, b) => {
      const [min, max] = a < b ? [a, b] : [b, a]
      const masks = portMasks(min, max).map((text) => text.split('/').map(Number))
      const covers = (port: number) => masks.filter(([value = 0, mask = 0xffff]) => (port & mask) === value).length
      for (const port of [min, max, min - 1, max + 1, (min + max) >> 1].filter((port) => port >= 0 && port <= 65535)) assert.equal(covers(port), port >= min && port <= max ? 1 : 0)
      return masks.length <= 30
    }))
  })
  it('a large product becomes a conjunction', () => {
    const remote_cidrs = Array.from({ length: 100 }, (_, index) => `10.0.0.${index}/32`)
    const flows = compileRules([rule('ingress', 'tcp', { port_range_min: 1000, port_range_max: 1999, remote_cidrs })], 'ingress', 'reg6=0x5', 20481)
    assert.ok(flows.length < 120)
    assert.deepEqual(flows.at(-1), { priority: 60, match: 'tcp,reg6=0x5,conj_id=20481', action: 'accept' })
  })
  it('an empty remote group matches nothing', () => {
    assert.deepEqual(compileRules([rule('ingress', null, { remote_cidrs: [] })], 'ingress', 'reg6=0x5', 1), [])
    assert.deepEqual(compileRules([rule('ingress', null, { remote_cidrs: ['fd00::/8'] })], 'ingress', 'reg6=0x5', 1), [])
  })
  it('ICMP types are not ports', () => {
    assert.deepEqual(compileRules([rule('ingress', 'icmp', { port_range_min: 8, port_range_max: 0 })], 'ingress', 'reg6=0x5', 1)[0]?.match, 'icmp,reg6=0x5,icmp_type=8,icmp_code=0')
    assert.deepEqual(compileRules([rule('ingress', 'icmp', { ethertype: 'IPv6' })], 'ingress', 'reg6=0x5', 1)[0]?.match, 'icmp6,reg6=0x5')
  })
})

describe('flows', () => {
  const port = guestPort('n', 1, '10.0.0.5', 's')
  it('a port that is down passes nothing', () => {
    assert.deepEqual(compilePort(5, '0x7', { ...port, admin_state_up: false }), ['table=0,priority=100,in_port=5,actions=drop'])
  })
  it('a port without rules has no way through the rule tables', () => {
    const flows = compilePort(5, '0x7', { ...port, rules: [] })
    assert.equal(flows.filter((text) => /^table=(21|51),/.test(text)).length, 0)
  })
  it('golden: what one port with one rule brings in', () => {
    const flows = compilePort(5, '0x7', { ...port, rules: [rule('ingress', 'tcp', { port_range_min: 22, port_range_max: 22, remote_cidrs: ['192.0.2.0/24'] })] })
    const expected = [
      'table=0,priority=100,in_port=5,actions=set_field:0x7->metadata,set_field:5->reg5,resubmit(,10)',
      'table=40,priority=100,metadata=0x7,dl_dst=fa:16:3e:00:00:01,actions=set_field:5->reg6,resubmit(,50)',
      'table=10,priority=210,udp,in_port=5,tp_src=67,tp_dst=68,actions=drop',
      'table=10,priority=190,arp,in_port=5,dl_src=fa:16:3e:00:00:01,arp_sha=fa:16:3e:00:00:01,arp_spa=10.0.0.5,actions=resubmit(,40)',
      'table=10,priority=180,ip,in_port=5,dl_src=fa:16:3e:00:00:01,nw_src=10.0.0.5,actions=resubmit(,20)',
      'table=51,priority=70,tcp,reg6=0x5,nw_src=192.0.2.0/24,tp_dst=22,actions=ct(commit,zone=NXM_NX_REG6[0..15]),output:NXM_NX_REG6[]',
    ]
    for (const line of expected) assert.ok(flows.includes(line), line)
    assert.equal(flows.length, 29)
  })
  it('every flow of a secured port that lets frames in names its MAC', () => {
    const mac = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 5, maxLength: 5 }).map((bytes) => ['02', ...bytes.map((byte) => byte.toString(16).padStart(2, '0'))].join(':'))
    const pairs = fc.array(fc.record({ ip_address: fc.constantFrom('10.0.0.9', '10.9.0.0/16', '0.0.0.0/0', 'fd00::/64', '::/0'), mac_address: mac }), { maxLength: 4 })
    fc.assert(fc.property(pairs, fc.integer({ min: 1, max: 65000 }), (allowed_address_pairs, ofport) => {
      const flows = compilePort(ofport, '0x7', { ...port, allowed_address_pairs })
      assert.equal(new Set(flows.map((text) => text.replace(/,actions=.*/, ''))).size, flows.length)
      for (const text of flows.filter((line) => line.startsWith('table=10,') && !line.endsWith('actions=drop'))) {
        assert.match(text, new RegExp(`in_port=${ofport},`))
        assert.match(text, /dl_src=(fa:16:3e:00:00:01|02:)/)
      }
    }))
  })
  it('what came from the uplink never goes back to it', () => {
    const flows = compileNetwork({ tag: '0x7', uplink: 9, dhcp: { ofport: 3, mac: 'fa:16:3e:00:00:02' } }, [{ ofport: 5, pair_macs: [] }], [6])
    for (const text of flows.filter((line) => line.includes('reg3=0x1'))) assert.doesNotMatch(text, /output:9\b/)
  })
  it('the cookie follows the text, not its order', () => {
    assert.equal(cookieOf('a', ['x', 'y']).exact, cookieOf('a', ['y', 'x']).exact)
    assert.notEqual(cookieOf('a', ['x']).exact, cookieOf('a', ['y']).exact)
    assert.match(bundleOf('a', ['table=0,actions=drop']), /^delete cookie=0x[0-9a-f]{16}\/0xffffffffff000000\nadd cookie=0x[0-9a-f]{16},table=0,actions=drop\n$/)
  })
})
