/**
 * Secrets at rest: AES-256-GCM under a key that the deployment keeps apart from the database (IDENTITY_KEYS: base64url, 32 bytes each, comma separated). The
 * first key seals; every one opens. To rotate, put a new key first: the object seals everything anew when it next boots, and then the old one can go.
 * Bound to its row: a sealed text moved to another row does not open.
 */
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'
import type { Random } from '../../../schema/values/random.ts'
import { Fault } from '../../../schema/values/fault.ts'

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** A text as a row keeps it: `sealed` names the key, null is plain. */
export interface Kept {
  text: string
  sealed: string | null
}

interface Key {
  id: string
  bytes: Buffer
}

export class Vault {
  #keys: Key[]
  #random: Random

  constructor(keys: string, random: Random) {
    this.#random = random
    this.#keys = keys.split(',').map((text) => text.trim()).filter((text) => text !== '').map((text) => {
      const bytes = Buffer.from(text, 'base64url')
      if (bytes.length !== KEY_BYTES) throw new Error(`IDENTITY_KEYS: each key is ${KEY_BYTES} bytes in base64url`)
      return { id: createHash('sha256').update('skyhook identity key').update(bytes).digest('hex').slice(0, 16), bytes }
    })
  }

  /** Name of the key that seals; null where there is none and texts are kept as they are. */
  get current(): string | null {
    return this.#keys[0]?.id ?? null
  }

  seal(text: string, row: string): Kept {
    const [key] = this.#keys
    if (key === undefined) return { text, sealed: null }
    const nonce = Buffer.from(this.#random.bytes(NONCE_BYTES))
    const cipher = createCipheriv('aes-256-gcm', key.bytes, nonce)
    cipher.setAAD(Buffer.from(row))
    const body = Buffer.concat([cipher.update(Buffer.from(text, 'utf8')), cipher.final()])
    return { text: Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64url'), sealed: key.id }
  }

  open({ text, sealed }: Kept, row: string): string {
    if (sealed === null) return text
    const key = this.#keys.find(({ id }) => id === sealed)
    if (key === undefined) throw new Fault('unavailable', 'A secret is sealed under a key that this deployment does not have (IDENTITY_KEYS).')
    const bytes = Buffer.from(text, 'base64url')
    const decipher = createDecipheriv('aes-256-gcm', key.bytes, bytes.subarray(0, NONCE_BYTES))
    decipher.setAAD(Buffer.from(row))
    decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES))
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES)), decipher.final()]).toString('utf8')
  }
}
