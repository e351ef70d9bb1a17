/** Routes of a server's volumes, by microversion: 2.49 tag given, 2.70 tag shown, 2.79 delete_on_termination, 2.85 its change, 2.89 attachment ids. */
import * as v from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { reply, route } from '../../http/route.ts'
import { bool, shape, text, uuid, wrap } from '../common/schemas.ts'
import { limitOf } from '../common/query.ts'
import { decoded } from '../common/texts.ts'
import { acting, onServer } from '../servers/access.ts'
import { tag } from '../servers/requests.ts'
import type { Attachment } from './store.ts'

const P = 'os_compute_api:os-volumes-attachments'
const device = v.nullable(v.pipe(text(255, 1), v.regex(/(^\/dev\/x{0,1}[a-z]{0,1}d{0,1})([a-z]+)[0-9]*$/, 'must be a device path')))

const createBody = (minor: number) =>
  wrap('volumeAttachment', shape<{ volumeId: string; device?: string | null; tag?: string; delete_on_termination?: boolean }>({ volumeId: uuid, device: v.optional(device) }, minor >= 49 && { tag: v.optional(tag) }, minor >= 79 && { delete_on_termination: v.optional(bool) }))
const updateBody = (minor: number) =>
  wrap('volumeAttachment', shape<{ volumeId: string; delete_on_termination?: boolean }>({ volumeId: uuid }, minor >= 85 && { delete_on_termination: v.optional(bool), device: v.optional(device), serverId: v.optional(uuid), tag: v.optional(v.nullable(tag)), id: v.optional(uuid) }))

function view(minor: number, row: Attachment) {
  return {
    volumeId: row.volume_id, serverId: row.server_id, device: row.device, ...(minor < 89 ? { id: row.volume_id } : { attachment_id: row.attachment_id, bdm_uuid: row.attachment_id }), ...(minor >= 70 ? { tag: row.tag } : {}),
    ...(minor >= 79 ? { delete_on_termination: row.delete_on_termination } : {}),
  }
}

async function update(ctx: Context<{ volumeAttachment: { volumeId: string; delete_on_termination?: boolean } }>) {
  const given = ctx.body.volumeAttachment
  const volumeId = decoded(ctx.params.volume)
  return onServer(ctx, `${P}:update`, async (project, id) => {
    if (given.volumeId !== volumeId) {
      ctx.authorize(`${P}:swap`)
      await project.compute.attachments.get(id, volumeId)
      throw new Fault('bad_request', 'Swapping an attached volume for another is not supported by this cloud.')
    }
    if (!ctx.at(85)) throw new Fault('bad_request', 'The old and the new volume are the same.')
    await project.compute.attachments.get(id, volumeId)
    if (given.delete_on_termination !== undefined) await project.compute.attachments.setDeleteOnTermination(id, volumeId, given.delete_on_termination)
    return reply({ status: 202 })
  })
}

export const attachmentRoutes = [
  route({
    method: 'GET', path: '/v2.1/servers/:id/os-volume_attachments', policy: `${P}:index`,
    handle: (ctx) => onServer(ctx, `${P}:index`, async (project, id) => {
      const limit = limitOf(ctx.query)
      const offset = Number(ctx.query.get('offset') ?? 0)
      return { volumeAttachments: (await project.compute.attachments.list(id)).slice(offset, offset + limit).map((row) => view(ctx.version[1], row)) }
    }),
  }),
  route({
    method: 'POST', path: '/v2.1/servers/:id/os-volume_attachments', policy: `${P}:create`, body: createBody,
    handle: (ctx) => onServer(ctx, `${P}:create`, async (project, id) => {
      const given = ctx.body.volumeAttachment
      const row = await project.compute.attachments.attach(id, { volume_id: given.volumeId, device: given.device ?? null, tag: given.tag ?? null, delete_on_termination: given.delete_on_termination ?? false }, acting(ctx).locked_override)
      return { volumeAttachment: view(ctx.version[1], row) }
    }),
  }),
  route({ method: 'GET', path: '/v2.1/servers/:id/os-volume_attachments/:volume', policy: `${P}:show`, handle: (ctx) => onServer(ctx, `${P}:show`, async (project, id) => ({ volumeAttachment: view(ctx.version[1], await project.compute.attachments.get(id, decoded(ctx.params.volume))) })) }),
  route({ method: 'PUT', path: '/v2.1/servers/:id/os-volume_attachments/:volume', policy: `${P}:update`, body: updateBody, handle: update }),
  route({
    method: 'DELETE', path: '/v2.1/servers/:id/os-volume_attachments/:volume', policy: `${P}:delete`,
    handle: (ctx) => onServer(ctx, `${P}:delete`, async (project, id) => {
      await project.compute.attachments.detach(id, decoded(ctx.params.volume), acting(ctx).locked_override)
      return reply({ status: 202 })
    }),
  }),
]
