/** /v3/OS-FEDERATION/service_providers. */
import * as v from 'valibot'
import { type Route, route } from '../../../http/route.ts'
import { listView, param, realmOf, rootUrl } from '../../kernel/http.ts'
import { selfLink } from '../../kernel/links.ts'
import { listQuery } from '../../kernel/listing.ts'
import { bool, text } from '../../kernel/words.ts'
import { newId, something } from '../ids.ts'
import type { ServiceProviderRow } from './store.ts'

const BASE = '/v3/OS-FEDERATION/service_providers'
const URL_CHARS_MAX = 225
const url = v.pipe(v.string('must be a string'), v.maxLength(URL_CHARS_MAX), v.regex(/^[a-zA-Z0-9+.-]+:.+/))
const rest = { description: text, enabled: v.optional(bool), relay_state_prefix: v.optional(v.string("is not of type 'string', 'null'")) }
const create = v.object({ service_provider: v.strictObject({ auth_url: url, sp_url: url, ...rest }) })
const update = v.object({ service_provider: v.pipe(v.strictObject({ auth_url: v.optional(url), sp_url: v.optional(url), ...rest }), something) })

const view = (row: ServiceProviderRow, root: string) => ({ ...row, links: selfLink(root, `/OS-FEDERATION/service_providers/${encodeURIComponent(row.id)}`) })

export const serviceProviderRoutes: Route[] = [
  route({
    method: 'GET', path: BASE, policy: 'identity:list_service_providers',
    handle: async (ctx) => listView(ctx, 'service_providers', (await realmOf(ctx).serviceProviders.list(listQuery(ctx.url.searchParams, { id: 'text', enabled: 'bool' }))).map((row) => view(row as ServiceProviderRow, rootUrl(ctx)))),
  }),
  route({ method: 'GET', path: `${BASE}/:sp_id`, policy: 'identity:get_service_provider', handle: async (ctx) => ({ service_provider: view((await realmOf(ctx).serviceProviders.get(param(ctx, 'sp_id'))) as ServiceProviderRow, rootUrl(ctx)) }) }),
  route({
    method: 'PUT', path: `${BASE}/:sp_id`, policy: 'identity:create_service_provider', body: create, status: 201,
    handle: async (ctx) => ({ service_provider: view((await realmOf(ctx).serviceProviders.create({ ...ctx.body.service_provider, id: newId(param(ctx, 'sp_id')) })) as ServiceProviderRow, rootUrl(ctx)) }),
  }),
  route({
    method: 'PATCH', path: `${BASE}/:sp_id`, policy: 'identity:update_service_provider', body: update,
    handle: async (ctx) => ({ service_provider: view((await realmOf(ctx).serviceProviders.update(param(ctx, 'sp_id'), ctx.body.service_provider)) as ServiceProviderRow, rootUrl(ctx)) }),
  }),
  route({ method: 'DELETE', path: `${BASE}/:sp_id`, policy: 'identity:delete_service_provider', handle: async (ctx) => await realmOf(ctx).serviceProviders.delete(param(ctx, 'sp_id')) }),
]
