/** Networks of one project, in its object. A network's grants (shared, external) are rows of their own: what `shared` says follows from them. */
import { RpcTarget } from 'cloudflare:workers'
import { and, eq, inArray } from 'drizzle-orm'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import { type NetworkRow, addressScopes, addresses, claims, hosted, networks, ports, rbacPolicies, subnetPools, subnets } from '../../../schema/project/network.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { isFault } from '../../../schema/values/fault.ts'
import { bumped, checkRevision, standardRow } from '../api/standard.ts'
import { dropUnused } from '../floating-ips/store.ts'
import { conflict, invalidInput, networkInUse, notFound, overQuota } from '../faults.ts'
import { forgetSubnet, releaseHolder } from '../plane/addresses.ts'
import { DHCP_OWNER, type PublishedNetwork, chunked, subnetsOf } from '../plane/known.ts'
import { releaseClaim } from '../plane/foreign.ts'
import { withOwner } from '../plane/sessions.ts'
import { touch, touchUsers } from '../plane/touch.ts'
import { describe, isPublic, settle } from './publish.ts'
import { type NetworkGiven, PROVIDER_MTU, TENANT_MTU } from './requests.ts'
import type { NetworkRecord } from './views.ts'

export interface NetworkHints {
  ids?: string[]
}

export class Networks extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list({ ids }: NetworkHints = {}): NetworkRecord[] {
    const { db } = this.#deps
    const rows = ids === undefined ? db.select().from(networks).all() : chunked(ids).flatMap((part) => db.select().from(networks).where(inArray(networks.id, part)).all())
    const index = new Map<string, { id: string; subnetpool_id: string | null; ip_version: number }[]>()
    const some = ids === undefined ? db.select().from(subnets).orderBy(subnets.created_ms).all() : rows.flatMap((row) => subnetsOf(db, row.id))
    for (const subnet of some) index.set(subnet.network_id, [...(index.get(subnet.network_id) ?? []), subnet])
    return rows.map((row) => this.#record(row, index.get(row.id) ?? []))
  }

  get(id: string): NetworkRecord {
    return this.#record(this.#row(id), subnetsOf(this.#deps.db, id))
  }

