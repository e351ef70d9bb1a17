/** What this host offers to networks: found by looking, reported with the host's other facts. */
import { accessSync, constants } from 'node:fs'
import type { Exec } from '../../../host/exec.ts'
import { DEFAULT_EXTERNAL } from './segment.ts'
import type { ExternalNetwork } from './segment.ts'

export interface NetworkFacts {
  physical_networks: string[]
  /** The address that other hosts send overlay frames to: the one of the default route's device. Null where there is none. */
  tunnel_ip: string | null
  /** Programs that the driver needs and that are not installed; it works only where this is empty. */
  missing: string[]
}

const PROGRAMS = ['ovs-vsctl', 'ovs-ofctl', 'ovs-vswitchd', 'ovsdb-server', 'ovsdb-tool', 'dnsmasq', 'nft', 'ip', 'bridge', 'ethtool', 'sysctl']
const PATHS = ['/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/local/sbin', '/usr/local/bin']

function installed(program: string): boolean {
  return PATHS.some((directory) => {
    try {
      accessSync(`${directory}/${program}`, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

export async function networkFacts(exec: Exec, external: Record<string, ExternalNetwork> = DEFAULT_EXTERNAL): Promise<NetworkFacts> {
  const missing = PROGRAMS.filter((program) => !installed(program))
  return { physical_networks: Object.keys(external).sort(), tunnel_ip: await tunnelIp(exec).catch(() => null), missing }
}

async function tunnelIp(exec: Exec): Promise<string | null> {
  const routes = JSON.parse((await exec(['ip', '-j', '-4', 'route', 'show', 'default'])).stdout || '[]') as { dev?: string; prefsrc?: string }[]
  const route = routes[0]
  if (!route?.dev) return null
  if (route.prefsrc) return route.prefsrc
  const links = JSON.parse((await exec(['ip', '-j', '-4', 'addr', 'show', 'dev', route.dev])).stdout || '[]') as { addr_info: { local: string; scope: string }[] }[]
  return links.flatMap((link) => link.addr_info ?? []).find((address) => address.scope === 'global')?.local ?? null
}
