/** POST /volumes/{id}/action: one entry an action: rule, body, work. */
import { type GenericSchema, nullish, any } from 'valibot'
import type { Remote } from '../../../durable-objects/kernel/rpc.ts'
import { systemRandom } from '../../../schema/values/random.ts'
import { createIds, projectTag } from '../../../schema/values/ids.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { reply, validate } from '../../http/route.ts'
import { onOwner } from '../locate.ts'
import type { VolumeStores } from '../project.ts'
import { param } from '../route.ts'
import { connectionInfo } from '../attachments/views.ts'
import { ACTIONS, type ActionName } from './requests.ts'
import { time } from './views.ts'

type Stores = Remote<VolumeStores>
// biome-ignore lint/suspicious/noExplicitAny: each body is validated by its own schema just before.
type Body = any
interface Action {
  rule: string
  /** Success status without a body. Default 202. */
  status?: number
  run(ctx: Context, stores: Stores, id: string, body: Body, projectId: string): Promise<unknown>
}

const UPLOAD_FORMATS = new Set(['raw', 'qcow2', 'vmdk', 'vdi', 'vhd', 'vhdx'])

/** A queued image of the volume's project, then the copy is promised; where the volume refuses, the image goes again. */
async function upload(ctx: Context, stores: Stores, id: string, body: Body, projectId: string) {
  const disk_format = body.disk_format ?? 'raw'
  if (!UPLOAD_FORMATS.has(disk_format)) throw new Fault('bad_request', `Invalid input for field/attribute disk_format. Value: ${disk_format}. A volume can be copied as ${[...UPLOAD_FORMATS].join(', ')}.`)
  const visibility = body.visibility ?? 'private'
  if (visibility === 'public') ctx.authorize('publicize_image')
  const volume = await stores.volumes.get(id)
  const image_id = createIds(ctx.env.SIM?.random ?? systemRandom).tagged(projectTag(projectId))
  const images = (projectId === ctx.caller.project_id ? ctx.project : ctx.projectById(projectId)).image.images
  const { image_id: _id, image_name: _name, disk_format: _disk, container_format: _container, size: _size, checksum: _checksum, min_disk: _min, min_ram, ...properties } = volume.image_metadata ?? {}
  await images.createQueued({
    id: image_id, name: body.image_name, visibility, protected: body.protected ?? false, hidden: false, container_format: body.container_format ?? 'bare', disk_format, min_disk_gib: 0, min_ram_mib: Number(min_ram ?? 0), properties, tags: [],
  })
  try {
    const row = await stores.volumes.upload(id, image_id, disk_format, body.force ?? false)
    return {
      'os-volume_upload_image': {
        id, image_id, image_name: body.image_name, status: row.status, updated_at: time(row.updated_ms), display_description: row.description, size: row.size_gib, container_format: body.container_format ?? 'bare', disk_format,
        volume_type: { id: row.volume_type_id, name: row.volume_type, description: null, is_public: true, qos_specs_id: null, extra_specs: {}, created_at: null, updated_at: null, deleted: false, deleted_at: null },
        ...(ctx.at(1) ? { visibility, protected: body.protected ?? false } : {}),
      },
    }
  } catch (error) {
    await images.delete(image_id).catch(() => {})
    throw error
  }
}

async function retype(ctx: Context, stores: Stores, id: string, body: Body, projectId: string) {
  const policy = body.migration_policy ?? 'never'
  if (policy !== 'never' && policy !== 'on-demand') throw new Fault('bad_request', "Invalid input for field/attribute migration_policy: it must be 'never' or 'on-demand'.")
  const { type, quota_defaults } = await ctx.region.volume.types.forCreate(projectId, body.new_type, null).catch((error) => {
    throw (error as { kind?: string }).kind === 'not_found' ? new Fault('not_found', `Volume type ${body.new_type} could not be found.`) : error
  })
  await stores.volumes.retype(id, { id: type.id, name: type.name }, quota_defaults)
}

