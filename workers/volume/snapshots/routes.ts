/** /snapshots: create, show, list, change, delete, metadata, actions. */
import { any, looseObject, nullish, object, optional, record, string } from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { reply } from '../../http/route.ts'
import { onOwner, rowsOf } from '../locate.ts'
import { inTime, type Keys, nextLinks, paged, parseDict, parsePage, truth } from '../page.ts'
import { both, param } from '../route.ts'
import { flag, metadata, metadataBody, metaBody, name } from '../volumes/requests.ts'
import type { SnapshotData } from './store.ts'
import { detailView, snapshotView } from './views.ts'

const createBody = object({ snapshot: looseObject({ volume_id: nullish(string()), name, display_name: name, description: name, display_description: name, force: nullish(flag), metadata: nullish(metadata) }) })
const updateBody = object({ snapshot: looseObject({ name, display_name: name, description: name, display_description: name }) })
const missing = (id: string) => new Fault('not_found', `Snapshot ${id} could not be found.`)
const KEYS: Keys<SnapshotData> = {
  id: (row) => row.id, name: (row) => row.name, display_name: (row) => row.name, status: (row) => row.status, volume_id: (row) => row.volume_id, volume_size: (row) => row.size_gib, created_at: (row) => row.created_ms, updated_at: (row) => row.updated_ms,
  project_id: (row) => row.project_id, size: (row) => row.size_gib,
}

const FILTERS: Record<string, (row: SnapshotData, value: string) => boolean> = {
  name: (row, value) => row.name === value, 'name~': (row, value) => row.name?.includes(value) ?? false, display_name: (row, value) => row.name === value, status: (row, value) => row.status === value, volume_id: (row, value) => row.volume_id === value,
  id: (row, value) => row.id === value, user_id: (row, value) => row.user_id === value, created_at: (row, value) => inTime(row.created_ms, value), updated_at: (row, value) => inTime(row.updated_ms, value),
  metadata: (row, value) => Object.entries(parseDict(value) ?? { '': '' }).every(([key, wanted]) => row.metadata[key] === String(wanted)),
}

async function list(ctx: Context, detail: boolean) {
  const page = parsePage(ctx.query, Object.keys(KEYS))
  const found = (await rowsOf(ctx, (stores) => stores.snapshots.list())).filter((row) => [...ctx.query].every(([key, value]) => FILTERS[key]?.(row, value) ?? true))
  const { rows, more } = paged(found, page, KEYS, missing)
  const withCount = ctx.at(45) && ctx.query.get('with_count') !== null && truth(ctx.query.get('with_count'), 'with_count')
  return { snapshots: rows.map((row) => (detail ? detailView : snapshotView)(row, ctx.version[1])), ...nextLinks(ctx.origin, ctx.url, 'snapshots', rows, more), ...(withCount ? { count: found.length } : {}) }
}

const id = (ctx: Context) => param(ctx, 'id')
const get = (ctx: Context) => onOwner(ctx, id(ctx), (stores) => stores.snapshots.get(id(ctx)))

async function create(ctx: Context) {
  const { snapshot } = ctx.body
  // 3.66: attached volumes need no force any more, and force false is refused.
  if (ctx.at(66) && snapshot.force === false) throw new Fault('bad_request', "Invalid value 'False' for force.")
  if (!snapshot.volume_id) throw new Fault('not_found', `Volume ${snapshot.volume_id} could not be found.`)
  const quota_defaults = await ctx.region.volume.types.quotaDefaults()
  const made = await onOwner(ctx, snapshot.volume_id, (stores) => stores.snapshots.create({
    volume_id: snapshot.volume_id, name: snapshot.name ?? snapshot.display_name ?? null, description: snapshot.description ?? snapshot.display_description ?? null, metadata: snapshot.metadata ?? {}, force: ctx.at(66) || (snapshot.force ?? false), quota_defaults,
  }))
  return reply({ status: 202, body: { snapshot: snapshotView(made, ctx.version[1]) } })
}

async function action(ctx: Context) {
  const [name] = Object.keys(ctx.body)
  const body = ctx.body[name ?? '']
  switch (name) {
    case 'os-reset_status':
      ctx.authorize('volume_extension:snapshot_admin_actions:reset_status')
      await onOwner(ctx, id(ctx), (stores) => stores.snapshots.resetStatus(id(ctx), String(body?.status)))
      break
    case 'os-force_delete':
      ctx.authorize('volume_extension:snapshot_admin_actions:force_delete')
      await onOwner(ctx, id(ctx), (stores) => stores.snapshots.delete(id(ctx), true))
      break
    case 'os-update_snapshot_status': {
      ctx.authorize('volume_extension:snapshot_actions:update_snapshot_status')
      const { status } = await get(ctx)
      const allowed: Record<string, string[]> = { creating: ['creating', 'available', 'error'], deleting: ['deleting', 'error_deleting'] }
      if (!(allowed[status]?.includes(String(body?.status)) ?? false)) throw new Fault('bad_request', `Snapshot status ${status} not allowed for update_snapshot_status`)
      await onOwner(ctx, id(ctx), (stores) => stores.snapshots.resetStatus(id(ctx), String(body.status), body.progress === undefined ? undefined : String(body.progress)))
      break
    }
    default:
      throw new Fault('bad_request', `There is no such action: ${Object.keys(ctx.body).join(', ')}`)
  }
  return reply({ status: 202 })
}

