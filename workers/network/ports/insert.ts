/** How a port comes into being, changes and goes, inside a transaction: the one place for ports of users, servers and routers. */
import { and, eq, inArray } from 'drizzle-orm'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { type FloatingIpRow, type PortRow, floatingIps, ports, securityGroups } from '../../../schema/project/network.ts'
import { bumped, standardRow } from '../api/standard.ts'
import { conflict, macInUse, notFound } from '../faults.ts'
import { type AddressWish, allocate, releaseHolder } from '../plane/addresses.ts'
import { type Claim, INTERFACE_OWNER, type KnownNetwork, chunked, rememberForeign } from '../plane/known.ts'
import { macTaken, newMac } from '../plane/mac.ts'
import { touch, touchMembers, touchNetwork } from '../plane/touch.ts'
import { ensureDefault } from '../security-groups/default.ts'
import type { PortGiven } from './requests.ts'

export interface NewPort {
  id: string
  given: PortGiven
  network: KnownNetwork
  claim: Claim | null
  extra?: Partial<PortRow>
  /** Addresses were settled by the caller (a router taking a subnet's gateway). */
  wishes?: AddressWish[]
}

export const isBound = (port: Pick<PortRow, 'host_id' | 'device_owner'>): boolean => port.host_id !== '' && port.device_owner.startsWith('compute:')

export function insertPort(deps: Deps, tx: Tx, { id, given, network, claim, extra, wishes }: NewPort): PortRow {
  if (claim !== null) rememberForeign(tx, claim.network)
  const owner = extra?.device_owner ?? given.device_owner ?? ''
  const mac = claim?.mac_address ?? given.mac_address ?? newMac(deps, tx.db, network.id)
  if (claim === null && given.mac_address !== undefined && macTaken(tx.db, network.id, mac)) throw macInUse(network.id, mac)
  const port_security_enabled = given.port_security_enabled ?? (owner.startsWith('network:') ? false : network.row.port_security_enabled)
  const pairs = (given.allowed_address_pairs ?? []).map((pair) => ({ ip_address: pair.ip_address, mac_address: pair.mac_address ?? mac }))
  const row: PortRow = {
    ...standardRow(tx, id, given), network_id: network.id, network_owner_id: network.owner_id, mac_address: mac, admin_state_up: given.admin_state_up ?? true, status: 'DOWN', device_id: given.device_id ?? '', device_owner: owner,
    fixed_ips: claim?.fixed_ips ?? allocate(tx, network.id, network.subnets, wishes ?? given.fixed_ips, { id, mac_address: mac, device_owner: owner }),
    security_groups: groupsOf(deps, tx, given.security_groups, port_security_enabled && !owner.startsWith('network:')), allowed_address_pairs: pairs, extra_dhcp_opts: options(given.extra_dhcp_opts ?? []), port_security_enabled,
    host_id: given['binding:host_id'] ?? '', vnic_type: given['binding:vnic_type'] ?? 'normal', binding_profile: given['binding:profile'] ?? {}, dns_name: given.dns_name ?? '', dns_domain: given.dns_domain ?? '',
    owned_by_server: false, device_tag: null, ...extra,
  }
  checkSecurity(row)
  tx.db.insert(ports).values(row).run()
  tx.change('port', id, 'create', null, row)
  portMoved(tx, null, row)
  return row
}

/** The groups given (each must exist), else the default one. */
export function groupsOf(deps: Deps, tx: Tx, given: string[] | undefined, wanted: boolean): string[] {
  if (given === undefined) return wanted ? [ensureDefault(deps, tx).id] : []
  const found = new Set(chunked(given).flatMap((part) => tx.db.select({ id: securityGroups.id }).from(securityGroups).where(inArray(securityGroups.id, part)).all()).map((row) => row.id))
  for (const id of given) if (!found.has(id)) throw notFound('security_group', id)
  return given
}

export const options = (given: { opt_name: string; opt_value: string | null; ip_version?: 4 | 6 }[]): PortRow['extra_dhcp_opts'] => given.flatMap((one) => (one.opt_value === null ? [] : [{ opt_name: one.opt_name, opt_value: one.opt_value, ip_version: one.ip_version ?? 4 }]))

export function checkSecurity(row: PortRow): void {
  if (row.port_security_enabled) return
  if (row.security_groups.length > 0) throw conflict('PortSecurityPortHasSecurityGroup', 'Port has security group associated. Cannot disable port security or IP address until security group is removed.')
  if (row.allowed_address_pairs.length > 0) throw conflict('AddressPairAndPortSecurityRequired', 'Port Security must be enabled in order to have allowed address pairs on a port.')
}

/** Who must hear that a port is new, different or gone. */
export function portMoved(tx: Tx, before: PortRow | null, after: PortRow | null): void {
  const [was, is] = [before !== null && isBound(before), after !== null && isBound(after)]
  const port = after ?? before
  if (port === null) return
  if (was || is) touch(tx, 'port', port.id)
  if ((was || is) && before?.host_id !== after?.host_id) touchNetwork(tx, port.network_id, port.network_owner_id)
  for (const one of [before, after]) if (one?.device_owner === INTERFACE_OWNER && one.device_id !== '') touch(tx, 'router', one.device_id)
  const groups = [...new Set([...(before?.security_groups ?? []), ...(after?.security_groups ?? [])])]
  if (groups.length > 0 && membership(before) !== membership(after)) touchMembers(tx, groups)
}

const membership = (port: PortRow | null) => (port === null ? '' : JSON.stringify([port.security_groups, port.fixed_ips, port.allowed_address_pairs]))

export function deletePort(tx: Tx, port: PortRow, network: KnownNetwork | null): void {
  for (const fip of tx.db.select().from(floatingIps).where(eq(floatingIps.port_id, port.id)).all()) disassociate(tx, fip)
  if (port.network_owner_id === null) releaseHolder(tx, new Map((network?.subnets ?? []).map((subnet) => [subnet.id, subnet])), port.id)
  else tx.outbox('network-release', { owner_id: port.network_owner_id, holder_id: port.id }, { key: `holder:${port.id}` })
  tx.db.delete(ports).where(eq(ports.id, port.id)).run()
  tx.change('port', port.id, 'delete', port, null)
  portMoved(tx, port, null)
}

export function disassociate(tx: Tx, fip: FloatingIpRow): FloatingIpRow {
  const next = { ...fip, port_id: null, fixed_ip_address: null, router_id: null, status: 'DOWN', ...bumped(tx, fip) }
  tx.db.update(floatingIps).set(next).where(eq(floatingIps.id, fip.id)).run()
  tx.change('floatingip', fip.id, 'update', fip, next)
  if (fip.router_id !== null) touch(tx, 'router', fip.router_id)
  return next
}

/** Floating IPs whose fixed address the port has no more. */
export function dropStrayFloatingIps(tx: Tx, port: PortRow): void {
  for (const fip of tx.db.select().from(floatingIps).where(and(eq(floatingIps.port_id, port.id))).all()) if (!port.fixed_ips.some((fixed) => fixed.ip_address === fip.fixed_ip_address)) disassociate(tx, fip)
}
