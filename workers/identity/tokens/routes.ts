/** /v3/auth/tokens, and what the holder of a token may be scoped to. */
import { IDENTITY_NAME } from '../../../durable-objects/kernel/env.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault, isFault } from '../../../schema/values/fault.ts'
import { tokenAtHand } from '../../http/auth.ts'
import type { Context } from '../../http/context.ts'
import { type Route, reply, route } from '../../http/route.ts'
import { catalogView } from '../catalog/views.ts'
import { domainView } from '../domains/views.ts'
import { flag, listView, realmOf, rootUrl } from '../kernel/http.ts'
import type { Receipt } from '../mfa/receipts.ts'
import { projectView } from '../projects/views.ts'
import { authenticateAndIssue, subjectOf } from './authenticate.ts'
import { nearText } from './near.ts'
import { AUTH_BODY_BYTES_MAX, authRequest } from './requests.ts'
import { receiptView } from './views.ts'

/** Rules of the user ask for more than was proved: the answer says what, and carries a receipt of what was. */
const receiptOf = (error: unknown): Receipt | null => (isFault(error, 'unauthorized') ? ((error.details as { receipt?: Receipt } | undefined)?.receipt ?? null) : null)

const VARY = { vary: 'X-Auth-Token' }

/** The claims of X-Subject-Token, after the policy said that the caller may ask about it. */
async function subject(ctx: Context, rule: string): Promise<Caller> {
  const token = ctx.request.headers.get('x-subject-token')
  if (token === null || token === '') throw new Fault('not_found', 'No token in the request')
  const expiredToo = flag(ctx.url.searchParams, 'allow_expired') && ctx.caller.roles.some((role) => role === 'service' || role === 'admin')
  const claims = expiredToo ? await realmOf(ctx).tokens.claimsOf(token) : (tokenAtHand(ctx.env, token, ctx.requestId, ctx.now_ms) ?? (await subjectOf(ctx, token)))
  ctx.authorize(rule, { 'target.token.user_id': claims.user_id })
  return claims
}

/** The token's JSON, as text: the object keeps it so. */
async function validated(ctx: Context, rule: string, catalog: boolean): Promise<string> {
  const claims = await subject(ctx, rule)
  ctx.judged()
  const form = { origin: ctx.origin, catalog }
  const allowExpired = flag(ctx.url.searchParams, 'allow_expired')
  return (allowExpired ? null : nearText(ctx.env, ctx.caller, claims, form)) ?? (await ctx.env.IDENTITY.getByName(IDENTITY_NAME).validateToken(ctx.caller, claims, allowExpired, form))
}

export const tokenRoutes: Route[] = [
  route({
    method: 'POST', path: '/v3/auth/tokens', policy: 'public', body: authRequest, body_bytes_max: AUTH_BODY_BYTES_MAX, status: 201,
    handle: async (ctx) => {
      try {
        const { token, text } = await authenticateAndIssue(ctx, ctx.body.auth, !flag(ctx.url.searchParams, 'nocatalog'))
        return reply({ status: 201, headers: { 'content-type': 'application/json', 'x-subject-token': token, ...VARY }, body: text })
      } catch (error) {
        const receipt = receiptOf(error)
        if (receipt === null) throw error
        return reply({ status: 401, headers: { 'openstack-auth-receipt': receipt.id, 'www-authenticate': `Keystone uri="${ctx.origin}/identity"` }, body: receiptView(receipt) })
      }
    },
  }),
  route({
    method: 'GET', path: '/v3/auth/tokens', policy: 'token',
    handle: async (ctx) => {
      const body = await validated(ctx, 'identity:validate_token', !flag(ctx.url.searchParams, 'nocatalog'))
      return reply({ headers: { 'content-type': 'application/json', 'x-subject-token': ctx.request.headers.get('x-subject-token') ?? '', ...VARY }, body })
    },
  }),
  route({
    method: 'HEAD', path: '/v3/auth/tokens', policy: 'token',
    handle: async (ctx) => {
      await validated(ctx, 'identity:check_token', false)
      return reply({ status: 200, headers: { 'content-type': 'application/json', 'x-subject-token': ctx.request.headers.get('x-subject-token') ?? '', ...VARY } })
    },
  }),
  route({ method: 'DELETE', path: '/v3/auth/tokens', policy: 'token', handle: async (ctx) => await realmOf(ctx).tokens.revoke(await subject(ctx, 'identity:revoke_token')) }),
  route({
    method: 'GET', path: '/v3/auth/catalog', policy: 'token',
    handle: async (ctx) => {
      if (ctx.caller.project_id === null && ctx.caller.domain_id === null && !ctx.caller.system) throw new Fault('forbidden', 'You are not authorized to perform the requested action.')
      return { catalog: catalogView(await realmOf(ctx).tokens.catalog(), { origin: ctx.origin, project_id: ctx.caller.project_id, user_id: ctx.caller.user_id }), links: { self: `${rootUrl(ctx)}/auth/catalog` } }
    },
  }),
  route({ method: 'GET', path: '/v3/auth/projects', policy: 'token', handle: async (ctx) => listView(ctx, 'projects', (await realmOf(ctx).tokens.myProjects()).map((row) => projectView(row, rootUrl(ctx)))) }),
  route({ method: 'GET', path: '/v3/auth/domains', policy: 'token', handle: async (ctx) => listView(ctx, 'domains', (await realmOf(ctx).tokens.myDomains()).map((row) => domainView(row, rootUrl(ctx)))) }),
  route({ method: 'GET', path: '/v3/auth/system', policy: 'token', handle: async (ctx) => ({ system: await realmOf(ctx).tokens.mySystem(), links: { self: `${rootUrl(ctx)}/auth/system` } }) }),
]
