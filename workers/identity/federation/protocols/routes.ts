/** /v3/OS-FEDERATION/identity_providers/{idp}/protocols, and below one its OpenID Connect configuration (docs/federation.md). */
import type { Context } from '../../../http/context.ts'
import { type Route, route } from '../../../http/route.ts'
import { listView, param, realmOf, rootUrl } from '../../kernel/http.ts'
import { newId } from '../ids.ts'
import { checkUrl } from '../login/outbound.ts'
import { identityOptions } from '../../kernel/options.ts'
import { oidcBody, protocolCreate, protocolUpdate } from './requests.ts'
import type { ProtocolRow } from './store.ts'

const BASE = '/v3/OS-FEDERATION/identity_providers/:idp_id/protocols'
const OIDC = `${BASE}/:protocol_id/oidc`
const ids = (ctx: Context) => [param(ctx, 'idp_id'), param(ctx, 'protocol_id')] as const

function view({ idp_id, id, mapping_id, remote_id_attribute }: ProtocolRow, root: string): Record<string, unknown> {
  const identity_provider = `${root}/OS-FEDERATION/identity_providers/${encodeURIComponent(idp_id)}`
  return { id, mapping_id, remote_id_attribute, links: { self: `${identity_provider}/protocols/${encodeURIComponent(id)}`, identity_provider } }
}

export const protocolRoutes: Route[] = [
  route({ method: 'GET', path: BASE, policy: 'identity:list_protocols', handle: async (ctx) => listView(ctx, 'protocols', (await realmOf(ctx).protocols.list(param(ctx, 'idp_id'))).map((row) => view(row, rootUrl(ctx)))) }),
  route({ method: 'GET', path: `${BASE}/:protocol_id`, policy: 'identity:get_protocol', handle: async (ctx) => ({ protocol: view(await realmOf(ctx).protocols.get(...ids(ctx)), rootUrl(ctx)) }) }),
  route({
    method: 'PUT', path: `${BASE}/:protocol_id`, policy: 'identity:create_protocol', body: protocolCreate, status: 201,
    handle: async (ctx) => ({ protocol: view(await realmOf(ctx).protocols.create(param(ctx, 'idp_id'), newId(param(ctx, 'protocol_id')), ctx.body.protocol), rootUrl(ctx)) }),
  }),
  route({
    method: 'PATCH', path: `${BASE}/:protocol_id`, policy: 'identity:update_protocol', body: protocolUpdate,
    handle: async (ctx) => ({ protocol: view(await realmOf(ctx).protocols.update(...ids(ctx), ctx.body.protocol), rootUrl(ctx)) }),
  }),
  route({ method: 'DELETE', path: `${BASE}/:protocol_id`, policy: 'identity:delete_protocol', handle: async (ctx) => await realmOf(ctx).protocols.delete(...ids(ctx)) }),
  route({ method: 'GET', path: OIDC, policy: 'identity:get_protocol_oidc', handle: async (ctx) => ({ oidc: await realmOf(ctx).protocols.oidc(...ids(ctx)) }) }),
  route({
    method: 'PUT', path: OIDC, policy: 'identity:update_protocol_oidc', body: oidcBody,
    handle: async (ctx) => {
      checkUrl(ctx.body.oidc.issuer, identityOptions(ctx.env).federation)
      return { oidc: await realmOf(ctx).protocols.setOidc(...ids(ctx), ctx.body.oidc) }
    },
  }),
  route({ method: 'DELETE', path: OIDC, policy: 'identity:update_protocol_oidc', handle: async (ctx) => await realmOf(ctx).protocols.deleteOidc(...ids(ctx)) }),
]
