/**
 * A network's way out of the integration bridge: for an overlay network with peers a VXLAN device of the kernel (it floods
 * to the peers and learns), for an external network a patch to its provider bridge. And the host's own part of an external
 * network: the gateway address on the provider bridge, forwarding, masquerading.
 */
import type { NetworkSpec } from '../../../../schema/agent/desired.ts'
import type { Exec } from '../../../host/exec.ts'
import { Fault } from '../../../../schema/values/fault.ts'
import { cidr, cidrText, ip } from './addr.ts'
import type { Ovs } from './bridges.ts'
import { networkTag } from './flows.ts'
import type { Names } from './names.ts'
import type { Netns } from './netns.ts'
import { ensureTable, guardDevice, hostTable, unguardDevice } from './nft.ts'
import type { NetworkRecord, Records } from './records.ts'
import { servesDhcp } from './dhcp.ts'

/** How this host is wired to a physical network. */
export interface ExternalNetwork {
  /** A NIC to plug into the provider bridge; null where the network exists only on this machine. */
  interface: string | null
  /** The host is the gateway of that network's subnets: it takes the gateway address and masquerades. */
  host_gateway: boolean
}

/** Where the machine is its own provider: the deployment's `public` network lives on a bridge of this host. */
export const DEFAULT_EXTERNAL: Record<string, ExternalNetwork> = { public: { interface: null, host_gateway: true } }

export interface SegmentDeps {
  exec: Exec
  ovs: Ovs
  netns: Netns
  names: Names
  networks: Records<NetworkRecord>
  external: Record<string, ExternalNetwork>
  tunnel_ip: string | null
}

/** The record of a network, from its spec. Pure. */
export function planNetwork(id: string, spec: NetworkSpec, deps: Pick<SegmentDeps, 'names' | 'external' | 'tunnel_ip'>): NetworkRecord {
  const { names, external, tunnel_ip } = deps
  const record: NetworkRecord = { id, tag: networkTag(id, spec), dhcp_mac: servesDhcp(spec) ? spec.dhcp_mac : null, uplink: null, host_addresses: [], masquerade: [], tunnel: null }
  if (spec.type === 'tenant') {
    const peers = [...new Set(spec.peers.map((peer) => ip(peer.tunnel_ip)))].filter((peer) => peer !== tunnel_ip).sort()
    if (peers.length > 0 && tunnel_ip !== null) {
      record.uplink = { type: 'vxlan', device: names.vxlan(spec.segment_id) }
      record.tunnel = { segment: spec.segment_id, peers }
    }
    return record
  }
  const physical = spec.physical_network ?? ''
  const wiring = external[physical]
  if (!wiring) throw new Fault('conflict', `physical network ${JSON.stringify(physical)} is not on this host`)
  const bridge = names.bridgeOf(physical)
  record.uplink = { type: 'patch', name: `${names.integration}-to-${bridge}`, peer: `${bridge}-to-${names.integration}`, bridge }
  if (!wiring.host_gateway) return record
  for (const subnet of spec.subnets) {
    if (subnet.gateway_ip === null) continue
    const range = cidr(subnet.cidr)
    record.host_addresses.push(`${ip(subnet.gateway_ip)}/${range.length}`)
    record.masquerade.push(cidrText(range))
  }
  return record
}

/** Device or patch in place and plugged; returns its port on the integration bridge. */
export async function ensureUplink(record: NetworkRecord, spec: NetworkSpec, deps: SegmentDeps, ids: Record<string, string>): Promise<number | null> {
  const { exec, ovs, netns, names, external, tunnel_ip } = deps
  if (record.uplink?.type === 'patch') {
    const { bridge, name, peer } = record.uplink
    await ovs.ensureBridge(bridge, { secure: false })
    await ovs.ensurePort(bridge, peer, ids, { type: 'patch', peer: name })
    const nic = external[spec.physical_network ?? '']?.interface
    if (nic) {
      await exec(['ip', 'link', 'set', 'dev', nic, 'up'])
      await ovs.ensurePort(bridge, nic, { ...ids, 'skyhook-kind': 'nic' })
    }
    await netns.addressOnHost(bridge, record.host_addresses)
    if (record.host_addresses.length > 0) await forwarding(exec)
    return await ovs.ensurePort(names.integration, name, ids, { type: 'patch', peer })
  }
  if (record.uplink?.type === 'vxlan' && record.tunnel && tunnel_ip !== null) {
    const { device } = record.uplink
    const made = await netns.ensureVxlan({ name: device, segment: record.tunnel.segment, local: tunnel_ip, mtu: spec.mtu, peers: record.tunnel.peers })
    if (ovs.userspace()) await guardDevice(exec, names.table, device, made)
    return await ovs.ensurePort(names.integration, device, ids)
  }
  return null
}

async function forwarding(exec: Exec): Promise<void> {
  const { stdout } = await exec(['sysctl', '-n', 'net.ipv4.ip_forward'])
  if (stdout.trim() !== '1') await exec(['sysctl', '-q', '-w', 'net.ipv4.ip_forward=1'])
}

export async function removeUplink(record: NetworkRecord, deps: SegmentDeps): Promise<void> {
  const { exec, ovs, netns, names, networks } = deps
  const { uplink } = record
  if (uplink?.type === 'vxlan') {
    await ovs.removePort(names.integration, uplink.device)
    await netns.removeLink(uplink.device)
    await unguardDevice(exec, names.table, uplink.device)
  }
  if (uplink?.type === 'patch') {
    // Two networks on one physical network share its bridge.
    const others = (await networks.all()).filter((other) => other.id !== record.id && other.uplink?.type === 'patch' && other.uplink.bridge === uplink.bridge)
    if (others.length > 0) return
    await ovs.removePort(names.integration, uplink.name)
    await ovs.removeBridge(uplink.bridge)
  }
}

/** The host's nftables table as the records of all networks ask for. */
export async function ensureHostTable(deps: SegmentDeps): Promise<void> {
  const { exec, names, networks } = deps
  const records = await networks.all()
  const masquerade = records.flatMap((record) => {
    const { uplink } = record
    return uplink?.type === 'patch' ? record.masquerade.map((range) => ({ cidr: range, device: uplink.bridge })) : []
  })
  const wanted = hostTable(names.table, { masquerade, tunnels: records.flatMap((record) => (record.tunnel ? [record.tunnel] : [])) })
  await ensureTable(async (argv, input) => (await exec(argv, input === undefined ? {} : { input })).stdout, ['inet', names.table], wanted)
}
