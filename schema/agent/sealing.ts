/**
 * Encrypted ("sealed") versions: the keys that come along with a request, and what lies on a disk. The plane derives one key for each object from its root secrets
 * (workers/object/encryption/); a host gets it with the request, uses it, and keeps it nowhere. Both sides open records: a host for a client, the plane what auditors met.
 *
 *   record   AES-256-GCM under the object's key: nonce (12 bytes), ciphertext, tag (16), in base64. It holds the metadata, the MD5 and other check sums of the body, and
 *            the body's own random key. Bound to kind, name, time and size of its version: moved elsewhere it does not open.
 *   body     AES-256-GCM under that random key, used for one write on one device only; each block by itself with its number as nonce, so that any range opens without
 *            the rest. Tags stand beside the record: byte n of the file is byte n of the body.
 *   fragment of an erasure-coded object: the record as above, without a key; what is encoded was encrypted before by who encodes (workers/object/erasure/seal.ts), and no host
 *            is told the key of it.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { Fault, isFault } from '../values/fault.ts'
import type { Random } from '../values/random.ts'
import type { StoredVersion, VersionKind } from './replication.ts'

export const KEY_BYTES = 32
export const NONCE_BYTES = 12
export const TAG_BYTES = 16

/** What an object is sealed under: its key from one root secret. */
export interface SealingKey {
  /** Id of the root secret: a hash of it, so that no two secrets have the same. */
  root: string
  /** base64url */
  key: string
}

export interface Sealing {
  /** put, post: what is written is sealed, under the first key. */
  seal: boolean
  /** The newest first; every one opens. */
  keys: readonly SealingKey[]
}

export interface SealedText {
  root: string
  /** base64 */
  text: string
}

export interface SealedVersion extends SealedText {
  /** base64 of one tag for each block of the body. */
  tags?: string
  /** Of a fragment: the key of the object's segments, sealed under a key that no host is told. */
  key?: SealedText
  /** CRC-32 of text, tags and key: damage is told from a key that does not fit. */
  sum: number
}

/** What a record holds. */
export type Sealed = Pick<StoredVersion, 'metadata' | 'etag' | 'sha512' | 'digests' | 'inspection'> & {
  /** Of the body, base64. */
  key?: string
}

/** A record as it lies on a disk and what it is bound to, without anything that it hides: to be sealed anew where the keys are. */
export interface SealedEntry {
  kind: VersionKind
  name: string
  timestamp: string
  /** Of the object. */
  size_bytes?: number
  sealed: SealedText
  /** Of a fragment. */
  segments?: { mark: string; key: SealedText }
}

export interface ResealedEntry {
  sealed: SealedText
  key?: SealedText
}

/** What the key of an erasure-coded object's segments is bound to: path, time and mark of its write. */
export const boundToSegments = (path: string, timestamp: string, mark: string): string => JSON.stringify(['segments', path, timestamp, mark])

/** What the record of a version is bound to. */
export const boundTo = (kind: VersionKind, { name, timestamp, size_bytes, fragment }: Pick<StoredVersion, 'name' | 'timestamp' | 'size_bytes' | 'fragment'>): string => JSON.stringify([kind, name, timestamp, fragment?.object.size_bytes ?? size_bytes ?? null])

export function sealText(text: string, keys: readonly SealingKey[], bound: string, random: Pick<Random, 'bytes'>): SealedText {
  const [first] = keys
  if (first === undefined) throw new Fault('internal', 'something is to be encrypted, and there is no key for it')
  const nonce = random.bytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', Buffer.from(first.key, 'base64url'), nonce)
  cipher.setAAD(Buffer.from(bound))
  const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return { root: first.root, text: Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64') }
}

/** `details` of the Fault of what does not open with the key that it should open with. */
export const UNOPENED = { unopened: true } as const
export const isUnopened = (error: unknown): boolean => isFault(error, 'internal') && (error.details as { unopened?: unknown } | null | undefined)?.unopened === true

/** `details.root` of the Fault that says so: the root secret whose key did not come along. */
export const unknownRoot = (root: string): Fault => new Fault('internal', `this is encrypted under the root secret ${root}, whose key did not come with the request`, { details: { root } })

export function openText({ root, text }: SealedText, keys: readonly SealingKey[], bound: string): string {
  const known = keys.find((key) => key.root === root)
  if (known === undefined) throw unknownRoot(root)
  const bytes = Buffer.from(text, 'base64')
  try {
    const decipher = createDecipheriv('aes-256-gcm', Buffer.from(known.key, 'base64url'), bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
    decipher.setAAD(Buffer.from(bound))
    decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES))
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES)), decipher.final()]).toString('utf8')
  } catch (error) {
    throw new Fault('internal', 'an encrypted record does not open with its key: it was changed, or is of another object', { cause: error, details: UNOPENED })
  }
}

/** The record of a version; null where it is not sealed. */
export function openRecord(kind: VersionKind, stored: StoredVersion, keys: readonly SealingKey[]): Sealed | null {
  return stored.sealed === undefined ? null : (JSON.parse(openText(stored.sealed, keys, boundTo(kind, stored))) as Sealed)
}
