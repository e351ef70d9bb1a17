/**
 * nftables text, built by pure functions: the host's own table (egress of guests, guard of the tunnel) and a router's
 * NAT. A table carries a set named after its digest, so whether it is in place is one `nft list`. Whole tables are
 * replaced in one transaction. Each block closes on a line of its own, for older nft wants that.
 */
import type { RouterSpec } from '../../../../schema/agent/desired.ts'
import type { Exec } from '../../../host/exec.ts'
import { digest, familyOf, ip } from './addr.ts'

export interface HostTable {
  /** External subnets whose gateway is this host, with the device of their bridge. */
  masquerade: { cidr: string; device: string }[]
  /** Overlay segments and who may send us frames of them. */
  tunnels: { segment: number; peers: string[] }[]
}

/** A table's text; 'add' before 'delete' makes replacing and creating one transaction. */
function table(family: string, name: string, body: string[]): { text: string; marker: string } {
  const marker = `spec_${digest(body.join('\n'), 16)}`
  const lines = [`table ${family} ${name}`, `delete table ${family} ${name}`, `table ${family} ${name} {`, `  set ${marker} {`, '    type ipv4_addr', '  }', ...body.map((line) => `  ${line}`), '}']
  return { text: `${lines.join('\n')}\n`, marker }
}

export function hostTable(name: string, spec: HostTable): { text: string; marker: string } {
  const masquerade = spec.masquerade.map(({ cidr, device }) => `  ${cidr.includes(':') ? 'ip6' : 'ip'} saddr ${cidr} oifname != "${device}" masquerade`)
  const guard = spec.tunnels.map(({ segment, peers }) => `  udp dport 4789 @th,96,24 ${segment} ${peers.length === 0 ? '' : `ip saddr != { ${peers.join(', ')} } `}drop`)
  return table('inet', name, [
    'chain postrouting {', '  type nat hook postrouting priority srcnat; policy accept;', ...masquerade.sort(), '}',
    'chain input {', '  type filter hook input priority filter; policy accept;', ...guard.sort(), '}',
  ])
}

/**
 * NAT of one router. Mark 1 is what came in by the gateway. A connection to a floating address from inside (hairpin) also
 * has its source changed, else the answer would go straight to the neighbour and never come back through here.
 */
export function routerTable(spec: RouterSpec, gateway: { device: string; address: string | null } | null): { text: string; marker: string } {
  if (gateway === null) return table('ip', 'router', [])
  const pairs = spec.floating_ips.filter((entry) => familyOf(entry.fixed_ip) === 4).map((entry) => ({ floating: ip(entry.floating_ip), fixed: ip(entry.fixed_ip) }))
  pairs.sort((a, b) => (a.floating < b.floating ? -1 : 1))
  const out = gateway.address
  const shared = out !== null && spec.gateway?.enable_snat === true
  const elements = (list: string[]): string[] => (list.length === 0 ? [] : [`  elements = { ${list.join(', ')} }`])
  // Where two floating addresses lead to one fixed address, the first one is its source.
  const bySource = new Map(pairs.map((pair) => [pair.fixed, pair.floating] as const).reverse())
  return table('ip', 'router', [
    'map by_floating {', '  type ipv4_addr : ipv4_addr', ...elements(pairs.map((pair) => `${pair.floating} : ${pair.fixed}`)), '}',
    'map by_fixed {', '  type ipv4_addr : ipv4_addr', ...elements([...bySource].sort().map(([fixed, floating]) => `${fixed} : ${floating}`)), '}',
    'chain entrance {', '  type filter hook prerouting priority mangle; policy accept;', `  iifname "${gateway.device}" meta mark set 1`, '}',
    'chain prerouting {', '  type nat hook prerouting priority dstnat; policy accept;', '  dnat to ip daddr map @by_floating', '}',
    'chain postrouting {', '  type nat hook postrouting priority srcnat; policy accept;',
    `  oifname "${gateway.device}" snat to ip saddr map @by_fixed`,
    '  meta mark != 1 ct status dnat snat to ip saddr map @by_fixed',
    ...(out === null ? [] : [`  meta mark != 1 ct status dnat snat to ${ip(out)}`]),
    ...(shared ? [`  oifname "${gateway.device}" snat to ${ip(out)}`] : []),
    '}',
    // A neighbour on the external network must not reach fixed addresses by routing through us.
    'chain forward {', '  type filter hook forward priority filter; policy accept;',
    ...(shared ? [`  iifname "${gateway.device}" oifname != "${gateway.device}" ct state new ct status & dnat == 0 drop`] : []), '}',
  ])
}

/** Applies a table where its marker is not there. `run` prefixes the namespace. */
export async function ensureTable(run: (argv: string[], input?: string) => Promise<string>, address: string[], wanted: { text: string; marker: string }): Promise<boolean> {
  const actual = await run(['nft', 'list', 'table', ...address]).catch(() => '')
  if (actual.includes(wanted.marker)) return false
  await run(['nft', '-f', '-'], wanted.text)
  return true
}

/**
 * In the userspace datapath the host's own stack sees each frame of a guest as well. A chain at the device's ingress hook
 * drops them there: the switch has read its copy before. Without it a guest could speak to the host past every rule.
 */
export async function guardDevice(exec: Exec, tableName: string, device: string, made: boolean): Promise<void> {
  const chain = `g_${device.replace(/[^a-zA-Z0-9]/g, '_')}`
  const present = await exec(['nft', 'list', 'chain', 'netdev', tableName, chain]).then((result) => result.stdout.includes('policy drop'), () => false)
  if (present && !made) return
  // A chain of an older device of this name has lost its hook: made anew.
  const lines = [`table netdev ${tableName}`, `add chain netdev ${tableName} ${chain}`, `delete chain netdev ${tableName} ${chain}`, `add chain netdev ${tableName} ${chain} { type filter hook ingress device "${device}" priority 0; policy drop; }`]
  await exec(['nft', '-f', '-'], { input: `${lines.join('\n')}\n` })
}

export async function unguardDevice(exec: Exec, tableName: string, device: string): Promise<void> {
  await exec(['nft', 'delete', 'chain', 'netdev', tableName, `g_${device.replace(/[^a-zA-Z0-9]/g, '_')}`]).catch(() => {})
}
