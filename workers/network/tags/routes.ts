/** /v2.0/<resources>/<id>/tags, for every resource that has tags (extension standard-attr-tag). */
import * as v from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { type Route, reply, route } from '../../http/route.ts'
import { idOf } from '../api/collection.ts'
import { findOne } from '../api/gather.ts'
import { badRequest } from '../faults.ts'
import type { Tagged } from './store.ts'

export const TAG_CHARS_MAX = 255
export const TAGS_MAX = 50

const PATHS: Record<string, Tagged> = {
  networks: 'network', subnets: 'subnet', ports: 'port', routers: 'router', floatingips: 'floatingip', 'security-groups': 'security_group', security_groups: 'security_group', subnetpools: 'subnetpool',
  'address-scopes': 'address_scope', address_scopes: 'address_scope',
}

export const tagPolicies: PolicyRule[] = [
  { name: 'get_tags', check: 'rule:project_reader_or_admin' },
  { name: 'update_tags', check: 'rule:project_member_or_admin' },
]

const tag = v.pipe(v.string(), v.minLength(1), v.maxLength(TAG_CHARS_MAX))
const tagsBody = v.object({ tags: v.pipe(v.array(tag), v.maxLength(TAGS_MAX)) })

function tagOf(ctx: Context): string {
  const text = decodeURIComponent(ctx.params.tag ?? '')
  if (text.length > TAG_CHARS_MAX) throw badRequest(`Invalid input for tag. Reason: it exceeds maximum length of ${TAG_CHARS_MAX}.`)
  return text
}

export const tagRoutes: Route[] = Object.entries(PATHS).flatMap(([path, kind]) => {
  const base = `/v2.0/${path}/:id/tags`
  const get = async (ctx: Context) => (await findOne(ctx, idOf(ctx), (project) => project.network.tags.get(kind, idOf(ctx)))).row
  const change = async (ctx: Context, what: { set?: string[]; add?: string[]; remove?: string[] }) => (await findOne(ctx, idOf(ctx), (project) => project.network.tags.change(kind, idOf(ctx), what))).row
  const mustHave = async (ctx: Context) => {
    if (!(await get(ctx)).includes(tagOf(ctx))) throw new Fault('not_found', `Tag ${tagOf(ctx)} could not be found.`, { type: 'TagNotFound' })
  }
  return [
    route({ method: 'GET', path: base, policy: 'get_tags', handle: async (ctx) => ({ tags: await get(ctx) }) }),
    route({ method: 'PUT', path: base, policy: 'update_tags', body: tagsBody, handle: async (ctx) => ({ tags: await change(ctx, { set: ctx.body.tags }) }) }),
    route({ method: 'POST', path: base, policy: 'update_tags', body: tagsBody, handle: async (ctx) => ({ tags: await change(ctx, { add: ctx.body.tags }) }) }),
    route({
      method: 'DELETE', path: base, policy: 'update_tags',
      handle: async (ctx) => {
        await change(ctx, { set: [] })
        return reply({ status: 204 })
      },
    }),
    route({
      method: 'GET', path: `${base}/:tag`, policy: 'get_tags',
      handle: async (ctx) => {
        await mustHave(ctx)
        return reply({ status: 204 })
      },
    }),
    route({
      method: 'PUT', path: `${base}/:tag`, policy: 'update_tags',
      handle: async (ctx) => {
        await change(ctx, { add: [tagOf(ctx)] })
        return reply({ status: 201 })
      },
    }),
    route({
      method: 'DELETE', path: `${base}/:tag`, policy: 'update_tags',
      handle: async (ctx) => {
        await mustHave(ctx)
        await change(ctx, { remove: [tagOf(ctx)] })
        return reply({ status: 204 })
      },
    }),
  ]
})
