/** Invariants of images in one project: usable ones have bytes and hashes, unfinished ones have somebody who will finish or end them. */
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Violation } from '../../durable-objects/kernel/violation.ts'
import type { Holdings } from '../../durable-objects/project/holdings.ts'
import { images } from '../../schema/project/image.ts'
import { TRANSIENT } from './images/states.ts'

export function verifyImage(deps: Deps): Violation[] {
  const found: Violation[] = []
  const pending = new Set(deps.storage.sql.exec("SELECT payload FROM _outbox WHERE task IN ('image.upload_watch', 'image.import')").toArray().map((row) => (JSON.parse(String(row.payload)) as { id: string }).id))
  for (const row of deps.db.select().from(images).all()) {
    const say = (invariant: string, message: string) => void found.push({ invariant, project_id: deps.name, resource: `image ${row.id}`, message })
    if ((row.status === 'active' || row.status === 'deactivated') && (row.locations.length === 0 || row.sha512 === null || row.size_bytes === null)) say('reference-exists', `it is ${row.status} and has no bytes`)
    if (row.status === 'uploading' && row.staged === null) say('reference-exists', 'it is staged and has no bytes')
    if (TRANSIENT.has(row.status) && !pending.has(row.id)) say('no-overdue-state', `it is ${row.status} and nothing will end that`)
  }
  return found
}

/** What this project's images hold elsewhere. */
export function imageHoldings(deps: Deps): Pick<Holdings, 'images' | 'underway'> {
  const rows = deps.db.select({ id: images.id, status: images.status }).from(images).all()
  return { images: rows.map((row) => row.id), underway: rows.filter((row) => TRANSIENT.has(row.status)).map((row) => row.id) }
}
