/** Turns Nova's wish for networks into port requests: networks resolved, existing ports checked, other projects' addresses claimed. Before any transaction. */
import { RpcTarget } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import type { PortRequest } from '../../../durable-objects/project/peers.ts'
import { networks, ports } from '../../../schema/project/network.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { badRequest, conflict, notFound, portInUse } from '../faults.ts'
import { sharedWith } from '../networks/views.ts'
import { claimOn, foreignNetwork, releaseNow, withClaims } from './acquire.ts'
import { type Claim, type PublishedNetwork, subnetsOf } from './known.ts'
import type { ForeignRequest } from './peer.ts'
import { onRegion } from '../../../durable-objects/kernel/sessions.ts'

/** One entry of Nova's `networks`. */
export interface RequestedNetwork {
  uuid?: string
  port?: string
  fixed_ip?: string | null
  tag?: string | null
}

export type RequestedNetworks = 'auto' | 'none' | RequestedNetwork[] | null

export class ServerNetworks extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  async prepare(requested: RequestedNetworks): Promise<PortRequest[]> {
    if (requested === 'none') return []
    const list = Array.isArray(requested) ? requested : await this.#byDefault(requested === 'auto')
    return await withClaims(this.#deps, this.#caller, async (claims) => {
      const found: PortRequest[] = []
      for (const one of list) found.push(await this.#resolve(one, claims))
      return found
    })
  }

  /** Gives back what was claimed for a server that did not come to be. */
  async abandon(requests: PortRequest[]): Promise<void> {
    for (const { foreign } of requests) if (foreign !== undefined && this.#deps.db.select({ id: ports.id }).from(ports).where(eq(ports.id, foreign.port_id)).all().length === 0) await releaseNow(this.#deps, this.#caller, foreign.network.owner_id, foreign.port_id)
  }

  async #resolve(wish: RequestedNetwork, claims: Claim[]): Promise<PortRequest> {
    const tag = wish.tag ?? null
    if (wish.port !== undefined) {
      const [port] = this.#deps.db.select().from(ports).where(eq(ports.id, wish.port)).all()
      if (port === undefined) throw notFound('port', wish.port)
      if (port.device_id !== '') throw portInUse(port.id, port.device_id, port.network_id)
      return { port_id: port.id, tag }
    }
    const id = wish.uuid ?? ''
    const foreign = await foreignNetwork(this.#deps, this.#caller, id)
    const subnetCount = foreign === null ? subnetsOf(this.#deps.db, id).length : foreign.rows.subnets.length
    if (foreign !== null && !sharedWith(foreign, this.#deps.name) && !this.#caller.roles.includes('admin')) throw new Fault('forbidden', `It is not allowed to create an interface on external network ${id}`, { type: 'ExternalNetworkAttachForbidden' })
    if (subnetCount === 0) throw badRequest(`Network ${id} requires a subnet in order to boot instances on.`)
    if (foreign === null) return { network_id: id, fixed_ip: wish.fixed_ip ?? null, tag }
    return { network_id: id, fixed_ip: wish.fixed_ip ?? null, tag, foreign: await this.#claim(foreign, wish.fixed_ip ?? null, claims) }
  }

  async #claim(network: PublishedNetwork, fixed_ip: string | null, claims: Claim[]): Promise<ForeignRequest> {
    const port_id = this.#deps.newId()
    const claim = await claimOn(this.#deps, this.#caller, network, { holder_id: port_id, kind: 'port', device_owner: 'compute:', fixed_ips: fixed_ip === null ? undefined : [{ ip_address: fixed_ip }] })
    claims.push(claim)
    return { network: claim.network, port_id, fixed_ips: claim.fixed_ips, mac_address: claim.mac_address }
  }

  /** The only network there is to choose, own or shared; none is fine, several are ambiguous. */
  async #byDefault(auto: boolean): Promise<RequestedNetwork[]> {
    const { db } = this.#deps
    const own = db.select({ id: networks.id }).from(networks).where(eq(networks.external, false)).all().map((row) => row.id).filter((id) => subnetsOf(db, id).length > 0)
    const published = await onRegion(this.#deps.env, this.#caller.request_id, (region) => region.directory.published('network', this.#deps.name))
    const shared = published.map((one) => one.data as PublishedNetwork).filter((network) => network.owner_id !== this.#deps.name && !network.external && sharedWith(network, this.#deps.name) && network.rows.subnets.length > 0).map((network) => network.id)
    const all = [...new Set([...own, ...shared])]
    if (all.length > 1 && !(auto && own.length === 1)) throw conflict('NetworkAmbiguous', 'Multiple possible networks found, use a Network ID to be more specific.')
    if (all.length === 0 && auto) throw badRequest('Unable to automatically allocate a network for project: it has none, and no network is shared with it.')
    const [uuid] = own.length === 1 ? own : all
    return uuid === undefined ? [] : [{ uuid }]
  }
}
