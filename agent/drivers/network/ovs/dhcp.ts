/**
 * DHCP of one network: dnsmasq in the network's own namespace, at the address of the network's DHCP port. Its files are
 * written by a structured writer (every value checked, no value can open a line of its own). dnsmasq outlives the agent; new
 * leases reach it by SIGHUP, and it is started anew only where its settings change or an address goes to another MAC
 * (it would keep the old lease for that address).
 */
import { existsSync } from 'node:fs'
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { NetworkSpec, PortSpec, SubnetSpec } from '../../../../schema/agent/desired.ts'
import { Fault } from '../../../../schema/values/fault.ts'
import { cidr, cidrText, digest, ip, mac, netmask } from './addr.ts'
import { DHCP_INTERFACE, shortId } from './names.ts'
import { pidOf } from './netns.ts'
import type { Netns } from './netns.ts'

export const METADATA_IP = '169.254.169.254'
const LEASE_SECONDS = 86_400
const LEASES_MAX = 65_536

export interface DhcpFiles {
  /** Read at start only. */
  conf: string
  /** Read again on SIGHUP: leases, options, names. */
  hosts: string
  opts: string
  names: string
  /** Address -> MAC, to see which address changed hands. */
  leases: Record<string, string>
}

/** Subnets that this network's dnsmasq serves. */
export const servedSubnets = (network: NetworkSpec): (SubnetSpec & { dhcp_ip: string })[] =>
  network.subnets.filter((subnet): subnet is SubnetSpec & { dhcp_ip: string } => subnet.enable_dhcp && subnet.dhcp_ip !== null)

export const servesDhcp = (network: NetworkSpec): boolean => network.dhcp_mac !== null && servedSubnets(network).length > 0

const tagOf = (kind: string, id: string): string => `${kind}-${digest(id, 10)}`

/** A label as RFC 1123 has it; anything else becomes the name that Nova and Neutron give a nameless host. */
const hostLabel = (name: string | null, address: string): string => (name !== null && /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(name) ? name : `host-${address.replaceAll('.', '-').replaceAll(':', '-')}`)

function optionKey(name: string, version: 4 | 6): string {
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/i.test(name)) throw new Fault('bad_request', `extra_dhcp_opts: bad option name ${JSON.stringify(name)}`)
  return /^\d+$/.test(name) ? (version === 6 ? `option6:${name}` : name) : version === 6 ? `option6:${name}` : `option:${name}`
}

