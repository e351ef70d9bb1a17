/**
 * Encryption of erasure-coded objects: each segment is sealed before it is encoded (AES-256-GCM under a key of this one write, its number as nonce, its tag behind it). So hosts have
 * fragments of what nobody can read and rebuild lost ones without any key; any range opens from the segment it begins in; and fragments that do not belong together do not open.
 * The key goes with every fragment, sealed under a key of the path that is never told to a host.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { Env } from '../../../durable-objects/kernel/env.ts'
import type { FragmentFooter } from '../../../schema/agent/protocol.ts'
import { boundToSegments, KEY_BYTES, NONCE_BYTES, openText, type SealedText, type SealingKey, sealText, TAG_BYTES } from '../../../schema/agent/sealing.ts'
import type { ErasureScheme } from '../../../schema/values/erasure.ts'
import { type Random, systemRandom } from '../../../schema/values/random.ts'
import { fragmentKeys } from '../encryption/keymaster.ts'
import type { ObjectName } from '../names.ts'

const MARK_BYTES = 16

function nonceOf(segment: number): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES)
  new DataView(nonce.buffer).setUint32(NONCE_BYTES - 4, segment)
  return nonce
}

/** Seals the segments of one write, in their order. */
export class SegmentSealer {
  readonly #key: Uint8Array
  readonly #sealed: NonNullable<FragmentFooter['sealed']>
  #next = 0

  constructor(random: Pick<Random, 'bytes'>, keys: readonly SealingKey[], path: string, timestamp: string) {
    this.#key = random.bytes(KEY_BYTES)
    const mark = Buffer.from(random.bytes(MARK_BYTES)).toString('hex')
    this.#sealed = { mark, key: sealText(Buffer.from(this.#key).toString('base64'), keys, boundToSegments(path, timestamp, mark), random) }
  }

  /** In a buffer of its own. */
  seal(segment: Uint8Array): Uint8Array {
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonceOf(this.#next++))
    const out = new Uint8Array(segment.byteLength + TAG_BYTES)
    out.set(cipher.update(segment))
    cipher.final()
    out.set(cipher.getAuthTag(), segment.byteLength)
    return out
  }

  /** What the footer says of it. */
  get footer(): NonNullable<FragmentFooter['sealed']> {
    return this.#sealed
  }
}

export const sealedScheme = (scheme: ErasureScheme): ErasureScheme => ({ ...scheme, tag_bytes: TAG_BYTES })

export async function sealerFor(env: Env, name: ObjectName, path: string, timestamp: string): Promise<SegmentSealer> {
  return new SegmentSealer(env.SIM?.random ?? systemRandom, await fragmentKeys(env, name), path, timestamp)
}

/** The key of what was written at that time. Throws where its root secret is not here, or it was changed. */
export async function segmentKey(env: Env, name: ObjectName, path: string, timestamp: string, { mark, key }: { mark: string; key: SealedText }): Promise<Uint8Array> {
  return Buffer.from(openText(key, await fragmentKeys(env, name), boundToSegments(path, timestamp, mark)), 'base64')
}

/** Null where it does not open: something in it is not what was written. */
export function openSegment(key: Uint8Array, number: number, sealed: Uint8Array): Uint8Array | null {
  const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(number), { authTagLength: TAG_BYTES })
  decipher.setAuthTag(sealed.subarray(sealed.byteLength - TAG_BYTES))
  const opened = decipher.update(sealed.subarray(0, sealed.byteLength - TAG_BYTES))
  try {
    decipher.final()
  } catch {
    return null
  }
  return opened
}
