/** What is learned from a body while it passes, in one go: length, MD5, a CRC of each block, and where asked SHA-512 and the disk format. Holds no bytes of it. */
import { createHash } from 'node:crypto'
import type { ObjectArgs, ObjectHead } from '../../../schema/agent/protocol.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { type Digest, type DigestName, createDigest, isDigestName } from '../../../schema/values/digests.ts'
import type { StoredVersion } from '../../../schema/agent/replication.ts'
import { createInspector } from '../../../schema/values/image-format.ts'
import { type Random, systemRandom } from '../../../schema/values/random.ts'
import { BlockSums } from './blocks.ts'
import { type BodyCipher, shareSealer } from './sealer.ts'

export interface Intake {
  /** Encrypts the body; where several replicas share the intake, it is done once for all. */
  sealer?: BodyCipher
  push(chunk: Uint8Array): void
  /** Throws where the body is not what was announced. */
  finish(): Pick<ObjectHead, 'size_bytes' | 'etag' | 'sha512' | 'digests' | 'inspection'> & Pick<StoredVersion, 'blocks'>
}

/** `sealing`: what is written are other bytes than these, so theirs are the block sums that count. */
export function createIntake({ size_bytes: announced, etag: wanted, want, sealing }: Pick<ObjectArgs, 'size_bytes' | 'etag' | 'want' | 'sealing'>): Intake {
  const md5 = createHash('md5')
  const sha512 = want?.sha512 === true ? createHash('sha512') : null
  const digests = Object.keys(want?.digests ?? {}).filter(isDigestName).map((name): [DigestName, Digest] => [name, createDigest(name)])
  const inspector = want?.inspect === true ? createInspector() : null
  const blocks = sealing?.seal === true ? null : new BlockSums()
  let size = 0
  return {
    push(chunk) {
      size += chunk.length
      if (typeof announced === 'number' && size > announced) throw new Fault('bad_request', `the body is longer than the announced ${announced} bytes`)
      md5.update(chunk)
      blocks?.push(chunk)
      sha512?.update(chunk)
      for (const [, digest] of digests) digest.update(chunk)
      inspector?.push(chunk)
    },
    finish() {
      if (typeof announced === 'number' && size !== announced) throw new Fault('client_closed', `the body ended after ${size} of ${announced} bytes`)
      const etag = md5.digest('hex')
      if (typeof wanted === 'string' && wanted.toLowerCase() !== etag) throw new Fault('unprocessable', `the body's MD5 is ${etag}, not ${wanted}`)
      const found = Object.fromEntries(digests.map(([name, digest]) => [name, digest.finish()])) as ObjectHead['digests']
      for (const [name, digest] of Object.entries(want?.digests ?? {})) if (digest !== null && found?.[name as DigestName] !== digest) throw new Fault('unprocessable', `the body's ${name} is another than the one given`, { type: name })
      return { size_bytes: size, etag, ...(blocks === null ? {} : { blocks: blocks.finish() }), ...(digests.length === 0 ? {} : { digests: found }), ...(sha512 === null ? {} : { sha512: sha512.digest('hex') }), ...(inspector === null ? {} : { inspection: inspector.finish() }) }
    },
  }
}

/**
 * One intake for several replicas of the same body in one process: whoever gets a chunk first has it counted and hashed, the others pass it on. All views see the same chunks.
 */
export function shareIntake(args: Pick<ObjectArgs, 'size_bytes' | 'etag' | 'want' | 'sealing'>, random: Pick<Random, 'bytes'> = systemRandom): () => Intake {
  const intake = createIntake(args)
  const seal = args.sealing?.seal === true ? shareSealer(random) : null
  let pushed = 0
  let finish = (): ReturnType<Intake['finish']> => {
    try {
      const found = intake.finish()
      finish = () => found
      return found
    } catch (error) {
      finish = () => {
        throw error
      }
      throw error
    }
  }
  return () => {
    let at = 0
    return {
      ...(seal === null ? {} : { sealer: seal() }),
      push(chunk) {
        const isFirst = at === pushed
        at += chunk.length
        if (!isFirst) return
        pushed = at
        intake.push(chunk)
      },
      finish() {
        if (at !== pushed) throw new Fault('client_closed', `the body ended after ${at} bytes here, and after ${pushed} elsewhere`)
        return finish()
      },
    }
  }
}
