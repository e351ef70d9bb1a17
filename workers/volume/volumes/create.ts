/** POST /volumes: resolves what lies outside the project (type, zone, image), then one call of the store does the rest. */
import type { InferOutput } from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { findImage } from '../../image/internal.ts'
import { qemuFormat } from '../../../schema/values/image-format.ts'
import { imageMetadata } from './image-metadata.ts'
import type { createBody } from './requests.ts'
import type { CreateVolume, VolumeData } from './store.ts'

const GIB = 1024 ** 3

async function fromImage(ctx: Context, reference: unknown): Promise<CreateVolume['image']> {
  const id = typeof reference === 'object' && reference !== null ? String((reference as { id?: unknown }).id ?? '') : String(reference)
  const image = await findImage(ctx, id.split('/').at(-1) ?? '').catch((error) => {
    throw (error as { kind?: string }).kind === 'not_found' ? new Fault('bad_request', 'Invalid imageRef provided.') : error
  })
  if (image.status !== 'active') throw new Fault('bad_request', `Invalid input received: Image ${image.id} is not active.`)
  if (qemuFormat(image.disk_format ?? '') === null) throw new Fault('bad_request', `Invalid input received: Image ${image.id} has the disk format ${image.disk_format}, of which no disk can be made.`)
  const min_gib = Math.max(image.min_disk_gib, Math.ceil((image.virtual_size_bytes ?? image.size_bytes ?? 0) / GIB))
  return { source: { type: 'image', image: image.ref }, min_gib, metadata: imageMetadata({ ...image, image_name: image.name }) }
}

const hintsOf = (given: Record<string, unknown> | null | undefined): Record<string, string> | null =>
  given == null ? null : Object.fromEntries(Object.entries(given).map(([key, value]) => [key, Array.isArray(value) ? value.join(',') : String(value)]))

export async function createVolume(ctx: Context<InferOutput<typeof createBody>>): Promise<VolumeData> {
  const { volume } = ctx.body
  const reference = volume.imageRef ?? volume.image_id
  const sources = [volume.snapshot_id, volume.source_volid, reference, volume.backup_id].filter((source) => source != null && source !== '')
  if (sources.length > 1) throw new Fault('bad_request', 'Invalid input received: More than one of snapshot_id, source_volid, imageRef and backup_id was given.')
  const derived = volume.snapshot_id != null || volume.source_volid != null
  if (volume.size == null && !derived && volume.backup_id == null) throw new Fault('bad_request', "Invalid input for field/attribute size. Value: None. Invalid input received: Volume size 'None' must be an integer and greater than 0")
  const image = reference == null || reference === '' ? null : await fromImage(ctx, reference)
  if (image !== null) ctx.authorize('volume:create_from_image')
  const { type, quota_defaults } = await ctx.region.volume.types.forCreate(ctx.projectId, volume.volume_type || null, volume.availability_zone || null)
  const multiattach = type.extra_specs.multiattach === '<is> True'
  if (volume.backup_id != null) return await restored(ctx, volume.backup_id, volume.name ?? volume.display_name ?? null, quota_defaults)
  const spec: CreateVolume = {
    name: volume.name ?? volume.display_name ?? null, description: volume.description ?? volume.display_description ?? null, size_gib: volume.size ?? 0, type: volume.volume_type || !derived ? { id: type.id, name: type.name } : null,
    availability_zone: volume.availability_zone || null, metadata: volume.metadata ?? {}, multiattach, snapshot_id: volume.snapshot_id || null, source_volid: volume.source_volid || null,
    group_id: ctx.at(13) ? volume.group_id || null : null,
    scheduler_hints: hintsOf(ctx.body['OS-SCH-HNT:scheduler_hints'] ?? ctx.body.scheduler_hints), image, quota_defaults,
  }
  return await ctx.project.volume.volumes.create(spec)
}

/** 3.47: a volume of a backup is a restore into a new one. */
async function restored(ctx: Context, backup_id: string, name: string | null, quota_defaults: Record<string, number>): Promise<VolumeData> {
  if (!ctx.at(47)) throw new Fault('bad_request', 'Invalid input received: backup_id needs microversion 3.47.')
  const { volume_id } = await ctx.project.volume.backups.restore(backup_id, { volume_id: null, name, quota_defaults })
  return await ctx.project.volume.volumes.get(volume_id)
}