function optionValue(value: string): string {
  // Printable ASCII without what dnsmasq's reader treats as its own: quotes, escapes, comments.
  if (!/^[\x20-\x7e]{0,255}$/.test(value) || /["'\\#]/.test(value)) throw new Fault('bad_request', 'extra_dhcp_opts: the value has characters that are not allowed')
  return value.trim()
}

function subnetOptions(subnet: SubnetSpec & { dhcp_ip: string }, mtu: number): string[] {
  const tag = `tag:${tagOf('s', subnet.id)}`
  const dns = subnet.dns_nameservers.map(ip)
  if (subnet.ip_version === 6) return dns.length === 0 ? [] : [`${tag},option6:dns-server,${dns.map((address) => `[${address}]`).join(',')}`]
  const gateway = subnet.gateway_ip === null ? null : ip(subnet.gateway_ip)
  const routes = subnet.host_routes.map((route) => `${cidrText(cidr(route.destination))},${ip(route.nexthop)}`)
  routes.push(`${METADATA_IP}/32,${ip(subnet.dhcp_ip)}`)
  // A client that takes option 121 ignores option 3, so the default route is in both.
  if (gateway !== null) routes.push(`0.0.0.0/0,${gateway}`)
  return [
    `${tag},option:mtu,${mtu}`,
    gateway === null ? `${tag},option:router` : `${tag},option:router,${gateway}`,
    `${tag},option:dns-server,${dns.length === 0 ? ip(subnet.dhcp_ip) : dns.join(',')}`,
    `${tag},option:classless-static-route,${routes.join(',')}`,
    `${tag},249,${routes.join(',')}`,
  ]
}

/** All files of a network's dnsmasq. A port with a bad option loses its options, not the network its DHCP; its fault is returned. */
export function dhcpFiles(network: NetworkSpec, ports: Record<string, PortSpec>): DhcpFiles & { faults: Record<string, unknown> } {
  const served = servedSubnets(network)
  const byId = new Map(served.map((subnet) => [subnet.id, subnet]))
  const ranges = served.map((subnet) => {
    const range = cidr(subnet.cidr)
    const limits = subnet.ip_version === 4 ? netmask(range.length) : Math.max(range.length, 64)
    return `dhcp-range=set:${tagOf('s', subnet.id)},${range.address},static,${limits},${LEASE_SECONDS}s`
  })
  const files = { hosts: [] as string[], opts: served.flatMap((subnet) => subnetOptions(subnet, network.mtu)), names: [] as string[] }
  const leases: Record<string, string> = {}
  const faults: Record<string, unknown> = {}
  for (const [id, port] of Object.entries(ports).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const addresses = port.fixed_ips.filter((fixed) => byId.has(fixed.subnet_id)).map((fixed) => ip(fixed.ip_address))
    if (addresses.length === 0) continue
    const hardware = mac(port.mac_address)
    try {
      files.opts.push(...port.extra_dhcp_opts.map((option) => `tag:${tagOf('p', id)},${optionKey(option.opt_name, option.ip_version)},${optionValue(option.opt_value)}`))
    } catch (error) {
      faults[id] = error
    }
    for (const address of addresses) {
      const name = hostLabel(port.hostname, address)
      files.hosts.push(`${hardware},set:${tagOf('p', id)},${address.includes(':') ? `[${address}]` : address},${name}`)
      files.names.push(`${address} ${name}`)
      leases[address] = hardware
    }
  }
  const conf = [
    'no-resolv', 'no-hosts', 'no-poll', 'no-ping', 'bind-interfaces', `interface=${DHCP_INTERFACE}`, 'except-interface=lo', 'user=nobody', 'dhcp-authoritative', 'leasefile-ro',
    `dhcp-lease-max=${LEASES_MAX}`, 'domain=openstacklocal', 'expand-hosts', 'quiet-dhcp', 'quiet-dhcp6', 'quiet-ra', ...ranges,
  ]
  const text = (lines: string[]): string => lines.map((line) => `${line}\n`).join('')
  return { conf: text(conf), hosts: text(files.hosts), opts: text(files.opts), names: text(files.names), leases, faults }
}

async function writeChanged(path: string, text: string): Promise<boolean> {
  if ((await readFile(path, 'utf8').catch(() => null)) === text) return false
  await writeFile(`${path}.new`, text, { mode: 0o644 })
  await rename(`${path}.new`, path)
  return true
}

export interface Dhcp {
  ensure(networkId: string, namespace: string, files: DhcpFiles): Promise<'started' | 'reloaded' | 'same'>
  running(networkId: string): Promise<boolean>
  remove(networkId: string, namespace: string): Promise<void>
}

/** `directory` must be open to the user that dnsmasq becomes: it reads its files again after it gave up root. */
export function createDhcp(deps: { netns: Netns; directory: string; sleep: (ms: number) => Promise<void> }): Dhcp {
  const { netns, directory, sleep } = deps
  // Named as the namespace is: what is left of a forgotten network is found by the same part of its id.
  const home = (id: string): string => join(directory, shortId(id))
  const pid = (id: string): Promise<number | null> => pidOf(join(home(id), 'pid'), join(home(id), 'conf'))

  async function stop(id: string): Promise<void> {
    for (let attempt = 0; attempt < 40; attempt++) {
      const running = await pid(id)
      if (running === null) return
      try {
        process.kill(running, attempt < 20 ? 'SIGTERM' : 'SIGKILL')
      } catch {
        return
      }
      await sleep(25)
    }
    throw new Fault('unavailable', `dnsmasq of network ${id} does not end`)
  }

  async function ensure(id: string, namespace: string, files: DhcpFiles): Promise<'started' | 'reloaded' | 'same'> {
    const at = (name: string): string => join(home(id), name)
    if (!existsSync(home(id))) {
      await mkdir(home(id), { recursive: true, mode: 0o755 })
      await chmod(directory, 0o755)
    }
    const conf = `${files.conf}pid-file=${at('pid')}\ndhcp-hostsfile=${at('hosts')}\ndhcp-optsfile=${at('opts')}\naddn-hosts=${at('names')}\n`
    const given = JSON.parse(await readFile(at('given'), 'utf8').catch(() => '{}')) as Record<string, string>
    const running = await pid(id)
    const reused = Object.entries(files.leases).some(([address, hardware]) => given[address] !== undefined && given[address] !== hardware)
    // Written before anything else: a crash between here and the restart must not forget that an address changed hands.
    const restart = (await writeChanged(at('conf'), conf)) || reused || running === null
    const changes = [await writeChanged(at('hosts'), files.hosts), await writeChanged(at('opts'), files.opts), await writeChanged(at('names'), files.names)]
    if (restart) {
      await stop(id)
      await netns.run(namespace, ['dnsmasq', `--conf-file=${at('conf')}`])
      await writeChanged(at('given'), JSON.stringify(files.leases))
      return 'started'
    }
    await writeChanged(at('given'), JSON.stringify({ ...given, ...files.leases }))
    if (!changes.includes(true)) return 'same'
    process.kill(running ?? 0, 'SIGHUP')
    return 'reloaded'
  }

  return {
    ensure,
    running: async (id) => (await pid(id)) !== null,
    async remove(id, namespace) {
      await stop(id)
      await netns.killAll(namespace)
      await rm(home(id), { recursive: true, force: true })
    },
  }
}
