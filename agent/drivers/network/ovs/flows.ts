/**
 * The integration bridge's pipeline, compiled to text by pure functions: what a port, a router interface and a network
 * contribute. Each contribution has an owner and is replaced as a whole, in one OpenFlow bundle, only when it changed.
 *
 *   0  which network a frame belongs to (metadata), by the port it came in through; tagged frames are dropped
 *  10  anti-spoofing of one port                    20, 21  its egress rules, connection tracking in the zone of the port
 *  40  to which port, by exact MAC; broadcast to all of the network; unknown to the uplink
 *  45  DHCP requests                                50, 51  ingress rules of the port in reg6, zone of that port
 *
 * reg5: source port and its zone. reg6: destination port and its zone. reg3=1: came from the uplink or the DHCP port, never
 * goes to the uplink. reg7=1: came from this host's DHCP port. The zone of a port is its port number.
 * Replies pass by their connection; packets in the original direction always have to match a rule, so taking a rule away
 * ends what it allowed at once.
 */
import type { NetworkSpec, PortSpec } from '../../../../schema/agent/desired.ts'
import { cidr, cidrText, digest, ip, isHost, linkLocal, mac } from './addr.ts'
import { compileRules } from './rules.ts'

export const TABLE = { classify: 0, antispoof: 10, egress: 20, egressRules: 21, forward: 40, dhcp: 45, ingress: 50, ingressRules: 51 } as const

export interface FlowNetwork {
  /** Value of the metadata register. */
  tag: string
  /** Way to other hosts: the VXLAN device or the patch to the provider bridge. */
  uplink: number | null
  dhcp: { ofport: number; mac: string } | null
}

export interface NetworkMember {
  ofport: number
  /** MACs of allowed address pairs: they may move between ports, so frames to them go to every holder. */
  pair_macs: string[]
}

const ZONE_SOURCE = 'NXM_NX_REG5[0..15]'
const ZONE_DESTINATION = 'NXM_NX_REG6[0..15]'
const OUTPUT = 'output:NXM_NX_REG6[]'
const MULTICAST = '01:00:00:00:00:00/01:00:00:00:00:00'
const NO_MAC = '00:00:00:00:00:00'

const flow = (table: number, priority: number, match: string, actions: string): string =>
  `table=${table},priority=${priority},${match === '' ? '' : `${match},`}actions=${actions}`

/** Tenant segments are their number; external networks are told apart by id, for their numbers mean nothing on the wire. */
export const networkTag = (id: string, spec: Pick<NetworkSpec, 'type' | 'segment_id'>): string =>
  spec.type === 'tenant' ? `0x${spec.segment_id.toString(16)}` : `0x1${digest(id, 8)}`

/** What holds for every port. */
export function compileBase(): string[] {
  const T = TABLE
  const flows = [flow(T.classify, 200, 'vlan_tci=0x1000/0x1000', 'drop'), flow(T.dhcp, 0, '', `resubmit(,${T.forward})`)]
  for (const l3 of ['ip', 'ipv6']) {
    flows.push(
      flow(T.egress, 50, l3, `ct(table=${T.egressRules},zone=${ZONE_SOURCE})`),
      flow(T.egressRules, 150, `ct_state=+inv+trk,${l3}`, 'drop'),
      flow(T.egressRules, 140, `ct_state=+rel+trk,${l3}`, `resubmit(,${T.forward})`),
      flow(T.egressRules, 130, `ct_state=+est+rpl+trk,${l3}`, `resubmit(,${T.forward})`),
      flow(T.ingress, 50, l3, `ct(table=${T.ingressRules},zone=${ZONE_DESTINATION})`),
      flow(T.ingressRules, 150, `ct_state=+inv+trk,${l3}`, 'drop'),
      flow(T.ingressRules, 140, `ct_state=+rel+trk,${l3}`, OUTPUT),
      flow(T.ingressRules, 130, `ct_state=+est+rpl+trk,${l3}`, OUTPUT),
    )
  }
  // Neighbour discovery is judged in the anti-spoofing table; what shows up here was hidden in fragments.
  for (const type of [134, 135, 136, 137]) flows.push(flow(T.egressRules, 200, `icmp6,icmp_type=${type}`, 'drop'))
  flows.push(flow(T.ingress, 120, 'arp', OUTPUT), flow(T.ingress, 110, 'udp,reg7=0x1,tp_src=67,tp_dst=68', OUTPUT), flow(T.ingress, 110, 'udp6,reg7=0x1,tp_src=547,tp_dst=546', OUTPUT))
  for (const type of [130, 134, 135, 136]) flows.push(flow(T.ingress, 100, `icmp6,icmp_type=${type}`, OUTPUT))
  return flows
}

