/** Router rows as Neutron shows them. Pure. */
import type { FixedIp, RouterRow } from '../../../schema/project/network.ts'
import type { View } from '../api/query.ts'
import { standardView } from '../api/standard.ts'

export interface RouterRecord {
  row: RouterRow
  gateway_ips: FixedIp[]
}

export const routerView = ({ row, gateway_ips }: RouterRecord, project_id: string): View => ({
  ...standardView(row, project_id), admin_state_up: row.admin_state_up, status: row.status, routes: row.routes, flavor_id: null,
  external_gateway_info: row.gateway_network_id === null ? null : { network_id: row.gateway_network_id, enable_snat: row.enable_snat, external_fixed_ips: gateway_ips },
  availability_zone_hints: row.availability_zone_hints, availability_zones: row.host_id === null ? [] : ['nova'],
})
