/** /v3/users. Hashes are made here, in the Worker or the hasher process, and only hashes go to the object. */
import { Fault } from '../../../schema/values/fault.ts'
import { isoMicros } from '../../../schema/values/time.ts'
import type { Context } from '../../http/context.ts'
import { clientAddress } from '../../http/client-address.ts'
import { type Route, reply, route } from '../../http/route.ts'
import { driverOfDomain, driverOfRow } from '../directory/driver.ts'
import { groupView } from '../groups/views.ts'
import { split } from '../kernel/crud.ts'
import { authorized, listView, loginOf, pageForm, pageQuery, pageReply, pagedView, param, realmOf, rootUrl, sameId } from '../kernel/http.ts'
import { listQuery, withFilter } from '../kernel/listing.ts'
import { parseMicros } from '../kernel/time.ts'
import { identityOptions } from '../kernel/options.ts'
import { hasherOf } from '../passwords/hasher.ts'
import { checkStrength } from '../passwords/rules.ts'
import { projectView } from '../projects/views.ts'
import { AUTH_BODY_BYTES_MAX } from '../tokens/requests.ts'
import { USER_COLUMNS, passwordChange, userCreate, userUpdate } from './requests.ts'
import type { ExpiryFilter, FederatedFilter, UserSpec, UserView } from './store.ts'
import { userView } from './views.ts'

const target = (row: UserView) => ({ 'target.user.id': row.id, 'target.user.domain_id': row.domain_id })
/** As whoever knows it says it is now. */
const fresh = async (ctx: Context, row: UserView): Promise<UserView> => (row.origin === 'ldap' ? await (await driverOfRow(ctx, row)).user(row) : row)
const own = async (ctx: Context, rule: string): Promise<UserView> => await authorized(ctx, rule, realmOf(ctx).users.get(param(ctx, 'user_id')), target)

/** undefined leaves the password alone, null removes it. */
async function hashOf(ctx: Context, password: string | null | undefined): Promise<string | null | undefined> {
  if (password === undefined || password === null) return password
  const options = identityOptions(ctx.env)
  checkStrength(password, options)
  return await hasherOf(ctx.env).hash(password, options.scrypt)
}

function specOf(user: Record<string, unknown>): UserSpec {
  const { password: _never, ...rest } = user
  return split(rest, USER_COLUMNS) as unknown as UserSpec
}

const COMPARISONS: readonly string[] = ['eq', 'neq', 'lt', 'lte', 'gt', 'gte'] satisfies ExpiryFilter['op'][]

/** password_expires_at=lt:2026-01-01T00:00:00Z; without a word before the moment it is exact. */
function expiryFilter(text: string | null): ExpiryFilter | null {
  if (text === null) return null
  const at = text.indexOf(':')
  const word = text.slice(0, at)
  const [op, moment] = COMPARISONS.includes(word) ? [word as ExpiryFilter['op'], text.slice(at + 1)] : ['eq' as const, text]
  return { op, at_ms: Math.floor(parseMicros(moment) / 1000) }
}

function federatedFilter(query: URLSearchParams): FederatedFilter {
  return Object.fromEntries(['idp_id', 'protocol_id', 'unique_id'].flatMap((name) => (query.has(name) ? [[name, query.get(name) ?? '']] : [])))
}

async function list(ctx: Context): Promise<unknown> {
  const { searchParams } = ctx.url
  ctx.authorize('identity:list_users', { 'target.domain_id': searchParams.get('domain_id') ?? ctx.caller.domain_id })
  let query = pageQuery(ctx, { domain_id: 'text', enabled: 'bool', name: 'text' })
  if (ctx.caller.domain_id !== null && !searchParams.has('domain_id')) query = withFilter(query, 'domain_id', ctx.caller.domain_id)
  const expiry = expiryFilter(searchParams.get('password_expires_at'))
  const driver = await driverOfDomain(ctx, searchParams.get('domain_id') ?? ctx.caller.domain_id)
  if (driver.name === 'sql') return pageReply(ctx, 'users', await realmOf(ctx).users.page(query, expiry, federatedFilter(searchParams), pageForm(ctx)))
  const { rows, truncated } = await driver.users(query)
  return { ...pagedView(ctx, 'users', rows.map((row) => userView(row, rootUrl(ctx)))), ...(truncated ? { truncated } : {}) }
}

