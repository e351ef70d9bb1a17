/** /v3/OS-TRUST/trusts. */
import * as v from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { type Route, route } from '../../http/route.ts'
import { split } from '../kernel/crud.ts'
import { listView, param, realmOf, rootUrl } from '../kernel/http.ts'
import { selfLink } from '../kernel/links.ts'
import { parseMicros, showMicros } from '../kernel/time.ts'
import { INTEGER_OR_NULL, id, wrapped } from '../kernel/words.ts'
import { roleView } from '../roles/views.ts'
import type { Trust } from './store.ts'

const BASE = '/v3/OS-TRUST/trusts'
const COLUMNS = ['trustor_user_id', 'trustee_user_id', 'project_id', 'impersonation', 'roles', 'expires_at', 'remaining_uses', 'allow_redelegation', 'redelegation_count']
const count = (min: number) => v.nullish(v.pipe(v.number(INTEGER_OR_NULL), v.integer(INTEGER_OR_NULL), v.minValue(min)))
const body = wrapped('trust', {
  trustor_user_id: id, trustee_user_id: id, project_id: v.nullish(id), impersonation: v.boolean(), expires_at: v.nullish(v.string()), remaining_uses: count(1),
  allow_redelegation: v.nullish(v.boolean()), redelegation_count: count(0), roles: v.optional(v.array(v.pipe(v.looseObject({ id: v.optional(v.string()), name: v.optional(v.string()) }), v.check((role) => role.id !== undefined || role.name !== undefined, 'does not have enough properties')))),
})

function trustView(trust: Trust, root: string, summary = false): Record<string, unknown> {
  const { extra, roles, expires_us, deleted_ms: _deleted, allow_redelegation: _allow, redelegated_trust_id, ...rest } = trust
  const self = `/OS-TRUST/trusts/${trust.id}`
  return {
    ...extra, ...rest, expires_at: expires_us === null ? null : `${showMicros(expires_us)}Z`, deleted_at: null, redelegated_trust_id,
    ...(summary ? {} : { roles: roles.map((role) => roleView(role, root)), roles_links: { next: null, self: `${root}${self}/roles`, previous: null } }), links: selfLink(root, self),
  }
}

const target = (trust: Trust) => ({ 'target.trust.trustor_user_id': trust.trustor_user_id, 'target.trust.trustee_user_id': trust.trustee_user_id })
/** A missing trust is 404 to anybody, as upstream. */
async function own(ctx: Context, rule: string): Promise<Trust> {
  const trust = await realmOf(ctx).trusts.get(param(ctx, 'trust_id'))
  ctx.authorize(rule, target(trust))
  return trust
}

async function list(ctx: Context): Promise<unknown> {
  const query = ctx.url.searchParams
  const filter = { trustor_user_id: query.get('trustor_user_id'), trustee_user_id: query.get('trustee_user_id') }
  if (filter.trustor_user_id === null && filter.trustee_user_id === null) ctx.authorize('identity:list_trusts', {})
  if (filter.trustor_user_id !== null) ctx.authorize('identity:list_trusts_for_trustor', { 'target.trust.trustor_user_id': filter.trustor_user_id })
  if (filter.trustee_user_id !== null) ctx.authorize('identity:list_trusts_for_trustee', { 'target.trust.trustee_user_id': filter.trustee_user_id })
  return listView(ctx, 'trusts', (await realmOf(ctx).trusts.list(filter)).map((row) => trustView(row, rootUrl(ctx), true)))
}

async function role(ctx: Context): Promise<unknown> {
  const found = (await own(ctx, 'identity:get_role_for_trust')).roles.find((each) => each.id === param(ctx, 'role_id'))
  if (found === undefined) throw new Fault('not_found', `Could not find role: ${param(ctx, 'role_id')}.`)
  return { role: roleView(found, rootUrl(ctx)) }
}

export const trustRoutes: Route[] = [
  route({ method: 'GET', path: BASE, policy: 'token', handle: list }),
  route({
    method: 'POST', path: BASE, policy: 'token', body, status: 201,
    handle: async (ctx) => {
      const { trust } = ctx.body
      ctx.authorize('identity:create_trust', { 'target.trust.trustor_user_id': trust.trustor_user_id })
      const spec = {
        trustor_user_id: trust.trustor_user_id, trustee_user_id: trust.trustee_user_id, project_id: trust.project_id ?? null, impersonation: trust.impersonation, roles: trust.roles ?? [],
        expires_us: trust.expires_at == null ? null : parseMicros(trust.expires_at), remaining_uses: trust.remaining_uses ?? null, allow_redelegation: trust.allow_redelegation ?? false,
        redelegation_count: trust.redelegation_count ?? null, extra: split(trust, COLUMNS).extra as Record<string, unknown>,
      }
      return { trust: trustView(await realmOf(ctx).trusts.create(spec), rootUrl(ctx)) }
    },
  }),
  route({ method: 'GET', path: `${BASE}/:trust_id`, policy: 'token', handle: async (ctx) => ({ trust: trustView(await own(ctx, 'identity:get_trust'), rootUrl(ctx)) }) }),
  route({ method: 'DELETE', path: `${BASE}/:trust_id`, policy: 'token', handle: async (ctx) => await realmOf(ctx).trusts.delete((await own(ctx, 'identity:delete_trust')).id) }),
  route({ method: 'GET', path: `${BASE}/:trust_id/roles`, policy: 'token', handle: async (ctx) => listView(ctx, 'roles', (await own(ctx, 'identity:list_roles_for_trust')).roles.map((each) => roleView(each, rootUrl(ctx)))) }),
  route({ method: 'GET', path: `${BASE}/:trust_id/roles/:role_id`, policy: 'token', handle: role }),
]

const TRUSTOR = 'user_id:%(target.trust.trustor_user_id)s'
const TRUSTEE = 'user_id:%(target.trust.trustee_user_id)s'
const SYSTEM = 'role:admin or (role:reader and system_scope:all)'
export const trustPolicies: PolicyRule[] = [
  { name: 'identity:list_trusts', check: SYSTEM },
  { name: 'identity:list_trusts_for_trustor', check: `${SYSTEM} or ${TRUSTOR}` },
  { name: 'identity:list_trusts_for_trustee', check: `${SYSTEM} or ${TRUSTEE}` },
  { name: 'identity:create_trust', check: TRUSTOR },
  { name: 'identity:delete_trust', check: `role:admin or ${TRUSTOR}` },
  ...['get_trust', 'list_roles_for_trust', 'get_role_for_trust'].map((name) => ({ name: `identity:${name}`, check: `${SYSTEM} or ${TRUSTOR} or ${TRUSTEE}` })),
]
