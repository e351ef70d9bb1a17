/** /os-volume-transfer and, from 3.55, /volume-transfers: giving a volume to another project. */
import { looseObject, nullish, object, string } from 'valibot'
import { Fault, isFault } from '../../../schema/values/fault.ts'
import { tagOf } from '../../../schema/values/ids.ts'
import type { Context } from '../../http/context.ts'
import { reply } from '../../http/route.ts'
import { onOwner, rowsOf } from '../locate.ts'
import { type Keys, nextLinks, paged, parsePage } from '../page.ts'
import { basesOf, both, linksOf, param } from '../route.ts'
import { flag, name } from '../volumes/requests.ts'
import { time } from '../volumes/views.ts'
import type { TransferData } from './store.ts'

const createBody = object({ transfer: looseObject({ volume_id: string(), name, no_snapshots: nullish(flag) }) })
const acceptBody = object({ accept: object({ auth_key: string() }) })
const missing = (id: string) => new Fault('not_found', `Transfer ${id} could not be found.`)
const KEYS: Keys<TransferData> = { id: (row) => row.id, name: (row) => row.name, volume_id: (row) => row.volume_id, created_at: (row) => row.created_ms }

const id = (ctx: Context) => param(ctx, 'id')
const brief = (ctx: Context, row: { id: string; volume_id: string; name: string | null }) => ({ id: row.id, volume_id: row.volume_id, name: row.name, links: linksOf(basesOf(ctx), 'os-volume-transfer', row.id) })
const full = (ctx: Context, row: TransferData) => ({
  ...brief(ctx, row), created_at: time(row.created_ms), ...(ctx.at(55) ? { no_snapshots: row.no_snapshots } : {}), ...(ctx.at(57) ? { source_project_id: row.project_id, destination_project_id: row.accepted ? row.taker_id : null, accepted: row.accepted } : {}),
})

async function list(ctx: Context, detail: boolean) {
  const { rows, more } = paged(await rowsOf(ctx, (stores) => stores.transfers.list()), parsePage(ctx.query, Object.keys(KEYS)), KEYS, missing)
  return { transfers: rows.map((row) => (detail ? full(ctx, row) : brief(ctx, row))), ...nextLinks(ctx.origin, ctx.url, 'transfers', rows, more) }
}

async function create(ctx: Context) {
  const { volume_id, name: title, no_snapshots } = ctx.body.transfer
  const { transfer, auth_key } = await onOwner(ctx, volume_id, (stores) => stores.transfers.create(volume_id, title ?? null, no_snapshots ?? false))
  return { transfer: { ...full(ctx, transfer), auth_key } }
}

/** The transfer's id says who gives: its tag. The caller's project takes. */
async function accept(ctx: Context) {
  const quota_defaults = await ctx.region.volume.types.quotaDefaults()
  for (const giver of await ctx.region.directory.projectsByTag(tagOf(id(ctx)))) {
    try {
      return { transfer: brief(ctx, await ctx.project.volume.transfers.accept(id(ctx), giver, ctx.body.accept.auth_key, quota_defaults)) }
    } catch (error) {
      if (!isFault(error, 'not_found')) throw error
    }
  }
  throw missing(id(ctx))
}

const at = (path: string, versions?: [number, null]) => [
  ...both({ method: 'POST', path, policy: 'volume:create_transfer', versions, body: createBody, status: 202, handle: create }),
  ...both({ method: 'GET', path, policy: 'volume:get_all_transfers', versions, handle: (ctx) => list(ctx, false) }),
  ...both({ method: 'GET', path: `${path}/detail`, policy: 'volume:get_all_transfers', versions, handle: (ctx) => list(ctx, true) }),
  ...both({ method: 'GET', path: `${path}/:id`, policy: 'volume:get_transfer', versions, handle: async (ctx) => ({ transfer: full(ctx, await onOwner(ctx, id(ctx), (stores) => stores.transfers.get(id(ctx)))) }) }),
  ...both({ method: 'POST', path: `${path}/:id/accept`, policy: 'volume:accept_transfer', versions, body: acceptBody, status: 202, handle: accept }),
  ...both({
    method: 'DELETE',
    path: `${path}/:id`,
    policy: 'volume:delete_transfer',
    versions,
    handle: async (ctx) => {
      await onOwner(ctx, id(ctx), (stores) => stores.transfers.delete(id(ctx)))
      return reply({ status: 202 })
    },
  }),
]

export const routes = [...at('/os-volume-transfer'), ...at('/volume-transfers', [55, null])]
