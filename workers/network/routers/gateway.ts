/** The gateway of a router: a port of nobody on an external network, mostly another project's. */
import { and, eq } from 'drizzle-orm'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { type PortRow, type RouterRow, floatingIps, ports, routers } from '../../../schema/project/network.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { badRequest, gatewayHasFloatingIps, notFound } from '../faults.ts'
import { claimOn, foreignNetwork } from '../plane/acquire.ts'
import type { AddressWish } from '../plane/addresses.ts'
import { type Claim, GATEWAY_OWNER, type KnownNetwork, findNetwork, known } from '../plane/known.ts'
import { deletePort, insertPort } from '../ports/insert.ts'
import { attachedPorts } from './place.ts'
import { checkNoOverlap } from './routes-check.ts'

export interface GatewayWish {
  network_id: string
  fixed_ips?: AddressWish[]
}

export interface PreparedGateway {
  port_id: string
  network: KnownNetwork
  claim: Claim | null
  fixed_ips?: AddressWish[]
}

/** Finds the network and claims the address, before the transaction. */
export async function prepareGateway(deps: Deps, caller: Caller, wish: GatewayWish, claims: Claim[]): Promise<PreparedGateway> {
  const foreign = await foreignNetwork(deps, caller, wish.network_id)
  const network = foreign === null ? findNetwork(deps.db, wish.network_id) : known(foreign)
  if (network === null) throw notFound('network', wish.network_id)
  if (!network.row.external) throw badRequest(`Bad router request: Network ${wish.network_id} is not an external network.`)
  const port_id = deps.newId()
  if (foreign === null) return { port_id, network, claim: null, fixed_ips: wish.fixed_ips }
  const claim = await claimOn(deps, caller, foreign, { holder_id: port_id, kind: 'port', device_owner: GATEWAY_OWNER, fixed_ips: wish.fixed_ips })
  claims.push(claim)
  return { port_id, network: known(claim.network), claim, fixed_ips: wish.fixed_ips }
}

export function attachGateway(deps: Deps, tx: Tx, router: RouterRow, gateway: PreparedGateway): PortRow {
  const port = insertPort(deps, tx, {
    id: gateway.port_id, given: { fixed_ips: gateway.fixed_ips }, network: gateway.network, claim: gateway.claim,
    extra: { device_id: router.id, device_owner: GATEWAY_OWNER, port_security_enabled: false, security_groups: [] },
  })
  const outside = port.fixed_ips.flatMap((fixed) => gateway.network.subnets.filter((subnet) => subnet.id === fixed.subnet_id))
  const inside = attachedPorts(tx.db, router.id).filter((one) => one.id !== port.id).flatMap((one) => one.fixed_ips.flatMap((fixed) => findNetwork(tx.db, one.network_id)?.subnets.filter((subnet) => subnet.id === fixed.subnet_id) ?? []))
  for (const subnet of outside) checkNoOverlap(subnet, inside, router.id)
  tx.db.update(routers).set({ gateway_port_id: port.id, gateway_network_id: port.network_id }).where(eq(routers.id, router.id)).run()
  return port
}

/** Removes the gateway; refused while floating IPs go through it (unless another gateway on the same network follows at once). */
export function detachGateway(tx: Tx, router: RouterRow, staysOn: string | null = null): PortRow | null {
  if (router.gateway_port_id === null || router.gateway_network_id === null) return null
  if (staysOn !== router.gateway_network_id && tx.db.select({ id: floatingIps.id }).from(floatingIps).where(and(eq(floatingIps.router_id, router.id), eq(floatingIps.floating_network_id, router.gateway_network_id))).limit(1).all().length > 0) {
    throw gatewayHasFloatingIps(router.id, router.gateway_network_id)
  }
  const [port] = tx.db.select().from(ports).where(eq(ports.id, router.gateway_port_id)).all()
  if (port !== undefined) deletePort(tx, port, findNetwork(tx.db, port.network_id))
  tx.db.update(routers).set({ gateway_port_id: null, gateway_network_id: null }).where(eq(routers.id, router.id)).run()
  return port ?? null
}
