/** /v2.0/network-ip-availabilities */
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { route } from '../../http/route.ts'
import { idOf } from '../api/collection.ts'
import { gather } from '../api/gather.ts'
import { type View, only, query } from '../api/query.ts'
import { notFound } from '../faults.ts'

export const availabilityPolicies: PolicyRule[] = [{ name: 'get_network_ip_availability', check: 'rule:admin_required' }]

async function views(ctx: Context): Promise<View[]> {
  const version = ctx.url.searchParams.get('ip_version')
  return (await gather(ctx, (project) => project.network.ipAvailability.list())).map(({ project_id, row }) => {
    const subnets = row.subnets.filter((subnet) => version === null || String(subnet.ip_version) === version)
    const sum = (pick: (subnet: (typeof subnets)[number]) => number) => subnets.reduce((total, subnet) => total + pick(subnet), 0)
    return { id: row.network_id, network_id: row.network_id, network_name: row.network_name, project_id, tenant_id: project_id, total_ips: sum((subnet) => subnet.total_ips), used_ips: sum((subnet) => subnet.used_ips), subnet_ip_availability: subnets }
  })
}

const shown = ({ id: _id, ...view }: Record<string, unknown>) => view

export const availabilityRoutes = [
  route({
    method: 'GET', path: '/v2.0/network-ip-availabilities', policy: 'get_network_ip_availability',
    handle: async (ctx) => {
      const params = new URLSearchParams(ctx.url.searchParams)
      params.delete('ip_version')
      return { network_ip_availabilities: query(await views(ctx), params, `${ctx.origin}${ctx.url.pathname}`, 'network_ip_availability').rows.map(shown) }
    },
  }),
  route({
    method: 'GET', path: '/v2.0/network-ip-availabilities/:id', policy: 'get_network_ip_availability',
    handle: async (ctx) => {
      const view = (await views(ctx)).find((one) => one.id === idOf(ctx))
      if (view === undefined) throw notFound('network', idOf(ctx))
      return { network_ip_availability: shown(only(view, ctx.url.searchParams)) }
    },
  }),
]