/** POST /v3/users/{id}/password: the old password is the credential, so that an expired one can still be changed. */
async function changeOwn(ctx: Context): Promise<unknown> {
  const { password, original_password } = ctx.body.user as { password: string; original_password: string }
  const login = loginOf(ctx)
  const address = clientAddress(ctx.env, ctx.request)
  const hasher = hasherOf(ctx.env)
  const options = identityOptions(ctx.env)
  const challenge = await login.passwordChallenge({ id: param(ctx, 'user_id') }, address)
  const right = await hasher.verify(original_password, challenge.hash)
  if (!right || challenge.user_id === null || challenge.barred) {
    await login.passwordFailed(challenge.barred ? null : challenge.user_id)
    throw new Fault('unauthorized', 'The request you have made requires authentication.')
  }
  checkStrength(password, options)
  for (const old of await login.passwordHistory(challenge.user_id)) {
    if (await hasher.verify(password, old)) throw new Fault('bad_request', `The new password cannot be identical to a previous password. The total number which includes the new password must be unique is ${options.unique_last_password_count}.`)
  }
  await login.changePassword(challenge.user_id, challenge.hash, await hasher.hash(password, options.scrypt), ctx.requestId, address)
  return reply({ status: 204 })
}

export const userRoutes: Route[] = [
  route({ method: 'GET', path: '/v3/users', policy: 'token', handle: list }),
  route({
    method: 'POST', path: '/v3/users', policy: 'token', body: userCreate, status: 201,
    handle: async (ctx) => {
      const { user } = ctx.body
      ctx.authorize('identity:create_user', { 'target.user.domain_id': user.domain_id ?? ctx.caller.domain_id })
      const row = await realmOf(ctx).users.create(specOf(user), (await hashOf(ctx, user.password)) ?? null)
      return { user: userView(row, rootUrl(ctx)) }
    },
  }),
  route({ method: 'GET', path: '/v3/users/:user_id', policy: 'token', handle: async (ctx) => ({ user: userView(await fresh(ctx, await own(ctx, 'identity:get_user')), rootUrl(ctx)) }) }),
  route({
    method: 'PATCH', path: '/v3/users/:user_id', policy: 'token', body: userUpdate,
    handle: async (ctx) => {
      const { id } = await own(ctx, 'identity:update_user')
      sameId(ctx.body.user, id)
      return { user: userView(await realmOf(ctx).users.update(id, specOf(ctx.body.user), await hashOf(ctx, ctx.body.user.password)), rootUrl(ctx)) }
    },
  }),
  route({ method: 'DELETE', path: '/v3/users/:user_id', policy: 'token', handle: async (ctx) => await realmOf(ctx).users.delete((await own(ctx, 'identity:delete_user')).id) }),
  route({ method: 'POST', path: '/v3/users/:user_id/password', policy: 'public', body: passwordChange, body_bytes_max: AUTH_BODY_BYTES_MAX, handle: changeOwn }),
  route({
    method: 'GET', path: '/v3/users/:user_id/groups', policy: 'token',
    handle: async (ctx) => {
      const row = await own(ctx, 'identity:list_groups_for_user')
      const driver = await driverOfRow(ctx, row)
      return listView(ctx, 'groups', (await driver.groupsOf(row, listQuery(ctx.url.searchParams, { name: 'text' }))).map(({ membership_expires_ms, ...group }) => ({ ...groupView(group, rootUrl(ctx)), membership_expires_at: membership_expires_ms === null ? null : isoMicros(membership_expires_ms) })))
    },
  }),
  route({
    method: 'GET', path: '/v3/users/:user_id/projects', policy: 'token',
    handle: async (ctx) => {
      const { id } = await own(ctx, 'identity:list_user_projects')
      return listView(ctx, 'projects', (await realmOf(ctx).projects.ofUser(id, listQuery(ctx.url.searchParams, { name: 'text', enabled: 'bool', domain_id: 'text' }))).map((row) => projectView(row, rootUrl(ctx))))
    },
  }),
]
