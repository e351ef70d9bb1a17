/** Addresses of this project's own networks, in its database: the pure free ranges of ipam.ts over an indexed table, and a unique row per address in use. */
import { and, asc, desc, eq, lte } from 'drizzle-orm'
import type { Db, Tx } from '../../../durable-objects/kernel/deps.ts'
import { type FixedIp, type SubnetRow, addresses, freeRanges } from '../../../schema/project/network.ts'
import { addressAllocated, invalidAddress, invalidForSubnet, invalidInput, noAddresses } from '../faults.ts'
import { cidrFrom, contains, eui64, formatIp, ipOf, keyOf, valueOfKey } from '../../../schema/values/ip.ts'
import { type FreeRanges, type Range, giveBack, rangesWithout, takeExact, takeLowest } from '../ipam.ts'
import { isAutoAddressed } from './known.ts'

export interface AddressWish {
  subnet_id?: string
  ip_address?: string
}

export interface Holder {
  id: string
  mac_address: string
  device_owner: string
}

const ranges = (db: Db, subnetId: string): FreeRanges => {
  const toRange = (row: { first: string; last: string } | undefined): Range | null => (row === undefined ? null : { first: valueOfKey(row.first), last: valueOfKey(row.last) })
  const mine = eq(freeRanges.subnet_id, subnetId)
  return {
    lowest: () => toRange(db.select().from(freeRanges).where(mine).orderBy(asc(freeRanges.first)).limit(1).get()),
    floor: (value) => toRange(db.select().from(freeRanges).where(and(mine, lte(freeRanges.first, keyOf(value)))).orderBy(desc(freeRanges.first)).limit(1).get()),
    at: (first) => toRange(db.select().from(freeRanges).where(and(mine, eq(freeRanges.first, keyOf(first)))).get()),
    put: ({ first, last }) => void db.insert(freeRanges).values({ subnet_id: subnetId, first: keyOf(first), last: keyOf(last) }).run(),
    remove: (first) => void db.delete(freeRanges).where(and(mine, eq(freeRanges.first, keyOf(first)))).run(),
  }
}

export const poolRanges = (subnet: Pick<SubnetRow, 'allocation_pools'>): Range[] => subnet.allocation_pools.map(({ start, end }) => ({ first: ipOf(start).value, last: ipOf(end).value }))
const inPools = (subnet: SubnetRow, value: bigint) => poolRanges(subnet).some((range) => range.first <= value && value <= range.last)

/** Makes the free ranges of a new subnet, or of one whose pools changed. */
export function rebuildFree(tx: Tx, subnet: SubnetRow): void {
  tx.db.delete(freeRanges).where(eq(freeRanges.subnet_id, subnet.id)).run()
  const used = tx.db.select({ ip: addresses.ip }).from(addresses).where(eq(addresses.subnet_id, subnet.id)).orderBy(addresses.ip).all().map((row) => valueOfKey(row.ip))
  for (const { first, last } of rangesWithout(poolRanges(subnet), used)) tx.db.insert(freeRanges).values({ subnet_id: subnet.id, first: keyOf(first), last: keyOf(last) }).run()
}

export function forgetSubnet(tx: Tx, subnetId: string): void {
  tx.db.delete(freeRanges).where(eq(freeRanges.subnet_id, subnetId)).run()
  tx.db.delete(addresses).where(eq(addresses.subnet_id, subnetId)).run()
}

/** Who holds an address, or null. */
export const holderOf = (db: Db, subnetId: string, ip: string): string | null => db.select({ holder_id: addresses.holder_id }).from(addresses).where(and(eq(addresses.subnet_id, subnetId), eq(addresses.ip, keyOf(ipOf(ip).value)))).get()?.holder_id ?? null

function hold(tx: Tx, subnet: SubnetRow, value: bigint, holderId: string): FixedIp {
  tx.db.insert(addresses).values({ subnet_id: subnet.id, ip: keyOf(value), network_id: subnet.network_id, holder_id: holderId }).run()
  return { subnet_id: subnet.id, ip_address: formatIp(subnet.ip_version, value) }
}

