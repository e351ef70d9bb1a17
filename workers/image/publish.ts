/**
 * What the region's directory knows of a project's images: public and community ones for everybody, shared ones for their members, and for ids that do not carry
 * their owner's tag (given by a client, or moved) who the owner is. Always told from the row as it is now, so that telling twice or late is harmless.
 */
import { eq } from 'drizzle-orm'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import { REGION_OBJECT_NAME } from '../../durable-objects/kernel/env.ts'
import { images } from '../../schema/project/image.ts'
import { dataOf } from './images/store.ts'
import { onRegion } from '../../durable-objects/kernel/sessions.ts'

export const PUBLISHED_IMAGE = 'image'
export const PUBLISHED_ALIAS = 'image-alias'

export async function publishImage(deps: Deps, id: string): Promise<void> {
  const row = deps.db.select().from(images).where(eq(images.id, id)).get()
  const region = deps.env.REGION.getByName(REGION_OBJECT_NAME)
  if (row === undefined) {
    // Moved away: the new owner has published it meanwhile.
    const known = await onRegion(deps.env, 'image-publish', (session) => session.directory.publishedById(PUBLISHED_ALIAS, id, '*'))
    if (known !== null && known.owner_id !== deps.name) return
    await region.publish(PUBLISHED_IMAGE, id, deps.name, [], null)
    await region.publish(PUBLISHED_ALIAS, id, deps.name, [], null)
    return
  }
  if (row.foreign_id) await region.publish(PUBLISHED_ALIAS, id, deps.name, ['*'], {})
  if (row.published) await region.publish(PUBLISHED_IMAGE, id, deps.name, audiences(row), dataOf(deps, row))
}

const audiences = (row: { visibility: string; members: { member_id: string }[] }): string[] =>
  row.visibility === 'public' || row.visibility === 'community' ? ['*'] : row.visibility === 'shared' ? row.members.map((member) => member.member_id) : []
