/** Sealed versions as this host writes and reads them (schema/agent/sealing.ts says what they are). The body passes through in the same length, block by block. */
import { createCipheriv, createDecipheriv, type CipherGCM } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { boundTo, KEY_BYTES, NONCE_BYTES, openRecord, type Sealed, type Sealing, type SealedVersion, sealText, TAG_BYTES, UNOPENED } from '../../../schema/agent/sealing.ts'
import type { FragmentFooter } from '../../../schema/agent/protocol.ts'
import type { StoredVersion, VersionKind } from '../../../schema/agent/replication.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { Random } from '../../../schema/values/random.ts'
import { BLOCK_BYTES, BlockSums } from './blocks.ts'

/** Its number. The key is never used for another body, so a number is never used twice with it. */
function nonceOf(block: number): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES)
  new DataView(nonce.buffer).setUint32(NONCE_BYTES - 4, block)
  return nonce
}

/** What is needed to read a body that was encrypted: its key and tags, and the sums of what was written. */
export interface SealedBody {
  key: string
  tags: string
  blocks: string
}

export interface BodyCipher {
  /** What to write instead of it, in this order. */
  push(chunk: Uint8Array): Iterable<Uint8Array>
  finish(): SealedBody
}

/** Where GCM's counter stands for the first bytes of a block; one is for its tag. */
const COUNTER_FIRST = 2
const AES_BYTES = 16

/** Encrypts a body that passes in chunks of any size. */
export class BodySealer implements BodyCipher {
  readonly #key: Uint8Array
  readonly #tags: Uint8Array[] = []
  readonly #sums = new BlockSums()
  #cipher: CipherGCM | null = null
  #held = 0

  constructor(random: Pick<Random, 'bytes'>) {
    this.#key = random.bytes(KEY_BYTES)
  }

