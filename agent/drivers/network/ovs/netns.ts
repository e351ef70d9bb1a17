/**
 * Namespaces, veth pairs and addresses, each brought to a wanted state: read what is there, change what differs. So a
 * repeated call runs only the reads, and whatever was lost (a reboot, a hand) is made again.
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Exec } from '../../../host/exec.ts'

export const namespacePath = (name: string): string => `/run/netns/${name}`

interface Link {
  ifname: string
  address?: string
  mtu: number
  flags: string[]
  addr_info: { family: 'inet' | 'inet6'; local: string; prefixlen: number; scope: string }[]
}

export interface InterfaceSpec {
  name: string
  mac: string
  mtu: number
  /** 'address/length', in the one form of addr.ts. */
  addresses: string[]
}

export interface VethChange {
  made: boolean
  added: string[]
  removed: string[]
}

export interface Route {
  destination: string
  via: string
}

export interface Netns {
  names(): Promise<string[]>
  ensure(name: string): Promise<void>
  remove(name: string): Promise<void>
  /** Ends what still runs in the namespace; it would keep the namespace alive after its name is gone. */
  killAll(name: string): Promise<void>
  run(name: string, argv: string[], input?: string): Promise<string>
  sysctl(name: string, settings: Record<string, string>): Promise<void>
  /** A veth pair from the host into the namespace. */
  ensureVeth(options: { host: string; namespace: string; inside: InterfaceSpec; plain: boolean }): Promise<VethChange>
  /** Interfaces of the namespace except lo. */
  interfacesOf(name: string): Promise<string[]>
  routes(name: string, wanted: Route[]): Promise<void>
  ensureTap(name: string, mtu: number): Promise<boolean>
  ensurePair(name: string, peer: string, mtu: number): Promise<boolean>
  ensureVxlan(options: { name: string; segment: number; local: string; mtu: number; peers: string[] }): Promise<boolean>
  removeLink(name: string): Promise<void>
  linkNames(): Promise<string[]>
  addressOnHost(device: string, wanted: string[]): Promise<void>
}

const VXLAN_PORT = 4789

