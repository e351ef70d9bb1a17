/** What is learned of an object while its bytes are cut into fragments: hosts only ever see pieces of it, so what clients know it by is computed here. Holds no bytes. */
import { createHash } from 'node:crypto'
import type { ObjectFacts, ObjectWants } from '../../../schema/agent/protocol.ts'
import { createDigest, type Digest, type DigestName, isDigestName } from '../../../schema/values/digests.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { createInspector } from '../../../schema/values/image-format.ts'

export interface Announced {
  /** null: not known beforehand. */
  size: number | null
  etag: string | null
  want?: ObjectWants
}

export class Learned {
  #announced: Announced
  #md5 = createHash('md5')
  #sha512: ReturnType<typeof createHash> | null
  #digests: [DigestName, Digest][]
  #inspector: ReturnType<typeof createInspector> | null
  #size = 0

  constructor(announced: Announced) {
    const { want } = announced
    this.#announced = announced
    this.#sha512 = want?.sha512 === true ? createHash('sha512') : null
    this.#digests = Object.keys(want?.digests ?? {}).filter(isDigestName).map((name) => [name, createDigest(name)])
    this.#inspector = want?.inspect === true ? createInspector() : null
  }

  push(chunk: Uint8Array): void {
    const { size } = this.#announced
    this.#size += chunk.byteLength
    if (size !== null && this.#size > size) throw new Fault('bad_request', `the body is longer than the announced ${size} bytes`)
    this.#md5.update(chunk)
    this.#sha512?.update(chunk)
    for (const [, digest] of this.#digests) digest.update(chunk)
    this.#inspector?.push(chunk)
  }

  /** Throws where the body is not what was announced. */
  finish(): ObjectFacts {
    const { size, etag: wanted, want } = this.#announced
    if (size !== null && this.#size !== size) throw new Fault('client_closed', `the body ended after ${this.#size} of ${size} bytes`)
    const etag = this.#md5.digest('hex')
    if (wanted !== null && wanted.toLowerCase() !== etag) throw new Fault('unprocessable', `the body's MD5 is ${etag}, not ${wanted}`)
    const digests = Object.fromEntries(this.#digests.map(([name, digest]) => [name, digest.finish()])) as ObjectFacts['digests']
    for (const [name, digest] of Object.entries(want?.digests ?? {})) if (digest !== null && digests?.[name as DigestName] !== digest) throw new Fault('unprocessable', `the body's ${name} is another than the one given`, { type: name })
    return {
      size_bytes: this.#size, etag, ...(this.#digests.length === 0 ? {} : { digests }), ...(this.#sha512 === null ? {} : { sha512: this.#sha512.digest('hex') }), ...(this.#inspector === null ? {} : { inspection: this.#inspector.finish() }),
    }
  }
}
