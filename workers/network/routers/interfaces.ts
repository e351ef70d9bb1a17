/** Interfaces of a router: its ports inside tenant networks. */
import { and, eq, inArray } from 'drizzle-orm'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { type PortRow, type RouterRow, type SubnetRow, floatingIps, ports, subnets } from '../../../schema/project/network.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { bumped } from '../api/standard.ts'
import { addressInUse, badRequest, interfaceForSubnetNotFound, interfaceHasFloatingIps, interfaceHasRoute, interfaceNotFound, notFound, portInUse } from '../faults.ts'
import { claimOn, foreignNetworkOfSubnet } from '../plane/acquire.ts'
import { allocate, releaseAddress } from '../plane/addresses.ts'
import { type Claim, INTERFACE_OWNER, type KnownNetwork, findNetwork, known, knownNetwork, subnetIndex } from '../plane/known.ts'
import { deletePort, insertPort, portMoved } from '../ports/insert.ts'
import { attachedPorts } from './place.ts'
import type { InterfaceWish } from './requests.ts'
import { checkNoOverlap, routesThrough } from './routes-check.ts'

export interface PreparedInterface {
  subnet: SubnetRow
  network: KnownNetwork
  claim: Claim | null
  port_id: string
}

/** The subnet wished for, wherever it is, with the gateway address claimed where it is another project's. */
export async function prepareInterface(deps: Deps, caller: Caller, subnetId: string, claims: Claim[]): Promise<PreparedInterface> {
  const port_id = deps.newId()
  const [own] = deps.db.select().from(subnets).where(eq(subnets.id, subnetId)).all()
  if (own !== undefined) return { subnet: own, network: knownNetwork(deps.db, own.network_id), claim: null, port_id }
  const network = await foreignNetworkOfSubnet(deps, caller, subnetId)
  const subnet = network.rows.subnets.find((one) => one.id === subnetId)
  if (subnet === undefined) throw notFound('subnet', subnetId)
  if (subnet.gateway_ip === null) throw noGateway()
  const claim = await claimOn(deps, caller, network, { holder_id: port_id, kind: 'port', device_owner: INTERFACE_OWNER, fixed_ips: [{ subnet_id: subnetId, ip_address: subnet.gateway_ip }] })
  claims.push(claim)
  return { subnet, network: known(claim.network), claim, port_id }
}

const noGateway = () => badRequest('Bad router request: Subnet for router interface must have a gateway IP.')

export function connectedSubnets(tx: Pick<Tx, 'db'>, routerId: string): SubnetRow[] {
  const attached = attachedPorts(tx.db, routerId)
  const index = subnetIndex(tx.db, attached.map((port) => port.network_id))
  return attached.flatMap((port) => port.fixed_ips.flatMap((fixed) => index.get(fixed.subnet_id) ?? []))
}

export function addBySubnet(deps: Deps, tx: Tx, router: RouterRow, { subnet, network, claim, port_id }: PreparedInterface): PortRow {
  checkNoOverlap(subnet, connectedSubnets(tx, router.id), router.id)
  if (subnet.gateway_ip === null) throw noGateway()
  const wish = { subnet_id: subnet.id, ip_address: subnet.gateway_ip }
  if (subnet.ip_version === 6 && claim === null) {
    const shared = attachedPorts(tx.db, router.id).find((port) => port.device_owner === INTERFACE_OWNER && port.network_id === subnet.network_id && port.fixed_ips.every((fixed) => fixed.ip_address.includes(':')))
    if (shared !== undefined) return addAddress(tx, shared, network, wish)
  }
  try {
    return insertPort(deps, tx, { id: port_id, given: {}, network, claim, wishes: [wish], extra: { device_id: router.id, device_owner: INTERFACE_OWNER, port_security_enabled: false, security_groups: [] } })
  } catch (error) {
    if ((error as { type?: string }).type === 'IpAddressAlreadyAllocated') throw addressInUse(network.id, subnet.gateway_ip)
    throw error
  }
}

/** Version 6 subnets of one network share one interface. */
function addAddress(tx: Tx, port: PortRow, network: KnownNetwork, wish: { subnet_id: string; ip_address: string }): PortRow {
  const fresh = allocate(tx, network.id, network.subnets, [wish], port)
  const next = { ...port, fixed_ips: [...port.fixed_ips, ...fresh], ...bumped(tx, port) }
  tx.db.update(ports).set(next).where(eq(ports.id, port.id)).run()
  tx.change('port', port.id, 'update', port, next)
  portMoved(tx, port, next)
  return next
}

