/** Subnets of one project's networks, in its object. */
import { RpcTarget } from 'cloudflare:workers'
import { and, eq, ne } from 'drizzle-orm'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import { type SubnetRow, addresses, networks, ports, subnets } from '../../../schema/project/network.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { bumped, checkRevision, standardRow } from '../api/standard.ts'
import { badRequest, gatewayInUse, invalidInput, notFound, overQuota, subnetInUse } from '../faults.ts'
import { cidrFrom } from '../../../schema/values/ip.ts'
import { isPublic, networkMoved, settle } from '../networks/publish.ts'
import { allocate, forgetSubnet, holderOf, isHostAddress, rebuildFree, releaseAddress } from '../plane/addresses.ts'
import { DHCP_OWNER, chunked, isAutoAddressed, portsById, subnetsOf } from '../plane/known.ts'
import { touch, touchUsers } from '../plane/touch.ts'
import { takePrefix } from '../subnet-pools/allocate.ts'
import { syncDhcpPort } from './dhcp.ts'
import type { SubnetGiven } from './requests.ts'
import { checkGateway, checkModes, checkOverlap, checkPools, checkVersions, defaultGateway, defaultPools } from './validate.ts'

export interface SubnetHints {
  ids?: string[]
  network_ids?: string[]
}

export class Subnets extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list({ ids, network_ids }: SubnetHints = {}): SubnetRow[] {
    const { db } = this.#deps
    if (ids !== undefined) return chunked(ids).flatMap((part) => part.flatMap((id) => db.select().from(subnets).where(eq(subnets.id, id)).all()))
    if (network_ids !== undefined) return network_ids.flatMap((id) => subnetsOf(db, id))
    return db.select().from(subnets).all()
  }

  get(id: string): SubnetRow {
    const [row] = this.#deps.db.select().from(subnets).where(eq(subnets.id, id)).all()
    if (row === undefined) throw notFound('subnet', id)
    return row
  }

  /** Answers once the networks that others may see are published with them. */
  async createMany(wanted: SubnetGiven[]): Promise<SubnetRow[]> {
    const ids = this.#deps.commit(this.#caller, (tx) => {
      peersOf(this.#deps).quotas.claim('network', tx.db, { subnet: wanted.length }, (over) => overQuota(over.map((one) => one.resource)))
      return wanted.map((given) => this.#insert(tx, given))
    })
    const rows = ids.map((id) => this.get(id))
    await this.#settle(rows)
    return rows
  }

  async update(id: string, given: SubnetGiven, revision: number | null): Promise<SubnetRow> {
    this.#deps.commit(this.#caller, (tx) => {
      const row = this.get(id)
      checkRevision('subnet', row, revision)
      const next: SubnetRow = { ...row, ...changesOf(given), ...bumped(tx, row) }
      next.allocation_pools = given.allocation_pools == null ? row.allocation_pools : checkPools(given.allocation_pools, row.cidr)
      checkVersions(row.ip_version, next.dns_nameservers, 'nameserver')
      if (given.gateway_ip !== undefined && given.gateway_ip !== row.gateway_ip) this.#changeGateway(tx, row, next)
      checkGateway(next.gateway_ip, next.allocation_pools, next.cidr)
      if (!next.enable_dhcp && (row.ipv6_ra_mode !== null || row.ipv6_address_mode !== null) && row.enable_dhcp) checkModes(next)
      tx.db.update(subnets).set(next).where(eq(subnets.id, id)).run()
      if (given.allocation_pools != null) rebuildFree(tx, next)
      tx.change('subnet', id, 'update', row, next)
      this.#moved(tx, row.network_id)
    })
    const row = this.get(id)
    await this.#settle([row])
    return row
  }

  async remove(id: string, revision: number | null): Promise<void> {
    const row = this.get(id)
    this.#deps.commit(this.#caller, (tx) => {
      checkRevision('subnet', row, revision)
      this.#vacate(tx, row)
      forgetSubnet(tx, id)
      tx.db.delete(subnets).where(eq(subnets.id, id)).run()
      tx.change('subnet', id, 'delete', row, null)
      this.#moved(tx, row.network_id)
    })
    await this.#settle([row])
  }

  /** Refuses while somebody else than DHCP has an address here; ports that addressed themselves just lose it. */
  #vacate(tx: Tx, row: SubnetRow): void {
    const holders = [...new Set(tx.db.select({ id: addresses.holder_id }).from(addresses).where(eq(addresses.subnet_id, row.id)).all().map((one) => one.id))]
    const holding = portsById(tx.db, holders)
    const movable = holding.filter((port) => port.device_owner === DHCP_OWNER || (isAutoAddressed(row) && !port.device_owner.startsWith('network:router')))
    if (movable.length < holders.length) throw subnetInUse(row.id)
    for (const port of movable) {
      for (const fixed of port.fixed_ips) if (fixed.subnet_id === row.id) releaseAddress(tx, row, fixed)
      tx.db.update(ports).set({ fixed_ips: port.fixed_ips.filter((fixed) => fixed.subnet_id !== row.id), ...bumped(tx, port) }).where(eq(ports.id, port.id)).run()
      if (port.host_id !== '') touch(tx, 'port', port.id)
    }
  }

  #insert(tx: Tx, given: SubnetGiven): string {
    const [network] = tx.db.select().from(networks).where(eq(networks.id, given.network_id ?? '')).all()
    if (network === undefined) throw notFound('network', given.network_id ?? '')
    const row = rowOf(tx, this.#deps.newId(), given)
    checkOverlap(row.cidr, subnetsOf(tx.db, network.id), network.id)
    tx.db.insert(subnets).values(row).run()
    rebuildFree(tx, row)
    tx.change('subnet', row.id, 'create', null, row)
    this.#moved(tx, network.id)
    if (isAutoAddressed(row)) this.#addressPorts(tx, row)
    return row.id
  }

  /** A subnet where ports address themselves reaches those that are there already (upstream does so too). */
  #addressPorts(tx: Tx, row: SubnetRow): void {
    const there = tx.db.select().from(ports).where(and(eq(ports.network_id, row.network_id), ne(ports.device_owner, DHCP_OWNER))).all()
    for (const port of there.filter((one) => !one.device_owner.startsWith('network:'))) {
      const fixed = allocate(tx, row.network_id, [row], [{ subnet_id: row.id }], port)
      tx.db.update(ports).set({ fixed_ips: [...port.fixed_ips, ...fixed], ...bumped(tx, port) }).where(eq(ports.id, port.id)).run()
      touch(tx, 'port', port.id)
    }
  }

  #changeGateway(tx: Tx, row: SubnetRow, next: SubnetRow): void {
    if (row.gateway_ip !== null) {
      const holder = holderOf(tx.db, row.id, row.gateway_ip)
      const [port] = holder === null ? [] : portsById(tx.db, [holder])
      if (port?.device_owner.startsWith('network:router_interface')) throw gatewayInUse(row.gateway_ip, port.id)
    }
    if (next.gateway_ip !== null) checkVersions(row.ip_version, [next.gateway_ip], 'gateway_ip')
  }

  #moved(tx: Tx, networkId: string): void {
    syncDhcpPort(this.#deps, tx, networkId)
    networkMoved(tx, networkId)
    touch(tx, 'network', networkId)
    touchUsers(tx, networkId)
  }

  async #settle(rows: readonly SubnetRow[]): Promise<void> {
    const ids = [...new Set(rows.map((row) => row.network_id))].filter((id) => isPublic(this.#deps.db, id))
    await Promise.all(ids.map((id) => settle(this.#deps, id, this.#caller.request_id)))
  }
}

function rowOf(tx: Tx, id: string, given: SubnetGiven): SubnetRow {
  const pooled = given.subnetpool_id != null ? takePrefix(tx, given.subnetpool_id, given.ip_version ?? null, given.cidr ?? null, given.prefixlen ?? null) : null
  const cidrText = pooled?.cidr ?? given.cidr ?? null
  if (cidrText === null) throw badRequest('Bad subnets request: a subnetpool must be specified in the absence of a cidr.')
  const cidr = cidrFrom(cidrText)
  const version = given.ip_version ?? pooled?.ip_version
  if (version === undefined) throw badRequest('Failed to parse request. Required attribute \'ip_version\' not specified')
  if (cidr.version !== version) throw invalidInput(`cidr '${cidrText}' does not match the ip_version '${version}'`)
  if (given.prefixlen !== undefined && pooled === null) throw badRequest('Bad subnets request: prefixlen can only be given with a subnetpool.')
  const gateway_ip = given.gateway_ip === undefined ? defaultGateway(cidr) : given.gateway_ip
  const allocation_pools = given.allocation_pools == null ? defaultPools(cidr, gateway_ip) : checkPools(given.allocation_pools, cidrText)
  const row: SubnetRow = {
    ...standardRow(tx, id, given), network_id: given.network_id ?? '', ip_version: version, cidr: cidrText, gateway_ip, enable_dhcp: given.enable_dhcp ?? true, allocation_pools,
    dns_nameservers: given.dns_nameservers ?? [], host_routes: given.host_routes ?? [], ipv6_ra_mode: given.ipv6_ra_mode ?? null, ipv6_address_mode: given.ipv6_address_mode ?? null,
    subnetpool_id: given.subnetpool_id ?? null, service_types: given.service_types ?? [], dns_publish_fixed_ip: given.dns_publish_fixed_ip ?? false,
  }
  checkModes(row)
  checkGateway(gateway_ip, given.allocation_pools == null ? [] : allocation_pools, cidrText)
  if (gateway_ip !== null && isAutoAddressed(row) && !isHostAddress(row, gateway_ip) && !gateway_ip.startsWith('fe80:')) throw invalidInput('Gateway is not valid on subnet')
  checkVersions(version, row.dns_nameservers, 'nameserver')
  checkVersions(version, row.host_routes.flatMap((route) => [route.destination, route.nexthop]), 'host_routes')
  return row
}

function changesOf(given: SubnetGiven): Partial<SubnetRow> {
  const { name, description, gateway_ip, dns_nameservers, host_routes, enable_dhcp, service_types, dns_publish_fixed_ip } = given
  return Object.fromEntries(Object.entries({ name, description, gateway_ip, dns_nameservers, host_routes, enable_dhcp, service_types, dns_publish_fixed_ip }).filter(([, value]) => value !== undefined)) as Partial<SubnetRow>
}
