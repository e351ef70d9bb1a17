/** /v2.0/agents and /v2.0/availability_zones: what the region's hosts are to Neutron. */
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { route } from '../../http/route.ts'
import { ADMIN, idOf } from '../api/collection.ts'
import { findOne } from '../api/gather.ts'
import { type View, only, query } from '../api/query.ts'
import { notFound } from '../faults.ts'
import { agentViews } from './views.ts'

export const agentPolicies: PolicyRule[] = [
  { name: 'get_agent', check: 'rule:admin_required' },
  { name: 'get_availability_zone', check: '@' },
]

export const DEFAULT_ZONE = 'nova'

async function agentsOn(ctx: Context, type: string, hostIds: string[]): Promise<View[]> {
  const hosts = (await ctx.region.hosts.list()).filter((host) => hostIds.includes(host.id))
  return hosts.flatMap(agentViews).filter((agent) => agent.agent_type === type)
}

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
    method: 'GET', path: '/v2.0/routers/:id/l3-agents', policy: 'get_agent',
    handle: async (ctx) => {
      const { row } = await findOne(ctx, idOf(ctx), (project) => project.network.routers.get(idOf(ctx)))
      return { agents: await agentsOn(ctx, 'L3 agent', row.row.host_id === null ? [] : [row.row.host_id]) }
    },
  }),
  route({
    method: 'GET', path: '/v2.0/networks/:id/dhcp-agents', policy: 'get_agent',
    handle: async (ctx) => ({ agents: await agentsOn(ctx, 'DHCP agent', (await findOne(ctx, idOf(ctx), (project) => project.network.networks.hosts(idOf(ctx)))).row) }),
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