export const routes = [
  ...both({ method: 'POST', path: '/snapshots', policy: 'volume:create_snapshot', body: createBody, handle: create }),
  ...both({ method: 'GET', path: '/snapshots', policy: 'volume:get_all_snapshots', handle: (ctx) => list(ctx, false) }),
  ...both({ method: 'GET', path: '/snapshots/detail', policy: 'volume:get_all_snapshots', handle: (ctx) => list(ctx, true) }),
  ...both({ method: 'GET', path: '/snapshots/:id', policy: 'volume:get_snapshot', handle: async (ctx) => ({ snapshot: detailView(await get(ctx), ctx.version[1]) }) }),
  ...both({
    method: 'PUT',
    path: '/snapshots/:id',
    policy: 'volume:update_snapshot',
    body: updateBody,
    handle: async (ctx) => {
      const { snapshot } = ctx.body
      const [title, description] = [snapshot.name ?? snapshot.display_name, snapshot.description ?? snapshot.display_description]
      return { snapshot: snapshotView(await onOwner(ctx, id(ctx), (stores) => stores.snapshots.update(id(ctx), { ...(title === undefined ? {} : { name: title }), ...(description === undefined ? {} : { description }) })), ctx.version[1]) }
    },
  }),
  ...both({
    method: 'DELETE',
    path: '/snapshots/:id',
    policy: 'volume:delete_snapshot',
    handle: async (ctx) => {
      await onOwner(ctx, id(ctx), (stores) => stores.snapshots.delete(id(ctx), false))
      return reply({ status: 202 })
    },
  }),
  ...both({ method: 'POST', path: '/snapshots/:id/action', policy: 'volume:get_snapshot', body: record(string(), optional(any())), handle: action }),
  ...both({ method: 'GET', path: '/snapshots/:id/metadata', policy: 'volume:get_snapshot_metadata', handle: async (ctx) => ({ metadata: (await get(ctx)).metadata }) }),
  ...both({ method: 'POST', path: '/snapshots/:id/metadata', policy: 'volume:update_snapshot_metadata', body: metadataBody, handle: async (ctx) => ({ metadata: await onOwner(ctx, id(ctx), (stores) => stores.snapshots.setMetadata(id(ctx), ctx.body.metadata, false)) }) }),
  ...both({ method: 'PUT', path: '/snapshots/:id/metadata', policy: 'volume:update_snapshot_metadata', body: metadataBody, handle: async (ctx) => ({ metadata: await onOwner(ctx, id(ctx), (stores) => stores.snapshots.setMetadata(id(ctx), ctx.body.metadata, true)) }) }),
  ...both({
    method: 'GET',
    path: '/snapshots/:id/metadata/:key',
    policy: 'volume:get_snapshot_metadata',
    handle: async (ctx) => {
      const { metadata: all } = await get(ctx)
      const key = param(ctx, 'key')
      if (!(key in all)) throw new Fault('not_found', `Snapshot ${id(ctx)} has no metadata with key ${key}.`)
      return { meta: { [key]: all[key] } }
    },
  }),
  ...both({
    method: 'PUT',
    path: '/snapshots/:id/metadata/:key',
    policy: 'volume:update_snapshot_metadata',
    body: metaBody,
    handle: async (ctx) => {
      const key = param(ctx, 'key')
      if (!(key in ctx.body.meta) || Object.keys(ctx.body.meta).length !== 1) throw new Fault('bad_request', 'Request body and URI mismatch')
      await onOwner(ctx, id(ctx), (stores) => stores.snapshots.setMetadata(id(ctx), ctx.body.meta, false))
      return { meta: ctx.body.meta }
    },
  }),
  ...both({
    method: 'DELETE',
    path: '/snapshots/:id/metadata/:key',
    policy: 'volume:delete_snapshot_metadata',
    handle: async (ctx) => {
      await onOwner(ctx, id(ctx), (stores) => stores.snapshots.deleteMetadata(id(ctx), param(ctx, 'key')))
      return reply({ status: 200 })
    },
  }),
]
