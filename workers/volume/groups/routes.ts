/** /groups (3.13 on) and /group_snapshots (3.14 on). */
import { any, array, looseObject, minLength, nullish, object, pipe, record, string } from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { reply } from '../../http/route.ts'
import { onOwner, rowsOf } from '../locate.ts'
import { type Keys, nextLinks, paged, parsePage, truth } from '../page.ts'
import { both, param } from '../route.ts'
import { DEFAULT_ZONE } from '../types/default-type.ts'
import { name } from '../volumes/requests.ts'
import { time } from '../volumes/views.ts'
import type { GroupData, GroupSnapshotData } from './store.ts'

const createBody = object({ group: looseObject({ name, description: name, group_type: string(), volume_types: pipe(array(string()), minLength(1)), availability_zone: nullish(string()) }) })
const fromBody = object({ 'create-from-src': looseObject({ name, description: name, group_snapshot_id: nullish(string()), source_group_id: nullish(string()) }) })
const updateBody = object({ group: looseObject({ name, description: name, add_volumes: nullish(string()), remove_volumes: nullish(string()) }) })
const snapshotBody = object({ group_snapshot: looseObject({ group_id: string(), name, description: name }) })
const KEYS: Keys<{ id: string; name: string | null; status: string; created_ms: number }> = { id: (row) => row.id, name: (row) => row.name, status: (row) => row.status, created_at: (row) => row.created_ms }

const id = (ctx: Context) => param(ctx, 'id')
const accepted = () => reply({ status: 202 })
const ids = (text: string | null | undefined): string[] => (text ?? '').split(',').map((part) => part.trim()).filter((part) => part !== '')

const groupView = (group: GroupData, minor: number, withVolumes: boolean) => ({
  id: group.id, name: group.name, description: group.description, status: group.status, availability_zone: group.availability_zone, created_at: time(group.created_ms), group_type: group.group_type_id, volume_types: group.volume_types,
  ...(minor >= 14 ? { group_snapshot_id: group.group_snapshot_id, source_group_id: group.source_group_id } : {}), ...(minor >= 25 && withVolumes ? { volumes: group.volumes } : {}), ...(minor >= 38 ? { replication_status: 'disabled' } : {}),
  ...(minor >= 58 ? { project_id: group.project_id } : {}),
})

const snapshotView = (row: GroupSnapshotData, minor: number) => ({
  id: row.id, name: row.name, description: row.description, status: row.status, group_id: row.group_id, group_type_id: row.group_type_id, created_at: time(row.created_ms), ...(minor >= 58 ? { project_id: row.project_id } : {}),
})

async function list(ctx: Context, detail: boolean) {
  const { rows, more } = paged(await rowsOf(ctx, (stores) => stores.groups.list()), parsePage(ctx.query, Object.keys(KEYS)), KEYS, (marker) => new Fault('not_found', `Group ${marker} could not be found.`))
  const withVolumes = truth(ctx.query.get('list_volume') ?? 'false', 'list_volume')
  return { groups: rows.map((row) => (detail ? groupView(row, ctx.version[1], withVolumes) : { id: row.id, name: row.name })), ...nextLinks(ctx.origin, ctx.url, 'group', rows, more) }
}

async function listSnapshots(ctx: Context, detail: boolean) {
  const { rows, more } = paged(await rowsOf(ctx, (stores) => stores.groups.listSnapshots()), parsePage(ctx.query, Object.keys(KEYS)), KEYS, (marker) => new Fault('not_found', `GroupSnapshot ${marker} could not be found.`))
  return { group_snapshots: rows.map((row) => (detail ? snapshotView(row, ctx.version[1]) : { id: row.id, name: row.name })), ...nextLinks(ctx.origin, ctx.url, 'group_snapshot', rows, more) }
}

async function create(ctx: Context) {
  const { group } = ctx.body
  const type = await ctx.region.volume.groupTypes.find(group.group_type)
  const volume_types: string[] = []
  for (const wanted of group.volume_types) volume_types.push((await ctx.region.volume.types.forCreate(ctx.projectId, wanted, null)).type.id)
  const made = await ctx.project.volume.groups.create({ name: group.name ?? null, description: group.description ?? null, group_type_id: type.id, volume_types, availability_zone: group.availability_zone ?? DEFAULT_ZONE })
  return { group: { id: made.id, name: made.name } }
}

async function createFrom(ctx: Context) {
  const { name: title, description, group_snapshot_id, source_group_id } = ctx.body['create-from-src']
  if ((group_snapshot_id == null) === (source_group_id == null)) throw new Fault('bad_request', "Invalid input: Either 'group_snapshot_id' or 'source_group_id' must be provided to create group from source, and not both.")
  const source = group_snapshot_id != null ? { group_snapshot_id } : { source_group_id: source_group_id ?? '' }
  const made = await ctx.project.volume.groups.createFrom(source, title ?? null, description ?? null, await ctx.region.volume.types.quotaDefaults())
  return { group: { id: made.id, name: made.name } }
}

