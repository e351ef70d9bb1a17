/** Port rows as Neutron shows them. Pure. */
import type { PortRow } from '../../../schema/project/network.ts'
import type { View } from '../api/query.ts'
import { standardView } from '../api/standard.ts'
import { GATEWAY_OWNER } from '../plane/known.ts'

export const DNS_DOMAIN = 'openstacklocal.'

export function portView(row: PortRow, project_id: string): View {
  const owner = row.device_owner === GATEWAY_OWNER ? '' : project_id
  return {
    ...standardView(row, owner), network_id: row.network_id, mac_address: row.mac_address, admin_state_up: row.admin_state_up, status: row.status, device_id: row.device_id, device_owner: row.device_owner,
    fixed_ips: row.fixed_ips, security_groups: row.security_groups, allowed_address_pairs: row.allowed_address_pairs, extra_dhcp_opts: row.extra_dhcp_opts, port_security_enabled: row.port_security_enabled,
    'binding:vnic_type': row.vnic_type, 'binding:host_id': row.host_id, 'binding:profile': row.binding_profile, 'binding:vif_type': row.host_id === '' ? 'unbound' : 'ovs', 'binding:vif_details': row.host_id === '' ? {} : { port_filter: true },
    dns_name: row.dns_name, dns_domain: row.dns_domain, dns_assignment: row.fixed_ips.map((fixed) => assignment(row, fixed.ip_address)), ip_allocation: row.fixed_ips.length > 0 ? 'immediate' : 'none',
  }
}

function assignment(row: PortRow, ip_address: string) {
  const hostname = row.dns_name === '' ? `host-${ip_address.replace(/[.:]+/g, '-')}` : row.dns_name.replace(/\.$/, '')
  return { ip_address, hostname, fqdn: row.dns_name.endsWith('.') ? row.dns_name : `${hostname}.${row.dns_domain === '' ? DNS_DOMAIN : row.dns_domain}` }
}
