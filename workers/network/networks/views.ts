/** Network rows as Neutron shows them. Pure. */
import type { NetworkRow } from '../../../schema/project/network.ts'
import { standardView } from '../api/standard.ts'
import type { View } from '../api/query.ts'
import type { PublishedNetwork } from '../plane/known.ts'

export interface NetworkRecord {
  row: NetworkRow
  subnets: string[]
  /** Projects it is shared with beside '*'. */
  ipv4_address_scope: string | null
  ipv6_address_scope: string | null
}

export function networkView({ row, subnets, ipv4_address_scope, ipv6_address_scope }: NetworkRecord, project_id: string): View {
  return {
    ...standardView(row, project_id), admin_state_up: row.admin_state_up, status: row.status, subnets, shared: row.shared, 'router:external': row.external, ...(row.external ? { is_default: row.is_default } : {}),
    mtu: row.mtu, port_security_enabled: row.port_security_enabled, availability_zone_hints: row.availability_zone_hints, availability_zones: subnets.length > 0 ? ['nova'] : [],
    ipv4_address_scope, ipv6_address_scope, dns_domain: row.dns_domain,
    'provider:network_type': row.network_type, 'provider:physical_network': row.physical_network, 'provider:segmentation_id': row.network_type === 'flat' ? null : row.segment_id,
  }
}

/** Another tenant's network, as `projectId` sees it: shared where a grant says so. Subnets of a network that is only external stay unseen. */
export function publishedView(published: PublishedNetwork, projectId: string | null): View {
  const shared = sharedWith(published, projectId)
  const view = networkView({ row: { ...published.rows.network, shared }, subnets: published.rows.subnets.map((subnet) => subnet.id), ipv4_address_scope: null, ipv6_address_scope: null }, published.owner_id)
  return view
}

export const sharedWith = (published: PublishedNetwork, projectId: string | null): boolean => published.grants.some((grant) => grant.action === 'access_as_shared' && (grant.target === '*' || grant.target === projectId))
