/** /messages (3.3 on): why something asynchronous failed. */
import { Fault } from '../../../schema/values/fault.ts'
import type { MessageRow } from '../../../schema/project/volume.ts'
import type { Context } from '../../http/context.ts'
import { onOwner } from '../locate.ts'
import { type Keys, nextLinks, paged, parsePage } from '../page.ts'
import { basesOf, both, linksOf, param } from '../route.ts'
import { time } from '../volumes/views.ts'

const missing = (id: string) => new Fault('not_found', `Message ${id} could not be found.`)
const KEYS: Keys<MessageRow> = { id: (row) => row.id, event_id: (row) => row.event_id, resource_type: (row) => row.resource_type, resource_uuid: (row) => row.resource_id, request_id: (row) => row.request_id, created_at: (row) => row.created_ms }
const FROM: [number, null] = [3, null]

const view = (ctx: Context, row: MessageRow) => ({
  id: row.id, event_id: row.event_id, message_level: 'ERROR', request_id: row.request_id, resource_type: row.resource_type, resource_uuid: row.resource_id, user_message: row.text, created_at: time(row.created_ms), guaranteed_until: time(row.expires_ms),
  links: linksOf(basesOf(ctx), 'messages', row.id),
})
const id = (ctx: Context) => param(ctx, 'id')

export const routes = [
  ...both({
    method: 'GET',
    path: '/messages',
    policy: 'message:get_all',
    versions: FROM,
    handle: async (ctx) => {
      const found = (await ctx.project.volume.messages.list()).filter((row) => ['resource_uuid', 'resource_type', 'event_id', 'request_id'].every((key) => ctx.query.get(key) === null || ctx.query.get(key) === KEYS[key]?.(row)))
      const { rows, more } = paged(found, parsePage(ctx.query, Object.keys(KEYS)), KEYS, missing)
      return { messages: rows.map((row) => view(ctx, row)), ...nextLinks(ctx.origin, ctx.url, 'messages', rows, more) }
    },
  }),
  ...both({ method: 'GET', path: '/messages/:id', policy: 'message:get', versions: FROM, handle: async (ctx) => ({ message: view(ctx, await onOwner(ctx, id(ctx), (stores) => stores.messages.get(id(ctx)))) }) }),
  ...both({ method: 'DELETE', path: '/messages/:id', policy: 'message:delete', versions: FROM, handle: async (ctx) => await onOwner(ctx, id(ctx), (stores) => stores.messages.delete(id(ctx))) }),
]