/** Each (MAC, address range) that a port may send from. */
function sources(port: PortSpec): Map<string, { v4: string[]; v6: string[] }> {
  const own = mac(port.mac_address)
  const found = new Map<string, { v4: Set<string>; v6: Set<string> }>()
  const add = (macAddress: string, range: string) => {
    const parsed = cidr(range)
    const entry = found.get(macAddress) ?? { v4: new Set<string>(), v6: new Set([linkLocal(macAddress)]) }
    found.set(macAddress, entry)
    entry[parsed.family === 4 ? 'v4' : 'v6'].add(isHost(parsed) ? parsed.address : cidrText(parsed))
  }
  for (const fixed of port.fixed_ips) add(own, ip(fixed.ip_address))
  for (const pair of port.allowed_address_pairs) add(mac(pair.mac_address), pair.ip_address)
  if (!found.has(own)) found.set(own, { v4: new Set(), v6: new Set([linkLocal(own)]) })
  return new Map([...found].map(([key, value]) => [key, { v4: [...value.v4], v6: [...value.v6] }]))
}

function antispoof(ofport: number, port: PortSpec): string[] {
  const T = TABLE
  const at = (priority: number, match: string, actions: string) => {
    const [protocol = '', ...fields] = match.split(',')
    return flow(T.antispoof, priority, [protocol, `in_port=${ofport}`, ...fields].join(','), actions)
  }
  const forward = `resubmit(,${T.forward})`
  const flows = [at(210, 'udp,tp_src=67,tp_dst=68', 'drop'), at(210, 'udp6,tp_src=547,tp_dst=546', 'drop'), at(210, 'icmp6,icmp_type=134', 'drop'), at(210, 'icmp6,icmp_type=137', 'drop')]
  // Neighbour messages that the exact flows below do not know must not pass as ordinary IPv6.
  flows.push(at(185, 'icmp6,icmp_type=135', 'drop'), at(185, 'icmp6,icmp_type=136', 'drop'))
  for (const [source, { v4, v6 }] of sources(port)) {
    flows.push(at(200, `udp,dl_src=${source},nw_src=0.0.0.0,nw_dst=255.255.255.255,tp_src=68,tp_dst=67`, `resubmit(,${T.dhcp})`))
    if (v4.length > 0) flows.push(at(190, `arp,dl_src=${source},arp_sha=${source},arp_spa=0.0.0.0`, forward))
    for (const address of v4) {
      // A pair of 0.0.0.0/0 leaves the address open: the match is then on the MAC alone.
      const any = address === '0.0.0.0/0'
      flows.push(
        at(200, `udp,dl_src=${source}${any ? '' : `,nw_src=${address}`},tp_src=68,tp_dst=67`, `resubmit(,${T.dhcp})`),
        at(190, `arp,dl_src=${source},arp_sha=${source}${any ? '' : `,arp_spa=${address}`}`, forward),
        at(180, `ip,dl_src=${source}${any ? '' : `,nw_src=${address}`}`, `resubmit(,${T.egress})`),
      )
    }
    const local = linkLocal(source)
    flows.push(at(200, `udp6,dl_src=${source},ipv6_src=${local},tp_src=546,tp_dst=547`, `resubmit(,${T.dhcp})`))
    flows.push(at(190, `icmp6,dl_src=${source},ipv6_src=::,icmp_type=135,nd_sll=${NO_MAC}`, forward))
    for (const from of ['::', local]) for (const type of [131, 132, 133, 143]) flows.push(at(190, `icmp6,dl_src=${source},ipv6_src=${from},icmp_type=${type}`, forward))
    for (const address of v6) {
      const any = address === '::/0'
      const src = any ? '' : `,ipv6_src=${address}`
      const target = any ? '' : `,nd_target=${address}`
      for (const layer of [source, NO_MAC]) {
        flows.push(at(190, `icmp6,dl_src=${source}${src},icmp_type=135,nd_sll=${layer}`, forward), at(190, `icmp6,dl_src=${source}${src},icmp_type=136${target},nd_tll=${layer}`, forward))
      }
      flows.push(at(180, `ipv6,dl_src=${source}${src}`, `resubmit(,${T.egress})`))
    }
  }
  return flows
}

/** The MACs beside the port's own that its address pairs bring in. */
export const pairMacs = (port: PortSpec): string[] =>
  port.port_security_enabled ? [...new Set(port.allowed_address_pairs.map((pair) => mac(pair.mac_address)))].filter((other) => other !== mac(port.mac_address)).sort() : []

/** A guest's port. Throws a Fault where anything in it cannot be expressed: then the port gets no flows at all. */
export function compilePort(ofport: number, tag: string, port: PortSpec): string[] {
  const T = TABLE
  if (!port.admin_state_up) return [flow(T.classify, 100, `in_port=${ofport}`, 'drop')]
  const enter = `set_field:${tag}->metadata,set_field:${ofport}->reg5`
  const reach = flow(T.forward, 100, `metadata=${tag},dl_dst=${mac(port.mac_address)}`, `set_field:${ofport}->reg6,resubmit(,${T.ingress})`)
  if (!port.port_security_enabled) {
    return [flow(T.classify, 100, `in_port=${ofport}`, `${enter},resubmit(,${T.forward})`), reach, flow(T.ingress, 200, `reg6=0x${ofport.toString(16)}`, `output:${ofport}`)]
  }
  const flows = [flow(T.classify, 100, `in_port=${ofport}`, `${enter},resubmit(,${T.antispoof})`), reach, ...antispoof(ofport, port)]
  const directions = [
    { direction: 'egress', table: T.egressRules, selector: `reg5=0x${ofport.toString(16)}`, actions: `ct(commit,zone=${ZONE_SOURCE}),resubmit(,${T.forward})` },
    { direction: 'ingress', table: T.ingressRules, selector: `reg6=0x${ofport.toString(16)}`, actions: `ct(commit,zone=${ZONE_DESTINATION}),${OUTPUT}` },
  ] as const
  for (const { direction, table, selector, actions } of directions) {
    for (const rule of compileRules(port.rules, direction, selector, ofport * 4096 + 1)) {
      flows.push(flow(table, rule.priority, rule.match, rule.action === 'accept' ? actions : rule.action.conjunctions.join(',')))
    }
  }
  return [...new Set(flows)]
}

