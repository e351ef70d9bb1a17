/** /v3/users/{id}/application_credentials and access_rules. */
import { randomBytes } from 'node:crypto'
import * as v from 'valibot'
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { type Route, route } from '../../http/route.ts'
import { listView, param, realmOf, rootUrl } from '../kernel/http.ts'
import { selfLink } from '../kernel/links.ts'
import { listQuery } from '../kernel/listing.ts'
import { identityOptions } from '../kernel/options.ts'
import { parseMicros, showMicros } from '../kernel/time.ts'
import { name255, text, wrapped } from '../kernel/words.ts'
import { PASSWORD_CHARS_MAX } from '../passwords/hash.ts'
import { hasherOf } from '../passwords/hasher.ts'
import type { AccessRuleRow, AppCred } from './store.ts'

const BASE = '/v3/users/:user_id/application_credentials'
const RULES_MAX = 64
const SECRET_BYTES = 64

const role = v.pipe(v.looseObject({ id: v.optional(v.string()), name: v.optional(v.string()) }), v.check((ref) => ref.id !== undefined || ref.name !== undefined, 'must have an id or a name'))
const rule = v.union([
  v.strictObject({ id: v.string() }),
  v.strictObject({ service: v.pipe(v.string(), v.minLength(1)), method: v.picklist(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']), path: v.pipe(v.string(), v.startsWith('/'), v.maxLength(128)) }),
], 'must be an access rule: service, method and path, or id')
const body = wrapped('application_credential', {
  name: name255, description: text, secret: v.nullish(v.pipe(v.string(), v.minLength(1), v.maxLength(PASSWORD_CHARS_MAX))), expires_at: v.nullish(v.string()),
  unrestricted: v.nullish(v.boolean()), roles: v.optional(v.pipe(v.array(role), v.maxLength(RULES_MAX))), access_rules: v.optional(v.pipe(v.array(rule), v.maxLength(RULES_MAX))),
})

const ruleView = ({ id, service, method, path }: AccessRuleRow) => ({ id, service, method, path })
function appCredView({ id, name, description, project_id, user_id, expires_us, unrestricted, roles, access_rules }: AppCred, root: string) {
  return {
    id, name, description, project_id, user_id, system: null, expires_at: expires_us === null ? null : showMicros(expires_us), unrestricted,
    roles: roles.map((each) => ({ id: each.id, name: each.name, domain_id: each.domain_id || null, description: each.description, options: each.options })),
    ...(access_rules === null ? {} : { access_rules: access_rules.map(ruleView) }), links: selfLink(root, `/users/${user_id}/application_credentials/${id}`),
  }
}

/** These hang on the user in the path: whoever may not see it gets 403. */
function ownerOf(ctx: Context, name: string): string {
  const userId = param(ctx, 'user_id')
  ctx.authorize(`identity:${name}`, { user_id: userId, 'target.user.id': userId })
  return userId
}

async function create(ctx: Context): Promise<unknown> {
  ownerOf(ctx, 'create_application_credential')
  const { name, description, secret: given, expires_at, unrestricted, roles, access_rules } = ctx.body.application_credential
  const secret = given ?? randomBytes(SECRET_BYTES).toString('base64url')
  const { applicationCredentials } = realmOf(ctx)
  await applicationCredentials.mayManage()
  const spec = { name, description: description ?? null, expires_us: expires_at == null ? null : parseMicros(expires_at), unrestricted: unrestricted ?? false, roles: roles ?? null, access_rules: access_rules ?? null }
  const row = await applicationCredentials.create(spec, await hasherOf(ctx.env).hash(secret, identityOptions(ctx.env).scrypt))
  return { application_credential: { ...appCredView(row, rootUrl(ctx)), secret } }
}

export const applicationCredentialRoutes: Route[] = [
  route({ method: 'POST', path: BASE, policy: 'token', body, status: 201, handle: create }),
  route({ method: 'GET', path: BASE, policy: 'token', handle: async (ctx) => listView(ctx, 'application_credentials', (await realmOf(ctx).applicationCredentials.list(ownerOf(ctx, 'list_application_credentials'), listQuery(ctx.url.searchParams, { name: 'text' }))).map((row) => appCredView(row, rootUrl(ctx)))) }),
  route({ method: 'GET', path: `${BASE}/:id`, policy: 'token', handle: async (ctx) => ({ application_credential: appCredView(await realmOf(ctx).applicationCredentials.get(ownerOf(ctx, 'get_application_credential'), param(ctx, 'id')), rootUrl(ctx)) }) }),
  route({ method: 'DELETE', path: `${BASE}/:id`, policy: 'token', handle: async (ctx) => await realmOf(ctx).applicationCredentials.delete(ownerOf(ctx, 'delete_application_credential'), param(ctx, 'id')) }),
  route({ method: 'GET', path: '/v3/users/:user_id/access_rules', policy: 'token', handle: async (ctx) => listView(ctx, 'access_rules', (await realmOf(ctx).applicationCredentials.accessRules(ownerOf(ctx, 'list_access_rules'), listQuery(ctx.url.searchParams, { service: 'text', path: 'text', method: 'text' }))).map(ruleView)) }),
  route({ method: 'GET', path: '/v3/users/:user_id/access_rules/:id', policy: 'token', handle: async (ctx) => ({ access_rule: ruleView(await realmOf(ctx).applicationCredentials.accessRule(ownerOf(ctx, 'get_access_rule'), param(ctx, 'id'))) }) }),
  route({ method: 'DELETE', path: '/v3/users/:user_id/access_rules/:id', policy: 'token', handle: async (ctx) => await realmOf(ctx).applicationCredentials.deleteAccessRule(ownerOf(ctx, 'delete_access_rule'), param(ctx, 'id')) }),
]

const READ = 'role:admin or (role:reader and system_scope:all) or user_id:%(target.user.id)s'
export const applicationCredentialPolicies: PolicyRule[] = [
  ...['get_application_credential', 'list_application_credentials', 'get_access_rule', 'list_access_rules'].map((name) => ({ name: `identity:${name}`, check: READ })),
  { name: 'identity:create_application_credential', check: 'user_id:%(user_id)s', operations: ['POST /v3/users/{id}/application_credentials'] },
  ...['delete_application_credential', 'delete_access_rule'].map((name) => ({ name: `identity:${name}`, check: 'role:admin or user_id:%(target.user.id)s' })),
]
