/** The checksums that a client may ask for beside MD5, by the names that S3 gives them: the plane checks what passes through it, hosts what they write. */
import { createHash } from 'node:crypto'
import { type CrcKind, createCrc } from './crc.ts'

export const DIGESTS = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'] as const
export type DigestName = (typeof DIGESTS)[number]

export interface Digest {
  update(bytes: Uint8Array): void
  /** base64 */
  finish(): string
}

export const isDigestName = (name: string): name is DigestName => (DIGESTS as readonly string[]).includes(name)
export const isCrc = (name: DigestName): name is CrcKind => name.startsWith('crc')

export function createDigest(name: DigestName): Digest {
  if (isCrc(name)) {
    const crc = createCrc(name)
    return { update: (bytes) => crc.update(bytes), finish: () => Buffer.from(crc.digest()).toString('base64') }
  }
  const hash = createHash(name)
  return { update: (bytes) => void hash.update(bytes), finish: () => hash.digest('base64') }
}

export const DIGEST_BYTES: Record<DigestName, number> = { crc32: 4, crc32c: 4, crc64nvme: 8, sha1: 20, sha256: 32 }

export function digestOf(name: DigestName, bytes: Uint8Array): string {
  const digest = createDigest(name)
  digest.update(bytes)
  return digest.finish()
}
