/** /v2.0/address-scopes */
import type { AddressScopeRow } from '../../../schema/project/network.ts'
import { collectionPolicies } from '../api/attributes.ts'
import { collection } from '../api/collection.ts'
import { findOne, gather } from '../api/gather.ts'
import type { View } from '../api/query.ts'
import { standardView } from '../api/standard.ts'
import { byProject } from '../networks/routes.ts'
import { addressScopeAttributes } from './requests.ts'

export const addressScopePolicies = collectionPolicies('address_scope', addressScopeAttributes)

const view = (row: AddressScopeRow, project_id: string): View => ({ ...standardView(row, project_id), ip_version: row.ip_version, shared: row.shared })

export const addressScopeRoutes = collection({
  name: 'address_scope', plural: 'address_scopes', attributes: addressScopeAttributes,
  list: async (ctx) => (await gather(ctx, (project) => project.network.addressScopes.list())).map(({ project_id, row }) => view(row, project_id)),
  show: async (ctx, id) => {
    const { project_id, row } = await findOne(ctx, id, (project) => project.network.addressScopes.get(id))
    return view(row, project_id)
  },
  create: async (ctx, wanted) => {
    const views: View[] = []
    for (const [project_id, group] of byProject(wanted)) views.push(...(await ctx.projectById(project_id).network.addressScopes.createMany(group.map((one) => one.given))).map((row) => view(row, project_id)))
    return views
  },
  update: async (ctx, id, given, revision) => {
    const { project_id, row } = await findOne(ctx, id, (project) => project.network.addressScopes.update(id, given, revision))
    return view(row, project_id)
  },
  remove: async (ctx, id, revision) => void (await findOne(ctx, id, (project) => project.network.addressScopes.remove(id, revision))),
})
