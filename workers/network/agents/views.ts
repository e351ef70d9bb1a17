/** Hosts as Neutron's agents: one per role that the host's network driver has. Pure. */
import type { HostRow } from '../../agents/hosts/store.ts'
import { isoSeconds } from '../../../schema/values/time.ts'
import type { View } from '../api/query.ts'

const KINDS = [
  { type: 'Open vSwitch agent', binary: 'neutron-openvswitch-agent', topic: 'N/A', digit: '1', has: (host: HostRow) => host.facts?.drivers.network !== undefined },
  { type: 'DHCP agent', binary: 'neutron-dhcp-agent', topic: 'dhcp_agent', digit: '2', has: (host: HostRow) => host.facts?.drivers.network !== undefined },
  { type: 'L3 agent', binary: 'neutron-l3-agent', topic: 'l3_agent', digit: '3', has: (host: HostRow) => host.facts?.roles.includes('gateway') ?? false },
] as const

const timeOf = (ms: number) => isoSeconds(ms).replace('T', ' ').replace('Z', '')

export function agentViews(host: HostRow): View[] {
  return KINDS.filter((kind) => kind.has(host)).map((kind) => ({
    id: agentId(host.id, kind.digit), agent_type: kind.type, binary: kind.binary, topic: kind.topic, host: host.name, availability_zone: kind.digit === '1' ? null : host.availability_zone,
    admin_state_up: !host.disabled, alive: host.up && !host.forced_down, created_at: timeOf(host.joined_ms), started_at: timeOf(host.joined_ms), heartbeat_timestamp: timeOf(host.seen_ms), description: null,
    resources_synced: host.up, configurations: { driver: host.facts?.drivers.network ?? null, tunneling_ip: host.facts?.tunnel_ip ?? null, physical_networks: host.facts?.physical_networks ?? [] },
  }))
}

/** An id of its own for each agent, made from the host's: its version digit's neighbour says which. */
export const agentId = (hostId: string, digit: string): string => `${hostId.slice(0, 15)}${digit}${hostId.slice(16)}`
