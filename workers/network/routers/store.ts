/** Routers of one project, in its object. */
import { RpcTarget } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import { type PortRow, type Route, type RouterRow, ports, routers } from '../../../schema/project/network.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { bumped, checkRevision, standardRow } from '../api/standard.ts'
import { badRequest, notFound, overQuota, routerInUse } from '../faults.ts'
import { releaseNow, withClaims } from '../plane/acquire.ts'
import { GATEWAY_OWNER, INTERFACE_OWNER } from '../plane/known.ts'
import { type PreparedGateway, attachGateway, detachGateway, prepareGateway } from './gateway.ts'
import { addByPort, addBySubnet, connectedSubnets, prepareInterface, removeInterface } from './interfaces.ts'
import { attachedPorts, routerMoved } from './place.ts'
import type { InterfaceWish, RouterGiven } from './requests.ts'
import { checkRoutes } from './routes-check.ts'
import type { RouterRecord } from './views.ts'

export interface InterfaceInfo {
  id: string
  port_id: string
  network_id: string
  subnet_id: string
  subnet_ids: string[]
}

export class Routers extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(): RouterRecord[] {
    const { db } = this.#deps
    const gateways = new Map(db.select().from(ports).where(eq(ports.device_owner, GATEWAY_OWNER)).all().map((port) => [port.id, port.fixed_ips]))
    return db.select().from(routers).all().map((row) => ({ row, gateway_ips: gateways.get(row.gateway_port_id ?? '') ?? [] }))
  }

  get(id: string): RouterRecord {
    const row = this.#row(id)
    const [port] = row.gateway_port_id === null ? [] : this.#deps.db.select().from(ports).where(eq(ports.id, row.gateway_port_id)).all()
    return { row, gateway_ips: port?.fixed_ips ?? [] }
  }

  async createMany(wanted: RouterGiven[]): Promise<RouterRecord[]> {
    const ids = await withClaims(this.#deps, this.#caller, async (claims) => {
      const gateways: (PreparedGateway | null)[] = []
      for (const { external_gateway_info: info } of wanted) gateways.push(info?.network_id == null ? null : await prepareGateway(this.#deps, this.#caller, { network_id: info.network_id, fixed_ips: info.external_fixed_ips }, claims))
      return this.#deps.commit(this.#caller, (tx) => {
        peersOf(this.#deps).quotas.claim('network', tx.db, { router: wanted.length }, (over) => overQuota(over.map((one) => one.resource)))
        return wanted.map((given, at) => this.#insert(tx, given, gateways[at] ?? null))
      })
    })
    return ids.map((id) => this.get(id))
  }

  async update(id: string, given: RouterGiven, revision: number | null): Promise<RouterRecord> {
    const before = this.get(id)
    const info = given.external_gateway_info
    const moves = info !== undefined && gatewayDiffers(before, info)
    const gone = await withClaims(this.#deps, this.#caller, async (claims) => {
      const gateway = moves && info?.network_id != null ? await prepareGateway(this.#deps, this.#caller, { network_id: info.network_id, fixed_ips: info.external_fixed_ips }, claims) : null
      return this.#deps.commit(this.#caller, (tx) => this.#change(tx, id, given, revision, moves, gateway))
    })
    if (gone !== null) await releaseNow(this.#deps, this.#caller, gone.network_owner_id, gone.id)
    return this.get(id)
  }

  async remove(id: string, revision: number | null): Promise<void> {
    const gone = this.#deps.commit(this.#caller, (tx) => {
      const row = this.#row(id)
      checkRevision('router', row, revision)
      if (attachedPorts(tx.db, id).some((port) => port.device_owner === INTERFACE_OWNER)) throw routerInUse(id)
      const port = detachGateway(tx, row)
      tx.db.delete(routers).where(eq(routers.id, id)).run()
      tx.change('router', id, 'delete', row, null)
      routerMoved(tx, id, port === null ? [] : [port])
      if (row.host_id !== null) tx.outbox('router-place', { router_id: id }, { key: `router:${id}` })
      return port
    })
    if (gone !== null) await releaseNow(this.#deps, this.#caller, gone.network_owner_id, gone.id)
  }

  async addInterface(id: string, wish: InterfaceWish): Promise<InterfaceInfo> {
    if ((wish.subnet_id === undefined) === (wish.port_id === undefined)) throw badRequest(wish.subnet_id === undefined ? 'Bad router request: Either subnet_id or port_id must be specified.' : 'Bad router request: Cannot specify both subnet-id and port-id.')
    this.#row(id)
    return await withClaims(this.#deps, this.#caller, async (claims) => {
      const prepared = wish.subnet_id === undefined ? null : await prepareInterface(this.#deps, this.#caller, wish.subnet_id, claims)
      return this.#deps.commit(this.#caller, (tx) => {
        const router = this.#row(id)
        const port = prepared === null ? addByPort(tx, router, wish.port_id ?? '') : addBySubnet(this.#deps, tx, router, prepared)
        this.#bump(tx, router)
        routerMoved(tx, id, [port])
        return info(id, port, prepared === null ? port.fixed_ips.map((fixed) => fixed.subnet_id) : [prepared.subnet.id])
      })
    })
  }

  async removeInterface(id: string, wish: InterfaceWish): Promise<InterfaceInfo> {
    if (wish.subnet_id === undefined && wish.port_id === undefined) throw badRequest('Bad router request: Either subnet_id or port_id must be specified.')
    const { port, subnet_ids } = this.#deps.commit(this.#caller, (tx) => {
      const router = this.#row(id)
      const left = removeInterface(tx, router, wish)
      this.#bump(tx, router)
      routerMoved(tx, id, [left.port])
      return left
    })
    const stays = this.#deps.db.select({ id: ports.id }).from(ports).where(eq(ports.id, port.id)).all().length > 0
    if (!stays) await releaseNow(this.#deps, this.#caller, port.network_owner_id, port.id)
    return info(id, port, subnet_ids)
  }

  /** Adds or removes routes without replacing the others (extraroute-atomic). */
  changeRoutes(id: string, change: { add?: Route[]; remove?: Route[] }): RouterRecord {
    const same = (a: Route, b: Route) => a.destination === b.destination && a.nexthop === b.nexthop
    this.#deps.commit(this.#caller, (tx) => {
      const row = this.#row(id)
      const kept = row.routes.filter((route) => !change.remove?.some((one) => same(one, route)))
      const fresh = (change.add ?? []).filter((route) => !kept.some((one) => same(one, route)))
      this.#setRoutes(tx, row, [...kept, ...fresh])
    })
    return this.get(id)
  }

  #insert(tx: Tx, given: RouterGiven, gateway: PreparedGateway | null): string {
    const row: RouterRow = {
      ...standardRow(tx, this.#deps.newId(), given), admin_state_up: given.admin_state_up ?? true, status: 'ACTIVE', gateway_port_id: null, gateway_network_id: null, enable_snat: given.external_gateway_info?.enable_snat ?? true,
      routes: [], host_id: null, availability_zone_hints: given.availability_zone_hints ?? [],
    }
    tx.db.insert(routers).values(row).run()
    tx.change('router', row.id, 'create', null, row)
    if (gateway !== null) routerMoved(tx, row.id, [attachGateway(this.#deps, tx, row, gateway)])
    return row.id
  }

  #change(tx: Tx, id: string, given: RouterGiven, revision: number | null, moves: boolean, gateway: PreparedGateway | null): PortRow | null {
    const row = this.#row(id)
    checkRevision('router', row, revision)
    const { name, description, admin_state_up, external_gateway_info } = given
    const values = { name, description, admin_state_up, enable_snat: external_gateway_info == null ? undefined : (external_gateway_info.enable_snat ?? (moves ? true : undefined)) }
    tx.db.update(routers).set({ ...Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)), ...bumped(tx, row) }).where(eq(routers.id, id)).run()
    const old = moves ? detachGateway(tx, row, gateway?.network.id ?? null) : null
    const fresh = gateway === null ? null : attachGateway(this.#deps, tx, row, gateway)
    if (given.routes !== undefined) this.#setRoutes(tx, this.#row(id), given.routes)
    tx.change('router', id, 'update', row, this.#row(id))
    routerMoved(tx, id, [old, fresh].filter((port) => port !== null))
    return old
  }

  #setRoutes(tx: Tx, row: RouterRow, routes: Route[]): void {
    checkRoutes(routes, connectedSubnets(tx, row.id), attachedPorts(tx.db, row.id).flatMap((port) => port.fixed_ips), row.id)
    tx.db.update(routers).set({ routes, ...bumped(tx, row) }).where(eq(routers.id, row.id)).run()
    tx.change('router', row.id, 'update', { routes: row.routes }, { routes })
    routerMoved(tx, row.id, [])
  }

  #bump(tx: Tx, row: RouterRow): void {
    tx.db.update(routers).set(bumped(tx, row)).where(eq(routers.id, row.id)).run()
  }

  #row(id: string): RouterRow {
    const [row] = this.#deps.db.select().from(routers).where(eq(routers.id, id)).all()
    if (row === undefined) throw notFound('router', id)
    return row
  }
}

const info = (id: string, port: PortRow, subnet_ids: string[]): InterfaceInfo => ({ id, port_id: port.id, network_id: port.network_id, subnet_id: subnet_ids[0] ?? '', subnet_ids })

/** True where the gateway's port must go or come: another network, or other addresses. */
function gatewayDiffers({ row, gateway_ips }: RouterRecord, wanted: NonNullable<RouterGiven['external_gateway_info']> | null): boolean {
  const network = wanted?.network_id ?? null
  if (network !== row.gateway_network_id) return true
  return network !== null && wanted?.external_fixed_ips !== undefined && !wanted.external_fixed_ips.every((wish) => gateway_ips.some((fixed) => (wish.ip_address === undefined || wish.ip_address === fixed.ip_address) && (wish.subnet_id === undefined || wish.subnet_id === fixed.subnet_id)))
}
