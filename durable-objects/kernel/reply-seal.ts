/**
 * Answers kept for an Idempotency-Key may hold secrets (a token, an application credential's secret, a password). They are kept under a key that is made of the client's own
 * Idempotency-Key and of the deployment's secret (IDENTITY_KEYS): the database has neither, and who repeats the request brings the one along. What stands for
 * the key there is its hash; what tells requests apart is bound to the key too, so that a body with a weak password cannot be guessed from it. Pure.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

const KEY_BYTES = 32
export const NONCE_BYTES = 12
const TAG_BYTES = 16

/** The name that a row has: nothing but the client's key leads to it. */
export const nameOf = (key: string): string => createHash('sha256').update('skyhook idempotency name').update(key).digest('hex')

export class ReplySeal {
  #sealing: Buffer
  #marking: Buffer

  constructor(key: string, secret: string) {
    const made = Buffer.from(hkdfSync('sha256', key, secret, 'skyhook idempotency', 2 * KEY_BYTES))
    this.#sealing = made.subarray(0, KEY_BYTES)
    this.#marking = made.subarray(KEY_BYTES)
  }

  mark(fingerprint: string): string {
    return createHmac('sha256', this.#marking).update(fingerprint).digest('hex')
  }

  isMark(kept: string, fingerprint: string): boolean {
    const [a, b] = [Buffer.from(kept), Buffer.from(this.mark(fingerprint))]
    return a.length === b.length && timingSafeEqual(a, b)
  }

  seal(text: string, nonce: Uint8Array): string {
    const cipher = createCipheriv('aes-256-gcm', this.#sealing, nonce)
    return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64url')
  }

  /** null: sealed under another key. */
  open(kept: string): string | null {
    const bytes = Buffer.from(kept, 'base64url')
    if (bytes.length < NONCE_BYTES + TAG_BYTES) return null
    const decipher = createDecipheriv('aes-256-gcm', this.#sealing, bytes.subarray(0, NONCE_BYTES))
    decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES))
    try {
      return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES)), decipher.final()]).toString('utf8')
    } catch {
      return null
    }
  }
}
