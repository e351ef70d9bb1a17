/**
 * Addresses as text, checked and brought to one form. Whatever comes from the plane passes through here before it is
 * written into a flow, a dnsmasq file or an argv, so no value can carry a comma, a newline or an option of its own.
 */
import { createHash } from 'node:crypto'
import { Fault } from '../../../../schema/values/fault.ts'
import { bitsOf, canonicalIp, formatCidr, formatIp, parseCidr, parseIp } from '../../../../schema/values/ip.ts'

export type Family = 4 | 6

export interface Cidr {
  family: Family
  /** Network address, host bits cleared, in one textual form. */
  address: string
  length: number
}

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/

export function mac(text: string): string {
  const lower = text.toLowerCase()
  if (!MAC.test(lower)) throw new Fault('bad_request', `not a MAC address: ${JSON.stringify(text)}`)
  return lower
}

export const familyOf = (text: string): Family | null => parseIp(text)?.version ?? null

export function ip(text: string): string {
  const canonical = canonicalIp(text)
  if (canonical === null) throw new Fault('bad_request', `not an IP address: ${JSON.stringify(text)}`)
  return canonical
}

/** "10.0.0.1" is a /32; host bits are cleared, so equal ranges are equal text. */
export function cidr(text: string): Cidr {
  const range = parseCidr(text)
  if (range === null) throw new Fault('bad_request', `not a CIDR: ${JSON.stringify(text)}`)
  return { family: range.version, address: formatCidr(range).split('/')[0] ?? '', length: range.prefix }
}

export const cidrText = (range: Cidr): string => `${range.address}/${range.length}`

export const isHost = (range: Cidr): boolean => range.length === bitsOf(range.family)

export function netmask(length: number): string {
  return formatIp(4, (0xffffffffn << BigInt(32 - length)) & 0xffffffffn)
}

/** The link-local address that a guest forms from its MAC (RFC 4291, modified EUI-64). */
export function linkLocal(macAddress: string): string {
  const bytes = mac(macAddress).split(':').map((byte) => Number.parseInt(byte, 16))
  const eui = [(bytes[0] ?? 0) ^ 2, bytes[1], bytes[2], 0xff, 0xfe, bytes[3], bytes[4], bytes[5]]
  return formatIp(6, eui.reduce<bigint>((sum, byte) => (sum << 8n) | BigInt(byte ?? 0), 0xfe80_0000_0000_0000n))
}

/** Short digest of text, for names and change detection; not a security measure. */
export const digest = (text: string, digits = 8): string => createHash('sha256').update(text).digest('hex').slice(0, digits)
