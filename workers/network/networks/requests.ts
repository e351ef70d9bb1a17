/** Attributes of a network (api-ref: networks). */
import type { Given } from '../api/attributes.ts'
import { DESCRIPTION_CHARS_MAX, standardAttributes } from '../api/standard.ts'
import { boolean, hints, integer, oneOf, orNull, text } from '../api/types.ts'

export const MTU_MAX = 65_535
/** What one overlay frame carries of a 1500-byte underlay; and a flat provider network, all of it. */
export const TENANT_MTU = 1_450
export const PROVIDER_MTU = 1_500
export const SEGMENT_ID_MAX = 0xff_ff_ff

export const networkAttributes = {
  ...standardAttributes,
  admin_state_up: { schema: boolean, fallback: true },
  shared: { schema: boolean, guarded: true },
  'router:external': { schema: boolean, guarded: true },
  is_default: { schema: boolean, guarded: true },
  mtu: { schema: integer(0, MTU_MAX) },
  port_security_enabled: { schema: boolean, fallback: true },
  availability_zone_hints: { schema: hints, put: false, fallback: [] },
  dns_domain: { schema: text(DESCRIPTION_CHARS_MAX), fallback: '' },
  'provider:network_type': { schema: orNull(oneOf(['flat', 'vxlan', 'local', 'geneve'])), put: false, guarded: true, hidden: true },
  'provider:physical_network': { schema: orNull(text()), put: false, guarded: true, hidden: true },
  'provider:segmentation_id': { schema: orNull(integer(1, SEGMENT_ID_MAX)), put: false, guarded: true, hidden: true },
  id: {}, status: {}, subnets: {}, availability_zones: {}, ipv4_address_scope: {}, ipv6_address_scope: {}, tags: {}, revision_number: {}, created_at: {}, updated_at: {},
}

export type NetworkGiven = Given<typeof networkAttributes>