async function action(ctx: Context) {
  const [key] = Object.keys(ctx.body)
  if (key === 'delete') {
    ctx.authorize('group:delete')
    const body = ctx.body.delete as { 'delete-volumes'?: unknown }
    await onOwner(ctx, id(ctx), (stores) => stores.groups.delete(id(ctx), truth(body?.['delete-volumes'] ?? false, 'delete-volumes')))
  } else if (key === 'reset_status' && ctx.at(20)) {
    ctx.authorize('group:reset_status')
    await onOwner(ctx, id(ctx), (stores) => stores.groups.resetStatus(id(ctx), String((ctx.body.reset_status as { status?: unknown })?.status)))
  } else throw new Fault('bad_request', `There is no such action: ${Object.keys(ctx.body).join(', ')}`)
  return accepted()
}

async function snapshotAction(ctx: Context) {
  if (!('reset_status' in ctx.body)) throw new Fault('bad_request', `There is no such action: ${Object.keys(ctx.body).join(', ')}`)
  await onOwner(ctx, id(ctx), (stores) => stores.groups.resetSnapshotStatus(id(ctx), String((ctx.body.reset_status as { status?: unknown })?.status)))
  return accepted()
}

async function update(ctx: Context) {
  const { name: title, description, add_volumes, remove_volumes } = ctx.body.group
  await onOwner(ctx, id(ctx), (stores) => stores.groups.update(id(ctx), { ...(title === undefined ? {} : { name: title }), ...(description === undefined ? {} : { description }), add: ids(add_volumes), remove: ids(remove_volumes) }))
  return accepted()
}

const GROUPS: [number, null] = [13, null]
const SNAPSHOTS: [number, null] = [14, null]
const actions = record(string(), any())

export const routes = [
  ...both({ method: 'POST', path: '/groups', policy: 'group:create', versions: GROUPS, body: createBody, status: 202, handle: create }),
  ...both({ method: 'GET', path: '/groups', policy: 'group:get_all', versions: GROUPS, handle: (ctx) => list(ctx, false) }),
  ...both({ method: 'GET', path: '/groups/detail', policy: 'group:get_all', versions: GROUPS, handle: (ctx) => list(ctx, true) }),
  ...both({ method: 'POST', path: '/groups/action', policy: 'group:create', versions: SNAPSHOTS, body: fromBody, status: 202, handle: createFrom }),
  ...both({
    method: 'GET',
    path: '/groups/:id',
    policy: 'group:get',
    versions: GROUPS,
    handle: async (ctx) => ({ group: groupView(await onOwner(ctx, id(ctx), (stores) => stores.groups.get(id(ctx))), ctx.version[1], truth(ctx.query.get('list_volume') ?? 'false', 'list_volume')) }),
  }),
  ...both({ method: 'PUT', path: '/groups/:id', policy: 'group:update', versions: GROUPS, body: updateBody, handle: update }),
  ...both({ method: 'POST', path: '/groups/:id/action', policy: 'group:get', versions: GROUPS, body: actions, handle: action }),
  ...both({
    method: 'POST',
    path: '/group_snapshots',
    policy: 'group:create_group_snapshot',
    versions: SNAPSHOTS,
    body: snapshotBody,
    status: 202,
    handle: async (ctx) => {
      const { group_id, name: title, description } = ctx.body.group_snapshot
      const quota_defaults = await ctx.region.volume.types.quotaDefaults()
      const made = await onOwner(ctx, group_id, (stores) => stores.groups.createSnapshot(group_id, title ?? null, description ?? null, quota_defaults))
      return { group_snapshot: { id: made.id, name: made.name, group_type_id: made.group_type_id } }
    },
  }),
  ...both({ method: 'GET', path: '/group_snapshots', policy: 'group:get_all_group_snapshots', versions: SNAPSHOTS, handle: (ctx) => listSnapshots(ctx, false) }),
  ...both({ method: 'GET', path: '/group_snapshots/detail', policy: 'group:get_all_group_snapshots', versions: SNAPSHOTS, handle: (ctx) => listSnapshots(ctx, true) }),
  ...both({
    method: 'GET',
    path: '/group_snapshots/:id',
    policy: 'group:get_group_snapshot',
    versions: SNAPSHOTS,
    handle: async (ctx) => ({ group_snapshot: snapshotView(await onOwner(ctx, id(ctx), (stores) => stores.groups.getSnapshot(id(ctx))), ctx.version[1]) }),
  }),
  ...both({
    method: 'DELETE',
    path: '/group_snapshots/:id',
    policy: 'group:delete_group_snapshot',
    versions: SNAPSHOTS,
    handle: async (ctx) => {
      await onOwner(ctx, id(ctx), (stores) => stores.groups.deleteSnapshot(id(ctx)))
      return accepted()
    },
  }),
  ...both({ method: 'POST', path: '/group_snapshots/:id/action', policy: 'group:reset_group_snapshot_status', versions: [19, null], body: actions, handle: snapshotAction }),
]
