/** What image brings to a Project object: stores, outbox tasks, quotas. Hosts report nothing of images. */
import { RpcTarget } from 'cloudflare:workers'
import { sql } from 'drizzle-orm'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { QuotaSpec } from '../../durable-objects/project/quota.ts'
import type { Caller } from '../../schema/values/caller.ts'
import { ImagesStore } from './images/store.ts'
import { MetadefsStore } from './metadefs/store.ts'
import { imageTasks } from './tasks.ts'

/** One getter per resource. */
export class ImageStores extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  get images() {
    return new ImagesStore(this.#deps, this.#caller)
  }

  get metadefs() {
    return new MetadefsStore(this.#deps, this.#caller)
  }
}

export const imageStores = (deps: Deps, caller: Caller): ImageStores => new ImageStores(deps, caller)
export { imageTasks }

const MIB = 1024 * 1024
/** Sizes in MiB, as upstream's unified limits of the image service. */
export const imageQuota: QuotaSpec = {
  service: 'image',
  defaults: { image_count_total: 1_000, image_size_total: -1, image_stage_total: -1, image_count_uploading: 100 },
  usage: (db) => {
    const row = db.get(sql`SELECT COUNT(*) AS total, COALESCE(SUM(size_bytes * MAX(1, json_array_length(locations))), 0) AS bytes, COALESCE(SUM(CASE WHEN staged IS NULL THEN 0 ELSE size_bytes END), 0) AS staged,
      COALESCE(SUM(status IN ('saving', 'importing')), 0) AS uploading FROM images`) as unknown as unknown[] | Record<string, number>
    const [total, bytes, staged, uploading] = (Array.isArray(row) ? row : Object.values(row)) as number[]
    return { image_count_total: total ?? 0, image_size_total: Math.ceil((bytes ?? 0) / MIB), image_stage_total: Math.ceil((staged ?? 0) / MIB), image_count_uploading: uploading ?? 0 }
  },
}
