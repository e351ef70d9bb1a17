/** What makes a security group rule sound, and when two are the same (upstream: neutron/db/securitygroups_db.py). Pure. */
import type { SecurityGroupRuleRow } from '../../../schema/project/network.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { cidrFrom } from '../../../schema/values/ip.ts'

/** Names and numbers of IANA. */
export const PROTOCOLS: Record<string, number> = {
  ah: 51, dccp: 33, egp: 8, esp: 50, gre: 47, hopopt: 0, icmp: 1, igmp: 2, ip: 0, ipip: 4, 'ipv6-encap': 41, 'ipv6-frag': 44, 'ipv6-icmp': 58, icmpv6: 58, 'ipv6-nonxt': 59, 'ipv6-opts': 60, 'ipv6-route': 43,
  ospf: 89, pgm: 113, rsvp: 46, sctp: 132, tcp: 6, udp: 17, udplite: 136, vrrp: 112,
}
const WITH_PORTS = new Set([6, 17, 33, 132, 136])
const ICMP = new Set([1, 58])
const ONLY_V6 = new Set(['ipv6-encap', 'ipv6-frag', 'ipv6-icmp', 'icmpv6', 'ipv6-nonxt', 'ipv6-opts', 'ipv6-route'])
export const PORT_MAX = 65_535

export type RuleContent = Pick<SecurityGroupRuleRow, 'security_group_id' | 'direction' | 'ethertype' | 'protocol' | 'port_range_min' | 'port_range_max' | 'remote_ip_prefix' | 'remote_group_id'>

const bad = (type: string, message: string): Fault => new Fault('bad_request', message, { type })

const numberOf = (protocol: string): number | null => {
  const number = PROTOCOLS[protocol] ?? (/^\d+$/.test(protocol) ? Number(protocol) : null)
  return number !== null && number <= 255 ? number : null
}

export function checkRule(rule: RuleContent): void {
  const number = rule.protocol === null ? null : numberOf(rule.protocol)
  if (rule.protocol !== null && number === null) throw bad('SecurityGroupRuleInvalidProtocol', `Security group rule protocol ${rule.protocol} not supported. Only protocol values [${Object.keys(PROTOCOLS).join(', ')}] and integer representations [0 to 255] are supported.`)
  if (rule.protocol !== null && ONLY_V6.has(rule.protocol) && rule.ethertype === 'IPv4') throw bad('SecurityGroupEthertypeConflictWithProtocol', `Invalid ethertype ${rule.ethertype} for protocol ${rule.protocol}.`)
  if (rule.remote_ip_prefix !== null && rule.remote_group_id !== null) throw bad('SecurityGroupMultipleRemoteEntites', 'Only one of remote_ip_prefix or remote_group_id may be provided.')
  if (rule.remote_ip_prefix !== null && cidrFrom(rule.remote_ip_prefix).version !== (rule.ethertype === 'IPv4' ? 4 : 6)) throw bad('SecurityGroupRuleParameterConflict', `Conflicting value ethertype ${rule.ethertype} for CIDR ${rule.remote_ip_prefix}`)
  checkPorts(rule, number)
}

function checkPorts({ protocol, port_range_min: min, port_range_max: max }: RuleContent, number: number | null): void {
  if (min === null && max === null) return
  if (number === null) throw bad('SecurityGroupProtocolRequiredWithPorts', 'Must also specify protocol if port range is given.')
  if (WITH_PORTS.has(number)) {
    for (const port of [min, max]) if (port !== null && (port < 1 || port > PORT_MAX)) throw bad('SecurityGroupInvalidPortValue', `Invalid value for port ${port}`)
    if (min === null || max === null || min > max) throw bad('SecurityGroupInvalidPortRange', 'For TCP/UDP protocols, port_range_min must be <= port_range_max')
  } else if (ICMP.has(number)) {
    for (const [field, attribute, value] of [['type', 'port_range_min', min], ['code', 'port_range_max', max]] as const) {
      if (value !== null && (value < 0 || value > 255)) throw bad('SecurityGroupInvalidIcmpValue', `Invalid value for ICMP ${field} (${attribute}) ${value}. It must be 0 to 255.`)
    }
    if (min === null) throw bad('SecurityGroupMissingIcmpType', `ICMP code (port-range-max) ${max} is provided but ICMP type (port-range-min) is missing.`)
  } else {
    throw bad('SecurityGroupInvalidProtocolForPort', `Ports cannot be specified for protocol ${protocol}.`)
  }
}

/** Rules that let the same packets through: protocol by number, "everywhere" the same however it is said. */
export function sameRule(a: RuleContent, b: RuleContent): boolean {
  const text = (rule: RuleContent) => JSON.stringify([rule.security_group_id, rule.direction, rule.ethertype, rule.protocol === null ? null : canonical(rule), rule.port_range_min, rule.port_range_max, everywhere(rule.remote_ip_prefix), rule.remote_group_id])
  return text(a) === text(b)
}

const canonical = (rule: RuleContent) => {
  const number = numberOf(rule.protocol ?? '')
  return number === 1 && rule.ethertype === 'IPv6' ? 58 : number
}
const everywhere = (prefix: string | null) => (prefix === '0.0.0.0/0' || prefix === '::/0' ? null : prefix)
