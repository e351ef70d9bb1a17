/** Networks as one project knows them: its own rows, or what another owner published. One shape for both, so that ports, routers and floating IPs need not care. */
import { eq, inArray } from 'drizzle-orm'
import type { Db, Tx } from '../../../durable-objects/kernel/deps.ts'
import type { ForeignNetwork } from '../../../durable-objects/project/peers.ts'
import { type FixedIp, type NetworkRow, type SubnetRow, foreignNetworks, networks, ports, subnets } from '../../../schema/project/network.ts'
import { notFound } from '../faults.ts'

/** What is published of a network: enough to list it, to use it and to compile what hosts need. */
export interface PublishedNetwork extends ForeignNetwork {
  /** Grows with every change: an older description never replaces a newer one. */
  version: number
  rows: { network: NetworkRow; subnets: SubnetRow[] }
  grants: { action: 'access_as_shared' | 'access_as_external'; target: string }[]
}

export interface KnownNetwork {
  id: string
  /** Null is this project. */
  owner_id: string | null
  row: NetworkRow
  subnets: SubnetRow[]
}

/** Addresses claimed beforehand on another project's network. */
export interface Claim {
  network: PublishedNetwork
  holder_id: string
  mac_address: string | null
  fixed_ips: FixedIp[]
}

export const DHCP_OWNER = 'network:dhcp'
export const INTERFACE_OWNER = 'network:router_interface'
export const GATEWAY_OWNER = 'network:router_gateway'

export const subnetsOf = (db: Db, networkId: string): SubnetRow[] => db.select().from(subnets).where(eq(subnets.network_id, networkId)).orderBy(subnets.created_ms, subnets.id).all()

export function findNetwork(db: Db, id: string): KnownNetwork | null {
  const [own] = db.select().from(networks).where(eq(networks.id, id)).all()
  if (own !== undefined) return { id, owner_id: null, row: own, subnets: subnetsOf(db, id) }
  const [foreign] = db.select().from(foreignNetworks).where(eq(foreignNetworks.id, id)).all()
  if (foreign === undefined) return null
  return known(foreign.data as PublishedNetwork)
}

export const known = (data: PublishedNetwork): KnownNetwork => ({ id: data.id, owner_id: data.owner_id, row: data.rows.network, subnets: data.rows.subnets })

export function knownNetwork(db: Db, id: string): KnownNetwork {
  const found = findNetwork(db, id)
  if (found === null) throw notFound('network', id)
  return found
}

/** Subnets by id among several networks. */
export function subnetIndex(db: Db, networkIds: readonly string[]): Map<string, SubnetRow> {
  const index = new Map<string, SubnetRow>()
  for (const id of new Set(networkIds)) for (const subnet of findNetwork(db, id)?.subnets ?? []) index.set(subnet.id, subnet)
  return index
}

/** Keeps what an owner said of its network, unless something newer is known. */
export function rememberForeign(tx: Tx, data: PublishedNetwork): boolean {
  const [before] = tx.db.select({ version: foreignNetworks.version }).from(foreignNetworks).where(eq(foreignNetworks.id, data.id)).all()
  if (before !== undefined && before.version >= data.version) return false
  tx.db.insert(foreignNetworks).values({ id: data.id, owner_id: data.owner_id, version: data.version, data }).onConflictDoUpdate({ target: foreignNetworks.id, set: { owner_id: data.owner_id, version: data.version, data } }).run()
  return true
}

export const portsById = (db: Db, ids: readonly string[]) => (ids.length === 0 ? [] : chunked(ids).flatMap((part) => db.select().from(ports).where(inArray(ports.id, part)).all()))

/** An object binds at most 100 parameters to a statement. */
export const BINDINGS_MAX = 90
export function chunked<T>(list: readonly T[]): T[][] {
  const parts: T[][] = []
  for (let at = 0; at < list.length; at += BINDINGS_MAX) parts.push(list.slice(at, at + BINDINGS_MAX))
  return parts
}

/** Subnets in which a port gives itself its address (RFC 4862), or gets it from its MAC. */
export const isAutoAddressed = (subnet: Pick<SubnetRow, 'ip_version' | 'ipv6_address_mode'>): boolean => subnet.ip_version === 6 && (subnet.ipv6_address_mode === 'slaac' || subnet.ipv6_address_mode === 'dhcpv6-stateless')
