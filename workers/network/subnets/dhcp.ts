/** The DHCP port of a network: made with its first DHCP subnet, gone with the last. Nobody has to ask for it, and it never stands in the way of a deletion. */
import { and, eq } from 'drizzle-orm'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { type FixedIp, type PortRow, type SubnetRow, ports } from '../../../schema/project/network.ts'
import { isFault } from '../../../schema/values/fault.ts'
import { bumped, standardRow } from '../api/standard.ts'
import { allocate, releaseAddress } from '../plane/addresses.ts'
import { DHCP_OWNER, subnetsOf } from '../plane/known.ts'
import { newMac } from '../plane/mac.ts'

export const dhcpPortOf = (tx: Pick<Tx, 'db'>, networkId: string): PortRow | undefined => tx.db.select().from(ports).where(and(eq(ports.network_id, networkId), eq(ports.device_owner, DHCP_OWNER))).all()[0]

/** Brings the port in line with the network's subnets. */
export function syncDhcpPort(deps: Deps, tx: Tx, networkId: string): void {
  const subnets = subnetsOf(tx.db, networkId)
  const wanted = subnets.filter((subnet) => subnet.enable_dhcp)
  const before = dhcpPortOf(tx, networkId)
  if (wanted.length === 0) {
    if (before !== undefined) removeDhcpPort(tx, before, subnets)
    return
  }
  const port = before ?? insertPort(deps, tx, networkId)
  const kept = port.fixed_ips.filter((fixed) => wanted.some((subnet) => subnet.id === fixed.subnet_id))
  for (const fixed of port.fixed_ips) if (!kept.includes(fixed)) releaseAddress(tx, subnets.find((subnet) => subnet.id === fixed.subnet_id), fixed)
  const missing = wanted.filter((subnet) => !kept.some((fixed) => fixed.subnet_id === subnet.id))
  const fixed_ips = [...kept, ...missing.flatMap((subnet) => addressIn(tx, networkId, subnet, port))]
  if (JSON.stringify(fixed_ips) !== JSON.stringify(port.fixed_ips)) tx.db.update(ports).set({ fixed_ips, ...bumped(tx, port) }).where(eq(ports.id, port.id)).run()
}

/** A subnet whose pools are full goes without DHCP until an address is free: its other ports come first. */
function addressIn(tx: Tx, networkId: string, subnet: SubnetRow, port: PortRow): FixedIp[] {
  try {
    return allocate(tx, networkId, [subnet], [{ subnet_id: subnet.id }], { id: port.id, mac_address: port.mac_address, device_owner: DHCP_OWNER })
  } catch (error) {
    if (isFault(error, 'conflict')) return []
    throw error
  }
}

function insertPort(deps: Deps, tx: Tx, networkId: string): PortRow {
  const row: PortRow = {
    ...standardRow(tx, deps.newId(), {}), network_id: networkId, network_owner_id: null, mac_address: newMac(deps, tx.db, networkId), admin_state_up: true, status: 'ACTIVE', device_id: `dhcp-${networkId}`, device_owner: DHCP_OWNER,
    fixed_ips: [], security_groups: [], allowed_address_pairs: [], extra_dhcp_opts: [], port_security_enabled: false, host_id: '', vnic_type: 'normal', binding_profile: {}, dns_name: '', dns_domain: '', owned_by_server: false, device_tag: null,
  }
  tx.db.insert(ports).values(row).run()
  tx.change('port', row.id, 'create', null, row)
  return row
}

export function removeDhcpPort(tx: Tx, port: PortRow, subnets: readonly SubnetRow[]): void {
  for (const fixed of port.fixed_ips) releaseAddress(tx, subnets.find((subnet) => subnet.id === fixed.subnet_id), fixed)
  tx.db.delete(ports).where(eq(ports.id, port.id)).run()
  tx.change('port', port.id, 'delete', port, null)
}
