/** /v2.0/floatingips, and the pools they come from. */
import { route } from '../../http/route.ts'
import { collectionPolicies } from '../api/attributes.ts'
import { collection } from '../api/collection.ts'
import { findOne, gather } from '../api/gather.ts'
import { type View, query } from '../api/query.ts'
import { standardView } from '../api/standard.ts'
import { byProject, publishedTo } from '../networks/routes.ts'
import { floatingIpAttributes } from './requests.ts'
import type { FloatingIpRecord } from './store.ts'

export const floatingIpPolicies = [...collectionPolicies('floatingip', floatingIpAttributes), { name: 'get_floatingip_pool', check: 'rule:project_reader_or_admin' }]

function view({ row, port }: FloatingIpRecord, project_id: string): View {
  const { name: _unnamed, ...standard } = standardView(row, project_id)
  return {
    ...standard, status: row.status, floating_network_id: row.floating_network_id, floating_ip_address: row.floating_ip_address, fixed_ip_address: row.fixed_ip_address, port_id: row.port_id, router_id: row.router_id,
    dns_name: row.dns_name, dns_domain: row.dns_domain, qos_policy_id: null,
    port_details: port === null ? null : { name: port.name, network_id: port.network_id, mac_address: port.mac_address, admin_state_up: port.admin_state_up, status: port.status, device_id: port.device_id, device_owner: port.device_owner },
  }
}

export const floatingIpRoutes = [
  ...collection({
    name: 'floatingip', plural: 'floatingips', attributes: floatingIpAttributes,
    list: async (ctx) => (await gather(ctx, (project) => project.network.floatingIps.list())).map(({ project_id, row }) => view(row, project_id)),
    show: async (ctx, id) => {
      const { project_id, row } = await findOne(ctx, id, (project) => project.network.floatingIps.get(id))
      return view(row, project_id)
    },
    create: async (ctx, wanted) => {
      const views: View[] = []
      for (const [project_id, group] of byProject(wanted)) views.push(...(await ctx.projectById(project_id).network.floatingIps.createMany(group.map((one) => one.given))).map((record) => view(record, project_id)))
      return views
    },
    update: async (ctx, id, given, revision) => {
      const { project_id, row } = await findOne(ctx, id, (project) => project.network.floatingIps.update(id, given, revision))
      return view(row, project_id)
    },
    remove: async (ctx, id, revision) => void (await findOne(ctx, id, (project) => project.network.floatingIps.remove(id, revision))),
  }),
  route({
    method: 'GET', path: '/v2.0/floatingip_pools', policy: 'get_floatingip_pool',
    handle: async (ctx) => {
      const own = (await ctx.project.network.networks.list()).filter(({ row }) => row.external)
      const mine = (await ctx.project.network.subnets.list({ network_ids: own.map(({ row }) => row.id) })).map((subnet) => ({ subnet, owner: ctx.projectId }))
      const others = (await publishedTo(ctx)).filter((network) => network.external).flatMap((network) => network.rows.subnets.map((subnet) => ({ subnet, owner: network.owner_id })))
      const pools = [...mine, ...others].filter(({ subnet }) => subnet.ip_version === 4).map(({ subnet, owner }) => ({ id: subnet.id, network_id: subnet.network_id, subnet_id: subnet.id, subnet_name: subnet.name, cidr: subnet.cidr, tenant_id: owner, project_id: owner }))
      return { floatingip_pools: query(pools, ctx.url.searchParams, ctx.origin, 'floatingip_pool').rows.map(({ id: _id, ...pool }) => pool) }
    },
  }),
]