  /** As others would see it: for an admin who uses a network that was published to nobody. */
  describe(id: string): PublishedNetwork {
    const found = describe(this.#deps, id)
    if (found === null) throw notFound('network', id)
    return found
  }

  /** Answers once those that others may see are published. */
  async createMany(wanted: NetworkGiven[]): Promise<NetworkRecord[]> {
    const ids = this.#deps.commit(this.#caller, (tx) => {
      peersOf(this.#deps).quotas.claim('network', tx.db, { network: wanted.length }, (over) => overQuota(over.map((one) => one.resource)))
      return wanted.map((given) => this.#insert(tx, given))
    })
    await this.#settleNew(ids, wanted)
    return ids.map((id) => this.get(id))
  }

  async update(id: string, given: NetworkGiven, revision: number | null): Promise<NetworkRecord> {
    const known = this.#deps.commit(this.#caller, (tx) => {
      const row = this.#row(id)
      checkRevision('network', row, revision)
      const { shared, 'router:external': external, ...rest } = given
      const next: Partial<NetworkRow> = { ...pick(rest), ...bumped(tx, row) }
      if (shared !== undefined && shared !== row.shared) next.shared = this.#grant(tx, row, 'access_as_shared', shared)
      if (external !== undefined && external !== row.external) next.external = this.#grant(tx, row, 'access_as_external', external)
      tx.db.update(networks).set(next).where(eq(networks.id, id)).run()
      tx.change('network', id, 'update', row, { ...row, ...next })
      touch(tx, 'network', id)
      touchUsers(tx, id)
      const known = isPublic(tx.db, id) || row.shared || row.external
      if (known) tx.outbox('network-settle', { network_id: id }, { key: `settle:${id}` })
      return known
    })
    if (known) await this.#settle(id)
    return this.get(id)
  }

  /** Hosts that carry the network. */
  hosts(id: string): string[] {
    this.#row(id)
    return this.#deps.db.select({ host_id: hosted.host_id }).from(hosted).where(and(eq(hosted.kind, 'network'), eq(hosted.id, id), eq(hosted.state, 'present'))).all().map((row) => row.host_id)
  }

  async remove(id: string, revision: number | null): Promise<void> {
    if (this.#row(id).external) await this.#dropForeignFloatingIps(id)
    const known = this.#deps.commit(this.#caller, (tx) => {
      const row = this.#row(id)
      checkRevision('network', row, revision)
      if (row.external) dropUnused(tx, id)
      const attached = tx.db.select().from(ports).where(eq(ports.network_id, id)).all()
      const dhcp = new Set(attached.filter((port) => port.device_owner === DHCP_OWNER).map((port) => port.id))
      const held = tx.db.select({ id: addresses.holder_id }).from(addresses).where(eq(addresses.network_id, id)).all().some((holder) => !dhcp.has(holder.id)) || tx.db.select({ id: claims.holder_id }).from(claims).where(eq(claims.network_id, id)).limit(1).all().length > 0
      if (held || dhcp.size < attached.length) throw networkInUse(id)
      const known = isPublic(tx.db, id)
      const index = new Map(subnetsOf(tx.db, id).map((subnet) => [subnet.id, subnet]))
      for (const port of attached) {
        releaseHolder(tx, index, port.id)
        tx.db.delete(ports).where(eq(ports.id, port.id)).run()
        tx.change('port', port.id, 'delete', port, null)
      }
      for (const subnet of index.values()) {
        forgetSubnet(tx, subnet.id)
        tx.change('subnet', subnet.id, 'delete', subnet, null)
      }
      tx.db.delete(subnets).where(eq(subnets.network_id, id)).run()
      tx.db.delete(rbacPolicies).where(eq(rbacPolicies.object_id, id)).run()
      tx.db.delete(networks).where(eq(networks.id, id)).run()
      tx.change('network', id, 'delete', row, null)
      touch(tx, 'network', id)
      tx.outbox('network-settle', { network_id: id }, { key: `settle:${id}` })
      return known
    })
    if (known) await this.#settle(id)
  }

  /** Others' floating IPs that lead nowhere do not hold an external network; anything else of others does. */
  async #dropForeignFloatingIps(id: string): Promise<void> {
    const held = this.#deps.db.select().from(claims).where(eq(claims.network_id, id)).all()
    if (held.some((claim) => claim.kind === 'port')) throw networkInUse(id)
    for (const project of new Set(held.map((claim) => claim.project_id))) {
      const dropped = await withOwner(this.#deps, project, this.#caller.request_id, (network) => network.floatingIps.dropUnused(id))
      this.#deps.commit(this.#caller, (tx) => {
        for (const holder of dropped) releaseClaim(tx, holder)
      })
    }
  }

  #settle(id: string): Promise<void> {
    return settle(this.#deps, id, this.#caller.request_id)
  }

  /** Where a segment id that was asked for is taken, none of the networks stays. */
  async #settleNew(ids: readonly string[], wanted: readonly NetworkGiven[]): Promise<void> {
    try {
      for (const [at, id] of ids.entries()) {
        const segment = wanted[at]?.['provider:segmentation_id'] ?? null
        if (segment !== null || isPublic(this.#deps.db, id)) await settle(this.#deps, id, this.#caller.request_id, segment)
      }
    } catch (error) {
      if (isFault(error, 'conflict')) for (const id of ids) await this.remove(id, null)
      throw error
    }
  }

  #insert(tx: Tx, given: NetworkGiven): string {
    const id = this.#deps.newId()
    const segment_id = given['provider:segmentation_id'] ?? null
    const type = given['provider:network_type'] ?? 'vxlan'
    const physical = given['provider:physical_network'] ?? null
    if (type === 'flat' && physical === null) throw invalidInput('physical_network required for flat provider network')
    if (type === 'flat' && segment_id !== null) throw invalidInput('segmentation_id specified for flat provider network')
    if (type !== 'flat' && physical !== null) throw invalidInput(`provider:physical_network specified for ${type} network`)
    const row: NetworkRow = {
      ...standardRow(tx, id, given), admin_state_up: given.admin_state_up ?? true, status: 'ACTIVE', shared: given.shared === true, external: given['router:external'] === true, is_default: given.is_default === true,
      mtu: given.mtu || (type === 'flat' ? PROVIDER_MTU : TENANT_MTU), port_security_enabled: given.port_security_enabled ?? true, network_type: type, physical_network: physical, segment_id: null,
      dns_domain: given.dns_domain ?? '', availability_zone_hints: given.availability_zone_hints ?? [],
    }
    tx.db.insert(networks).values(row).run()
    for (const [on, action] of [[row.shared, 'access_as_shared'], [row.external, 'access_as_external']] as const) if (on) this.#grant(tx, row, action, true)
    tx.change('network', id, 'create', null, row)
    tx.outbox('network-settle', { network_id: id, segment_id }, { key: `settle:${id}` })
    return id
  }

  /** Gives or withdraws '*' a right; refuses to withdraw what others use. Returns the new value. */
  #grant(tx: Tx, row: NetworkRow, action: 'access_as_shared' | 'access_as_external', on: boolean): boolean {
    const mine = and(eq(rbacPolicies.object_id, row.id), eq(rbacPolicies.action, action), eq(rbacPolicies.target_tenant, '*'))
    if (on) {
      if (tx.db.select().from(rbacPolicies).where(mine).all().length === 0) tx.db.insert(rbacPolicies).values({ id: this.#deps.newId(), object_type: 'network', object_id: row.id, action, target_tenant: '*' }).run()
    } else {
      refuseWithdrawal(tx, this.#deps.name, row, action)
      tx.db.delete(rbacPolicies).where(mine).run()
    }
    return on
  }

  #row(id: string): NetworkRow {
    const [row] = this.#deps.db.select().from(networks).where(eq(networks.id, id)).all()
    if (row === undefined) throw notFound('network', id)
    return row
  }

  #record(row: NetworkRow, own: { id: string; subnetpool_id: string | null; ip_version: number }[]): NetworkRecord {
    const scope = (version: number) => {
      const pool = own.find((subnet) => subnet.ip_version === version && subnet.subnetpool_id !== null)?.subnetpool_id
      if (pool == null) return null
      return this.#deps.db.select({ id: addressScopes.id }).from(subnetPools).innerJoin(addressScopes, eq(addressScopes.id, subnetPools.address_scope_id)).where(eq(subnetPools.id, pool)).get()?.id ?? null
    }
    return { row, subnets: own.map((subnet) => subnet.id), ipv4_address_scope: scope(4), ipv6_address_scope: scope(6) }
  }
}