/** Takes this address; 409 where somebody has it. */
export function takeAddress(tx: Tx, subnet: SubnetRow, ip: string, holderId: string): FixedIp {
  const { value } = ipOf(ip)
  if (holderOf(tx.db, subnet.id, ip) !== null) throw addressAllocated(subnet.id, ip)
  if (inPools(subnet, value)) takeExact(ranges(tx.db, subnet.id), value)
  return hold(tx, subnet, value, holderId)
}

/** Takes the lowest free address, or null. */
export function takeAny(tx: Tx, subnet: SubnetRow, holderId: string): FixedIp | null {
  const value = takeLowest(ranges(tx.db, subnet.id))
  return value === null ? null : hold(tx, subnet, value, holderId)
}

export function releaseAddress(tx: Tx, subnet: SubnetRow | undefined, fixed: FixedIp): void {
  const { value } = ipOf(fixed.ip_address)
  const freed = tx.db.delete(addresses).where(and(eq(addresses.subnet_id, fixed.subnet_id), eq(addresses.ip, keyOf(value)))).returning({ ip: addresses.ip }).all()
  if (freed.length > 0 && subnet !== undefined && inPools(subnet, value)) giveBack(ranges(tx.db, subnet.id), value)
}

/** Gives back all that a holder has. */
export function releaseHolder(tx: Tx, subnetsById: Map<string, SubnetRow>, holderId: string): void {
  for (const row of tx.db.select().from(addresses).where(eq(addresses.holder_id, holderId)).all()) {
    const subnet = subnetsById.get(row.subnet_id)
    if (subnet !== undefined) releaseAddress(tx, subnet, { subnet_id: row.subnet_id, ip_address: formatIp(subnet.ip_version, valueOfKey(row.ip)) })
  }
}

const isRouterOwner = (owner: string) => owner.startsWith('network:router') || owner === 'network:ha_router_replicated_interface'
const serves = (subnet: SubnetRow, owner: string) => subnet.service_types.length === 0 || subnet.service_types.some((type) => owner.startsWith(type))

/**
 * The addresses of a port. Without wishes: one of the version 4 subnets, one of the stateful version 6 subnets, and the port's own in each subnet
 * where ports address themselves (upstream: ipam_pluggable_backend, _allocate_ips_for_port).
 */
export function allocate(tx: Tx, networkId: string, subnets: readonly SubnetRow[], wishes: readonly AddressWish[] | undefined, holder: Holder): FixedIp[] {
  const usable = subnets.filter((subnet) => serves(subnet, holder.device_owner))
  const auto = usable.filter(isAutoAddressed)
  const taken: FixedIp[] = []
  if (wishes === undefined) {
    for (const version of [4, 6] as const) {
      const candidates = usable.filter((subnet) => subnet.ip_version === version && !isAutoAddressed(subnet))
      if (candidates.length > 0) taken.push(firstFree(tx, networkId, candidates, holder.id))
    }
  } else {
    const inOrder = wishes.map((wish, at) => ({ wish, at })).sort((a, b) => Number(b.wish.ip_address !== undefined) - Number(a.wish.ip_address !== undefined))
    const placed = inOrder.map(({ wish, at }) => ({ at, fixed: grant(tx, networkId, subnets, wish, holder) }))
    taken.push(...placed.sort((a, b) => a.at - b.at).map(({ fixed }) => fixed))
    if (wishes.length === 0) return []
  }
  if (!isRouterOwner(holder.device_owner)) for (const subnet of auto) if (!taken.some((fixed) => fixed.subnet_id === subnet.id)) taken.push(takeOwn(tx, subnet, holder))
  return taken
}

