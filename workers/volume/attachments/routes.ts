/** /attachments (3.27 on): reserve, connect, complete, delete. */
import { any, looseObject, nullish, object, optional, picklist, record, string } from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { reply } from '../../http/route.ts'
import { onOwner, rowsOf } from '../locate.ts'
import { nextLinks, paged, parsePage } from '../page.ts'
import { both, param } from '../route.ts'
import type { AttachmentData } from './store.ts'
import { detailView, summaryView } from './views.ts'

const connector = record(string(), any())
const createBody = object({ attachment: looseObject({ volume_uuid: string(), instance_uuid: nullish(string()), connector: nullish(connector), mode: optional(picklist(['rw', 'ro'])) }) })
const updateBody = object({ attachment: looseObject({ connector }) })
const missing = (id: string) => new Fault('not_found', `Volume attachment could not be found with filter: attachment_id = ${id}.`)
const KEYS = { id: (row: AttachmentData) => row.id, status: (row: AttachmentData) => row.status, volume_id: (row: AttachmentData) => row.volume_id, created_at: (row: AttachmentData) => row.created_ms }
const FROM: [number, null] = [27, null]

async function list(ctx: Context, detail: boolean) {
  const wanted = (row: AttachmentData) =>
    (ctx.query.get('volume_id') ?? row.volume_id) === row.volume_id && (ctx.query.get('instance_id') ?? row.server_id) === row.server_id && (ctx.query.get('status') ?? row.status) === row.status
  const { rows, more } = paged((await rowsOf(ctx, (stores) => stores.attachments.list())).filter(wanted), parsePage(ctx.query, Object.keys(KEYS)), KEYS, missing)
  return { attachments: rows.map(detail ? detailView : summaryView), ...nextLinks(ctx.origin, ctx.url, 'attachments', rows, more) }
}

const id = (ctx: Context) => param(ctx, 'id')

export const routes = [
  ...both({
    method: 'POST',
    path: '/attachments',
    policy: 'volume:attachment_create',
    versions: FROM,
    body: createBody,
    handle: async (ctx) => {
      const { volume_uuid, instance_uuid, connector: given, mode } = ctx.body.attachment
      const made = await onOwner(ctx, volume_uuid, (stores) => stores.attachments.create({ volume_id: volume_uuid, server_id: instance_uuid ?? null, mode: (ctx.at(54) ? mode : undefined) ?? 'rw', connector: given ?? null }))
      return { attachment: detailView(made) }
    },
  }),
  ...both({ method: 'GET', path: '/attachments', policy: 'volume:attachment_get', versions: FROM, handle: (ctx) => list(ctx, false) }),
  ...both({ method: 'GET', path: '/attachments/detail', policy: 'volume:attachment_get', versions: FROM, handle: (ctx) => list(ctx, true) }),
  ...both({ method: 'GET', path: '/attachments/:id', policy: 'volume:attachment_get', versions: FROM, handle: async (ctx) => ({ attachment: detailView(await onOwner(ctx, id(ctx), (stores) => stores.attachments.get(id(ctx)))) }) }),
  ...both({
    method: 'PUT',
    path: '/attachments/:id',
    policy: 'volume:attachment_update',
    versions: FROM,
    body: updateBody,
    handle: async (ctx) => ({ attachment: detailView(await onOwner(ctx, id(ctx), (stores) => stores.attachments.connect(id(ctx), ctx.body.attachment.connector))) }),
  }),
  ...both({
    method: 'POST',
    path: '/attachments/:id/action',
    policy: 'volume:attachment_complete',
    versions: [44, null],
    body: record(string(), any()),
    handle: async (ctx) => {
      if (!('os-complete' in ctx.body)) throw new Fault('bad_request', `There is no such action: ${Object.keys(ctx.body).join(', ')}`)
      await onOwner(ctx, id(ctx), (stores) => stores.attachments.complete(id(ctx)))
      return reply({ status: 204 })
    },
  }),
  ...both({
    method: 'DELETE',
    path: '/attachments/:id',
    policy: 'volume:attachment_delete',
    versions: FROM,
    handle: async (ctx) => ({ attachments: (await onOwner(ctx, id(ctx), (stores) => stores.attachments.delete(id(ctx)))).map(summaryView) }),
  }),
]
