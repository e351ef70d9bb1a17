/** /v3/domains: projects that act as one. */
import { type Route, route } from '../../http/route.ts'
import { split } from '../kernel/crud.ts'
import { authorized, listView, param, realmOf, rootUrl } from '../kernel/http.ts'
import { listQuery, withFilter } from '../kernel/listing.ts'
import { domainCreate, domainUpdate } from '../projects/requests.ts'
import type { ProjectSpec } from '../projects/store.ts'
import { domainView } from './views.ts'

const COLUMNS = ['name', 'description', 'enabled', 'tags', 'options']
const NO_TAGS = { all: null, any: null, notAll: null, notAny: null }

export const domainRoutes: Route[] = [
  route({
    method: 'GET', path: '/v3/domains', policy: 'token',
    handle: async (ctx) => {
      ctx.authorize('identity:list_domains', { 'target.domain.id': ctx.caller.domain_id })
      const everyDomain = ctx.allows('identity:list_domains', {})
      // A domain is in no domain: the index of that finds the few among all projects.
      const query = withFilter(withFilter(listQuery(ctx.url.searchParams, { name: 'text', enabled: 'bool' }), 'domain_id', ''), 'is_domain', true)
      const rows = await realmOf(ctx).projects.list(query, NO_TAGS, everyDomain ? null : [ctx.caller.domain_id ?? ''])
      return listView(ctx, 'domains', rows.map((row) => domainView(row, rootUrl(ctx))))
    },
  }),
  route({
    method: 'POST', path: '/v3/domains', policy: 'identity:create_domain', body: domainCreate, status: 201,
    handle: async (ctx) => {
      const { explicit_domain_id, ...domain } = ctx.body.domain
      const spec = { ...(split(domain, COLUMNS) as unknown as ProjectSpec), is_domain: true, ...(explicit_domain_id === undefined ? {} : { id: explicit_domain_id }) }
      return { domain: domainView(await realmOf(ctx).projects.create(spec), rootUrl(ctx)) }
    },
  }),
  route({
    method: 'GET', path: '/v3/domains/:domain_id', policy: 'token',
    handle: async (ctx) => ({ domain: domainView(await authorized(ctx, 'identity:get_domain', realmOf(ctx).projects.domain(param(ctx, 'domain_id')), (row) => ({ 'target.domain.id': row.id })), rootUrl(ctx)) }),
  }),
  route({
    method: 'PATCH', path: '/v3/domains/:domain_id', policy: 'identity:update_domain', body: domainUpdate,
    handle: async (ctx) => {
      const { id } = await realmOf(ctx).projects.domain(param(ctx, 'domain_id'))
      return { domain: domainView(await realmOf(ctx).projects.update(id, split(ctx.body.domain, COLUMNS) as Partial<ProjectSpec>), rootUrl(ctx)) }
    },
  }),
  route({ method: 'DELETE', path: '/v3/domains/:domain_id', policy: 'identity:delete_domain', handle: async (ctx) => await realmOf(ctx).projects.deleteDomain(param(ctx, 'domain_id')) }),
]
