/**
 * Addresses as text, checked and brought to one form. Whatever comes from the plane passes through here before it is
 * written into a flow, a dnsmasq file or an argv, so no value can carry a comma, a newline or an option of its own.
 */
import { createHash } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import { Fault } from '../../../../schema/values/fault.ts'

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

export const familyOf = (text: string): Family | null => (isIPv4(text) ? 4 : isIPv6(text) && !text.includes('%') ? 6 : null)

export function ip(text: string): string {
  const family = familyOf(text)
  if (family === null) throw new Fault('bad_request', `not an IP address: ${JSON.stringify(text)}`)
  return formatIp(family, parseIp(family, text))
}

/** "10.0.0.1" is a /32; host bits are cleared, so equal ranges are equal text. */
export function cidr(text: string): Cidr {
  const [address = '', suffix, ...rest] = text.split('/')
  const family = familyOf(address)
  if (family === null || rest.length > 0) throw new Fault('bad_request', `not a CIDR: ${JSON.stringify(text)}`)
  const bits = family === 4 ? 32 : 128
  const length = suffix === undefined ? bits : Number(suffix)
  if (!/^\d{1,3}$/.test(suffix ?? String(bits)) || length > bits) throw new Fault('bad_request', `not a CIDR: ${JSON.stringify(text)}`)
  const shift = BigInt(bits - length)
  return { family, address: formatIp(family, (parseIp(family, address) >> shift) << shift), length }
}

export const cidrText = (range: Cidr): string => `${range.address}/${range.length}`

export const isHost = (range: Cidr): boolean => range.length === (range.family === 4 ? 32 : 128)

export function netmask(length: number): string {
  return formatIp(4, (0xffffffffn << BigInt(32 - length)) & 0xffffffffn)
}

/** The link-local address that a guest forms from its MAC (RFC 4291, modified EUI-64). */
export function linkLocal(macAddress: string): string {
  const bytes = mac(macAddress).split(':').map((byte) => Number.parseInt(byte, 16))
  const eui = [(bytes[0] ?? 0) ^ 2, bytes[1], bytes[2], 0xff, 0xfe, bytes[3], bytes[4], bytes[5]]
  return formatIp(6, eui.reduce<bigint>((sum, byte) => (sum << 8n) | BigInt(byte ?? 0), 0xfe80_0000_0000_0000n))
}

export function parseIp(family: Family, text: string): bigint {
  if (family === 4) return text.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n)
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)
  let hex = text
  if (dotted) {
    const low = parseIp(4, dotted[2] ?? '')
    hex = `${dotted[1]}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`
  }
  const [head = '', tail] = hex.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups = tail === undefined ? left : [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right]
  return groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n)
}

/** IPv6 is compressed at its first longest run of zeros, as RFC 5952 and the kernel write it. */
export function formatIp(family: Family, value: bigint): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => ((value >> shift) & 0xffn).toString()).join('.')
  const groups = Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16))
  let best = { start: -1, length: 1 }
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (groups[start + length] === '0') length++
    if (length > best.length) best = { start, length }
  }
  if (best.start < 0) return groups.join(':')
  return `${groups.slice(0, best.start).join(':')}::${groups.slice(best.start + best.length).join(':')}`
}

/** Short digest of text, for names and change detection; not a security measure. */
export const digest = (text: string, digits = 8): string => createHash('sha256').update(text).digest('hex').slice(0, digits)
