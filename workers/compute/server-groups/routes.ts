/** Routes of server groups, by microversion: 2.13 owner, 2.15 soft policies, 2.64 one policy with rules. */
import * as v from 'valibot'
import type { Context } from '../../http/context.ts'
import { reply, route } from '../../http/route.ts'
import { limitOf } from '../common/query.ts'
import { integer, name, shape, wrap } from '../common/schemas.ts'
import { decoded } from '../common/texts.ts'

import type { ServerGroup } from './store.ts'

const P = 'os_compute_api:os-server-groups'
const HARD = ['anti-affinity', 'affinity']
const SOFT = ['soft-anti-affinity', 'soft-affinity']

interface Create {
  name: string
  policies?: string[]
  policy?: string
  rules?: { max_server_per_host?: number }
}

function createBody(minor: number) {
  const policy = v.picklist(minor >= 15 ? [...HARD, ...SOFT] : HARD, 'is not a policy')
  const rules = v.strictObject({ max_server_per_host: v.optional(integer(1)) })
  return wrap('server_group', v.pipe(shape<Create>({ name }, minor >= 64 ? { policy, rules: v.optional(rules) } : { policies: v.pipe(v.array(policy), v.length(1, 'must have exactly one policy')) }), v.check((given) => given.rules?.max_server_per_host === undefined || given.policy === 'anti-affinity', 'has a rule that only anti-affinity has')))
}

function view(minor: number, group: ServerGroup) {
  return {
    id: group.id, name: group.name, members: group.members, ...(minor >= 64 ? { policy: group.policy, rules: group.rules } : { policies: [group.policy], metadata: {} }), ...(minor >= 13 ? { project_id: group.project_id, user_id: group.user_id } : {}),
  }
}

async function allGroups(ctx: Context): Promise<ServerGroup[]> {
  if (ctx.query.get('all_projects') === null || !ctx.allows(`${P}:index:all_projects`)) return await ctx.project.compute.groups.list()
  const projects = await ctx.region.directory.projects()
  return (await Promise.all(projects.map((id) => ctx.projectById(id).compute.groups.list()))).flat()
}

export const serverGroupRoutes = [
  route({
    method: 'GET', path: '/v2.1/os-server-groups', policy: `${P}:index`,
    handle: async (ctx) => {
      const limit = limitOf(ctx.query)
      const offset = Number(ctx.query.get('offset') ?? 0)
      return { server_groups: (await allGroups(ctx)).slice(offset, offset + limit).map((group) => view(ctx.version[1], group)) }
    },
  }),
  route({
    method: 'POST', path: '/v2.1/os-server-groups', policy: `${P}:create`, body: createBody,
    handle: async (ctx) => {
      const given = ctx.body.server_group
      return { server_group: view(ctx.version[1], await ctx.project.compute.groups.create({ name: given.name, policy: given.policy ?? given.policies?.[0] ?? 'affinity', rules: given.rules ?? {} })) }
    },
  }),
  route({ method: 'GET', path: '/v2.1/os-server-groups/:id', policy: `${P}:show`, handle: (ctx) => ctx.onOwner(decoded(ctx.params.id), `${P}:show`, async (project) => ({ server_group: view(ctx.version[1], await project.compute.groups.get(decoded(ctx.params.id))) })) }),
  route({
    method: 'DELETE', path: '/v2.1/os-server-groups/:id', policy: `${P}:delete`,
    handle: (ctx) => ctx.onOwner(decoded(ctx.params.id), `${P}:delete`, async (project) => {
      await project.compute.groups.delete(decoded(ctx.params.id))
      return reply({ status: 204 })
    }),
  }),
]