/** A router's interface, or its gateway: trusted, for its namespace is ours. */
export function compileRouterPort(ofport: number, tag: string, macAddress: string): string[] {
  return [
    flow(TABLE.classify, 100, `in_port=${ofport}`, `set_field:${tag}->metadata,resubmit(,${TABLE.forward})`),
    flow(TABLE.forward, 100, `metadata=${tag},dl_dst=${mac(macAddress)}`, `output:${ofport}`),
  ]
}

export function compileNetwork(network: FlowNetwork, members: NetworkMember[], routerPorts: number[]): string[] {
  const T = TABLE
  const { tag, uplink, dhcp } = network
  const toMembers = members.map((member) => member.ofport).sort((a, b) => a - b).map((ofport) => `set_field:${ofport}->reg6,resubmit(,${T.ingress})`)
  const inside = [...toMembers, ...[...routerPorts].sort((a, b) => a - b).map((ofport) => `output:${ofport}`)]
  const outside = [...(dhcp ? [`output:${dhcp.ofport}`] : []), ...(uplink === null ? [] : [`output:${uplink}`])]
  const actions = (list: string[]): string => (list.length === 0 ? 'drop' : list.join(','))
  const flows = [
    flow(T.forward, 80, `metadata=${tag},reg3=0x0,dl_dst=${MULTICAST}`, actions([...inside, ...outside])),
    flow(T.forward, 80, `metadata=${tag},reg3=0x1,dl_dst=${MULTICAST}`, actions(inside)),
  ]
  const holders = new Map<string, number[]>()
  for (const member of members) for (const pair of member.pair_macs) holders.set(pair, [...(holders.get(pair) ?? []), member.ofport])
  for (const [pair, ofports] of holders) {
    const reach = ofports.sort((a, b) => a - b).map((ofport) => `set_field:${ofport}->reg6,resubmit(,${T.ingress})`)
    flows.push(flow(T.forward, 70, `metadata=${tag},reg3=0x0,dl_dst=${pair}`, actions(uplink === null ? reach : [...reach, `output:${uplink}`])))
    flows.push(flow(T.forward, 70, `metadata=${tag},reg3=0x1,dl_dst=${pair}`, actions(reach)))
  }
  if (uplink !== null) {
    flows.push(flow(T.classify, 100, `in_port=${uplink}`, `set_field:${tag}->metadata,set_field:1->reg3,resubmit(,${T.forward})`))
    flows.push(flow(T.forward, 10, `metadata=${tag},reg3=0x0`, `output:${uplink}`))
  }
  if (dhcp) {
    flows.push(flow(T.classify, 100, `in_port=${dhcp.ofport}`, `set_field:${tag}->metadata,set_field:1->reg3,set_field:1->reg7,resubmit(,${T.forward})`))
    flows.push(flow(T.forward, 100, `metadata=${tag},dl_dst=${mac(dhcp.mac)}`, `output:${dhcp.ofport}`))
    // For clients that ignore the route in DHCP option 121: caught here on its way to the default gateway.
    flows.push(flow(T.forward, 110, `ip,metadata=${tag},reg3=0x0,nw_dst=169.254.169.254`, `set_field:${mac(dhcp.mac)}->eth_dst,output:${dhcp.ofport}`))
    flows.push(flow(T.dhcp, 50, `metadata=${tag}`, `output:${dhcp.ofport}`))
  }
  return flows
}

/** Cookie of a contribution: 40 bits of its owner, 24 of its text. One count by cookie then tells whether it is in place. */
export function cookieOf(owner: string, flows: string[]): { exact: string; owner: string; mask: string } {
  const head = digest(owner, 10)
  return { exact: `0x${head}${digest([...flows].sort().join('\n'), 6)}`, owner: `0x${head}000000`, mask: '0xffffffffff000000' }
}

/** The bundle that puts a contribution in place of whatever the owner had. */
export function bundleOf(owner: string, flows: string[]): string {
  const cookie = cookieOf(owner, flows)
  return [`delete cookie=${cookie.owner}/${cookie.mask}`, ...flows.map((text) => `add cookie=${cookie.exact},${text}`)].join('\n').concat('\n')
}
