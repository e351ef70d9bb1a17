/**
 * Internet addresses as Neutron reads them: strict text in, big integers inside, canonical text out. `127.1`, `010.0.0.1` and zone ids are refused.
 * Sortable keys (32 hexadecimal digits, both families) are what the tables index.
 */
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

export const bitsOf = (version: Version): number => (version === 4 ? 32 : 128)

const V4 = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/

function parseV4(text: string): bigint | null {
  const match = V4.exec(text)
  if (match === null) return null
  let value = 0n
  for (const part of match.slice(1)) {
    if (Number(part) > 255) return null
    value = (value << 8n) | BigInt(part)
  }
  return value
}

function parseV6(text: string): bigint | null {
  let rest = text
  let tail: bigint | null = null
  const dot = rest.lastIndexOf(':')
  if (rest.includes('.')) {
    tail = parseV4(rest.slice(dot + 1))
    if (tail === null || dot < 0) return null
    rest = `${rest.slice(0, dot + 1)}0:0`
  }
  const halves = rest.split('::')
  if (halves.length > 2) return null
  const groups = (half: string | undefined) => (half === undefined || half === '' ? [] : half.split(':'))
  const [head, end] = [groups(halves[0]), groups(halves[1])]
  const missing = 8 - head.length - end.length
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null
  let value = 0n
  for (const group of [...head, ...Array.from({ length: halves.length === 2 ? missing : 0 }, () => '0'), ...end]) {
    if (!/^[0-9a-f]{1,4}$/i.test(group)) return null
    value = (value << 16n) | BigInt(`0x${group}`)
  }
  return tail === null ? value : value | tail
}

export function parseIp(text: string): Ip | null {
  const v4 = parseV4(text)
  if (v4 !== null) return { version: 4, value: v4 }
  const v6 = text.includes(':') ? parseV6(text) : null
  return v6 === null ? null : { version: 6, value: v6 }
}

/** RFC 5952 for version 6. */
export function formatIp(version: Version, value: bigint): string {
  if (version === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.')
  const groups = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(16 * (7 - i))) & 0xffffn))
  let [bestAt, bestLength] = [-1, 1]
  for (let at = 0; at < 8; at++) {
    let length = 0
    while (at + length < 8 && groups[at + length] === 0) length++
    if (length > bestLength) [bestAt, bestLength] = [at, length]
  }
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(':')
  return bestAt < 0 ? hex(groups) : `${hex(groups.slice(0, bestAt))}::${hex(groups.slice(bestAt + bestLength))}`
}

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
