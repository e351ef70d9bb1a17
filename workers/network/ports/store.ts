/** Ports of one project, in its object, on its own networks and on others'. */
import { RpcTarget } from 'cloudflare:workers'
import { eq, inArray } from 'drizzle-orm'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import { type PortRow, ports } from '../../../schema/project/network.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { bumped, checkRevision } from '../api/standard.ts'
import { macInUse, notFound, overQuota, portHeld } from '../faults.ts'
import { networkMoved } from '../networks/publish.ts'
import { claimOn, foreignNetwork, refuseOnForeign, releaseNow, withClaims } from '../plane/acquire.ts'
import { type AddressWish, reallocate } from '../plane/addresses.ts'
import { type Claim, DHCP_OWNER, chunked, findNetwork, known, knownNetwork, rememberForeign } from '../plane/known.ts'
import { macTaken } from '../plane/mac.ts'
import { withOwner } from '../plane/sessions.ts'
import { touchNetwork } from '../plane/touch.ts'
import { syncDhcpPort } from '../subnets/dhcp.ts'
import { checkSecurity, deletePort, dropStrayFloatingIps, groupsOf, insertPort, isBound, options, portMoved } from './insert.ts'
import type { PortGiven } from './requests.ts'

export interface PortHints {
  ids?: string[]
  network_ids?: string[]
  device_ids?: string[]
}

