/**
 * The network driver on Open vSwitch: wiring of the parts beside this file. One integration bridge carries all networks; what
 * a port, a router interface or a network adds to its flows is compiled by flows.ts. Calls run one at a time: they change the
 * same bridge. State that must survive is in the switch's own records (external_ids), in namespaces, in `run_dir` and in `state_dir`;
 * a new driver over them changes nothing.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { NetworkSpec } from '../../../../schema/agent/desired.ts'
import { tapName } from '../../../../schema/agent/desired.ts'
import { Fault } from '../../../../schema/values/fault.ts'
import type { Exec } from '../../../host/exec.ts'
import type { MetadataSource, NetworkDriver, NetworkView } from '../driver.ts'
import { cidr, ip, mac } from './addr.ts'
import { createOvs } from './bridges.ts'
import type { OvsInterface } from './bridges.ts'
import { METADATA_IP, createDhcp, dhcpFiles, servedSubnets } from './dhcp.ts'
import { TABLE, compileBase, compileNetwork, compilePort, compileRouterPort, cookieOf, networkTag, pairMacs } from './flows.ts'
import { createMetadataServer } from './metadata-server.ts'
import { DHCP_INTERFACE, createNames, shortId } from './names.ts'
import { createNetns, namespacePath } from './netns.ts'
import { guardDevice, unguardDevice } from './nft.ts'
import { createRecords } from './records.ts'
import type { NetworkRecord, RouterRecord } from './records.ts'
import { ensureRouterNamespace, planRouter } from './router.ts'
import { DEFAULT_EXTERNAL, ensureHostTable, ensureUplink, planNetwork, removeUplink } from './segment.ts'
import type { ExternalNetwork, SegmentDeps } from './segment.ts'

export { networkFacts } from './facts.ts'
export type { NetworkFacts } from './facts.ts'
export { DEFAULT_EXTERNAL }
export type { ExternalNetwork }

export interface OvsNetworkOptions {
  /** Three letters that begin each name on the host. */
  prefix?: string
  /** Physical networks of this host, by name. */
  external?: Record<string, ExternalNetwork>
  /** Our end of the overlay; null where this host is alone. */
  tunnel_ip?: string | null
  /** 'veth' gives tests the other end of a port's device, named vethPeer(id). */
  port_backend?: 'tap' | 'veth'
  /** 'own': never the system's switch. */
  ovs?: 'auto' | 'own'
  /**
   * Files that need not survive a reboot: the switch's own, and dnsmasq's (which it must be able to read). One per machine, like the
   * devices they belong to: an agent with an empty state_dir must find the switch that runs, not start a second one beside it.
   */
  run_dir?: string
  sleep?: (ms: number) => Promise<void>
}

export interface OvsNetworkDeps {
  exec: Exec
  state_dir: string
  metadata: MetadataSource
  options?: OvsNetworkOptions
}

export interface OvsNetworkDriver extends NetworkDriver {
  /** Stops answering metadata; everything else goes on without us. */
  close(): void
  /** Takes everything that bears our names off the host, known or not, and ends the switch where it is ours. */
  purge(): Promise<void>
}

/** The other end of a port's device with the veth backend. */
export const vethPeer = (portId: string): string => `peer${shortId(portId)}`

const ID = /^[0-9a-zA-Z][0-9a-zA-Z-]{0,63}$/

/** An id becomes part of names and paths. */
function checked(id: string): string {
  if (!ID.test(id)) throw new Fault('bad_request', `not an id: ${JSON.stringify(id)}`)
  return id
}

