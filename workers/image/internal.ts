/** What the rest of the plane asks of images: finding one to boot from, its bytes for hosts, and taking in what a host made of a server or volume. */
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { ImageRef } from '../../schema/agent/desired.ts'
import type { ObjectHead } from '../../schema/agent/protocol.ts'
import type { ImageStatus, Visibility } from '../../schema/project/image.ts'
import { Fault } from '../../schema/values/fault.ts'
import { systemClock } from '../../schema/values/time.ts'
import type { Context } from '../http/context.ts'
import { defaultStore, getBytes } from './bytes.ts'
import type { ImageData } from './images/views.ts'
import { locate } from './locate.ts'
import { onProject } from '../../durable-objects/kernel/sessions.ts'
import { takeBytes } from './upload.ts'

export interface FoundImage {
  ref: ImageRef
  id: string
  name: string | null
  owner: string
  status: ImageStatus
  visibility: Visibility
  min_disk_gib: number
  min_ram_mib: number
  size_bytes: number | null
  virtual_size_bytes: number | null
  container_format: string | null
  disk_format: string | null
  checksum: string | null
  properties: Record<string, string>
  tags: string[]
  created_ms: number
  updated_ms: number
}

const asFound = (image: ImageData): FoundImage => ({
  ref: { id: image.id, owner_id: image.owner, size_bytes: image.size_bytes ?? 0, sha512: image.sha512 ?? '', disk_format: image.disk_format ?? 'raw', properties: image.properties },
  id: image.id, name: image.name, owner: image.owner, status: image.status, visibility: image.visibility, min_disk_gib: image.min_disk_gib, min_ram_mib: image.min_ram_mib, size_bytes: image.size_bytes,
  virtual_size_bytes: image.virtual_size_bytes, container_format: image.container_format, disk_format: image.disk_format, checksum: image.checksum, properties: image.properties, tags: image.tags, created_ms: image.created_ms, updated_ms: image.updated_ms,
})

/** An image that the caller may see, whatever its status; Fault not_found otherwise. */
export async function findImage(ctx: Context, id: string): Promise<FoundImage> {
  return asFound((await locate(ctx, id)).image)
}

const clockOf = (env: Env) => env.SIM?.clock ?? systemClock
/** Bytes for a host that was told to use the image. `range`: first and last byte, inclusive. */
export async function imageBytes(env: Env, ownerId: string, imageId: string, range: [number, number] | null = null): Promise<{ body: ReadableStream<Uint8Array>; size_bytes: number }> {
  const image: ImageData = await onProject(env, ownerId, 'image-bytes', (project) => project.image.images.get(imageId))
  if (image.size_bytes === null || image.locations.length === 0) throw new Fault('not_found', `Image ${imageId} has no data.`)
  const size_bytes = range === null ? image.size_bytes : range[1] - range[0] + 1
  let failure: unknown
  for (const location of image.locations) {
    try {
      return { body: await getBytes(env, location, range, clockOf(env).now_ms()), size_bytes }
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

/** A host's upload of a server or volume into an image that Nova or Cinder queued. Sent again after it arrived: the same answer. */
export async function receiveImage(env: Env, projectId: string, imageId: string, body: ReadableStream<Uint8Array>, size_bytes: number | null, requestId = 'host-upload'): Promise<ObjectHead> {
  return await onProject(env, projectId, requestId, async (project) => {
    const store = project.image.images
    const image: ImageData = await store.get(imageId)
    if (image.status === 'active' && image.size_bytes !== null) {
      await body.cancel()
      return { timestamp: '', size_bytes: image.size_bytes, etag: image.checksum ?? '', metadata: {}, sha512: image.sha512 ?? '' }
    }
    const { head } = await takeBytes({ env, store: store as never, image, purpose: 'upload', store_id: defaultStore(env), requestId, now_ms: clockOf(env).now_ms() }, body, size_bytes)
    return head
  })
}
