/**
 * Records of an older root secret, sealed anew under the newest one: hosts bring them as they lie on their disks and take the new ones, keys stay here. What is opened and sealed is the
 * metadata and the key of the body, so bodies stay as they are.
 */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { boundTo, boundToSegments, openText, type ResealedEntry, type SealedEntry, type SealedText, type SealingKey, sealText } from '../../../schema/agent/sealing.ts'
import { isFault } from '../../../schema/values/fault.ts'
import { type Random, systemRandom } from '../../../schema/values/random.ts'
import type { ObjectName } from '../names.ts'
import { fragmentKeys, sealingOf } from './keymaster.ts'

/** The path that is stored with a version, of versions under names of their own too. */
function nameOf(path: string): ObjectName | null {
  const match = /^\/([^/]+)\/([^/]+)\/(.+)$/s.exec(path)
  return match === null ? null : { account: match[1] ?? '', container: match[2] ?? '', object: match[3] ?? '' }
}

/** Null where it does not open: its root secret is not here, or it was changed. */
export async function resealed(env: Env, entry: SealedEntry): Promise<ResealedEntry | null> {
  const name = nameOf(entry.name)
  if (name === null) return null
  const random = env.SIM?.random ?? systemRandom
  try {
    const sealed = again(entry.sealed, (await sealingOf(env, name))?.keys ?? [], boundTo(entry.kind, entry), random)
    if (entry.segments === undefined) return { sealed }
    const { mark, key } = entry.segments
    return { sealed, key: again(key, await fragmentKeys(env, name), boundToSegments(entry.name, entry.timestamp, mark), random) }
  } catch (error) {
    if (!isFault(error, 'internal')) throw error
    return null
  }
}

const again = (sealed: SealedText, keys: readonly SealingKey[], bound: string, random: Pick<Random, 'bytes'>): SealedText => sealText(openText(sealed, keys, bound), keys, bound, random)
