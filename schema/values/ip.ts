/**
 * Internet addresses, the same for every service and for the agent: strict text in, big integers inside, canonical text out. `127.1`, `010.0.0.1` and zone ids are refused.
 * Sortable keys (32 hexadecimal digits, both families) are what the tables index.
 */
import { Address4, Address6 } from 'ip-address'

export type Version = 4 | 6

export interface Ip {
  version: Version
  value: bigint
}

export interface Cidr {
  version: Version
  /** Network address (host bits cleared). */
  first: bigint
  last: bigint
  prefix: number
}

/** Four numbers, no more: the library also takes a prefix length. */
const DOTTED = /^\d+\.\d+\.\d+\.\d+$/

export const bitsOf = (version: Version): number => (version === 4 ? 32 : 128)

/** Null for what is no address in its strict form: a zone id is part of a socket's address, not of a host's. */
export function parseIp(text: string): Ip | null {
  if (!text.includes(':')) return Address4.isValid(text) && DOTTED.test(text) ? { version: 4, value: new Address4(text).bigInt() } : null
  return !/[%/]/.test(text) && Address6.isValid(text) ? { version: 6, value: new Address6(text).bigInt() } : null
}

/** Canonical text: RFC 5952 for version 6. */
export const formatIp = (version: Version, value: bigint): string => (version === 4 ? [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.') : Address6.fromBigInt(value).correctForm())

/** The canonical text of an address, or null where it is none. */
export function canonicalIp(text: string): string | null {
  const ip = parseIp(text)
  return ip === null ? null : formatIp(ip.version, ip.value)
}

export const isIPv4 = (text: string): boolean => parseIp(text)?.version === 4
export const isIPv6 = (text: string): boolean => parseIp(text)?.version === 6

export function parseCidr(text: string): Cidr | null {
  const [address, length, more] = text.split('/')
  const ip = parseIp(address ?? '')
  if (ip === null || more !== undefined) return null
  const bits = bitsOf(ip.version)
  if (length !== undefined && !/^(0|[1-9]\d{0,2})$/.test(length)) return null
  const prefix = length === undefined ? bits : Number(length)
  return prefix > bits ? null : cidrOf(ip.version, ip.value, prefix)
}

/** The block of `prefix` bits that holds `value`. */
export function cidrOf(version: Version, value: bigint, prefix: number): Cidr {
  const size = 1n << BigInt(bitsOf(version) - prefix)
  const first = (value / size) * size
  return { version, first, last: first + size - 1n, prefix }
}

export const formatCidr = (cidr: Cidr): string => `${formatIp(cidr.version, cidr.first)}/${cidr.prefix}`
export const contains = (cidr: Pick<Cidr, 'first' | 'last' | 'version'>, ip: Ip): boolean => cidr.version === ip.version && cidr.first <= ip.value && ip.value <= cidr.last
export const overlaps = (a: Cidr, b: Cidr): boolean => a.version === b.version && a.first <= b.last && b.first <= a.last

/** A parsed address that is known to be good (it was validated when it came in). */
export function ipOf(text: string): Ip {
  const ip = parseIp(text)
  if (ip === null) throw new Error(`not an address: ${text}`)
  return ip
}

export function cidrFrom(text: string): Cidr {
  const cidr = parseCidr(text)
  if (cidr === null) throw new Error(`not a CIDR: ${text}`)
  return cidr
}

export const keyOf = (value: bigint): string => value.toString(16).padStart(32, '0')
export const valueOfKey = (key: string): bigint => BigInt(`0x${key}`)

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/
/** Canonical MAC text, or null where it is none (or is multicast or zero, which no port may have). */
export function parseMac(text: string): string | null {
  const mac = text.toLowerCase().replace(/-/g, ':')
  if (!MAC.test(mac) || mac === '00:00:00:00:00:00') return null
  return (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1 ? null : mac
}

/** The address that a host with this MAC gives itself in a SLAAC subnet (RFC 4291, appendix A). */
export function eui64(cidr: Cidr, mac: string): bigint {
  const bytes = mac.split(':').map((part) => Number.parseInt(part, 16))
  const id = [(bytes[0] ?? 0) ^ 2, bytes[1] ?? 0, bytes[2] ?? 0, 0xff, 0xfe, bytes[3] ?? 0, bytes[4] ?? 0, bytes[5] ?? 0]
  return cidr.first | id.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n)
}