const TABLE: Record<ActionName | 'os-reserve' | 'os-unreserve' | 'os-begin_detaching' | 'os-roll_detaching' | 'os-force_delete', Action> = {
  'os-extend': {
    rule: 'volume:extend',
    run: async (ctx, stores, id, body) => {
      const attached = ctx.at(42)
      const quota_defaults = await ctx.region.volume.types.quotaDefaults()
      await stores.volumes.extend(id, body.new_size, { attached, quota_defaults })
    },
  },
  'os-attach': {
    rule: 'volume_extension:volume_actions:attach',
    run: (_ctx, stores, id, body) => {
      if (body.mode !== undefined && body.mode !== 'rw' && body.mode !== 'ro') throw new Fault('bad_request', `Invalid request to attach volume to an invalid mode. Attaching mode should be 'rw' or 'ro'`)
      if (body.instance_uuid === undefined && body.host_name === undefined) throw new Fault('bad_request', 'Invalid request to attach volume to an invalid target')
      return stores.attachments.attach(id, { server_id: body.instance_uuid ?? null, host_name: body.host_name ?? null, mountpoint: body.mountpoint, mode: body.mode ?? 'rw' })
    },
  },
  'os-detach': { rule: 'volume_extension:volume_actions:detach', run: (_ctx, stores, id, body) => stores.attachments.detach(id, body?.attachment_id ?? null, false) },
  'os-force_detach': { rule: 'volume_extension:volume_admin_actions:force_detach', run: (_ctx, stores, id, body) => stores.attachments.detach(id, body.attachment_id ?? null, true) },
  'os-set_bootable': { rule: 'volume:update', status: 200, run: (_ctx, stores, id, body) => stores.volumes.update(id, { bootable: body.bootable }).then(() => undefined) },
  'os-update_readonly_flag': { rule: 'volume:update_readonly_flag', run: (_ctx, stores, id, body) => stores.volumes.update(id, { readonly: body.readonly }).then(() => undefined) },
  'os-set_image_metadata': { rule: 'volume_extension:volume_image_metadata:set', run: async (_ctx, stores, id, body) => ({ metadata: await stores.volumes.setImageMetadata(id, body.metadata) }) },
  'os-unset_image_metadata': { rule: 'volume_extension:volume_image_metadata:remove', status: 200, run: (_ctx, stores, id, body) => stores.volumes.deleteImageMetadata(id, body.key) },
  'os-show_image_metadata': { rule: 'volume_extension:volume_image_metadata:show', run: async (_ctx, stores, id) => ({ metadata: (await stores.volumes.get(id)).image_metadata ?? {} }) },
  'os-reset_status': { rule: 'volume_extension:volume_admin_actions:reset_status', run: (_ctx, stores, id, body) => stores.volumes.resetStatus(id, { ...(body.status == null ? {} : { status: body.status }) }) },
  'os-force_delete': { rule: 'volume_extension:volume_admin_actions:force_delete', run: (_ctx, stores, id) => stores.volumes.delete(id, { cascade: true, force: true }) },
  'os-retype': { rule: 'volume:retype', run: retype },
  'os-volume_upload_image': { rule: 'volume_extension:volume_actions:upload_image', run: upload },
  'os-reserve': { rule: 'volume_extension:volume_actions:reserve', run: (_ctx, stores, id) => stores.volumes.hold(id) },
  'os-unreserve': { rule: 'volume_extension:volume_actions:unreserve', run: (_ctx, stores, id) => stores.volumes.unhold(id) },
  'os-begin_detaching': { rule: 'volume_extension:volume_actions:begin_detaching', run: (_ctx, stores, id) => stores.volumes.beginDetaching(id) },
  'os-roll_detaching': { rule: 'volume_extension:volume_actions:roll_detaching', run: (_ctx, stores, id) => stores.volumes.rollDetaching(id) },
  'os-initialize_connection': {
    rule: 'volume_extension:volume_actions:initialize_connection', status: 200,
    run: async (_ctx, stores, id, body) => ({ connection_info: connectionInfo(await stores.attachments.initialize(id, body.connector)) }),
  },
  'os-terminate_connection': { rule: 'volume_extension:volume_actions:terminate_connection', run: (_ctx, stores, id, body) => stores.attachments.terminate(id, body.connector ?? {}) },
}

/** Statuses of actions that answer with a body. */
const BODY_STATUS: Record<string, number> = { 'os-volume_upload_image': 202 }
const EMPTY = nullish(any())

export async function runAction(ctx: Context<Record<string, unknown>>) {
  const names = Object.keys(ctx.body)
  const name = names[0] ?? ''
  if (names.length !== 1 || !Object.hasOwn(TABLE, name)) throw new Fault('bad_request', `There is no such action: ${names.join(', ')}`)
  const action = TABLE[name as keyof typeof TABLE]
  ctx.authorize(action.rule)
  const schema: GenericSchema = (ACTIONS as Record<string, GenericSchema>)[name] ?? EMPTY
  const id = param(ctx, 'id')
  const result = await onOwner(ctx, id, async (stores, projectId) => {
    // An unknown volume is 404 before its body is judged.
    const checked = await checkedBody(schema, ctx.body[name], () => stores.volumes.get(id))
    return await action.run(ctx, stores, id, checked, projectId)
  })
  return result === undefined ? reply({ status: action.status ?? 202 }) : reply({ status: BODY_STATUS[name] ?? 200, body: result })
}

async function checkedBody(schema: GenericSchema, body: unknown, exists: () => Promise<unknown>): Promise<unknown> {
  try {
    return validate(schema, body)
  } catch (error) {
    await exists()
    throw error
  }
}