/** Others' ports (or floating IPs, for an external network) stop a grant from being taken back. */
export function refuseWithdrawal(tx: Tx, ownName: string, row: NetworkRow, action: 'access_as_shared' | 'access_as_external', target = '*'): void {
  const held = tx.db.select().from(claims).where(eq(claims.network_id, row.id)).all().filter((claim) => claim.project_id !== ownName && (target === '*' || claim.project_id === target))
  if (held.length === 0) return
  if (action === 'access_as_external') throw invalidExternal(row.id)
  throw invalidShared(row.name)
}

const invalidShared = (name: string) => conflict('InvalidSharedSetting', `Unable to reconfigure sharing settings for network ${name}. Multiple tenants are using it.`)
const invalidExternal = (id: string) => conflict('ExternalNetworkInUse', `External network ${id} cannot be updated to be made non-external, since it has existing gateway ports.`)

/** Columns that an update sets as given. */
function pick(given: Omit<NetworkGiven, 'shared' | 'router:external'>): Partial<NetworkRow> {
  const { name, description, admin_state_up, is_default, mtu, port_security_enabled, dns_domain } = given
  return Object.fromEntries(Object.entries({ name, description, admin_state_up, is_default, mtu: mtu || undefined, port_security_enabled, dns_domain }).filter(([, value]) => value !== undefined)) as Partial<NetworkRow>
}