  *push(chunk: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < chunk.length; ) {
      const take = Math.min(BLOCK_BYTES - this.#held, chunk.length - at)
      this.#cipher ??= createCipheriv('aes-256-gcm', this.#key, nonceOf(this.#tags.length))
      const sealed = this.#cipher.update(chunk.subarray(at, at + take))
      this.#sums.push(sealed)
      this.#held += take
      at += take
      if (this.#held === BLOCK_BYTES) this.#close()
      yield sealed
    }
  }

  /** What `push` gave for these bytes, that begin at `from`: nothing is learned of them a second time. GCM is counter mode and a tag. */
  *again(from: number, chunk: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < chunk.length; ) {
      const within = (from + at) % BLOCK_BYTES
      const take = Math.min(BLOCK_BYTES - within, chunk.length - at)
      const counter = Buffer.alloc(AES_BYTES)
      counter.set(nonceOf(Math.floor((from + at) / BLOCK_BYTES)))
      counter.writeUInt32BE(COUNTER_FIRST + Math.floor(within / AES_BYTES), NONCE_BYTES)
      const cipher = createCipheriv('aes-256-ctr', this.#key, counter)
      cipher.update(new Uint8Array(within % AES_BYTES))
      yield cipher.update(chunk.subarray(at, at + take))
      at += take
    }
  }

  finish(): SealedBody {
    this.#close()
    return { key: Buffer.from(this.#key).toString('base64'), tags: Buffer.concat(this.#tags).toString('base64'), blocks: this.#sums.finish() }
  }

  #close(): void {
    if (this.#cipher === null) return
    this.#cipher.final()
    this.#tags.push(this.#cipher.getAuthTag())
    this.#cipher = null
    this.#held = 0
  }
}

/** Chunks whose encryption is kept for the other replicas. */
const SHARED_CHUNKS_MAX = 8

/** One encryption for several replicas of the same body in one process: whoever gets a chunk first has it encrypted, the others write the same. One that is far behind does it by itself. */
export function shareSealer(random: Pick<Random, 'bytes'>): () => BodyCipher {
  const sealer = new BodySealer(random)
  const made = new Map<number, { length: number; pieces: Uint8Array[] }>()
  let pushed = 0
  let finished: SealedBody | null = null
  return () => {
    let at = 0
    const push = (chunk: Uint8Array): Iterable<Uint8Array> => {
      const from = at
      if (from < pushed && from + chunk.length > pushed) return [...push(chunk.subarray(0, pushed - from)), ...push(chunk.subarray(pushed - from))]
      at += chunk.length
      if (from < pushed) {
        const known = made.get(from)
        return known?.length === chunk.length ? known.pieces : sealer.again(from, chunk)
      }
      const pieces = [...sealer.push(chunk)]
      pushed = at
      made.set(from, { length: chunk.length, pieces })
      for (const old of made.keys()) if (made.size > SHARED_CHUNKS_MAX) made.delete(old)
      return pieces
    }
    return {
      push,
      finish() {
        if (at !== pushed) throw new Fault('client_closed', `the body ended after ${at} bytes here, and after ${pushed} elsewhere`)
        finished ??= sealer.finish()
        return finished
      },
    }
  }
}

/** How the blocks of one body are opened. */
export interface BodyOpener {
  key: Uint8Array
  tags: Uint8Array
}

export function openBlock({ key, tags }: BodyOpener, number: number, block: Uint8Array): Uint8Array {
  const tag = tags.subarray(number * TAG_BYTES, (number + 1) * TAG_BYTES)
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(number), { authTagLength: TAG_BYTES })
    decipher.setAuthTag(tag)
    const opened = decipher.update(block)
    decipher.final()
    return opened
  } catch (error) {
    throw new Fault('internal', `block ${number} of an encrypted object does not open with its key: it was changed, or is of another object`, { cause: error, details: UNOPENED })
  }
}

export const sumOfSealed = ({ text, tags = '', key }: Omit<SealedVersion, 'root' | 'sum'>): number => crc32(key?.text ?? '', crc32(tags, crc32(text)))

/** How a version is stored where it is sealed: name, time and size stay, the rest is in its record. `body` is missing where it has none (a POST). */
export function sealVersion(kind: VersionKind, plain: StoredVersion, sealing: Sealing, random: Pick<Random, 'bytes'>, body?: SealedBody): StoredVersion {
  const { name, timestamp, size_bytes, metadata, etag, sha512, digests, inspection } = plain
  const record: Sealed = { metadata, etag, sha512, digests, inspection, ...(body === undefined ? {} : { key: body.key }) }
  const sealed = { ...sealText(JSON.stringify(record), sealing.keys, boundTo(kind, plain), random), ...(body === undefined ? {} : { tags: body.tags }) }
  return { name, timestamp, ...(size_bytes === undefined ? {} : { size_bytes }), ...(body === undefined ? {} : { blocks: body.blocks }), sealed: { ...sealed, sum: sumOfSealed(sealed) } }
}

/** The same for a fragment: its own bytes were encrypted before they came here, so check sum and MD5 of them may be seen. */
export function sealFragment(plain: StoredVersion, { mark, key }: NonNullable<FragmentFooter['sealed']>, sealing: Sealing, random: Pick<Random, 'bytes'>): StoredVersion {
  const { name, timestamp, size_bytes, etag, blocks, metadata, fragment } = plain
  if (fragment === undefined) throw new Fault('internal', 'this is no fragment')
  const { size_bytes: size, etag: known, sha512, digests, inspection } = fragment.object
  const record: Sealed = { metadata, etag: known, sha512, digests, inspection }
  const shown = { name, timestamp, size_bytes, etag, blocks, fragment: { ...fragment, object: { size_bytes: size, etag: mark } } }
  const sealed = { ...sealText(JSON.stringify(record), sealing.keys, boundTo('data', shown), random), key }
  return { ...shown, sealed: { ...sealed, sum: sumOfSealed(sealed) } }
}

export interface OpenedVersion {
  stored: StoredVersion
  /** Null where it is not sealed, or has no body. */
  opener: BodyOpener | null
}

/** A version as it was written by the client. Throws where its key is not among those that came along, or does not fit. */
export function openVersion(kind: VersionKind, stored: StoredVersion, sealing: Sealing | undefined): OpenedVersion {
  const record = openRecord(kind, stored, sealing?.keys ?? [])
  if (record === null) return { stored, opener: null }
  const { key, ...plain } = record
  return { stored: { ...stored, ...plain }, opener: key === undefined ? null : { key: Buffer.from(key, 'base64'), tags: Buffer.from(stored.sealed?.tags ?? '', 'base64') } }
}
