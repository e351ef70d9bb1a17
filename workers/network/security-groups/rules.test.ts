/** The table of sound and unsound rules. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type RuleContent, checkRule, sameRule } from './rules.ts'

const rule = (part: Partial<RuleContent>): RuleContent => ({ security_group_id: 'g', direction: 'ingress', ethertype: 'IPv4', protocol: null, port_range_min: null, port_range_max: null, remote_ip_prefix: null, remote_group_id: null, ...part })

test('sound rules pass', () => {
  for (const part of [{}, { protocol: 'tcp', port_range_min: 22, port_range_max: 22 }, { protocol: '6' }, { protocol: 'icmp', port_range_min: 8 }, { protocol: 'ipv6-icmp', ethertype: 'IPv6' as const }, { protocol: '112' }, { remote_ip_prefix: '10.0.0.0/8' }]) checkRule(rule(part))
})

test('unsound rules are refused with the class that names why', () => {
  const cases: [Partial<RuleContent>, string][] = [
    [{ protocol: 'tcp', port_range_min: -16, port_range_max: 80 }, 'SecurityGroupInvalidPortValue'],
    [{ protocol: 'tcp', port_range_min: 80, port_range_max: 79 }, 'SecurityGroupInvalidPortRange'],
    [{ protocol: 'udp', port_range_min: 80, port_range_max: 65_536 }, 'SecurityGroupInvalidPortValue'],
    [{ protocol: 'tcp', port_range_max: 6 }, 'SecurityGroupInvalidPortRange'],
    [{ protocol: 'icmp', port_range_min: 1, port_range_max: 256 }, 'SecurityGroupInvalidIcmpValue'],
    [{ protocol: 'icmp', port_range_max: 6 }, 'SecurityGroupMissingIcmpType'],
    [{ protocol: 'bad', }, 'SecurityGroupRuleInvalidProtocol'],
    [{ protocol: '256', }, 'SecurityGroupRuleInvalidProtocol'],
    [{ port_range_min: 1, port_range_max: 2 }, 'SecurityGroupProtocolRequiredWithPorts'],
    [{ protocol: 'esp', port_range_min: 1, port_range_max: 2 }, 'SecurityGroupInvalidProtocolForPort'],
    [{ remote_ip_prefix: '2001:db8::/32' }, 'SecurityGroupRuleParameterConflict'],
    [{ protocol: 'icmpv6' }, 'SecurityGroupEthertypeConflictWithProtocol'],
    [{ remote_ip_prefix: '10.0.0.0/8', remote_group_id: 'g' }, 'SecurityGroupMultipleRemoteEntites'],
  ]
  for (const [part, type] of cases) assert.throws(() => checkRule(rule(part)), { kind: 'bad_request', type }, JSON.stringify(part))
})

test('two rules are the same however they are written', () => {
  assert.ok(sameRule(rule({ protocol: 'tcp' }), rule({ protocol: '6' })))
  assert.ok(sameRule(rule({ remote_ip_prefix: '0.0.0.0/0' }), rule({})))
  assert.ok(!sameRule(rule({ protocol: 'tcp' }), rule({ protocol: 'udp' })))
  assert.ok(!sameRule(rule({ direction: 'egress' }), rule({})))
})
