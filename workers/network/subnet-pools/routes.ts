/** /v2.0/subnetpools */
import type { SubnetPoolRow } from '../../../schema/project/network.ts'
import { collectionPolicies } from '../api/attributes.ts'
import { collection } from '../api/collection.ts'
import { findOne, gather } from '../api/gather.ts'
import type { View } from '../api/query.ts'
import { standardView } from '../api/standard.ts'
import { byProject } from '../networks/routes.ts'
import { subnetPoolAttributes } from './requests.ts'

export const subnetPoolPolicies = collectionPolicies('subnetpool', subnetPoolAttributes)

const view = (row: SubnetPoolRow, project_id: string): View => ({
  ...standardView(row, project_id), prefixes: row.prefixes, ip_version: row.ip_version, min_prefixlen: row.min_prefixlen, max_prefixlen: row.max_prefixlen, default_prefixlen: row.default_prefixlen,
  default_quota: row.default_quota, address_scope_id: row.address_scope_id, shared: row.shared, is_default: row.is_default,
})

export const subnetPoolRoutes = collection({
  name: 'subnetpool', plural: 'subnetpools', attributes: subnetPoolAttributes,
  list: async (ctx) => (await gather(ctx, (project) => project.network.subnetPools.list())).map(({ project_id, row }) => view(row, project_id)),
  show: async (ctx, id) => {
    const { project_id, row } = await findOne(ctx, id, (project) => project.network.subnetPools.get(id))
    return view(row, project_id)
  },
  create: async (ctx, wanted) => {
    const views: View[] = []
    for (const [project_id, group] of byProject(wanted)) views.push(...(await ctx.projectById(project_id).network.subnetPools.createMany(group.map((one) => one.given))).map((row) => view(row, project_id)))
    return views
  },
  update: async (ctx, id, given, revision) => {
    const { project_id, row } = await findOne(ctx, id, (project) => project.network.subnetPools.update(id, given, revision))
    return view(row, project_id)
  },
  remove: async (ctx, id, revision) => void (await findOne(ctx, id, (project) => project.network.subnetPools.remove(id, revision))),
})