function firstFree(tx: Tx, networkId: string, candidates: readonly SubnetRow[], holderId: string): FixedIp {
  for (const subnet of candidates) {
    const fixed = takeAny(tx, subnet, holderId)
    if (fixed !== null) return fixed
  }
  throw noAddresses(networkId)
}

const takeOwn = (tx: Tx, subnet: SubnetRow, holder: Holder): FixedIp => takeAddress(tx, subnet, formatIp(6, eui64(cidrFrom(subnet.cidr), holder.mac_address)), holder.id)

function grant(tx: Tx, networkId: string, subnets: readonly SubnetRow[], wish: AddressWish, holder: Holder): FixedIp {
  const subnet = subnetFor(networkId, subnets, wish)
  if (wish.ip_address === undefined) {
    if (isAutoAddressed(subnet) && !isRouterOwner(holder.device_owner)) return takeOwn(tx, subnet, holder)
    return firstFree(tx, networkId, [subnet], holder.id)
  }
  if (isAutoAddressed(subnet) && !isRouterOwner(holder.device_owner) && wish.ip_address !== formatIp(6, eui64(cidrFrom(subnet.cidr), holder.mac_address))) {
    throw invalidInput(`IPv6 address ${wish.ip_address} can not be directly assigned to a port on subnet ${subnet.id} as the subnet is configured for automatic addresses`)
  }
  return takeAddress(tx, subnet, wish.ip_address, holder.id)
}

function subnetFor(networkId: string, subnets: readonly SubnetRow[], wish: AddressWish): SubnetRow {
  if (wish.subnet_id !== undefined) {
    const subnet = subnets.find((one) => one.id === wish.subnet_id)
    if (subnet === undefined) throw invalidInput(`Failed to create port on network ${networkId}, because fixed_ips included invalid subnet ${wish.subnet_id}`)
    if (wish.ip_address !== undefined && !isHostAddress(subnet, wish.ip_address)) throw invalidForSubnet(wish.ip_address)
    return subnet
  }
  const subnet = subnets.find((one) => contains(cidrFrom(one.cidr), ipOf(wish.ip_address ?? '::')))
  if (subnet === undefined || !isHostAddress(subnet, wish.ip_address ?? '')) throw invalidAddress(String(wish.ip_address))
  return subnet
}

/** Inside the subnet, and neither its network nor its broadcast address. */
export function isHostAddress(subnet: Pick<SubnetRow, 'cidr' | 'ip_version'>, text: string): boolean {
  const cidr = cidrFrom(subnet.cidr)
  const ip = ipOf(text)
  if (!contains(cidr, ip)) return false
  if (cidr.version === 4) return cidr.prefix >= 31 || (ip.value !== cidr.first && ip.value !== cidr.last)
  return cidr.prefix >= 127 || ip.value !== cidr.first
}

/** Turns the addresses a holder has into those wished for, keeping what stays. */
export function reallocate(tx: Tx, networkId: string, subnets: readonly SubnetRow[], before: readonly FixedIp[], wishes: readonly AddressWish[], holder: Holder): FixedIp[] {
  const kept = new Set<FixedIp>()
  const plan = wishes.map((wish) => {
    const same = before.find((fixed) => !kept.has(fixed) && (wish.ip_address !== undefined ? fixed.ip_address === wish.ip_address && (wish.subnet_id === undefined || wish.subnet_id === fixed.subnet_id) : fixed.subnet_id === wish.subnet_id))
    if (same !== undefined) kept.add(same)
    return same ?? wish
  })
  for (const fixed of before) if (!kept.has(fixed)) releaseAddress(tx, subnets.find((subnet) => subnet.id === fixed.subnet_id), fixed)
  const missing = plan.filter((wish): wish is AddressWish => !kept.has(wish as FixedIp))
  const fresh = missing.length === 0 ? [] : missing.map((wish) => grant(tx, networkId, subnets, wish, holder))
  return plan.map((wish) => (kept.has(wish as FixedIp) ? (wish as FixedIp) : (fresh.shift() as FixedIp)))
}
