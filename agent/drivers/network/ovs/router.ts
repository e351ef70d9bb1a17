/**
 * One router: a namespace with a veth per interface, forwarding on, NAT by nftables, routes, and a gratuitous ARP for each
 * address that came to the external side, so that neighbours learn it moved here.
 */
import type { NetworkSpec, RouterSpec } from '../../../../schema/agent/desired.ts'
import type { Exec } from '../../../host/exec.ts'
import { Fault } from '../../../../schema/values/fault.ts'
import { cidr, cidrText, familyOf, ip, mac } from './addr.ts'
import type { Names } from './names.ts'
import { routerInterface } from './names.ts'
import type { InterfaceSpec, Netns, Route } from './netns.ts'
import { ensureTable, routerTable } from './nft.ts'

export interface RouterPlan {
  namespace: string
  ports: { port_id: string; network_id: string; host: string; inside: InterfaceSpec; gateway: boolean }[]
  routes: Route[]
}

/** What the router's namespace should hold. Pure. A router that is administratively down keeps an empty namespace. */
export function planRouter(id: string, spec: RouterSpec, networks: Record<string, NetworkSpec>, names: Names): RouterPlan {
  const namespace = names.routerNamespace(id)
  if (!spec.admin_state_up) return { namespace, ports: [], routes: [] }
  const mtuOf = (networkId: string): number => {
    const network = networks[networkId]
    if (!network) throw new Fault('not_found', `router ${id}: network ${networkId} is not on this host`)
    return network.mtu
  }
  const ports: RouterPlan['ports'] = spec.interfaces.map((entry) => ({
    port_id: entry.port_id, network_id: entry.network_id, host: names.routerPort(entry.port_id), gateway: false,
    inside: { name: routerInterface('interface', entry.port_id), mac: mac(entry.mac_address), mtu: mtuOf(entry.network_id), addresses: entry.fixed_ips.map((fixed) => `${ip(fixed.ip_address)}/${fixed.prefix_length}`) },
  }))
  const routes: Route[] = spec.routes.map((route) => ({ destination: cidrText(cidr(route.destination)), via: ip(route.nexthop) }))
  const gateway = spec.gateway
  if (gateway) {
    const own = gateway.fixed_ips.map((fixed) => `${ip(fixed.ip_address)}/${fixed.prefix_length}`)
    const floating = spec.floating_ips.map((entry) => `${ip(entry.floating_ip)}/32`)
    ports.push({
      port_id: gateway.port_id, network_id: gateway.network_id, host: names.routerPort(gateway.port_id), gateway: true,
      inside: { name: routerInterface('gateway', gateway.port_id), mac: mac(gateway.mac_address), mtu: mtuOf(gateway.network_id), addresses: [...new Set([...own, ...floating])] },
    })
    const seen = new Set(routes.map((route) => route.destination))
    for (const fixed of gateway.fixed_ips) {
      if (fixed.gateway_ip === null) continue
      const destination = familyOf(fixed.gateway_ip) === 6 ? '::/0' : '0.0.0.0/0'
      if (!seen.has(destination)) routes.push({ destination, via: ip(fixed.gateway_ip) })
      seen.add(destination)
    }
  }
  return { namespace, ports, routes }
}

const SYSCTLS = { 'net.ipv4.ip_forward': '1', 'net.ipv6.conf.all.forwarding': '1', 'net.ipv4.conf.all.rp_filter': '0', 'net.ipv4.conf.default.rp_filter': '0', 'net.ipv4.conf.all.arp_ignore': '1', 'net.ipv4.conf.all.arp_announce': '2' }

export interface RouterPortPlaced {
  port_id: string
  network_id: string
  host: string
  mac: string
  made: boolean
}

/**
 * The namespace's side of a router. `attach` plugs a port into the switch as soon as its device is there: a gratuitous ARP that
 * is sent before would go nowhere.
 */
export async function ensureRouterNamespace(deps: { netns: Netns; exec: Exec; userspace: boolean; attach: (port: RouterPortPlaced) => Promise<void> }, plan: RouterPlan, spec: RouterSpec): Promise<void> {
  const { netns, exec, userspace, attach } = deps
  const { namespace } = plan
  await netns.ensure(namespace)
  await netns.sysctl(namespace, SYSCTLS)
  const gateway = plan.ports.find((port) => port.gateway)
  const address = gateway?.inside.addresses.find((text) => familyOf(text.split('/')[0] ?? '') === 4)?.split('/')[0] ?? null
  // Rules first: no packet of a guest leaves with its own address in between.
  await ensureTable((argv, input) => netns.run(namespace, argv, input), ['ip', 'router'], routerTable(spec, gateway ? { device: gateway.inside.name, address } : null))
  const wanted = new Set(plan.ports.map((port) => port.inside.name))
  for (const name of await netns.interfacesOf(namespace)) {
    if (!wanted.has(name)) await netns.run(namespace, ['ip', 'link', 'del', 'dev', name])
  }
  for (const port of plan.ports) {
    const change = await netns.ensureVeth({ host: port.host, namespace, inside: port.inside, plain: userspace })
    await attach({ port_id: port.port_id, network_id: port.network_id, host: port.host, mac: port.inside.mac, made: change.made })
    for (const text of change.removed) await forget(netns, namespace, text.split('/')[0] ?? '')
    for (const text of change.added) void announce(exec, namespace, port.inside.name, text.split('/')[0] ?? '')
  }
  await netns.routes(namespace, plan.routes)
}

/** Connections through an address that is gone keep their translation until they are forgotten. */
async function forget(netns: Netns, namespace: string, address: string): Promise<void> {
  if (familyOf(address) !== 4) return
  await netns.run(namespace, ['conntrack', '-D', '-d', address]).catch(() => {})
  await netns.run(namespace, ['conntrack', '-D', '--reply-dst', address]).catch(() => {})
}

async function announce(exec: Exec, namespace: string, device: string, address: string): Promise<void> {
  if (familyOf(address) !== 4) return
  const options = ['-U', '-c', '1', '-w', '1', '-I', device, address]
  const inside = ['ip', 'netns', 'exec', namespace]
  await exec([...inside, 'arping', ...options]).catch(() => exec([...inside, 'busybox', 'arping', ...options]).catch(() => {}))
}