export function addByPort(tx: Tx, router: RouterRow, portId: string): PortRow {
  const [port] = tx.db.select().from(ports).where(eq(ports.id, portId)).all()
  if (port === undefined) throw notFound('port', portId)
  if (port.device_id !== '') throw portInUse(port.id, port.device_id, port.network_id)
  if (port.fixed_ips.length === 0) throw badRequest('Bad router request: Router port must have at least one fixed IP.')
  const index = subnetIndex(tx.db, [port.network_id])
  const mine = port.fixed_ips.flatMap((fixed) => index.get(fixed.subnet_id) ?? [])
  if (mine.filter((subnet) => subnet.ip_version === 4).length > 1) throw badRequest('Bad router request: Cannot have multiple IPv4 subnets on router port.')
  for (const subnet of mine) checkNoOverlap(subnet, connectedSubnets(tx, router.id), router.id)
  const next: PortRow = { ...port, device_id: router.id, device_owner: INTERFACE_OWNER, security_groups: [], allowed_address_pairs: [], port_security_enabled: false, ...bumped(tx, port) }
  tx.db.update(ports).set(next).where(eq(ports.id, port.id)).run()
  tx.change('port', port.id, 'update', port, next)
  portMoved(tx, port, next)
  return next
}

/** Takes a subnet (or a whole port) off the router. Returns the port as it was and the subnets that left. */
export function removeInterface(tx: Tx, router: RouterRow, wish: InterfaceWish): { port: PortRow; subnet_ids: string[] } {
  const inside = attachedPorts(tx.db, router.id).filter((port) => port.device_owner === INTERFACE_OWNER)
  const port = wish.port_id !== undefined ? inside.find((one) => one.id === wish.port_id) : inside.find((one) => one.fixed_ips.some((fixed) => fixed.subnet_id === wish.subnet_id))
  if (port === undefined) throw wish.port_id !== undefined ? interfaceNotFound(router.id, wish.port_id) : interfaceForSubnetNotFound(router.id, wish.subnet_id ?? '')
  if (wish.subnet_id !== undefined && !port.fixed_ips.some((fixed) => fixed.subnet_id === wish.subnet_id)) throw interfaceForSubnetNotFound(router.id, wish.subnet_id)
  const leaving = port.fixed_ips.filter((fixed) => wish.port_id !== undefined || fixed.subnet_id === wish.subnet_id)
  const index = subnetIndex(tx.db, [port.network_id])
  const connected = connectedSubnets(tx, router.id)
  for (const { subnet_id } of leaving) {
    const subnet = index.get(subnet_id)
    if (subnet === undefined) continue
    if (routesThrough(router.routes, subnet, connected.filter((one) => one.id !== subnet_id)).length > 0) throw interfaceHasRoute(router.id, subnet_id)
    if (usedByFloatingIps(tx, router.id, subnet_id)) throw interfaceHasFloatingIps(router.id, subnet_id)
  }
  if (leaving.length < port.fixed_ips.length) dropAddresses(tx, port, leaving, index)
  else deletePort(tx, port, findNetwork(tx.db, port.network_id))
  return { port, subnet_ids: leaving.map((fixed) => fixed.subnet_id) }
}

function dropAddresses(tx: Tx, port: PortRow, leaving: PortRow['fixed_ips'], index: Map<string, SubnetRow>): void {
  for (const fixed of leaving) releaseAddress(tx, index.get(fixed.subnet_id), fixed)
  const next = { ...port, fixed_ips: port.fixed_ips.filter((fixed) => !leaving.includes(fixed)), ...bumped(tx, port) }
  tx.db.update(ports).set(next).where(eq(ports.id, port.id)).run()
  tx.change('port', port.id, 'update', port, next)
  portMoved(tx, port, next)
}

function usedByFloatingIps(tx: Tx, routerId: string, subnetId: string): boolean {
  const through = tx.db.select().from(floatingIps).where(eq(floatingIps.router_id, routerId)).all().filter((fip) => fip.port_id !== null)
  if (through.length === 0) return false
  const holders = tx.db.select().from(ports).where(and(inArray(ports.id, through.flatMap((fip) => fip.port_id ?? []).slice(0, 90)))).all()
  return holders.some((port) => port.fixed_ips.some((fixed) => fixed.subnet_id === subnetId && through.some((fip) => fip.port_id === port.id && fip.fixed_ip_address === fixed.ip_address)))
}
