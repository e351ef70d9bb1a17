/** /v3/credentials and /v3/users/{id}/credentials/OS-EC2. */
import * as v from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { type Route, route } from '../../http/route.ts'
import { split } from '../kernel/crud.ts'
import { authorized, listView, param, realmOf, rootUrl } from '../kernel/http.ts'
import { selfLink } from '../kernel/links.ts'
import { listQuery, withFilter } from '../kernel/listing.ts'
import { id, wrapped } from '../kernel/words.ts'
import type { Credential, Ec2Credential } from './store.ts'

const COLUMNS = ['user_id', 'project_id', 'type', 'blob']
const kind = v.pipe(v.string(), v.minLength(1), v.maxLength(255))
const blob = v.pipe(v.string(), v.maxLength(65_536))
const createBody = wrapped('credential', { blob, type: kind, user_id: v.optional(id), project_id: v.nullish(id) })
const updateBody = wrapped('credential', { blob: v.optional(blob), type: v.optional(kind), user_id: v.optional(id), project_id: v.nullish(id) })
const ec2Body = v.looseObject({ tenant_id: id })

const credentialView = ({ extra, id: own, user_id, project_id, type, blob: content }: Credential, root: string) => ({ ...extra, id: own, user_id, project_id, type, blob: content, links: selfLink(root, `/credentials/${own}`) })
const ec2View = (row: Ec2Credential, root: string) => ({ ...row, links: selfLink(root, `/users/${row.user_id}/credentials/OS-EC2/${row.access}`) })
const target = (row: { user_id: string }) => ({ 'target.credential.user_id': row.user_id })
const own = async (ctx: Context, rule: string): Promise<Credential> => await authorized(ctx, rule, realmOf(ctx).credentials.get(param(ctx, 'credential_id')), target)

async function update(ctx: Context): Promise<unknown> {
  const row = await own(ctx, 'identity:update_credential')
  const change = split(ctx.body.credential, COLUMNS) as Partial<Credential>
  const moved = (change.user_id !== undefined && change.user_id !== row.user_id) || (change.project_id !== undefined && change.project_id !== row.project_id)
  if (moved && !ctx.allows('identity:update_credential', {})) throw new Fault('forbidden', 'The user and the project of a credential cannot be changed.')
  return { credential: credentialView(await realmOf(ctx).credentials.update(row.id, change), rootUrl(ctx)) }
}

const ec2 = (ctx: Context, rule: string): string => {
  const userId = param(ctx, 'user_id')
  ctx.authorize(rule, target({ user_id: userId }))
  return userId
}

export const credentialRoutes: Route[] = [
  route({
    method: 'GET', path: '/v3/credentials', policy: 'token',
    handle: async (ctx) => {
      const all = ctx.allows('identity:list_credentials', {})
      if (!all) ctx.authorize('identity:list_credentials', target(ctx.caller))
      const query = listQuery(ctx.url.searchParams, { user_id: 'text', type: 'text' })
      return listView(ctx, 'credentials', (await realmOf(ctx).credentials.list(all ? query : withFilter(query, 'user_id', ctx.caller.user_id))).map((row) => credentialView(row, rootUrl(ctx))))
    },
  }),
  route({
    method: 'POST', path: '/v3/credentials', policy: 'token', body: createBody, status: 201,
    handle: async (ctx) => {
      const spec = { ...ctx.body.credential, user_id: ctx.body.credential.user_id ?? ctx.caller.user_id }
      ctx.authorize('identity:create_credential', target(spec))
      return { credential: credentialView(await realmOf(ctx).credentials.create(split(spec, COLUMNS) as never), rootUrl(ctx)) }
    },
  }),
  route({ method: 'GET', path: '/v3/credentials/:credential_id', policy: 'token', handle: async (ctx) => ({ credential: credentialView(await own(ctx, 'identity:get_credential'), rootUrl(ctx)) }) }),
  route({ method: 'PATCH', path: '/v3/credentials/:credential_id', policy: 'token', body: updateBody, handle: update }),
  route({ method: 'DELETE', path: '/v3/credentials/:credential_id', policy: 'token', handle: async (ctx) => await realmOf(ctx).credentials.delete((await own(ctx, 'identity:delete_credential')).id) }),
  route({ method: 'GET', path: '/v3/users/:user_id/credentials/OS-EC2', policy: 'token', handle: async (ctx) => listView(ctx, 'credentials', (await realmOf(ctx).credentials.ec2List(ec2(ctx, 'identity:ec2_list_credentials'))).map((row) => ec2View(row, rootUrl(ctx)))) }),
  route({
    method: 'POST', path: '/v3/users/:user_id/credentials/OS-EC2', policy: 'token', body: ec2Body, status: 201,
    handle: async (ctx) => ({ credential: ec2View(await realmOf(ctx).credentials.ec2Create(ec2(ctx, 'identity:ec2_create_credential'), ctx.body.tenant_id), rootUrl(ctx)) }),
  }),
  route({ method: 'GET', path: '/v3/users/:user_id/credentials/OS-EC2/:access', policy: 'token', handle: async (ctx) => ({ credential: ec2View(await realmOf(ctx).credentials.ec2Get(ec2(ctx, 'identity:ec2_get_credential'), param(ctx, 'access')), rootUrl(ctx)) }) }),
  route({ method: 'DELETE', path: '/v3/users/:user_id/credentials/OS-EC2/:access', policy: 'token', handle: async (ctx) => await realmOf(ctx).credentials.ec2Delete(ec2(ctx, 'identity:ec2_delete_credential'), param(ctx, 'access')) }),
]

const OWNER = 'user_id:%(target.credential.user_id)s'
export const credentialPolicies: PolicyRule[] = [
  ...['get_credential', 'list_credentials', 'ec2_get_credential', 'ec2_list_credentials'].map((name) => ({ name: `identity:${name}`, check: `role:admin or (role:reader and system_scope:all) or ${OWNER}` })),
  ...['create_credential', 'update_credential', 'delete_credential', 'ec2_create_credential', 'ec2_delete_credential'].map((name) => ({ name: `identity:${name}`, check: `role:admin or ${OWNER}` })),
]
