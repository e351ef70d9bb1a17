/** Subnet rows as Neutron shows them. Pure. */
import type { SubnetRow } from '../../../schema/project/network.ts'
import type { View } from '../api/query.ts'
import { standardView } from '../api/standard.ts'

export const subnetView = (row: SubnetRow, project_id: string, owned: { 'router:external'?: boolean } = {}): View => ({
  ...standardView(row, project_id), network_id: row.network_id, ip_version: row.ip_version, cidr: row.cidr, gateway_ip: row.gateway_ip, enable_dhcp: row.enable_dhcp, allocation_pools: row.allocation_pools,
  dns_nameservers: row.dns_nameservers, host_routes: row.host_routes, ipv6_ra_mode: row.ipv6_ra_mode, ipv6_address_mode: row.ipv6_address_mode, subnetpool_id: row.subnetpool_id,
  service_types: row.service_types, dns_publish_fixed_ip: row.dns_publish_fixed_ip, segment_id: null, ...owned,
})
