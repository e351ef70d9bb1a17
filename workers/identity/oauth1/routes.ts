/** /v3/OS-OAUTH1: request tokens, who authorizes them, access tokens (form-encoded, as RFC 5849 has it), and what a user has authorized. */
import * as v from 'valibot'
import type { Remote } from '../../../durable-objects/kernel/rpc.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { isoMicros } from '../../../schema/values/time.ts'
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { type Route, reply, route } from '../../http/route.ts'
import { listView, param, partOf, realmOf, rootUrl } from '../kernel/http.ts'
import type { RoleRow } from '../assignments/effective.ts'
import { roleView as fullRoleView } from '../roles/views.ts'
import { type OAuthSigned, signedRequest } from './signature.ts'
import type { AccessToken, Made, OAuthDoor } from './store.ts'

const TOKENS = '/v3/users/:user_id/OS-OAUTH1/access_tokens'
const ROLES_MAX = 100
const role = v.pipe(v.strictObject({ id: v.optional(v.string()), name: v.optional(v.string()) }), v.check((ref) => (ref.id === undefined) !== (ref.name === undefined), 'must have either an id or a name'))
const authorizeBody = v.object({ roles: v.pipe(v.array(role), v.maxLength(ROLES_MAX)) })

export const oauthDoorOf = (ctx: Context): Remote<OAuthDoor> => partOf<OAuthDoor>(ctx, 'oauth')

export function oauthSigned(ctx: Context): OAuthSigned {
  const signed = signedRequest({ method: ctx.request.method, url: ctx.url, header: ctx.request.headers.get('authorization'), origin: ctx.origin })
  if (signed === null) throw new Fault('bad_request', 'The request has no Authorization header of OAuth 1.0.')
  return signed
}

const made = ({ id, secret, expires_ms }: Made) =>
  reply({ status: 201, headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: `oauth_token=${id}&oauth_token_secret=${secret}&oauth_expires_at=${isoMicros(expires_ms)}` })

function view({ id, consumer_id, project_id, user_id, expires_ms }: AccessToken, root: string): Record<string, unknown> {
  const self = `${root}/users/${user_id}/OS-OAUTH1/access_tokens/${id}`
  return { id, consumer_id, project_id, authorizing_user_id: user_id, expires_at: isoMicros(expires_ms), links: { self, roles: `${self}/roles` } }
}

/** As upstream shows it here: what the role is called, not what it is for. */
function roleView(row: RoleRow, root: string): Record<string, unknown> {
  const { description: _description, ...rest } = fullRoleView(row, root)
  return rest
}

const ids = (ctx: Context) => [param(ctx, 'user_id'), param(ctx, 'access_token_id')] as const
const tokensOf = (ctx: Context) => realmOf(ctx).oauthTokens

export const oauth1Routes: Route[] = [
  route({ method: 'POST', path: '/v3/OS-OAUTH1/request_token', policy: 'public', handle: async (ctx) => made(await oauthDoorOf(ctx).requestToken(oauthSigned(ctx), ctx.request.headers.get('requested-project-id') ?? '', ctx.requestId)) }),
  route({ method: 'POST', path: '/v3/OS-OAUTH1/access_token', policy: 'public', handle: async (ctx) => made(await oauthDoorOf(ctx).accessToken(oauthSigned(ctx), ctx.requestId)) }),
  route({
    method: 'PUT', path: '/v3/OS-OAUTH1/authorize/:request_token_id', policy: 'identity:authorize_request_token', body: authorizeBody,
    handle: async (ctx) => ({ token: { oauth_verifier: await tokensOf(ctx).authorize(param(ctx, 'request_token_id'), ctx.body.roles) } }),
  }),
  route({ method: 'GET', path: TOKENS, policy: 'identity:list_access_tokens', handle: async (ctx) => listView(ctx, 'access_tokens', (await tokensOf(ctx).list(param(ctx, 'user_id'))).map((row) => view(row, rootUrl(ctx)))) }),
  route({ method: 'GET', path: `${TOKENS}/:access_token_id`, policy: 'identity:get_access_token', handle: async (ctx) => ({ access_token: view(await tokensOf(ctx).get(...ids(ctx)), rootUrl(ctx)) }) }),
  route({
    method: 'DELETE', path: `${TOKENS}/:access_token_id`, policy: 'token',
    handle: async (ctx) => {
      ctx.authorize('identity:delete_access_token', { 'target.user_id': param(ctx, 'user_id') })
      await tokensOf(ctx).delete(...ids(ctx))
    },
  }),
  route({ method: 'GET', path: `${TOKENS}/:access_token_id/roles`, policy: 'identity:list_access_token_roles', handle: async (ctx) => listView(ctx, 'roles', (await tokensOf(ctx).roles(...ids(ctx))).map((row) => roleView(row, rootUrl(ctx)))) }),
  route({
    method: 'GET', path: `${TOKENS}/:access_token_id/roles/:role_id`, policy: 'identity:get_access_token_role',
    handle: async (ctx) => {
      const found = (await tokensOf(ctx).roles(...ids(ctx))).find(({ id }) => id === param(ctx, 'role_id'))
      if (found === undefined) throw new Fault('not_found', `Could not find role: ${param(ctx, 'role_id')}.`)
      return { role: roleView(found, rootUrl(ctx)) }
    },
  }),
]

export const oauth1Policies: PolicyRule[] = [
  { name: 'identity:authorize_request_token', check: 'role:admin', operations: ['PUT /v3/OS-OAUTH1/authorize/{request_token_id}'] },
  ...['get_access_token', 'get_access_token_role', 'list_access_tokens', 'list_access_token_roles'].map((name) => ({ name: `identity:${name}`, check: 'role:admin' })),
  { name: 'identity:delete_access_token', check: 'role:admin or user_id:%(target.user_id)s', operations: ['DELETE /v3/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}'] },
]
