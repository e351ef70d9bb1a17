/** /v2.0/agents and /v2.0/availability_zones: what the region's hosts are to Neutron. */
import type { PolicyRule } from '../../http/policy.ts'
import { route } from '../../http/route.ts'
import { ADMIN, idOf } from '../api/collection.ts'
import { only, query } from '../api/query.ts'
import { notFound } from '../faults.ts'
import { agentViews } from './views.ts'

export const agentPolicies: PolicyRule[] = [
  { name: 'get_agent', check: 'rule:admin_required' },
  { name: 'get_availability_zone', check: '@' },
]

export const DEFAULT_ZONE = 'nova'

export const agentRoutes = [
  /** Others than admins see an empty list, as upstream has it. */
  route({
    method: 'GET', path: '/v2.0/agents', policy: 'token',
    handle: async (ctx) => ({ agents: ctx.allows(ADMIN) ? query((await ctx.region.hosts.list()).flatMap(agentViews), ctx.url.searchParams, `${ctx.origin}${ctx.url.pathname}`, 'agent').rows : [] }),
  }),
  route({
    method: 'GET', path: '/v2.0/agents/:id', policy: 'get_agent',
    handle: async (ctx) => {
      const view = (await ctx.region.hosts.list()).flatMap(agentViews).find((one) => one.id === idOf(ctx))
      if (view === undefined) throw notFound('agent', idOf(ctx))
      return { agent: only(view, ctx.url.searchParams) }
    },
  }),
  route({
    method: 'GET', path: '/v2.0/availability_zones', policy: 'get_availability_zone',
    handle: async (ctx) => {
      const hosts = await ctx.region.hosts.list()
      const zones = [...new Set([DEFAULT_ZONE, ...hosts.map((host) => host.availability_zone)])].sort()
      const views = zones.flatMap((name) => ['network', 'router'].map((resource) => ({ id: `${name}/${resource}`, name, resource, state: 'available' })))
      return { availability_zones: query(views, ctx.url.searchParams, `${ctx.origin}${ctx.url.pathname}`, 'availability_zone').rows.map(({ id: _id, ...zone }) => zone) }
    },
  }),
]
