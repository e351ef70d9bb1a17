/** Attributes of a subnet (api-ref: subnets). */
import * as v from 'valibot'
import type { Given } from '../api/attributes.ts'
import { standardAttributes } from '../api/standard.ts'
import { boolean, cidr, integer, ip, list, listOrNull, oneOf, orNull, record, route, text, uuid } from '../api/types.ts'

export const NAMESERVERS_MAX = 5
export const HOST_ROUTES_MAX = 20
export const POOLS_MAX = 100

const modes = oneOf(['slaac', 'dhcpv6-stateful', 'dhcpv6-stateless'])
/** A subnetpool, or `prefix_delegation`, which is not served here. */
const version = v.pipe(integer(4, 6), v.check((value) => value === 4 || value === 6, 'it is not in [4, 6]'), v.transform((value) => value as 4 | 6))

export const subnetAttributes = {
  ...standardAttributes,
  network_id: { schema: uuid, put: false, required: true },
  ip_version: { schema: version, put: false },
  cidr: { schema: orNull(cidr), put: false },
  prefixlen: { schema: integer(0, 128), put: false },
  subnetpool_id: { schema: orNull(uuid), put: false },
  use_default_subnetpool: { schema: boolean, put: false },
  gateway_ip: { schema: orNull(ip) },
  allocation_pools: { schema: orNull(list(record({ start: ip, end: ip }), POOLS_MAX)) },
  dns_nameservers: { schema: listOrNull(ip, NAMESERVERS_MAX), fallback: [] },
  host_routes: { schema: listOrNull(route, HOST_ROUTES_MAX), fallback: [] },
  enable_dhcp: { schema: boolean, fallback: true },
  ipv6_ra_mode: { schema: orNull(modes), put: false },
  ipv6_address_mode: { schema: orNull(modes), put: false },
  service_types: { schema: listOrNull(text()), fallback: [] },
  dns_publish_fixed_ip: { schema: boolean, fallback: false },
  segment_id: { schema: orNull(uuid) },
  id: {}, tags: {}, revision_number: {}, created_at: {}, updated_at: {},
}

export type SubnetGiven = Given<typeof subnetAttributes>