export function createNetns(exec: Exec): Netns {
  const ip = async (...args: string[]): Promise<string> => (await exec(['ip', ...args])).stdout
  const json = async <T>(...args: string[]): Promise<T[]> => JSON.parse((await ip('-j', ...args)) || '[]') as T[]
  const run = async (name: string, argv: string[], input?: string): Promise<string> => (await exec(['ip', 'netns', 'exec', name, ...argv], input === undefined ? {} : { input })).stdout
  const find = async (scope: string[], name: string): Promise<Link | undefined> => {
    const links = await json<Link>(...scope, 'addr', 'show', 'dev', name).catch(() => [])
    return links.find((link) => link.ifname === name)
  }

  async function addresses(scope: string[], link: Link, wanted: string[]): Promise<Omit<VethChange, 'made'>> {
    const actual = link.addr_info.filter((info) => info.scope !== 'link').map((info) => `${info.local}/${info.prefixlen}`)
    const removed = actual.filter((text) => !wanted.includes(text))
    const added = wanted.filter((text) => !actual.includes(text))
    for (const address of removed) await ip(...scope, 'addr', 'del', address, 'dev', link.ifname)
    for (const address of added) await ip(...scope, 'addr', 'add', address, 'dev', link.ifname, ...(address.includes(':') ? ['nodad'] : []))
    return { added, removed }
  }

  /** A device that only the switch reads: no address of its own, not a word of its own. */
  async function quiet(name: string, mtu: number): Promise<void> {
    await ip('link', 'set', 'dev', name, 'mtu', String(mtu), 'addrgenmode', 'none', 'arp', 'off', 'up')
  }

  async function ensureVeth(options: { host: string; namespace: string; inside: InterfaceSpec; plain: boolean }): Promise<VethChange> {
    const { host, namespace, inside, plain } = options
    const scope = ['-n', namespace]
    let link = await find(scope, inside.name)
    let made = false
    if (!link || !(await find([], host))) {
      if (link) await ip(...scope, 'link', 'del', inside.name)
      await removeLink(host)
      await ip('link', 'add', host, 'type', 'veth', 'peer', 'name', inside.name, 'netns', namespace)
      // The userspace datapath reads raw frames, so checksums have to be filled in by the sender.
      if (plain) await run(namespace, ['ethtool', '-K', inside.name, 'tx', 'off'])
      made = true
    }
    if (made || link?.mtu !== inside.mtu) await quiet(host, inside.mtu)
    if (made || link?.mtu !== inside.mtu || link.address !== inside.mac || !link.flags.includes('UP')) {
      await ip(...scope, 'link', 'set', 'dev', inside.name, 'address', inside.mac, 'mtu', String(inside.mtu), 'up')
      link = await find(scope, inside.name)
    }
    return { made, ...(link ? await addresses(scope, link, inside.addresses) : { added: [], removed: [] }) }
  }

  async function removeLink(name: string): Promise<void> {
    if (await find([], name)) await ip('link', 'del', 'dev', name)
  }

  async function routes(name: string, wanted: Route[]): Promise<void> {
    for (const family of ['-4', '-6']) {
      const mine = wanted.filter((route) => route.via.includes(':') === (family === '-6')).map((route) => `${route.destination} via ${route.via}`)
      const shown = await json<{ dst: string; gateway?: string }>('-n', name, family, 'route', 'show', 'proto', 'static')
      const actual = shown.map((route) => `${route.dst === 'default' ? (family === '-6' ? '::/0' : '0.0.0.0/0') : route.dst.includes('/') ? route.dst : `${route.dst}/${family === '-6' ? 128 : 32}`} via ${route.gateway ?? ''}`)
      for (const route of actual.filter((text) => !mine.includes(text))) await ip('-n', name, family, 'route', 'del', ...route.split(' '), 'proto', 'static')
      for (const route of mine.filter((text) => !actual.includes(text))) await ip('-n', name, family, 'route', 'replace', ...route.split(' '), 'proto', 'static')
    }
  }

  async function ensureVxlan(options: { name: string; segment: number; local: string; mtu: number; peers: string[] }): Promise<boolean> {
    const { name, segment, local, mtu, peers } = options
    const made = !(await find([], name))
    if (made) {
      await ip('link', 'add', name, 'type', 'vxlan', 'id', String(segment), 'local', local, 'dstport', String(VXLAN_PORT))
      // Merged segments would be larger than what the switch reads at once.
      await exec(['ethtool', '-K', name, 'gro', 'off'])
      await quiet(name, mtu)
    }
    const entries = JSON.parse((await exec(['bridge', '-j', 'fdb', 'show', 'dev', name])).stdout || '[]') as { mac: string; dst?: string }[]
    const actual = entries.filter((entry) => entry.mac === '00:00:00:00:00:00').map((entry) => entry.dst ?? '')
    for (const peer of actual.filter((known) => !peers.includes(known))) await exec(['bridge', 'fdb', 'del', '00:00:00:00:00:00', 'dev', name, 'dst', peer])
    for (const peer of peers.filter((wanted) => !actual.includes(wanted))) await exec(['bridge', 'fdb', 'append', '00:00:00:00:00:00', 'dev', name, 'dst', peer])
    return made
  }

  const tapLike = async (name: string, mtu: number, make: () => Promise<unknown>): Promise<boolean> => {
    const link = await find([], name)
    if (link?.mtu === mtu && link.flags.includes('UP')) return false
    if (!link) await make()
    await quiet(name, mtu)
    return !link
  }

  return {
    names: async () => (await json<{ name: string }>('netns', 'list')).map((entry) => entry.name),
    async ensure(name) {
      if (!existsSync(namespacePath(name))) await ip('netns', 'add', name)
      const lo = await find(['-n', name], 'lo')
      if (!lo?.flags.includes('UP')) await ip('-n', name, 'link', 'set', 'lo', 'up')
    },
    async remove(name) {
      if (existsSync(namespacePath(name))) await ip('netns', 'del', name)
    },
    async killAll(name) {
      if (!existsSync(namespacePath(name))) return
      for (const pid of (await ip('netns', 'pids', name)).split('\n').map(Number).filter((number) => number > 1 && number !== process.pid)) {
        try {
          process.kill(pid, 'SIGKILL')
        } catch {
          // Ended by itself meanwhile.
        }
      }
    },
    run,
    async sysctl(name, settings) {
      const keys = Object.keys(settings)
      const actual = (await run(name, ['sysctl', '-n', ...keys])).trim().split('\n')
      const changed = keys.filter((key, index) => actual[index] !== settings[key])
      if (changed.length > 0) await run(name, ['sysctl', '-q', '-w', ...changed.map((key) => `${key}=${settings[key]}`)])
    },
    ensureVeth,
    interfacesOf: async (name) => (await json<Link>('-n', name, 'link', 'show')).map((link) => link.ifname).filter((ifname) => ifname !== 'lo'),
    routes,
    ensureTap: (name, mtu) => tapLike(name, mtu, () => ip('tuntap', 'add', 'dev', name, 'mode', 'tap')),
    ensurePair: (name, peer, mtu) => tapLike(name, mtu, () => ip('link', 'add', name, 'type', 'veth', 'peer', 'name', peer)),
    ensureVxlan,
    removeLink,
    linkNames: async () => (await json<Link>('link', 'show')).map((link) => link.ifname),
    async addressOnHost(device, wanted) {
      const link = await find([], device)
      if (!link) return
      if (!link.flags.includes('UP')) await ip('link', 'set', 'dev', device, 'up')
      await addresses([], link, wanted)
    },
  }
}

/** One running process by its pid file, told from a stranger with the same number by a word of its command line. */
export async function pidOf(pidFile: string, word: string): Promise<number | null> {
  try {
    const pid = Number((await readFile(pidFile, 'utf8')).trim())
    if (!Number.isInteger(pid) || pid < 2) return null
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).includes(word) ? pid : null
  } catch {
    return null
  }
}
