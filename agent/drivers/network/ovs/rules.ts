/**
 * Security group rules as OpenFlow matches. Pure. A rule is a product of remote ranges and port masks; where the product is
 * large it becomes a conjunction (two short lists instead of one long one), so a remote group of hundreds stays cheap.
 */
import type { SecurityRule } from '../../../../schema/agent/desired.ts'
import { Fault } from '../../../../schema/values/fault.ts'
import { cidr, cidrText, isHost } from './addr.ts'

export interface Match {
  /** L3/L4 keyword first: 'tcp', 'ip', 'ipv6,nw_proto=112'... */
  protocol: string
  fields: string[]
}

export interface RuleFlow {
  priority: number
  match: string
  action: 'accept' | { conjunctions: string[] }
}

/** IANA names that Neutron accepts, as numbers; tcp, udp, sctp and icmp have matches of their own. */
const PROTOCOLS: Record<string, number> = {
  ah: 51, dccp: 33, egp: 8, esp: 50, gre: 47, hopopt: 0, igmp: 2, ip: 0, ipip: 4, 'ipv6-encap': 41, 'ipv6-frag': 44, 'ipv6-nonxt': 59, 'ipv6-opts': 60, 'ipv6-route': 43,
  ospf: 89, pgm: 113, rsvp: 46, udplite: 136, vrrp: 112,
}
const PORT_PROTOCOLS: Record<string, string> = { tcp: 'tcp', '6': 'tcp', udp: 'udp', '17': 'udp', sctp: 'sctp', '132': 'sctp' }
const ICMP_NAMES = new Set(['icmp', '1', 'icmpv6', 'ipv6-icmp', '58'])

export const PRIORITY_RULE = 70
export const PRIORITY_CONJUNCTION = 60
/** A product up to this size is written out: plain flows are easier to read and to debug. */
const PRODUCT_PLAIN_MAX = 16

/** Ports min..max as the fewest value/mask pairs, each covering an aligned power of two. */
export function portMasks(min: number, max: number): string[] {
  const masks: string[] = []
  let from = min
  while (from <= max) {
    let size = 1
    while (from % (size * 2) === 0 && from + size * 2 - 1 <= max) size *= 2
    masks.push(size === 1 ? String(from) : `0x${from.toString(16)}/0x${(0xffff & ~(size - 1)).toString(16)}`)
    from += size
  }
  return masks
}

function number(value: number | null, max: number): number | null {
  if (value === null) return null
  if (!Number.isInteger(value) || value < 0 || value > max) throw new Fault('bad_request', `security rule: ${value} is out of range`)
  return value
}

/** Protocol keyword, and the alternatives of the ports (or ICMP type and code) part. */
function protocolMatch(rule: SecurityRule): { protocol: string; alternatives: string[] } {
  const l3 = rule.ethertype === 'IPv4' ? 'ip' : 'ipv6'
  const name = rule.protocol?.toLowerCase() ?? null
  if (name === null || name === 'any' || name === '-1') return { protocol: l3, alternatives: [''] }
  const ported = PORT_PROTOCOLS[name]
  if (ported !== undefined) {
    const protocol = l3 === 'ip' ? ported : `${ported}6`
    const min = number(rule.port_range_min, 65535)
    const max = number(rule.port_range_max, 65535) ?? min
    if (max === null || ((min ?? 0) === 0 && max === 65535)) return { protocol, alternatives: [''] }
    if ((min ?? 0) > max) throw new Fault('bad_request', `security rule: ports ${min} to ${max}`)
    return { protocol, alternatives: portMasks(min ?? 0, max).map((mask) => `tp_dst=${mask}`) }
  }
  if (ICMP_NAMES.has(name)) {
    const type = number(rule.port_range_min, 255)
    const code = number(rule.port_range_max, 255)
    return { protocol: l3 === 'ip' ? 'icmp' : 'icmp6', alternatives: [type === null ? '' : code === null ? `icmp_type=${type}` : `icmp_type=${type},icmp_code=${code}`] }
  }
  const protocol = PROTOCOLS[name] ?? (/^\d{1,3}$/.test(name) ? Number(name) : undefined)
  if (protocol === undefined || protocol > 255) throw new Fault('bad_request', `security rule: unknown protocol ${JSON.stringify(rule.protocol)}`)
  return { protocol: protocol === 0 && name === 'ip' ? l3 : `${l3},nw_proto=${protocol}`, alternatives: [''] }
}

/** Remote ranges of the rule's family; [''] is any, [] is none (a remote group without members of this family). */
function remoteMatches(rule: SecurityRule): string[] {
  if (rule.remote_cidrs === null) return ['']
  const family = rule.ethertype === 'IPv4' ? 4 : 6
  const field = family === 4 ? (rule.direction === 'ingress' ? 'nw_src' : 'nw_dst') : rule.direction === 'ingress' ? 'ipv6_src' : 'ipv6_dst'
  const ranges = rule.remote_cidrs.map(cidr).filter((range) => range.family === family)
  if (ranges.some((range) => range.length === 0)) return ['']
  return [...new Set(ranges.map((range) => `${field}=${isHost(range) ? range.address : cidrText(range)}`))]
}

const join = (...parts: string[]): string => parts.filter((part) => part !== '').join(',')

/** Flows of one direction. `selector` names the port (reg5 or reg6), `idBase` makes conjunction ids unique per port. */
export function compileRules(rules: SecurityRule[], direction: 'ingress' | 'egress', selector: string, idBase: number): RuleFlow[] {
  const flows = new Map<string, RuleFlow>()
  const accept = (priority: number, match: string) => flows.set(`${priority},${match}`, { priority, match, action: 'accept' })
  const conjunction = (match: string, clause: string) => {
    const key = `${PRIORITY_CONJUNCTION},${match}`
    const known = flows.get(key)
    if (known && known.action !== 'accept') known.action.conjunctions.push(clause)
    else flows.set(key, { priority: PRIORITY_CONJUNCTION, match, action: { conjunctions: [clause] } })
  }
  let next = 0
  for (const rule of rules.filter((candidate) => candidate.direction === direction)) {
    const { protocol, alternatives } = protocolMatch(rule)
    const remotes = remoteMatches(rule)
    if (remotes.length * alternatives.length <= PRODUCT_PLAIN_MAX || remotes.length === 1 || alternatives.length === 1) {
      for (const remote of remotes) for (const alternative of alternatives) accept(PRIORITY_RULE, join(protocol, selector, remote, alternative))
      continue
    }
    const id = idBase + next++
    for (const remote of remotes) conjunction(join(protocol, selector, remote), `conjunction(${id},1/2)`)
    for (const alternative of alternatives) conjunction(join(protocol, selector, alternative), `conjunction(${id},2/2)`)
    accept(PRIORITY_CONJUNCTION, join(protocol, selector, `conj_id=${id}`))
  }
  return [...flows.values()]
}