export class Ports extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list({ ids, network_ids, device_ids }: PortHints = {}): PortRow[] {
    const { db } = this.#deps
    const by = (column: typeof ports.id | typeof ports.network_id | typeof ports.device_id, values: string[]) => chunked(values).flatMap((part) => db.select().from(ports).where(inArray(column, part)).all())
    if (ids !== undefined) return by(ports.id, ids)
    if (device_ids !== undefined) return by(ports.device_id, device_ids)
    if (network_ids !== undefined) return by(ports.network_id, network_ids)
    return db.select().from(ports).all()
  }

  get(id: string): PortRow {
    const [row] = this.#deps.db.select().from(ports).where(eq(ports.id, id)).all()
    if (row === undefined) throw notFound('port', id)
    return row
  }

  async createMany(wanted: PortGiven[]): Promise<PortRow[]> {
    return await withClaims(this.#deps, this.#caller, async (claims) => {
      const prepared: { id: string; given: PortGiven; claim: Claim | null }[] = []
      for (const given of wanted) {
        const id = this.#deps.newId()
        const claim = await this.claim(id, given)
        if (claim !== null) claims.push(claim)
        prepared.push({ id, given, claim })
      }
      return this.#deps.commit(this.#caller, (tx) => {
        peersOf(this.#deps).quotas.claim('network', tx.db, { port: wanted.length }, (over) => overQuota(over.map((one) => one.resource)))
        return prepared.map(({ id, given, claim }) => insertPort(this.#deps, tx, { id, given, claim, network: claim === null ? knownNetwork(tx.db, given.network_id ?? '') : known(claim.network) }))
      })
    })
  }

  /** Addresses on another project's network for a port to be; null where the network is this project's. */
  async claim(portId: string, given: PortGiven): Promise<Claim | null> {
    const network = await foreignNetwork(this.#deps, this.#caller, given.network_id ?? '')
    if (network === null) return null
    refuseOnForeign(this.#caller, network, this.#deps.name, given)
    return await claimOn(this.#deps, this.#caller, network, { holder_id: portId, kind: 'port', device_owner: given.device_owner ?? '', mac_address: given.mac_address, fixed_ips: given.fixed_ips })
  }

  async update(id: string, given: PortGiven, revision: number | null): Promise<PortRow> {
    const before = this.get(id)
    checkRevision('port', before, revision)
    if (given.fixed_ips === undefined || before.network_owner_id === null) return this.#save(id, given, revision, null)
    const claim = await this.#reclaim(before.network_owner_id, id, given.fixed_ips)
    try {
      return this.#save(id, given, revision, claim)
    } catch (error) {
      await this.#reclaim(before.network_owner_id, id, before.fixed_ips)
      throw error
    }
  }

  #save(id: string, given: PortGiven, revision: number | null, claim: Claim | null): PortRow {
    return this.#deps.commit(this.#caller, (tx) => {
      const row = this.get(id)
      checkRevision('port', row, revision)
      const next = this.#changed(tx, row, given, claim)
      checkSecurity(next)
      tx.db.update(ports).set(next).where(eq(ports.id, id)).run()
      tx.change('port', id, 'update', row, next)
      if (given.fixed_ips !== undefined) dropStrayFloatingIps(tx, next)
      portMoved(tx, row, next)
      if (next.device_owner === DHCP_OWNER) touchNetwork(tx, next.network_id, next.network_owner_id)
      for (const server of new Set([row, next].filter(isBound).map((port) => port.device_id))) peersOf(this.#deps).servers.touched(tx, server)
      return next
    })
  }

  async remove(id: string, revision: number | null): Promise<void> {
    const row = this.get(id)
    this.#deps.commit(this.#caller, (tx) => {
      checkRevision('port', row, revision)
      if (row.device_owner.startsWith('network:router')) throw portHeld(id, `has device owner ${row.device_owner}`)
      deletePort(tx, row, findNetwork(tx.db, row.network_id))
      if (row.device_owner === DHCP_OWNER && row.network_owner_id === null) {
        syncDhcpPort(this.#deps, tx, row.network_id)
        networkMoved(tx, row.network_id)
        touchNetwork(tx, row.network_id, null)
      }
      if (isBound(row)) peersOf(this.#deps).servers.touched(tx, row.device_id)
    })
    await releaseNow(this.#deps, this.#caller, row.network_owner_id, id)
  }

  #reclaim(ownerId: string, id: string, wishes: AddressWish[]): Promise<Claim> {
    return withOwner(this.#deps, ownerId, this.#caller.request_id, (network) => network.foreign.reclaim(id, wishes))
  }

  #changed(tx: Tx, row: PortRow, given: PortGiven, claim: Claim | null): PortRow {
    if (row.device_owner.startsWith('network:router') && ((given.device_id ?? row.device_id) !== row.device_id || (given.device_owner ?? row.device_owner) !== row.device_owner)) throw portHeld(row.id, `its device is router ${row.device_id}`)
    const next: PortRow = { ...row, ...plain(given), ...bumped(tx, row) }
    if (given.mac_address !== undefined && given.mac_address !== row.mac_address) {
      if (macTaken(tx.db, row.network_id, given.mac_address)) throw macInUse(row.network_id, given.mac_address)
      next.mac_address = given.mac_address
    }
    if (claim !== null) {
      rememberForeign(tx, claim.network)
      next.fixed_ips = claim.fixed_ips
    } else if (given.fixed_ips !== undefined) {
      next.fixed_ips = reallocate(tx, row.network_id, knownNetwork(tx.db, row.network_id).subnets, row.fixed_ips, given.fixed_ips, next)
    }
    if (given.security_groups !== undefined) next.security_groups = groupsOf(this.#deps, tx, given.security_groups, false)
    if (given.allowed_address_pairs !== undefined) next.allowed_address_pairs = given.allowed_address_pairs.map((pair) => ({ ip_address: pair.ip_address, mac_address: pair.mac_address ?? next.mac_address }))
    if (given.extra_dhcp_opts != null) next.extra_dhcp_opts = merged(row.extra_dhcp_opts, given.extra_dhcp_opts)
    if (row.device_owner === DHCP_OWNER) next.device_owner = row.device_owner
    return next
  }
}

function plain(given: PortGiven): Partial<PortRow> {
  const { name, description, admin_state_up, device_id, device_owner, port_security_enabled, dns_name, dns_domain } = given
  const values = { name, description, admin_state_up, device_id, device_owner, port_security_enabled, dns_name, dns_domain, host_id: given['binding:host_id'], vnic_type: given['binding:vnic_type'], binding_profile: given['binding:profile'] }
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<PortRow>
}

/** An update sets the options it names; a null value removes one (upstream: extradhcpopt_db). */
function merged(before: PortRow['extra_dhcp_opts'], given: { opt_name: string; opt_value: string | null; ip_version?: 4 | 6 }[]): PortRow['extra_dhcp_opts'] {
  const named = (one: { opt_name: string; ip_version?: 4 | 6 }) => `${one.opt_name}/${one.ip_version ?? 4}`
  const touched = new Set(given.map(named))
  return [...before.filter((one) => !touched.has(named(one))), ...options(given)]
}
