/** Blocks of a subnet pool: the first free one of a length, or a given one. The pool's subnets are what is used. */
import { eq } from 'drizzle-orm'
import type { Tx } from '../../../durable-objects/kernel/deps.ts'
import { subnetPools, subnets } from '../../../schema/project/network.ts'
import { badRequest, conflict, notFound } from '../faults.ts'
import { type Cidr, bitsOf, cidrFrom, cidrOf, formatCidr, overlaps } from '../../../schema/values/ip.ts'

/** Pure: the lowest block of `prefix` bits in `prefixes` that meets none of `used`. */
export function firstFreeBlock(prefixes: readonly Cidr[], used: readonly Cidr[], prefix: number): Cidr | null {
  const taken = [...used].sort((a, b) => (a.first < b.first ? -1 : 1))
  for (const home of [...prefixes].sort((a, b) => (a.first < b.first ? -1 : 1))) {
    if (home.prefix > prefix) continue
    let candidate = cidrOf(home.version, home.first, prefix)
    for (const block of taken) {
      if (block.last < candidate.first) continue
      if (block.first > candidate.last) break
      const size = candidate.last - candidate.first + 1n
      const next = ((block.last + size) / size) * size
      candidate = { ...candidate, first: next, last: next + size - 1n }
    }
    if (candidate.last <= home.last) return candidate
  }
  return null
}

export function takePrefix(tx: Tx, poolId: string, version: 4 | 6 | null, wanted: string | null, prefixlen: number | null): { cidr: string; ip_version: 4 | 6 } {
  const [pool] = tx.db.select().from(subnetPools).where(eq(subnetPools.id, poolId)).all()
  if (pool === undefined) throw notFound('subnetpool', poolId)
  if (version !== null && version !== pool.ip_version) throw badRequest(`Bad subnets request: Cannot allocate IPv${version} subnet from IPv${pool.ip_version} subnet pool.`)
  const prefixes = pool.prefixes.map(cidrFrom)
  const used = tx.db.select({ cidr: subnets.cidr }).from(subnets).where(eq(subnets.subnetpool_id, poolId)).all().map((row) => cidrFrom(row.cidr))
  const length = wanted !== null ? cidrFrom(wanted).prefix : (prefixlen ?? pool.default_prefixlen)
  if (length < pool.min_prefixlen) throw badRequest(`Unable to allocate subnet with prefix length ${length}, minimum allowed prefix is ${pool.min_prefixlen}.`)
  if (length > pool.max_prefixlen) throw badRequest(`Unable to allocate subnet with prefix length ${length}, maximum allowed prefix is ${pool.max_prefixlen}.`)
  checkQuota(pool.default_quota, used, length, pool.ip_version)
  if (wanted !== null) {
    const cidr = cidrFrom(wanted)
    if (!prefixes.some((prefix) => prefix.version === cidr.version && prefix.first <= cidr.first && cidr.last <= prefix.last) || used.some((block) => overlaps(block, cidr))) throw conflict('SubnetAllocationError', `Failed to allocate subnet: Cannot allocate requested subnet from the available set of prefixes.`)
    return { cidr: wanted, ip_version: pool.ip_version }
  }
  const block = firstFreeBlock(prefixes, used, length)
  if (block === null) throw conflict('SubnetAllocationError', `Failed to allocate subnet: Insufficient prefix space to allocate subnet size /${length}.`)
  return { cidr: formatCidr(block), ip_version: pool.ip_version }
}

/** A pool's quota counts addresses (version 4) or /64 blocks (version 6). */
function checkQuota(quota: number | null, used: readonly Cidr[], length: number, version: 4 | 6): void {
  if (quota === null) return
  const unit = (prefix: number) => (version === 4 ? 2 ** (bitsOf(4) - prefix) : Math.max(1, 2 ** (64 - prefix)))
  if (used.reduce((sum, block) => sum + unit(block.prefix), 0) + unit(length) > quota) throw conflict('SubnetPoolQuotaExceeded', 'Per-tenant subnet pool prefix quota exceeded.')
}

