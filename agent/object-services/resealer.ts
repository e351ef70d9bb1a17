/**
 * After a root secret was put in front of another one: finds what the older ones sealed, reading metadata alone, and has the plane seal it anew. With one root secret there is nothing to
 * look for. What is left when a pass is over is told: an older root secret may go once no device has any.
 */
import type { ObjectServiceLimits, PartitionAt, SealedAt } from '../../schema/agent/replication.ts'
import type { ResealedEntry } from '../../schema/agent/sealing.ts'
import type { ObjectReplicas } from '../drivers/object/replicas.ts'
import { type Log, messageOf } from '../log.ts'
import type { PlaneHttp } from '../plane.ts'
import type { Pace } from './pace.ts'

export const RESEALED_BATCH_MAX = 50

export interface ResealerPass {
  files: number
  sealed: number
  /** Found under an older root secret, and still so. */
  left: number
  failures: number
}

export interface ResealerDeps {
  replicas: ObjectReplicas
  http: PlaneHttp
  /** What root secrets are called, the newest first. */
  roots(): readonly string[]
  limits(): ObjectServiceLimits
  files: Pace
  bytes: Pace
  stopped(): boolean
  log: Log
}

export class Resealer {
  #deps: ResealerDeps

  constructor(deps: ResealerDeps) {
    this.#deps = deps
  }

  async pass(device: string, hurry = false): Promise<ResealerPass> {
    const { replicas, roots, files, limits, stopped } = this.#deps
    const result: ResealerPass = { files: 0, sealed: 0, left: 0, failures: 0 }
    const [newest, ...older] = roots()
    if (newest === undefined || older.length === 0) return result
    let batch: SealedAt[] = []
    for (const place of await replicas.partitions(device)) {
      const at: PartitionAt = { device, ...place }
      const suffixes = new Set([...Object.keys(await replicas.suffixes(at)), ...Object.keys((await replicas.fragments(at)).pending)])
      for (const suffix of suffixes) {
        for (const { hash } of await replicas.versions({ ...at, suffixes: [suffix] })) {
          if (stopped()) return result
          if (!hurry) await files.take(1, limits().resealer_files_per_s)
          const found = await replicas.sealed({ ...at, hash })
          result.files += found.length
          batch.push(...found.filter(({ entry }) => entry.sealed.root !== newest || (entry.segments?.key.root ?? newest) !== newest))
          if (batch.length < RESEALED_BATCH_MAX) continue
          await this.#reseal(batch, result, hurry)
          batch = []
        }
      }
    }
    await this.#reseal(batch, result, hurry)
    return result
  }

  async #reseal(found: readonly SealedAt[], result: ResealerPass, hurry: boolean): Promise<void> {
    const { replicas, http, bytes, limits, log } = this.#deps
    result.left += found.length
    for (let from = 0; from < found.length; from += RESEALED_BATCH_MAX) {
      const some = found.slice(from, from + RESEALED_BATCH_MAX)
      try {
        const { entries } = (await http.call('/agents/v1/objects/reseal', { entries: some.map(({ entry }) => entry) })) as { entries: (ResealedEntry | null)[] }
        for (const [n, { at, entry, size_bytes }] of some.entries()) {
          const made = entries[n] ?? null
          if (made === null) {
            result.failures++
            log('record_not_resealed', { device: at.device, partition: at.partition, hash: at.hash, root: entry.sealed.root })
            continue
          }
          // Where the file system can't share bytes they are copied.
          if (!hurry) await bytes.take(size_bytes, limits().replicator_bytes_per_s)
          if (!(await replicas.reseal(at, entry.sealed.text, made))) continue
          result.sealed++
          result.left--
        }
      } catch (error) {
        // The next pass meets them again.
        result.failures++
        log('resealing_failed', { error: messageOf(error) })
      }
    }
  }
}
