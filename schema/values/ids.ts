/**
 * Ids. A resource id is a version 4 UUID whose last 32 bits are its project's tag, so that any object can be found from
 * its id alone: no index row is written per resource (docs/decisions/0002-ids-carry-the-owner.md). A tag may be shared by a
 * few projects; the directory in Region answers with all of them.
 */
import type { Random } from './random.ts'

export interface Ids {
  /** Random UUID, 122 bits. */
  uuid(): string
  /** 32 hexadecimal digits, as Keystone's ids. */
  hex(): string
  /** UUID whose last 8 digits are `tag`: its head stays random, because names on hosts are cut from it (tap devices, disk serials). */
  tagged(tag: string): string
}

const HEX = /^[0-9a-f]{32}$/
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export const isUuid = (text: string): boolean => UUID.test(text)
export const isUuidLike = (text: string): boolean => UUID.test(text) || HEX.test(text.toLowerCase())

const HEX_OF_BYTE = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

export function createIds(random: Random): Ids {
  const hexOf = (bytes: Uint8Array) => {
    let text = ''
    for (const byte of bytes) text += HEX_OF_BYTE[byte]
    return text
  }
  const format = (bytes: Uint8Array) => {
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
    const text = hexOf(bytes)
    return `${text.slice(0, 8)}-${text.slice(8, 12)}-${text.slice(12, 16)}-${text.slice(16, 20)}-${text.slice(20)}`
  }
  return {
    uuid: () => format(random.bytes(16)),
    hex: () => hexOf(random.bytes(16)),
    tagged: (tag) => format(random.bytes(16)).slice(0, 28) + tag,
  }
}

/** The tag of a project: 32 bits of FNV-1a twice over its id. Not a secret: it only says which resources share an owner. */
export function projectTag(projectId: string): string {
  let hash = 0x811c9dc5
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < projectId.length; i++) {
      hash ^= projectId.charCodeAt(i)
      hash = Math.imul(hash, 0x01000193) >>> 0
    }
  }
  return hash.toString(16).padStart(8, '0')
}

export const tagOf = (resourceId: string): string => resourceId.slice(-8).toLowerCase()
