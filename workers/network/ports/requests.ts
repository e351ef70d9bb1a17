/** Attributes of a port (api-ref: ports). */
import * as v from 'valibot'
import type { Given } from '../api/attributes.ts'
import { standardAttributes } from '../api/standard.ts'
import { boolean, ip, list, listOrNull, mac, made, oneOf, orNull, record, text, uuid, uuids } from '../api/types.ts'
import { parseCidr, parseIp, formatCidr, formatIp } from '../../../schema/values/ip.ts'

export const FIXED_IPS_MAX = 64
export const PAIRS_MAX = 100
export const OPTION_CHARS_MAX = 255

const wish = v.pipe(
  record({ subnet_id: v.optional(uuid), ip_address: v.optional(ip) }),
  v.check((value) => value.subnet_id !== undefined || value.ip_address !== undefined, 'it needs a subnet_id or an ip_address'),
)
export const fixedIps = v.pipe(
  listOrNull(wish, FIXED_IPS_MAX),
  v.check((wishes) => new Set(wishes.flatMap((one) => one.ip_address ?? [])).size === wishes.flatMap((one) => one.ip_address ?? []).length, 'Duplicate IP address'),
)

const addressOrBlock = made((value) => {
  const address = typeof value === 'string' ? parseIp(value) : null
  if (address !== null) return formatIp(address.version, address.value)
  const block = typeof value === 'string' ? parseCidr(value) : null
  if (block === null) throw new Error(`'${String(value)}' is not a valid IP address or subnet`)
  return formatCidr(block)
})
const pair = record({ ip_address: addressOrBlock, mac_address: v.optional(mac) })

const optionName = made((value) => {
  if (typeof value !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9:-]{0,63}$/.test(value)) throw new Error(`'${String(value)}' is not a DHCP option name`)
  return value
})
/** One line of printable text: it reaches a DHCP server's configuration. */
const optionValue = made((value) => {
  if (value === null) return null
  if (typeof value !== 'string' || value.length > OPTION_CHARS_MAX || !/^[\x20-\x7e]*$/.test(value)) throw new Error(`'${String(value)}' is not a DHCP option value`)
  return value
})
const option = record({ opt_name: optionName, opt_value: optionValue, ip_version: v.optional(made((value) => (Number(value) === 6 ? (6 as const) : (4 as const)))) })

/** A label, or labels with dots: RFC 1035. */
const dnsName = made((value) => {
  if (value === '' || value === null) return ''
  if (typeof value !== 'string' || value.length > 255 || !/^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\.?$/i.test(value)) throw new Error(`'${String(value)}' is not a valid PQDN or FQDN`)
  return value
})

export const portAttributes = {
  ...standardAttributes,
  network_id: { schema: uuid, put: false, required: true },
  admin_state_up: { schema: boolean, fallback: true },
  mac_address: { schema: mac },
  fixed_ips: { schema: fixedIps },
  device_id: { schema: v.pipe(v.nullable(text()), v.transform((value) => value ?? '')), fallback: '' },
  device_owner: { schema: v.pipe(v.nullable(text()), v.transform((value) => value ?? '')), fallback: '' },
  security_groups: { schema: uuids() },
  allowed_address_pairs: { schema: listOrNull(pair, PAIRS_MAX) },
  extra_dhcp_opts: { schema: orNull(list(option, 64)) },
  port_security_enabled: { schema: boolean },
  'binding:host_id': { schema: v.pipe(v.nullable(text()), v.transform((value) => value ?? '')), guarded: true, hidden: true },
  'binding:profile': { schema: v.pipe(v.nullable(v.record(v.string(), v.unknown())), v.transform((value) => value ?? {})), guarded: true, hidden: true },
  'binding:vnic_type': { schema: oneOf(['normal', 'direct', 'macvtap', 'baremetal', 'direct-physical', 'virtio-forwarder', 'smart-nic']), fallback: 'normal' },
  dns_name: { schema: dnsName, fallback: '' },
  dns_domain: { schema: dnsName, fallback: '' },
  'binding:vif_type': { hidden: true }, 'binding:vif_details': { hidden: true },
  id: {}, status: {}, dns_assignment: {}, tags: {}, revision_number: {}, created_at: {}, updated_at: {}, ip_allocation: {},
}

export type PortGiven = Given<typeof portAttributes>
