/** Floating IPs of one project, in its object: an address held on an external network, mostly another project's, led by a router to a port of this project. */
import { RpcTarget } from 'cloudflare:workers'
import { and, eq, isNull, ne } from 'drizzle-orm'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import { type FixedIp, type FloatingIpRow, type PortRow, floatingIps, ports, routers } from '../../../schema/project/network.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { bumped, checkRevision, standardRow } from '../api/standard.ts'
import { badRequest, fixedIpInUse, noGatewayFor, notFound, overQuota } from '../faults.ts'
import { claimOn, foreignNetwork, releaseNow, withClaims } from '../plane/acquire.ts'
import { releaseHolder } from '../plane/addresses.ts'
import { takeFloating } from '../plane/foreign.ts'
import { type Claim, INTERFACE_OWNER, type KnownNetwork, known, knownNetwork, rememberForeign, subnetsOf } from '../plane/known.ts'
import { touch } from '../plane/touch.ts'
import { disassociate, isBound } from '../ports/insert.ts'
import type { FloatingIpGiven } from './requests.ts'

export interface FloatingIpRecord {
  row: FloatingIpRow
  port: PortRow | null
}

export class FloatingIps extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(): FloatingIpRecord[] {
    return this.#deps.db.select().from(floatingIps).all().map((row) => this.#record(row))
  }

  get(id: string): FloatingIpRecord {
    return this.#record(this.#row(id))
  }

  async createMany(wanted: FloatingIpGiven[]): Promise<FloatingIpRecord[]> {
    const ids = await withClaims(this.#deps, this.#caller, async (claims) => {
      const prepared: { given: FloatingIpGiven; id: string; network: KnownNetwork; claim: Claim | null }[] = []
      for (const given of wanted) prepared.push({ given, ...(await this.#prepare(given, claims)) })
      return this.#deps.commit(this.#caller, (tx) => {
        peersOf(this.#deps).quotas.claim('network', tx.db, { floatingip: wanted.length }, (over) => overQuota(over.map((one) => one.resource)))
        return prepared.map(({ id, given, network, claim }) => this.#insert(tx, id, given, network, claim))
      })
    })
    return ids.map((id) => this.get(id))
  }

  update(id: string, given: FloatingIpGiven, revision: number | null): FloatingIpRecord {
    this.#deps.commit(this.#caller, (tx) => {
      const before = this.#row(id)
      checkRevision('floatingip', before, revision)
      let row = before
      if (given.description !== undefined) {
        tx.db.update(floatingIps).set({ description: given.description, ...bumped(tx, row) }).where(eq(floatingIps.id, id)).run()
        row = this.#row(id)
      }
      const portId = given.port_id === undefined ? row.port_id : given.port_id
      if (given.port_id === undefined && given.fixed_ip_address === undefined) return
      if (portId === null) {
        if (given.fixed_ip_address != null) throw badRequest('Invalid input for operation: fixed_ip_address cannot be specified without a port_id.')
        if (row.port_id !== null) this.#serverTouched(tx, row.port_id)
        disassociate(tx, row)
      } else this.#associate(tx, row, portId, given.fixed_ip_address ?? null)
    })
    return this.get(id)
  }

  async remove(id: string, revision: number | null): Promise<void> {
    const row = this.#row(id)
    this.#deps.commit(this.#caller, (tx) => {
      checkRevision('floatingip', row, revision)
      tx.db.delete(floatingIps).where(eq(floatingIps.id, id)).run()
      tx.change('floatingip', id, 'delete', row, null)
      if (row.network_owner_id === null) releaseHolder(tx, new Map(subnetsOf(tx.db, row.floating_network_id).map((subnet) => [subnet.id, subnet])), id)
      else tx.outbox('network-release', { owner_id: row.network_owner_id, holder_id: id }, { key: `holder:${id}` })
      if (row.router_id !== null) touch(tx, 'router', row.router_id)
      if (row.port_id !== null) this.#serverTouched(tx, row.port_id)
    })
    await releaseNow(this.#deps, this.#caller, row.network_owner_id, id)
  }

  /** The external network goes: floating IPs that lead nowhere go with it (upstream: external_net_db). Returns what went. */
  dropUnused(networkId: string): string[] {
    return this.#deps.commit(this.#caller, (tx) => dropUnused(tx, networkId))
  }

  async #prepare(given: FloatingIpGiven, claims: Claim[]): Promise<{ id: string; network: KnownNetwork; claim: Claim | null }> {
    const id = this.#deps.newId()
    const foreign = await foreignNetwork(this.#deps, this.#caller, given.floating_network_id ?? '')
    const network = foreign === null ? knownNetwork(this.#deps.db, given.floating_network_id ?? '') : known(foreign)
    if (!network.row.external) throw badRequest(`Bad floatingip request: Network ${network.id} is not a valid external network.`)
    if (foreign === null) return { id, network, claim: null }
    const claim = await claimOn(this.#deps, this.#caller, foreign, { holder_id: id, kind: 'floatingip', device_owner: '', fixed_ips: [wishOf(given)] })
    claims.push(claim)
    return { id, network, claim }
  }

  #insert(tx: Tx, id: string, given: FloatingIpGiven, network: KnownNetwork, claim: Claim | null): string {
    if (claim !== null) rememberForeign(tx, claim.network)
    const fixed = claim?.fixed_ips[0] ?? takeFloating(tx, network.id, id, wishOf(given))
    const row: FloatingIpRow = {
      ...standardRow(tx, id, given), floating_network_id: network.id, network_owner_id: network.owner_id, floating_ip_address: fixed.ip_address, subnet_id: fixed.subnet_id, status: 'DOWN', router_id: null, port_id: null,
      fixed_ip_address: null, dns_name: given.dns_name ?? '', dns_domain: given.dns_domain ?? '',
    }
    tx.db.insert(floatingIps).values(row).run()
    tx.change('floatingip', id, 'create', null, row)
    if (given.port_id != null) this.#associate(tx, row, given.port_id, given.fixed_ip_address ?? null)
    else if (given.fixed_ip_address != null) throw badRequest('Invalid input for operation: fixed_ip_address cannot be specified without a port_id.')
    return id
  }

  #associate(tx: Tx, row: FloatingIpRow, portId: string, wanted: string | null): void {
    const [port] = tx.db.select().from(ports).where(eq(ports.id, portId)).all()
    if (port === undefined) throw notFound('port', portId)
    const fixed = fixedOf(port, wanted ?? (row.port_id === portId ? row.fixed_ip_address : null))
    const [other] = tx.db.select().from(floatingIps).where(and(eq(floatingIps.port_id, portId), eq(floatingIps.fixed_ip_address, fixed.ip_address), eq(floatingIps.floating_network_id, row.floating_network_id), ne(floatingIps.id, row.id))).all()
    if (other !== undefined) throw fixedIpInUse(row.id, row.floating_ip_address, portId, other.id)
    const routerId = this.#routerFor(tx, fixed, port, row.floating_network_id)
    const next = { ...row, port_id: portId, fixed_ip_address: fixed.ip_address, router_id: routerId, status: row.router_id === routerId ? row.status : 'DOWN', ...bumped(tx, row) }
    tx.db.update(floatingIps).set(next).where(eq(floatingIps.id, row.id)).run()
    tx.change('floatingip', row.id, 'update', row, next)
    for (const id of new Set([row.router_id, routerId])) if (id !== null) touch(tx, 'router', id)
    if (row.port_id !== null && row.port_id !== portId) this.#serverTouched(tx, row.port_id)
    this.#serverTouched(tx, portId)
  }

  /** A router of this project that joins the port's subnet with the external network. */
  #routerFor(tx: Tx, fixed: FixedIp, port: PortRow, externalId: string): string {
    const inside = tx.db.select().from(ports).where(and(eq(ports.network_id, port.network_id), eq(ports.device_owner, INTERFACE_OWNER))).all().filter((one) => one.fixed_ips.some((ip) => ip.subnet_id === fixed.subnet_id))
    for (const { device_id } of inside) {
      const [router] = tx.db.select().from(routers).where(and(eq(routers.id, device_id), eq(routers.gateway_network_id, externalId))).all()
      if (router !== undefined) return router.id
    }
    throw noGatewayFor(fixed.subnet_id, externalId, port.id)
  }

  #serverTouched(tx: Tx, portId: string): void {
    const [port] = tx.db.select().from(ports).where(eq(ports.id, portId)).all()
    if (port !== undefined && isBound(port)) peersOf(this.#deps).servers.touched(tx, port.device_id)
  }

  #record(row: FloatingIpRow): FloatingIpRecord {
    return { row, port: row.port_id === null ? null : (this.#deps.db.select().from(ports).where(eq(ports.id, row.port_id)).get() ?? null) }
  }

  #row(id: string): FloatingIpRow {
    const [row] = this.#deps.db.select().from(floatingIps).where(eq(floatingIps.id, id)).all()
    if (row === undefined) throw notFound('floatingip', id)
    return row
  }
}

