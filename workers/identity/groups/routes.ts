/** /v3/groups and their members. */
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { type Route, reply, route } from '../../http/route.ts'
import { driverOfDomain, driverOfRow } from '../directory/driver.ts'
import { split } from '../kernel/crud.ts'
import { authorized, listView, pageQuery, pagedView, param, realmOf, rootUrl, sameId } from '../kernel/http.ts'
import { everything, listQuery, withFilter } from '../kernel/listing.ts'
import { groupCreate, groupUpdate } from '../users/requests.ts'
import { userView } from '../users/views.ts'
import type { GroupRow } from './store.ts'
import { groupView } from './views.ts'

const COLUMNS = ['name', 'domain_id', 'description']
const target = (row: GroupRow) => ({ 'target.group.id': row.id, 'target.group.domain_id': row.domain_id })
const own = async (ctx: Context, rule: string): Promise<GroupRow> => await authorized(ctx, rule, realmOf(ctx).groups.get(param(ctx, 'group_id')), target)

/** Membership is the group's and the user's matter: the policy sees both. */
async function member(ctx: Context, rule: string): Promise<[string, string]> {
  const [groupId, userId] = [param(ctx, 'group_id'), param(ctx, 'user_id')]
  const { groups, users } = realmOf(ctx)
  if (!ctx.allows(rule, {})) {
    const row = await authorized(ctx, rule, Promise.all([groups.get(groupId), users.get(userId)]), ([group, user]) => ({ ...target(group), 'target.user.domain_id': user.domain_id }))
    return [row[0].id, row[1].id]
  }
  return [groupId, userId]
}

/** A directory is asked about its own groups; others are ours to know. */
async function isMember(ctx: Context, groupId: string, userId: string): Promise<boolean> {
  const { groups, users } = realmOf(ctx)
  const [group, user] = await Promise.all([groups.get(groupId), users.get(userId)])
  if (group.origin !== 'ldap') return await groups.hasMember(groupId, userId)
  if (user.origin !== 'ldap' || user.domain_id !== group.domain_id) return false
  const found = await (await driverOfRow(ctx, user)).groupsOf(user, everything)
  return found.some(({ id }) => id === groupId)
}

export const groupRoutes: Route[] = [
  route({
    method: 'GET', path: '/v3/groups', policy: 'token',
    handle: async (ctx) => {
      const { searchParams } = ctx.url
      ctx.authorize('identity:list_groups', { 'target.domain_id': searchParams.get('domain_id') ?? ctx.caller.domain_id })
      let query = pageQuery(ctx, { domain_id: 'text', name: 'text' })
      if (ctx.caller.domain_id !== null && !searchParams.has('domain_id')) query = withFilter(query, 'domain_id', ctx.caller.domain_id)
      const { rows, truncated } = await (await driverOfDomain(ctx, searchParams.get('domain_id') ?? ctx.caller.domain_id)).groups(query)
      return { ...pagedView(ctx, 'groups', rows.map((row) => groupView(row, rootUrl(ctx)))), ...(truncated ? { truncated } : {}) }
    },
  }),
  route({
    method: 'POST', path: '/v3/groups', policy: 'token', body: groupCreate, status: 201,
    handle: async (ctx) => {
      ctx.authorize('identity:create_group', { 'target.group.domain_id': ctx.body.group.domain_id ?? ctx.caller.domain_id })
      return { group: groupView(await realmOf(ctx).groups.create(split(ctx.body.group, COLUMNS) as never), rootUrl(ctx)) }
    },
  }),
  route({ method: 'GET', path: '/v3/groups/:group_id', policy: 'token', handle: async (ctx) => {
    const row = await own(ctx, 'identity:get_group')
    return { group: groupView(await (await driverOfRow(ctx, row)).group(row), rootUrl(ctx)) }
  } }),
  route({
    method: 'PATCH', path: '/v3/groups/:group_id', policy: 'token', body: groupUpdate,
    handle: async (ctx) => {
      const { id } = await own(ctx, 'identity:update_group')
      sameId(ctx.body.group, id)
      return { group: groupView(await realmOf(ctx).groups.update(id, split(ctx.body.group, COLUMNS) as Partial<GroupRow>), rootUrl(ctx)) }
    },
  }),
  route({ method: 'DELETE', path: '/v3/groups/:group_id', policy: 'token', handle: async (ctx) => await realmOf(ctx).groups.delete((await own(ctx, 'identity:delete_group')).id) }),
  route({
    method: 'GET', path: '/v3/groups/:group_id/users', policy: 'token',
    handle: async (ctx) => {
      const row = await own(ctx, 'identity:list_users_in_group')
      const driver = await driverOfRow(ctx, row)
      return listView(ctx, 'users', (await driver.usersOf(row, listQuery(ctx.url.searchParams, { name: 'text', enabled: 'bool' }))).map((row) => userView(row, rootUrl(ctx))))
    },
  }),
  route({
    method: 'GET', path: '/v3/groups/:group_id/users/:user_id', policy: 'token',
    handle: async (ctx) => {
      const [groupId, userId] = await member(ctx, 'identity:check_user_in_group')
      if (!(await isMember(ctx, groupId, userId))) throw new Fault('not_found', `User '${userId}' not found in group '${groupId}'`)
      return reply({ status: 204 })
    },
  }),
  route({ method: 'PUT', path: '/v3/groups/:group_id/users/:user_id', policy: 'token', handle: async (ctx) => await realmOf(ctx).groups.addMember(...(await member(ctx, 'identity:add_user_to_group'))) }),
  route({ method: 'DELETE', path: '/v3/groups/:group_id/users/:user_id', policy: 'token', handle: async (ctx) => await realmOf(ctx).groups.removeMember(...(await member(ctx, 'identity:remove_user_from_group'))) }),
]
