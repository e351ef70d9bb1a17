/** Subnet pools of one project, in its object. */
import { RpcTarget } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import { type SubnetPoolRow, addressScopes, subnetPools, subnets } from '../../../schema/project/network.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { bumped, checkRevision, givenOnly, standardRow } from '../api/standard.ts'
import { badRequest, conflict, notFound, overQuota } from '../faults.ts'
import { bitsOf, cidrFrom, formatCidr } from '../../../schema/values/ip.ts'
import type { SubnetPoolGiven } from './requests.ts'

const PREFIX_MIN = { 4: 8, 6: 64 } as const

export class SubnetPools extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(): SubnetPoolRow[] {
    return this.#deps.db.select().from(subnetPools).all()
  }

  get(id: string): SubnetPoolRow {
    const [row] = this.#deps.db.select().from(subnetPools).where(eq(subnetPools.id, id)).all()
    if (row === undefined) throw notFound('subnetpool', id)
    return row
  }

  createMany(wanted: SubnetPoolGiven[]): SubnetPoolRow[] {
    return this.#deps.commit(this.#caller, (tx) => {
      peersOf(this.#deps).quotas.claim('network', tx.db, { subnetpool: wanted.length }, (over) => overQuota(over.map((one) => one.resource)))
      return wanted.map((given) => {
        const prefixes = compact(given.prefixes ?? [])
        const ip_version = cidrFrom(prefixes[0] ?? '0.0.0.0/0').version
        const row: SubnetPoolRow = {
          ...standardRow(tx, this.#deps.newId(), given), ip_version, prefixes, ...lengths(given, ip_version), default_quota: given.default_quota ?? null, address_scope_id: given.address_scope_id ?? null,
          shared: given.shared ?? false, is_default: given.is_default ?? false,
        }
        this.#checkScope(row)
        tx.db.insert(subnetPools).values(row).run()
        tx.change('subnetpool', row.id, 'create', null, row)
        return row
      })
    })
  }

  update(id: string, given: SubnetPoolGiven, revision: number | null): SubnetPoolRow {
    return this.#deps.commit(this.#caller, (tx) => {
      const row = this.get(id)
      checkRevision('subnetpool', row, revision)
      const next: SubnetPoolRow = { ...row, ...givenOnly(given), ...bumped(tx, row) }
      if (given.prefixes !== undefined) {
        next.prefixes = compact([...given.prefixes])
        const wider = next.prefixes.map(cidrFrom)
        if (!row.prefixes.map(cidrFrom).every((old) => wider.some((now) => now.version === old.version && now.first <= old.first && old.last <= now.last))) throw badRequest('Illegal update to prefixes: The new set of prefixes must be a superset of existing prefixes.')
      }
      Object.assign(next, lengths(next, row.ip_version))
      this.#checkScope(next)
      tx.db.update(subnetPools).set(next).where(eq(subnetPools.id, id)).run()
      tx.change('subnetpool', id, 'update', row, next)
      return next
    })
  }

  remove(id: string, revision: number | null): void {
    this.#deps.commit(this.#caller, (tx) => {
      const row = this.get(id)
      checkRevision('subnetpool', row, revision)
      if (tx.db.select({ id: subnets.id }).from(subnets).where(eq(subnets.subnetpool_id, id)).limit(1).all().length > 0) throw conflict('SubnetPoolDeleteError', `Unable to delete subnet pool: Subnet pool has existing allocations.`)
      tx.db.delete(subnetPools).where(eq(subnetPools.id, id)).run()
      tx.change('subnetpool', id, 'delete', row, null)
    })
  }

  #checkScope(row: SubnetPoolRow): void {
    if (row.address_scope_id === null) return
    const [scope] = this.#deps.db.select().from(addressScopes).where(eq(addressScopes.id, row.address_scope_id)).all()
    if (scope === undefined) throw notFound('address_scope', row.address_scope_id)
    if (scope.ip_version !== row.ip_version) throw badRequest(`Illegal subnetpool association: subnetpool ${row.id} cannot associate with address scope ${scope.id} because subnetpool ip_version is not ${scope.ip_version}.`)
    const others = this.list().filter((pool) => pool.id !== row.id && pool.address_scope_id === scope.id)
    const mine = row.prefixes.map(cidrFrom)
    if (others.some((pool) => pool.prefixes.map(cidrFrom).some((a) => mine.some((b) => a.first <= b.last && b.first <= a.last)))) throw conflict('AddressScopePrefixConflict', `Failed to associate address scope: subnetpools within an address scope must have unique prefixes.`)
  }
}

function lengths(given: { min_prefixlen?: number; max_prefixlen?: number; default_prefixlen?: number }, version: 4 | 6): Pick<SubnetPoolRow, 'min_prefixlen' | 'max_prefixlen' | 'default_prefixlen'> {
  const max_prefixlen = given.max_prefixlen ?? bitsOf(version)
  const min_prefixlen = given.min_prefixlen ?? PREFIX_MIN[version]
  const default_prefixlen = given.default_prefixlen ?? min_prefixlen
  if (min_prefixlen > max_prefixlen || max_prefixlen > bitsOf(version)) throw badRequest(`Illegal prefix bounds: min_prefixlen=${min_prefixlen}, max_prefixlen=${max_prefixlen}.`)
  if (default_prefixlen > max_prefixlen || default_prefixlen < min_prefixlen) throw badRequest(`Illegal prefix bounds: default_prefixlen=${default_prefixlen} is outside of min_prefixlen=${min_prefixlen} and max_prefixlen=${max_prefixlen}.`)
  return { min_prefixlen, max_prefixlen, default_prefixlen }
}

/** One version; overlapping and adjacent halves of a block made one, as upstream shows them. */
function compact(texts: string[]): string[] {
  let blocks = [...new Set(texts)].map(cidrFrom)
  if (new Set(blocks.map((block) => block.version)).size > 1) throw badRequest('All prefixes in a subnet pool must be of the same IP version.')
  blocks = blocks.filter((block) => !blocks.some((other) => other !== block && other.prefix <= block.prefix && other.first <= block.first && block.last <= other.last))
  return blocks.sort((a, b) => (a.first < b.first ? -1 : 1)).map(formatCidr)
}
