/** Attributes of security groups and their rules (api-ref: security groups). */
import type { Given } from '../api/attributes.ts'
import { DESCRIPTION_CHARS_MAX, standardAttributes } from '../api/standard.ts'
import { boolean, cidr, made, oneOf, orNull, text } from '../api/types.ts'

export const securityGroupAttributes = {
  ...standardAttributes,
  stateful: { schema: boolean, fallback: true },
  id: {}, security_group_rules: {}, shared: {}, tags: {}, revision_number: {}, created_at: {}, updated_at: {},
}

/** Checked by rules.ts, which words the errors: a number, its text, or nothing. */
const port = made((value) => {
  if (value === null || value === '') return null
  const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value
  if (typeof number !== 'number' || !Number.isInteger(number)) throw new Error(`'${String(value)}' is not an integer`)
  return number
})

const protocol = made((value) => {
  if (value === null || value === '' || value === 'any') return null
  if (typeof value === 'number' || typeof value === 'string') return String(value).toLowerCase()
  throw new Error(`'${JSON.stringify(value)}' is not a protocol`)
})

const direction = oneOf(['ingress', 'egress'])
const ethertype = made((value) => {
  const word = String(value ?? 'IPv4').toLowerCase()
  if (word === 'ipv4') return 'IPv4' as const
  if (word === 'ipv6') return 'IPv6' as const
  throw new Error(`Security group rule for ethertype '${String(value)}' not supported. Allowed values are ['IPv4', 'IPv6']`)
})

export const securityGroupRuleAttributes = {
  security_group_id: { schema: text(), put: false, required: true },
  direction: { schema: direction, put: false, required: true },
  ethertype: { schema: ethertype, put: false, fallback: 'IPv4' },
  protocol: { schema: protocol, put: false },
  port_range_min: { schema: port, put: false },
  port_range_max: { schema: port, put: false },
  remote_ip_prefix: { schema: orNull(cidr), put: false },
  remote_group_id: { schema: orNull(text()), put: false },
  description: { schema: text(DESCRIPTION_CHARS_MAX), put: false, fallback: '' },
  id: {}, normalized_cidr: {}, revision_number: {}, created_at: {}, updated_at: {},
}

export type SecurityGroupGiven = Given<typeof securityGroupAttributes>
export type SecurityGroupRuleGiven = Given<typeof securityGroupRuleAttributes>
