/** What makes a subnet's numbers hold together (upstream: neutron/ipam/requests and db/ipam_backend_mixin). Pure. */
import type { Pool, SubnetRow } from '../../../schema/project/network.ts'
import { gatewayInPool, invalidInput, invalidPool, overlappingPools, poolOutOfBounds } from '../faults.ts'
import { type Cidr, cidrFrom, contains, formatIp, ipOf, overlaps } from '../../../schema/values/ip.ts'
import { rangesAround } from '../ipam.ts'

/** The gateway that upstream picks: the first address of the block. */
export function defaultGateway(cidr: Cidr): string | null {
  if (cidr.version === 4 && cidr.prefix === 32) return null
  return formatIp(cidr.version, cidr.first === cidr.last || cidr.prefix === (cidr.version === 4 ? 31 : 127) ? cidr.first : cidr.first + 1n)
}

/** Pools of the whole block: without network, broadcast and gateway. */
export function defaultPools(cidr: Cidr, gateway: string | null): Pool[] {
  const whole = cidr.prefix >= (cidr.version === 4 ? 31 : 127)
  const first = whole ? cidr.first : cidr.first + 1n
  const last = whole || cidr.version === 6 ? cidr.last : cidr.last - 1n
  const hole = gateway !== null && contains(cidr, ipOf(gateway)) ? ipOf(gateway).value : null
  return rangesAround({ first, last }, hole).map((range) => ({ start: formatIp(cidr.version, range.first), end: formatIp(cidr.version, range.last) }))
}

const shownPool = (pool: Pool) => `${pool.start}-${pool.end}`

export function checkPools(pools: readonly Pool[], cidrText: string): Pool[] {
  const cidr = cidrFrom(cidrText)
  const ranges = pools.map((pool) => {
    const [start, end] = [ipOf(pool.start), ipOf(pool.end)]
    if (start.version !== cidr.version || end.version !== cidr.version || end.value < start.value) throw invalidPool(shownPool(pool))
    const [lowest, highest] = cidr.version === 4 && cidr.prefix < 31 ? [cidr.first + 1n, cidr.last - 1n] : [cidr.first, cidr.last]
    if (start.value < lowest || end.value > highest) throw poolOutOfBounds(shownPool(pool), cidrText)
    return { pool, first: start.value, last: end.value }
  })
  const sorted = [...ranges].sort((a, b) => (a.first < b.first ? -1 : 1))
  sorted.forEach((range, at) => {
    const next = sorted[at + 1]
    if (next !== undefined && next.first <= range.last) throw overlappingPools(shownPool(range.pool), shownPool(next.pool), cidrText)
  })
  return ranges.map(({ pool }) => ({ start: pool.start, end: pool.end }))
}

export function checkGateway(gateway: string | null, pools: readonly Pool[], cidrText: string): void {
  if (gateway === null) return
  const cidr = cidrFrom(cidrText)
  const ip = ipOf(gateway)
  if (ip.version !== cidr.version) throw invalidInput(`gateway_ip '${gateway}' does not match the ip_version '${cidr.version}'`)
  if (cidr.version === 4 && cidr.prefix < 31 && (ip.value === cidr.first || ip.value === cidr.last)) throw invalidInput(`Gateway is not valid on subnet`)
  const clash = pools.find((pool) => ipOf(pool.start).value <= ip.value && ip.value <= ipOf(pool.end).value)
  if (clash !== undefined) throw gatewayInPool(gateway, shownPool(clash))
}

export function checkVersions(version: 4 | 6, texts: readonly string[], what: string): void {
  for (const text of texts) if (ipOf(text.split('/')[0] ?? text).version !== version) throw invalidInput(`${what} '${text}' does not match the ip_version '${version}'`)
}

export function checkModes(row: Pick<SubnetRow, 'ip_version' | 'ipv6_ra_mode' | 'ipv6_address_mode' | 'enable_dhcp' | 'cidr'>): void {
  const { ipv6_ra_mode: ra, ipv6_address_mode: address } = row
  if (ra === null && address === null) return
  if (row.ip_version === 4) throw invalidInput('ipv6_ra_mode and ipv6_address_mode are not valid when ip_version is 4')
  if (!row.enable_dhcp) throw invalidInput("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")
  if (ra !== null && address !== null && ra !== address) throw invalidInput(`ipv6_ra_mode set to '${ra}' with ipv6_address_mode set to '${address}' is not valid. If both attributes are set, they must be the same value`)
  if ([ra, address].some((mode) => mode === 'slaac' || mode === 'dhcpv6-stateless') && cidrFrom(row.cidr).prefix !== 64) throw invalidInput(`Invalid CIDR ${row.cidr} for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the prefix to be /64`)
}

/** Two subnets of one network never share an address. Tempest finds the words. */
export function checkOverlap(cidrText: string, others: readonly Pick<SubnetRow, 'cidr'>[], networkId: string): void {
  const cidr = cidrFrom(cidrText)
  if (others.some((other) => overlaps(cidr, cidrFrom(other.cidr)))) throw invalidInput(`Requested subnet with cidr: ${cidrText} for network: ${networkId} overlaps with another subnet`)
}
