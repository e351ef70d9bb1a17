/** /v3/registered_limits and /v3/limits. Both are created in lists, all or none. */
import * as v from 'valibot'
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { type Route, route } from '../../http/route.ts'
import { type CrudSpec, crudPolicies, crudRoutes } from '../kernel/crud.ts'
import { authorized, listView, param, realmOf, rootUrl } from '../kernel/http.ts'
import { selfLink } from '../kernel/links.ts'
import { type ListQuery, listQuery, withFilter } from '../kernel/listing.ts'
import { INTEGER, STRING_OR_NULL, id, name255, text } from '../kernel/words.ts'
import { identityOptions } from '../kernel/options.ts'
import { MODELS } from './two-level.ts'
import type { LimitRow, RegisteredLimitRow } from './store.ts'

/** -1 is no limit. */
const amount = v.pipe(v.number(INTEGER), v.integer(INTEGER), v.minValue(-1), v.maxValue(0x7fffffff))
const LIST_MAX = 1_000
const region = v.nullish(v.string(STRING_OR_NULL))
const list = <S extends v.GenericSchema>(item: S) => v.pipe(v.array(item), v.minLength(1), v.maxLength(LIST_MAX))

const registeredCreate = v.object({ registered_limits: list(v.strictObject({ service_id: id, region_id: region, resource_name: name255, default_limit: amount, description: text })) })
const registeredUpdate = v.object({ registered_limit: v.strictObject({ service_id: v.optional(id), region_id: region, resource_name: v.optional(name255), default_limit: v.optional(amount), description: text }) })
const limitCreate = v.object({ limits: list(v.strictObject({ project_id: v.nullish(id), domain_id: v.nullish(id), service_id: id, region_id: region, resource_name: name255, resource_limit: amount, description: text })) })
const limitUpdate = v.object({ limit: v.strictObject({ resource_limit: v.optional(amount), description: text }) })
const FILTERS = { service_id: 'text', region_id: 'text', resource_name: 'text' } as const

const registeredView = (row: RegisteredLimitRow, root: string) => ({ ...row, links: selfLink(root, `/registered_limits/${row.id}`) })
const limitView = (row: LimitRow, root: string) => ({ ...row, links: selfLink(root, `/limits/${row.id}`) })

const spec: CrudSpec<RegisteredLimitRow> = {
  one: 'registered_limit', many: 'registered_limits', path: '/v3/registered_limits', store: (session) => session.registeredLimits, create: registeredCreate, update: registeredUpdate, filters: FILTERS,
  columns: ['service_id', 'region_id', 'resource_name', 'default_limit', 'description'], view: registeredView, read: '@',
}

/** Limits that the caller may see: all, its domain's or its project's. */
function visible(ctx: Context, query: ListQuery): ListQuery {
  if (ctx.caller.roles.includes('admin') || ctx.caller.system) return query
  return ctx.caller.domain_id !== null ? withFilter(query, 'domain_id', ctx.caller.domain_id) : withFilter(query, 'project_id', ctx.caller.project_id ?? '')
}

export const limitRoutes: Route[] = [
  route({
    method: 'POST', path: '/v3/registered_limits', policy: 'identity:create_registered_limits', body: registeredCreate, status: 201,
    handle: async (ctx) => ({ registered_limits: (await realmOf(ctx).registeredLimits.createAll(ctx.body.registered_limits.map((row) => ({ ...row, region_id: row.region_id ?? null, description: row.description ?? null })))).map((row) => registeredView(row, rootUrl(ctx))) }),
  }),
  route({
    method: 'PATCH', path: '/v3/registered_limits/:id', policy: 'identity:update_registered_limit', body: registeredUpdate,
    handle: async (ctx) => ({ registered_limit: registeredView(await realmOf(ctx).registeredLimits.update(param(ctx, 'id'), ctx.body.registered_limit as Partial<RegisteredLimitRow>), rootUrl(ctx)) }),
  }),
  ...crudRoutes(spec).filter(({ method }) => method === 'GET' || method === 'DELETE'),
  route({ method: 'GET', path: '/v3/limits/model', policy: 'identity:get_limit_model', handle: (ctx) => ({ model: MODELS[identityOptions(ctx.env).enforcement_model] }) }),
  route({
    method: 'POST', path: '/v3/limits', policy: 'identity:create_limits', body: limitCreate, status: 201,
    handle: async (ctx) => {
      const rows = ctx.body.limits.map((row) => ({ ...row, project_id: row.project_id ?? null, domain_id: row.domain_id ?? null, region_id: row.region_id ?? null, description: row.description ?? null }))
      return { limits: (await realmOf(ctx).limits.createAll(rows)).map((row) => limitView(row, rootUrl(ctx))) }
    },
  }),
  route({
    method: 'GET', path: '/v3/limits', policy: 'identity:list_limits',
    handle: async (ctx) => listView(ctx, 'limits', (await realmOf(ctx).limits.list(visible(ctx, listQuery(ctx.url.searchParams, { ...FILTERS, project_id: 'text', domain_id: 'text' })))).map((row) => limitView(row, rootUrl(ctx)))),
  }),
  route({
    method: 'GET', path: '/v3/limits/:id', policy: 'token',
    handle: async (ctx) => ({ limit: limitView(await authorized(ctx, 'identity:get_limit', realmOf(ctx).limits.get(param(ctx, 'id')), (row) => ({ 'target.limit.project.id': row.project_id, 'target.limit.domain.id': row.domain_id })), rootUrl(ctx)) }),
  }),
  route({ method: 'PATCH', path: '/v3/limits/:id', policy: 'identity:update_limit', body: limitUpdate, handle: async (ctx) => ({ limit: limitView(await realmOf(ctx).limits.update(param(ctx, 'id'), ctx.body.limit as Partial<LimitRow>), rootUrl(ctx)) }) }),
  route({ method: 'DELETE', path: '/v3/limits/:id', policy: 'identity:delete_limit', handle: async (ctx) => await realmOf(ctx).limits.delete(param(ctx, 'id')) }),
]

export const limitPolicies: PolicyRule[] = [
  ...crudPolicies(spec),
  { name: 'identity:create_registered_limits', check: 'role:admin' },
  { name: 'identity:get_limit_model', check: '@' },
  { name: 'identity:list_limits', check: '@' },
  { name: 'identity:get_limit', check: 'role:admin or (role:reader and system_scope:all) or domain_id:%(target.limit.domain.id)s or project_id:%(target.limit.project.id)s' },
  ...['create_limits', 'update_limit', 'delete_limit'].map((name) => ({ name: `identity:${name}`, check: 'role:admin' })),
]
