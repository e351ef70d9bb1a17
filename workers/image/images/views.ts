/** Rows -> JSON. Pure. What the directory publishes of an image is the same data, so that others' images look the same. */
import type { ImageRow } from '../../../schema/project/image.ts'
import { isoSeconds } from '../../../schema/values/time.ts'

/** An image as it leaves its Project object. `owner` is that object's name. */
export interface ImageData extends Omit<ImageRow, 'staged' | 'upload_id' | 'upload_seen_ms'> {
  owner: string
}

export function imageView(image: ImageData): Record<string, unknown> {
  const importing = image.tasks.find((task) => task.status === 'processing' || task.status === 'pending')
  const failed = image.tasks.at(-1)?.status === 'failure' ? (image.tasks.at(-1)?.stores.join(',') ?? '') : ''
  const reserved = image.tasks.length === 0 ? {} : { os_glance_importing_to_stores: importing?.stores.filter((store) => !image.locations.some((location) => location.store === store)).join(',') ?? '', os_glance_failed_import: failed }
  return {
    ...image.properties,
    id: image.id, name: image.name, status: image.status, visibility: image.visibility, protected: image.protected, os_hidden: image.hidden,
    container_format: image.container_format, disk_format: image.disk_format, size: image.size_bytes, virtual_size: image.virtual_size_bytes, checksum: image.checksum,
    os_hash_algo: image.sha512 === null ? null : 'sha512', os_hash_value: image.sha512, min_disk: image.min_disk_gib, min_ram: image.min_ram_mib, owner: image.owner, tags: image.tags,
    created_at: isoSeconds(image.created_ms), updated_at: isoSeconds(image.updated_ms), self: `/v2/images/${image.id}`, file: `/v2/images/${image.id}/file`, schema: '/v2/schemas/image',
    ...(image.locations.length > 0 ? { stores: storesOf(image).join(',') } : {}),
    ...reserved,
  }
}

export const storesOf = (image: Pick<ImageData, 'locations'>): string[] => [...new Set(image.locations.map((location) => location.store))].sort()

export const memberView = (imageId: string, member: ImageData['members'][number]): Record<string, unknown> => ({
  image_id: imageId, member_id: member.member_id, status: member.status, created_at: isoSeconds(member.created_ms), updated_at: isoSeconds(member.updated_ms), schema: '/v2/schemas/member',
})

/** As GET /v2/images/{id}/tasks and /v2/tasks show an import. */
export const taskView = (image: ImageData, task: ImageData['tasks'][number]): Record<string, unknown> => ({
  id: task.id, type: 'api_image_import', status: task.status, owner: image.owner, owner_id: image.owner, user_id: task.user_id, request_id: task.request_id, image_id: image.id,
  input: { image_id: image.id, import_req: task.input, backend: task.stores }, result: task.status === 'success' ? { image_id: image.id } : null, message: task.message,
  created_at: isoSeconds(task.created_ms), updated_at: isoSeconds(task.updated_ms), expires_at: task.status === 'success' || task.status === 'failure' ? isoSeconds(task.updated_ms + TASK_LIFE_MS) : null,
  self: `/v2/tasks/${task.id}`, schema: '/v2/schemas/task',
})

export const TASK_LIFE_MS = 48 * 3_600_000