export function createOvsNetworkDriver(deps: OvsNetworkDeps): OvsNetworkDriver {
  const { exec, state_dir, options = {} } = deps
  const names = createNames(options.prefix ?? 'sky')
  const sleep = options.sleep ?? ((ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)))
  const runDir = options.run_dir ?? join('/run', names.table)
  const ovs = createOvs({ exec, directory: join(runDir, 'ovs'), mode: options.ovs ?? 'auto' })
  const netns = createNetns(exec)
  const dhcp = createDhcp({ netns, directory: join(runDir, 'dhcp'), sleep })
  const metadata = createMetadataServer(deps.metadata, METADATA_IP)
  const networks = createRecords<NetworkRecord>(join(state_dir, 'networks'))
  const routers = createRecords<RouterRecord>(join(state_dir, 'routers'))
  const segment: SegmentDeps = { exec, ovs, netns, names, networks, external: options.external ?? DEFAULT_EXTERNAL, tunnel_ip: options.tunnel_ip ?? null }
  const bridge = names.integration

  let queue: Promise<unknown> = Promise.resolve()
  const serial = <T>(work: () => Promise<T>): Promise<T> => {
    const result = queue.then(work)
    queue = result.catch(() => {})
    return result
  }

  const tags = (kind: string, id: string, networkId: string, more: Record<string, string> = {}): Record<string, string> => ({
    'skyhook-owner': names.prefix, 'skyhook-kind': kind, 'skyhook-id': id, 'skyhook-network': networkId, ...more,
  })
  const mine = async (): Promise<OvsInterface[]> => (await ovs.interfaces()).filter((entry) => entry.external_ids['skyhook-owner'] === names.prefix)
  const isKind = (entry: OvsInterface, kind: string): boolean => entry.external_ids['skyhook-kind'] === kind
  const spec = (view: NetworkView, id: string): NetworkSpec => {
    const found = view.networks[id]
    if (!found) throw new Fault('not_found', `network ${id} is not on this host`)
    return found
  }

  let bridged = false
  async function up(): Promise<void> {
    if ((await ovs.up()) || !bridged) await ovs.ensureBridge(bridge, { secure: true })
    try {
      await ovs.setFlows(bridge, 'base', compileBase())
    } catch {
      // Someone took the bridge away under us.
      await ovs.ensureBridge(bridge, { secure: true })
      await ovs.setFlows(bridge, 'base', compileBase())
    }
    bridged = true
  }

  /** The network's own flows from what is plugged in now: broadcast lists follow each port. */
  async function refreshNetwork(record: NetworkRecord): Promise<void> {
    const plugged = (await mine()).filter((entry) => entry.ofport !== null && entry.external_ids['skyhook-network'] === record.id)
    const numberOf = (kind: string): number | null => plugged.find((entry) => isKind(entry, kind) && entry.name !== (record.uplink?.type === 'patch' ? record.uplink.peer : ''))?.ofport ?? null
    const dhcpPort = numberOf('dhcp')
    const members = plugged
      .filter((entry) => isKind(entry, 'port') && entry.external_ids['skyhook-up'] === 'true')
      .map((entry) => ({ ofport: entry.ofport ?? 0, pair_macs: (entry.external_ids['skyhook-pairs'] ?? '').split(' ').filter((text) => text !== '') }))
    const routerPorts = plugged.filter((entry) => isKind(entry, 'router')).map((entry) => entry.ofport ?? 0)
    const dhcpFlow = dhcpPort !== null && record.dhcp_mac !== null ? { ofport: dhcpPort, mac: record.dhcp_mac } : null
    await ovs.setFlows(bridge, `network ${record.id}`, compileNetwork({ tag: record.tag, uplink: numberOf('uplink'), dhcp: dhcpFlow }, members, routerPorts))
  }

  async function ensureDhcp(id: string, view: NetworkView): Promise<Record<string, unknown>> {
    const network = spec(view, id)
    const ports = Object.fromEntries(Object.entries(view.ports).filter(([, port]) => port.network_id === id))
    const files = dhcpFiles(network, ports)
    await dhcp.ensure(id, names.dhcpNamespace(id), files)
    return files.faults
  }

  async function ensureDhcpNamespace(id: string, network: NetworkSpec, dhcpMac: string): Promise<void> {
    const namespace = names.dhcpNamespace(id)
    const fresh = !(await netns.names()).includes(namespace)
    await netns.ensure(namespace)
    const addresses = servedSubnets(network).map((subnet) => `${ip(subnet.dhcp_ip)}/${cidr(subnet.cidr).length}`)
    const inside = { name: DHCP_INTERFACE, mac: mac(dhcpMac), mtu: network.mtu, addresses: [...addresses, `${METADATA_IP}/32`] }
    const { made } = await netns.ensureVeth({ host: names.dhcpPort(id), namespace, inside, plain: ovs.userspace() })
    if (ovs.userspace()) await guardDevice(exec, names.table, names.dhcpPort(id), made)
    await ovs.ensurePort(bridge, names.dhcpPort(id), tags('dhcp', id, id))
    metadata.ensure(id, namespacePath(namespace), fresh)
  }

  async function removeDhcp(id: string): Promise<void> {
    metadata.remove(id)
    await dhcp.remove(id, names.dhcpNamespace(id))
    await ovs.removePort(bridge, names.dhcpPort(id))
    await netns.removeLink(names.dhcpPort(id))
    await unguardDevice(exec, names.table, names.dhcpPort(id))
    await netns.remove(names.dhcpNamespace(id))
  }

  async function ensureNetwork(id: string, view: NetworkView): Promise<void> {
    const network = spec(view, checked(id))
    const record = planNetwork(id, network, segment)
    await up()
    const before = await networks.get(id)
    if (before?.uplink && JSON.stringify(before.uplink) !== JSON.stringify(record.uplink)) await removeUplink(before, segment)
    await networks.put(record)
    await ensureHostTable(segment)
    await ensureUplink(record, network, segment, tags('uplink', id, id))
    if (record.dhcp_mac === null) {
      if (before?.dhcp_mac) await removeDhcp(id)
    } else {
      await ensureDhcpNamespace(id, network, record.dhcp_mac)
      await ensureDhcp(id, view)
    }
    await refreshNetwork(record)
  }

  async function removeNetwork(id: string): Promise<void> {
    await up()
    const record = (await networks.get(checked(id))) ?? (await networks.all()).find((candidate) => shortId(candidate.id) === id) ?? null
    const full = record?.id ?? id
    await removeDhcp(full)
    if (record) await removeUplink(record, segment)
    await ovs.removeFlows(bridge, `network ${full}`)
    await networks.remove(full)
    await ensureHostTable(segment)
  }

  async function recordOf(networkId: string): Promise<NetworkRecord> {
    const record = await networks.get(networkId)
    if (!record) throw new Fault('conflict', `network ${networkId} is not set up on this host yet`)
    return record
  }

  async function ensurePort(id: string, view: NetworkView): Promise<void> {
    const port = view.ports[checked(id)]
    if (!port) throw new Fault('not_found', `port ${id} is not on this host`)
    const network = spec(view, port.network_id)
    const record = await recordOf(port.network_id)
    const tap = tapName(id)
    await up()
    const made = options.port_backend === 'veth' ? await netns.ensurePair(tap, vethPeer(id), network.mtu) : await netns.ensureTap(tap, network.mtu)
    if (ovs.userspace()) await guardDevice(exec, names.table, tap, made)
    const before = (await mine()).find((entry) => entry.name === tap)
    // Flows of another network must not outlive the move.
    if (before && before.external_ids['skyhook-network'] !== port.network_id) await removePort(id, { keepDevice: true })
    let flows: string[] = []
    let fault: unknown
    try {
      flows = compilePort(1, networkTag(port.network_id, network), port)
    } catch (error) {
      fault = error
    }
    const marks = fault === undefined ? { 'skyhook-up': String(port.admin_state_up), 'skyhook-pairs': pairMacs(port).join(' ') } : { 'skyhook-up': 'false', 'skyhook-pairs': '' }
    const ofport = await ovs.ensurePort(bridge, tap, tags('port', id, port.network_id, marks))
    if (!before) await ovs.flushZone(ofport)
    const closed = compilePort(ofport, record.tag, { ...port, admin_state_up: false })
    if (fault === undefined) flows = compilePort(ofport, record.tag, port)
    try {
      await ovs.setFlows(bridge, `port ${id}`, fault === undefined ? flows : closed)
    } catch (error) {
      await ovs.setFlows(bridge, `port ${id}`, closed)
      throw error
    }
    await refreshNetwork(record)
    if (fault !== undefined) throw fault
    if (record.dhcp_mac !== null) {
      const faults = await ensureDhcp(port.network_id, view)
      if (faults[id] !== undefined) throw faults[id]
    }
  }

  async function removePort(id: string, { keepDevice = false } = {}): Promise<void> {
    await up()
    const tap = tapName(checked(id))
    const known = (await mine()).find((entry) => entry.name === tap)
    const full = known?.external_ids['skyhook-id'] ?? id
    await ovs.removeFlows(bridge, `port ${full}`)
    await ovs.removePort(bridge, tap)
    if (known?.ofport) await ovs.flushZone(known.ofport)
    if (!keepDevice) {
      await netns.removeLink(tap)
      await unguardDevice(exec, names.table, tap)
    }
    const record = known ? await networks.get(known.external_ids['skyhook-network'] ?? '') : null
    if (record) await refreshNetwork(record)
  }

  async function detachRouterPorts(entries: OvsInterface[]): Promise<void> {
    for (const entry of entries) {
      await ovs.removeFlows(bridge, `router-port ${entry.external_ids['skyhook-port']}`)
      await ovs.removePort(bridge, entry.name)
      await netns.removeLink(entry.name)
      await unguardDevice(exec, names.table, entry.name)
    }
    for (const networkId of new Set(entries.map((entry) => entry.external_ids['skyhook-network'] ?? ''))) {
      const record = await networks.get(networkId)
      if (record) await refreshNetwork(record)
    }
  }

  async function ensureRouter(id: string, view: NetworkView): Promise<void> {
    const router = view.routers[checked(id)]
    if (!router) throw new Fault('not_found', `router ${id} is not on this host`)
    const plan = planRouter(id, router, view.networks, names)
    await up()
    await routers.put({ id })
    const wanted = new Set(plan.ports.map((port) => port.host))
    await detachRouterPorts((await mine()).filter((entry) => isKind(entry, 'router') && entry.external_ids['skyhook-id'] === id && !wanted.has(entry.name)))
    await ensureRouterNamespace({
      netns, exec, userspace: ovs.userspace(),
      attach: async (port) => {
        const record = await recordOf(port.network_id)
        if (ovs.userspace()) await guardDevice(exec, names.table, port.host, port.made)
        const ofport = await ovs.ensurePort(bridge, port.host, tags('router', id, port.network_id, { 'skyhook-port': port.port_id }))
        await ovs.setFlows(bridge, `router-port ${port.port_id}`, compileRouterPort(ofport, record.tag, port.mac))
        await refreshNetwork(record)
      },
    }, plan, router)
  }

  async function removeRouter(id: string): Promise<void> {
    await up()
    const full = (await routers.get(checked(id)))?.id ?? (await routers.all()).find((candidate) => shortId(candidate.id) === id)?.id ?? id
    await detachRouterPorts((await mine()).filter((entry) => isKind(entry, 'router') && entry.external_ids['skyhook-id'] === full))
    await netns.remove(names.routerNamespace(full))
    await routers.remove(full)
  }

  /** In the switch with its flows, or running: by full id. Anything else that bears our names: by the part of the id that the name keeps. */
  async function list(): Promise<{ networks: string[]; ports: string[]; routers: string[] }> {
    await up()
    const entries = await mine()
    const [classified, forwarded, namespaces, links] = [await ovs.ownersIn(bridge, TABLE.classify), await ovs.ownersIn(bridge, TABLE.forward), await netns.names(), await netns.linkNames()]
    const has = (owners: Set<string>, owner: string): boolean => owners.has(cookieOf(owner, []).owner)
    const found = { networks: new Set<string>(), ports: new Set<string>(), routers: new Set<string>() }
    for (const record of await networks.all()) {
      const namespace = names.dhcpNamespace(record.id)
      const served = record.dhcp_mac === null || (namespaces.includes(namespace) && (await dhcp.running(record.id)))
      if (served && record.dhcp_mac !== null) metadata.ensure(record.id, namespacePath(namespace), false)
      if (served && has(forwarded, `network ${record.id}`)) found.networks.add(record.id)
    }
    for (const entry of entries.filter((candidate) => isKind(candidate, 'port'))) {
      const id = entry.external_ids['skyhook-id'] ?? ''
      found.ports.add(entry.ofport !== null && links.includes(entry.name) && has(classified, `port ${id}`) ? id : shortId(id))
    }
    const routerIds = (await routers.all()).map((record) => record.id)
    for (const id of routerIds.filter((candidate) => namespaces.includes(names.routerNamespace(candidate)))) {
      const ports = entries.filter((entry) => isKind(entry, 'router') && entry.external_ids['skyhook-id'] === id)
      found.routers.add(ports.every((entry) => entry.ofport !== null && has(classified, `router-port ${entry.external_ids['skyhook-port']}`)) ? id : shortId(id))
    }
    const known = { networks: new Set([...found.networks].map(shortId)), ports: new Set([...found.ports].map(shortId)), routers: new Set([...found.routers].map(shortId)) }
    const orphan = (kind: 'networks' | 'ports' | 'routers', text: string, prefix: string): void => {
      const part = text.slice(prefix.length)
      if (text.startsWith(prefix) && part.length === 11 && !known[kind].has(part)) found[kind].add(part)
    }
    for (const name of namespaces) {
      orphan('networks', name, names.dhcpNamespace(''))
      orphan('routers', name, names.routerNamespace(''))
    }
    for (const name of links) if (/^tap[0-9a-f]{8}-[0-9a-f]{2}$/.test(name)) orphan('ports', name, 'tap')
    return { networks: [...found.networks].sort(), ports: [...found.ports].sort(), routers: [...found.routers].sort() }
  }

  async function purge(): Promise<void> {
    metadata.close()
    await up()
    const entries = await mine()
    for (const entry of entries.filter((candidate) => isKind(candidate, 'port'))) await netns.removeLink(entry.name)
    const ours = [names.dhcpNamespace(''), names.routerNamespace('')]
    for (const name of (await netns.names()).filter((candidate) => ours.some((prefix) => candidate.startsWith(prefix)))) {
      await netns.killAll(name)
      await netns.remove(name)
    }
    const bridges = [bridge, ...new Set([...Object.keys(segment.external).map(names.bridgeOf), ...(await networks.all()).flatMap((record) => (record.uplink?.type === 'patch' ? [record.uplink.bridge] : []))])]
    for (const name of bridges) await ovs.removeBridge(name)
    await ovs.stop()
    bridged = false
    for (const name of (await netns.linkNames()).filter((candidate) => new RegExp(`^${names.prefix}[drv][0-9a-f]`).test(candidate))) await netns.removeLink(name)
    for (const family of ['inet', 'netdev']) await exec(['nft', 'delete', 'table', family, names.table]).catch(() => {})
    for (const directory of [join(runDir, 'dhcp'), join(runDir, 'ovs'), join(state_dir, 'networks'), join(state_dir, 'routers')]) await rm(directory, { recursive: true, force: true })
  }

  return {
    name: 'ovs',
    list: () => serial(list),
    ensureNetwork: (id, view) => serial(() => ensureNetwork(id, view)),
    removeNetwork: (id) => serial(() => removeNetwork(id)),
    ensurePort: (id, view) => serial(() => ensurePort(id, view)),
    removePort: (id) => serial(() => removePort(id)),
    ensureRouter: (id, view) => serial(() => ensureRouter(id, view)),
    removeRouter: (id) => serial(() => removeRouter(id)),
    close: () => metadata.close(),
    purge: () => serial(purge),
  }
}
