/** /volumes: create, show, list, change, delete, metadata, summary. Actions are in actions.ts. */
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { reply } from '../../http/route.ts'
import { isAdmin, onOwner, rowsOf } from '../locate.ts'
import { nextLinks, paged, parsePage, truth } from '../page.ts'
import { basesOf, both, param } from '../route.ts'
import { runAction } from './actions.ts'
import { createVolume } from './create.ts'
import { matchesVolume, VOLUME_KEYS, VOLUME_SORTABLE } from './query.ts'
import { actionBody, createBody, metadataBody, metaBody, updateBody } from './requests.ts'
import { detailView, summaryView, type ViewOf, volumeView } from './views.ts'

const view = (ctx: Context): ViewOf => ({ minor: ctx.version[1], admin: isAdmin(ctx), base: basesOf(ctx) })
const missing = (id: string) => new Fault('not_found', `Volume ${id} could not be found.`)

/** An empty id is an unknown volume, not the list. */
function refuseEmptyId(ctx: Context): void {
  if (ctx.url.pathname.endsWith('/')) throw new Fault('not_found', 'The resource could not be found.')
}

const emptyId = (ctx: Context) => {
  refuseEmptyId(ctx)
  throw new Fault('method_not_allowed', 'The method is not allowed for this resource.', { headers: { allow: 'GET, POST' } })
}

async function list(ctx: Context, detail: boolean) {
  refuseEmptyId(ctx)
  const page = parsePage(ctx.query, VOLUME_SORTABLE)
  const found = (await rowsOf(ctx, (stores) => stores.volumes.list())).filter((row) => matchesVolume(row, ctx.query))
  const { rows, more } = paged(found, page, VOLUME_KEYS, missing)
  const shown = view(ctx)
  const withCount = ctx.at(45) && ctx.query.get('with_count') !== null && truth(ctx.query.get('with_count'), 'with_count')
  return { volumes: rows.map((row) => (detail ? detailView(row, shown) : summaryView(row, shown))), ...nextLinks(ctx.origin, ctx.url, 'volumes', rows, more), ...(withCount ? { count: found.length } : {}) }
}

async function summary(ctx: Context) {
  const rows = (await rowsOf(ctx, (stores) => stores.volumes.list())).filter((row) => matchesVolume(row, ctx.query))
  const metadata: Record<string, string[]> = {}
  for (const row of rows) for (const [key, value] of Object.entries(row.metadata)) metadata[key] = [...new Set([...(metadata[key] ?? []), value])]
  return { 'volume-summary': { total_size: rows.reduce((sum, row) => sum + row.size_gib, 0), total_count: rows.length, ...(ctx.at(36) ? { metadata } : {}) } }
}

const id = (ctx: Context) => param(ctx, 'id')

export const routes = [
  ...both({ method: 'POST', path: '/volumes', policy: 'volume:create', body: createBody, status: 202, handle: async (ctx) => ({ volume: volumeView(await createVolume(ctx), view(ctx)) }) }),
  ...both({ method: 'GET', path: '/volumes', policy: 'volume:get_all', handle: (ctx) => list(ctx, false) }),
  ...both({ method: 'PUT', path: '/volumes', policy: 'volume:update', handle: emptyId }),
  ...both({ method: 'DELETE', path: '/volumes', policy: 'volume:delete', handle: emptyId }),
  ...both({ method: 'GET', path: '/volumes/detail', policy: 'volume:get_all', handle: (ctx) => list(ctx, true) }),
  ...both({ method: 'GET', path: '/volumes/summary', policy: 'volume:get_all', versions: [12, null], handle: summary }),
  ...both({ method: 'GET', path: '/volumes/:id', policy: 'volume:get', handle: async (ctx) => ({ volume: detailView(await onOwner(ctx, id(ctx), (stores) => stores.volumes.get(id(ctx))), view(ctx)) }) }),
  ...both({
    method: 'PUT',
    path: '/volumes/:id',
    policy: 'volume:update',
    body: updateBody,
    handle: async (ctx) => {
      const { volume } = ctx.body
      const [name, description] = [volume.name ?? volume.display_name, volume.description ?? volume.display_description]
      const change = { ...(name === undefined ? {} : { name }), ...(description === undefined ? {} : { description }), ...(volume.metadata === undefined ? {} : { metadata: volume.metadata }) }
      return { volume: volumeView(await onOwner(ctx, id(ctx), (stores) => stores.volumes.update(id(ctx), change)), view(ctx)) }
    },
  }),
  ...both({
    method: 'DELETE',
    path: '/volumes/:id',
    policy: 'volume:delete',
    handle: async (ctx) => {
      const force = ctx.at(23) && truth(ctx.query.get('force') ?? 'false', 'force')
      if (force) ctx.authorize('volume_extension:volume_admin_actions:force_delete')
      await onOwner(ctx, id(ctx), (stores) => stores.volumes.delete(id(ctx), { cascade: truth(ctx.query.get('cascade') ?? 'false', 'cascade'), force }))
      return reply({ status: 202 })
    },
  }),
  ...both({ method: 'POST', path: '/volumes/:id/action', policy: 'volume:get', body: actionBody, handle: runAction }),
  ...both({ method: 'GET', path: '/volumes/:id/metadata', policy: 'volume:get_volume_metadata', handle: async (ctx) => ({ metadata: (await onOwner(ctx, id(ctx), (stores) => stores.volumes.get(id(ctx)))).metadata }) }),
  ...both({ method: 'POST', path: '/volumes/:id/metadata', policy: 'volume:create_volume_metadata', body: metadataBody, handle: async (ctx) => ({ metadata: await onOwner(ctx, id(ctx), (stores) => stores.volumes.setMetadata(id(ctx), ctx.body.metadata, false)) }) }),
  ...both({ method: 'PUT', path: '/volumes/:id/metadata', policy: 'volume:update_volume_metadata', body: metadataBody, handle: async (ctx) => ({ metadata: await onOwner(ctx, id(ctx), (stores) => stores.volumes.setMetadata(id(ctx), ctx.body.metadata, true)) }) }),
  ...both({
    method: 'GET',
    path: '/volumes/:id/metadata/:key',
    policy: 'volume:get_volume_metadata',
    handle: async (ctx) => {
      const { metadata } = await onOwner(ctx, id(ctx), (stores) => stores.volumes.get(id(ctx)))
      const key = param(ctx, 'key')
      if (!(key in metadata)) throw new Fault('not_found', `Volume ${id(ctx)} has no metadata with key ${key}.`)
      return { meta: { [key]: metadata[key] } }
    },
  }),
  ...both({
    method: 'PUT',
    path: '/volumes/:id/metadata/:key',
    policy: 'volume:update_volume_metadata',
    body: metaBody,
    handle: async (ctx) => {
      const key = param(ctx, 'key')
      if (!(key in ctx.body.meta) || Object.keys(ctx.body.meta).length !== 1) throw new Fault('bad_request', 'Request body and URI mismatch')
      await onOwner(ctx, id(ctx), (stores) => stores.volumes.setMetadata(id(ctx), ctx.body.meta, false))
      return { meta: ctx.body.meta }
    },
  }),
  ...both({
    method: 'DELETE',
    path: '/volumes/:id/metadata/:key',
    policy: 'volume:delete_volume_metadata',
    handle: async (ctx) => {
      await onOwner(ctx, id(ctx), (stores) => stores.volumes.deleteMetadata(id(ctx), param(ctx, 'key')))
      return reply({ status: 200 })
    },
  }),
]
