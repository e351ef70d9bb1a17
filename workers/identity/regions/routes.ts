/** /v3/regions. A region may be named by its creator, in the body or with PUT. */
import * as v from 'valibot'
import { type CrudSpec, crudPolicies, crudRoutes, split } from '../kernel/crud.ts'
import { param, realmOf, rootUrl, sameId } from '../kernel/http.ts'
import { selfLink } from '../kernel/links.ts'
import { STRING_OR_NULL, changed, demanded, text } from '../kernel/words.ts'
import { type Route, route } from '../../http/route.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { RegionRow } from './store.ts'

const entries = { id: v.optional(v.pipe(v.string(), v.maxLength(255))), description: text, parent_region_id: v.nullish(v.pipe(v.string(STRING_OR_NULL), v.maxLength(255))) }
const body = demanded('region', entries)
const updateBody = changed('region', entries)

const regionView = (row: RegionRow, root: string) => ({ ...row.extra, id: row.id, description: row.description, parent_region_id: row.parent_region_id, links: selfLink(root, `/regions/${encodeURIComponent(row.id)}`) })

const spec: CrudSpec<RegionRow> = {
  one: 'region', many: 'regions', path: '/v3/regions', store: (session) => session.regions, create: body, update: updateBody,
  filters: { parent_region_id: 'text' }, columns: ['description', 'parent_region_id'], view: regionView, read: '@',
}

/** A region's id may be chosen by its creator; `split` keeps ids out of everything else. */
function given({ id, ...region }: { id?: string | undefined } & Record<string, unknown>): Partial<RegionRow> {
  const values = split(region, spec.columns) as Partial<RegionRow>
  return { ...values, ...(id ? { id } : {}), description: values.description ?? '', parent_region_id: values.parent_region_id ?? null }
}

export const regionRoutes: Route[] = [
  route({ method: 'POST', path: '/v3/regions', policy: 'identity:create_region', body: body, status: 201, handle: async (ctx) => ({ region: regionView(await realmOf(ctx).regions.create(given(ctx.body.region)), rootUrl(ctx)) }) }),
  route({
    method: 'PUT', path: '/v3/regions/:id', policy: 'identity:create_region', body: body, status: 201,
    handle: async (ctx) => {
      const id = param(ctx, 'id')
      if (ctx.body.region.id !== undefined && ctx.body.region.id !== id) throw new Fault('bad_request', `Conflicting region IDs specified: "${id}" != "${ctx.body.region.id}"`)
      return { region: regionView(await realmOf(ctx).regions.create(given({ ...ctx.body.region, id })), rootUrl(ctx)) }
    },
  }),
  route({
    method: 'PATCH', path: '/v3/regions/:id', policy: 'identity:update_region', body: updateBody,
    handle: async (ctx) => {
      sameId(ctx.body.region, param(ctx, 'id'))
      const values = split(ctx.body.region, spec.columns) as Partial<RegionRow>
      return { region: regionView(await realmOf(ctx).regions.update(param(ctx, 'id'), values.description === null ? { ...values, description: '' } : values), rootUrl(ctx)) }
    },
  }),
  ...crudRoutes(spec).filter(({ method }) => method === 'GET' || method === 'DELETE'),
]
export const regionPolicies = crudPolicies(spec)