export function dropUnused(tx: Tx, networkId: string): string[] {
  const unused = tx.db.select().from(floatingIps).where(and(eq(floatingIps.floating_network_id, networkId), isNull(floatingIps.port_id))).all()
  const index = new Map(subnetsOf(tx.db, networkId).map((subnet) => [subnet.id, subnet]))
  for (const row of unused) {
    tx.db.delete(floatingIps).where(eq(floatingIps.id, row.id)).run()
    tx.change('floatingip', row.id, 'delete', row, null)
    if (row.network_owner_id === null) releaseHolder(tx, index, row.id)
  }
  return unused.map((row) => row.id)
}

const wishOf = (given: FloatingIpGiven) => ({ ...(given.subnet_id != null ? { subnet_id: given.subnet_id } : {}), ...(given.floating_ip_address != null ? { ip_address: given.floating_ip_address } : {}) })

function fixedOf(port: PortRow, wanted: string | null): FixedIp {
  const v4 = port.fixed_ips.filter((fixed) => !fixed.ip_address.includes(':'))
  if (wanted !== null) {
    const found = v4.find((fixed) => fixed.ip_address === wanted)
    if (found === undefined) throw badRequest(`Bad floatingip request: Port ${port.id} does not have fixed ip ${wanted}.`)
    return found
  }
  const [first] = v4
  if (first === undefined) throw badRequest(`Bad floatingip request: Cannot add floating IP to port ${port.id} that has no fixed IPv4 addresses.`)
  if (v4.length > 1) throw badRequest(`Bad floatingip request: Port ${port.id} has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when assigning a floating IP.`)
  return first
}
