/** /v3/OS-FEDERATION/identity_providers. */
import * as v from 'valibot'
import { type Route, route } from '../../../http/route.ts'
import { listView, param, realmOf, rootUrl } from '../../kernel/http.ts'
import { listQuery } from '../../kernel/listing.ts'
import { bool, id, text } from '../../kernel/words.ts'
import { newId, something } from '../ids.ts'
import type { ProviderRow } from '../rows.ts'

const BASE = '/v3/OS-FEDERATION/identity_providers'
const REMOTE_ID_CHARS_MAX = 255
const shared = {
  enabled: v.optional(bool), description: text, authorization_ttl: v.nullish(v.pipe(v.number("is not of type 'integer', 'null'"), v.integer("is not of type 'integer', 'null'"), v.minValue(0))),
  remote_ids: v.nullish(v.pipe(v.array(v.pipe(v.string("is not of type 'string'"), v.maxLength(REMOTE_ID_CHARS_MAX)), "is not of type 'array', 'null'"), v.check((list) => new Set(list).size === list.length, 'has non-unique elements'))),
}
const create = v.object({ identity_provider: v.strictObject({ ...shared, domain_id: v.nullish(id) }) })
const update = v.object({ identity_provider: v.pipe(v.strictObject(shared), something) })

function view(row: ProviderRow, root: string): Record<string, unknown> {
  const self = `${root}/OS-FEDERATION/identity_providers/${encodeURIComponent(row.id)}`
  return { ...row, links: { self, protocols: `${self}/protocols` } }
}

export const identityProviderRoutes: Route[] = [
  route({
    method: 'GET', path: BASE, policy: 'identity:list_identity_providers',
    handle: async (ctx) => listView(ctx, 'identity_providers', (await realmOf(ctx).identityProviders.list(listQuery(ctx.url.searchParams, { id: 'text', enabled: 'bool' }))).map((row) => view(row, rootUrl(ctx)))),
  }),
  route({ method: 'GET', path: `${BASE}/:idp_id`, policy: 'identity:get_identity_provider', handle: async (ctx) => ({ identity_provider: view(await realmOf(ctx).identityProviders.get(param(ctx, 'idp_id')), rootUrl(ctx)) }) }),
  route({
    method: 'PUT', path: `${BASE}/:idp_id`, policy: 'identity:create_identity_provider', body: create, status: 201,
    handle: async (ctx) => ({ identity_provider: view(await realmOf(ctx).identityProviders.create(newId(param(ctx, 'idp_id')), ctx.body.identity_provider), rootUrl(ctx)) }),
  }),
  route({
    method: 'PATCH', path: `${BASE}/:idp_id`, policy: 'identity:update_identity_provider', body: update,
    handle: async (ctx) => ({ identity_provider: view(await realmOf(ctx).identityProviders.update(param(ctx, 'idp_id'), ctx.body.identity_provider), rootUrl(ctx)) }),
  }),
  route({ method: 'DELETE', path: `${BASE}/:idp_id`, policy: 'identity:delete_identity_provider', handle: async (ctx) => await realmOf(ctx).identityProviders.delete(param(ctx, 'idp_id')) }),
]
