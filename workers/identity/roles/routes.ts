/** /v3/roles, what they imply, and /v3/role_inferences. */
import * as v from 'valibot'
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { type Route, reply, route } from '../../http/route.ts'
import type { RoleRow } from '../assignments/effective.ts'
import { split } from '../kernel/crud.ts'
import { authorized, pageQuery, pagedView, param, realmOf, rootUrl } from '../kernel/http.ts'
import { withFilter } from '../kernel/listing.ts'
import { changed, id, immutable, name255, text, wrapped } from '../kernel/words.ts'
import { inferenceView, pairView, roleView } from './views.ts'

const COLUMNS = ['name', 'domain_id', 'description', 'options']
const roleCreate = wrapped('role', { name: name255, domain_id: v.nullish(id), description: v.optional(v.string()), options: immutable })
const roleUpdate = changed('role', { name: v.optional(name255), domain_id: v.nullish(id), description: text, options: immutable })

/** Roles of a domain have rules of their own, named after them. */
const ruleOf = (row: { domain_id?: string | null }, verb: string, many = false) => `identity:${verb}_${row.domain_id ? 'domain_' : ''}role${many ? 's' : ''}`

async function own(ctx: Context, verb: string): Promise<RoleRow> {
  const row = await authorized(ctx, `identity:${verb}_role`, realmOf(ctx).roles.get(param(ctx, 'role_id')), () => ({ 'target.caller.domain_id': ctx.caller.domain_id }))
  if (row.domain_id !== '') ctx.authorize(ruleOf(row, verb), { 'target.role.domain_id': row.domain_id })
  return row
}

const pair = (ctx: Context) => [param(ctx, 'role_id'), param(ctx, 'implied_id')] as const

export const roleRoutes: Route[] = [
  route({
    method: 'GET', path: '/v3/roles', policy: 'token',
    handle: async (ctx) => {
      const domainId = ctx.url.searchParams.get('domain_id') ?? ''
      ctx.authorize(ruleOf({ domain_id: domainId }, 'list', true), { 'target.domain_id': domainId, 'target.caller.domain_id': ctx.caller.domain_id })
      const query = withFilter(pageQuery(ctx, { name: 'text' }), 'domain_id', domainId)
      return pagedView(ctx, 'roles', (await realmOf(ctx).roles.list(query)).map((row) => roleView(row, rootUrl(ctx))))
    },
  }),
  route({
    method: 'POST', path: '/v3/roles', policy: 'token', body: roleCreate, status: 201,
    handle: async (ctx) => {
      ctx.authorize(ruleOf(ctx.body.role, 'create'), {})
      return { role: roleView(await realmOf(ctx).roles.create(split(ctx.body.role, COLUMNS) as never), rootUrl(ctx)) }
    },
  }),
  route({ method: 'GET', path: '/v3/roles/:role_id', policy: 'token', handle: async (ctx) => ({ role: roleView(await own(ctx, 'get'), rootUrl(ctx)) }) }),
  route({
    method: 'PATCH', path: '/v3/roles/:role_id', policy: 'token', body: roleUpdate,
    handle: async (ctx) => {
      const row = await own(ctx, 'update')
      return { role: roleView(await realmOf(ctx).roles.update(row.id, split(ctx.body.role, COLUMNS) as Partial<RoleRow>), rootUrl(ctx)) }
    },
  }),
  route({ method: 'DELETE', path: '/v3/roles/:role_id', policy: 'token', handle: async (ctx) => await realmOf(ctx).roles.delete((await own(ctx, 'delete')).id) }),
  route({
    method: 'GET', path: '/v3/roles/:role_id/implies', policy: 'identity:list_implied_roles',
    handle: async (ctx) => ({ role_inference: inferenceView(await realmOf(ctx).roles.inference(param(ctx, 'role_id')), rootUrl(ctx)), links: { self: `${rootUrl(ctx)}/roles/${param(ctx, 'role_id')}/implies` } }),
  }),
  route({ method: 'PUT', path: '/v3/roles/:role_id/implies/:implied_id', policy: 'identity:create_implied_role', status: 201, handle: async (ctx) => pairView(await realmOf(ctx).roles.imply(...pair(ctx)), rootUrl(ctx)) }),
  route({ method: 'GET', path: '/v3/roles/:role_id/implies/:implied_id', policy: 'identity:get_implied_role', handle: async (ctx) => pairView(await realmOf(ctx).roles.implied(...pair(ctx)), rootUrl(ctx)) }),
  route({
    method: 'HEAD', path: '/v3/roles/:role_id/implies/:implied_id', policy: 'identity:check_implied_role',
    handle: async (ctx) => {
      await realmOf(ctx).roles.implied(...pair(ctx))
      return reply({ status: 204 })
    },
  }),
  route({ method: 'DELETE', path: '/v3/roles/:role_id/implies/:implied_id', policy: 'identity:delete_implied_role', handle: async (ctx) => await realmOf(ctx).roles.unimply(...pair(ctx)) }),
  route({
    method: 'GET', path: '/v3/role_inferences', policy: 'identity:list_role_inference_rules',
    handle: async (ctx) => ({ role_inferences: (await realmOf(ctx).roles.inferences()).map((row) => inferenceView(row, rootUrl(ctx))) }),
  }),
]

const READ = 'role:admin or (role:reader and system_scope:all)'
/** Managers of a domain must find the roles that they may assign. */
const FIND = `${READ} or (role:manager and domain_id:%(target.caller.domain_id)s)`

export const rolePolicies: PolicyRule[] = [
  ...['get_role', 'list_roles'].map((name) => ({ name: `identity:${name}`, check: FIND })),
  ...['get_domain_role', 'list_domain_roles', 'get_implied_role', 'list_implied_roles', 'list_role_inference_rules', 'check_implied_role'].map((name) => ({ name: `identity:${name}`, check: READ })),
  ...['create_role', 'update_role', 'delete_role', 'create_domain_role', 'update_domain_role', 'delete_domain_role', 'create_implied_role', 'delete_implied_role'].map((name) => ({ name: `identity:${name}`, check: 'role:admin' })),
]
