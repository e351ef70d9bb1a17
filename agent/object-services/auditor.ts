/**
 * Reads every byte that a device holds, again and again, no faster than it may: what is damaged goes to `quarantined`, and a whole replica comes back from the others. What it
 * met is told to the listings on the way, so that a write whose last step was lost is listed in the end, and a deletion unlisted.
 */
import type { ListingEntry, ObjectServiceLimits, PartitionAt } from '../../schema/agent/replication.ts'
import type { ObjectReplicas } from '../drivers/object/replicas.ts'
import { type Log, messageOf } from '../log.ts'
import type { PlaneHttp } from '../plane.ts'
import type { Pace } from './pace.ts'

export const LISTING_BATCH_MAX = 200
/** A write younger than this may still be on its way to its listing. */
export const LISTING_GRACE_MS = 60_000

export interface AuditorPass {
  files: number
  bytes: number
  quarantined: number
  unlisted: number
}

export interface AuditorDeps {
  replicas: ObjectReplicas
  http: PlaneHttp
  limits(): ObjectServiceLimits
  now_ms(): number
  bytes: Pace
  files: Pace
  stopped(): boolean
  log: Log
}

export class Auditor {
  #deps: AuditorDeps

  constructor(deps: AuditorDeps) {
    this.#deps = deps
  }

  /** `hurry`: asked for by the operator, at whatever rate the disk has. */
  async pass(device: string, hurry = false): Promise<AuditorPass> {
    const { replicas, bytes, files, limits, stopped } = this.#deps
    const result: AuditorPass = { files: 0, bytes: 0, quarantined: 0, unlisted: 0 }
    let batch: ListingEntry[] = []
    for (const place of await replicas.partitions(device)) {
      const at: PartitionAt = { device, ...place }
      for (const suffix of Object.keys(await replicas.suffixes(at))) {
        for (const { hash } of await replicas.versions({ ...at, suffixes: [suffix] })) {
          if (stopped()) return result
          if (!hurry) await files.take(1, limits().auditor_files_per_s)
          const audited = await replicas.audit(at, hash, async (count) => {
            if (!hurry) await bytes.take(count, limits().auditor_bytes_per_s)
          })
          result.files++
          result.bytes += audited.bytes
          if (audited.damage !== null) {
            result.quarantined++
            this.#deps.log('object_quarantined', { device, partition: at.partition, hash, why: audited.damage })
          }
          if (audited.entry !== null && this.#isSettled(audited.entry)) batch.push(audited.entry)
          if (batch.length < LISTING_BATCH_MAX) continue
          result.unlisted += await this.#tell(batch)
          batch = []
        }
      }
    }
    result.unlisted += await this.#tell(batch)
    return result
  }

  #isSettled(entry: ListingEntry): boolean {
    return Number(entry.posted ?? entry.timestamp) * 1_000 < this.#deps.now_ms() - LISTING_GRACE_MS
  }

  async #tell(entries: ListingEntry[]): Promise<number> {
    if (entries.length === 0) return 0
    try {
      return ((await this.#deps.http.call('/agents/v1/objects/listings', { entries })) as { changed: number }).changed
    } catch (error) {
      // The next pass meets them again.
      this.#deps.log('listing_check_failed', { error: messageOf(error) })
      return 0
    }
  }
}
