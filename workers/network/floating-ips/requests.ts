/** Attributes of a floating IP (api-ref: floating IPs). */
import type { Given } from '../api/attributes.ts'
import { DESCRIPTION_CHARS_MAX } from '../api/standard.ts'
import { ip, orNull, text, uuid } from '../api/types.ts'

export const floatingIpAttributes = {
  description: { schema: text(DESCRIPTION_CHARS_MAX), fallback: '' },
  floating_network_id: { schema: uuid, put: false, required: true },
  subnet_id: { schema: orNull(uuid), put: false },
  floating_ip_address: { schema: orNull(ip), put: false, guarded: true },
  port_id: { schema: orNull(uuid) },
  fixed_ip_address: { schema: orNull(ip) },
  dns_name: { schema: text(), put: false, fallback: '' },
  dns_domain: { schema: text(), put: false, fallback: '' },
  id: {}, status: {}, router_id: {}, port_details: {}, tags: {}, revision_number: {}, created_at: {}, updated_at: {},
}

export type FloatingIpGiven = Given<typeof floatingIpAttributes>
