/** /v2.0/rbac-policies */
import type { RbacPolicyRow } from '../../../schema/project/network.ts'
import type { Context } from '../../http/context.ts'
import { collectionPolicies } from '../api/attributes.ts'
import { collection } from '../api/collection.ts'
import { findOne, gather } from '../api/gather.ts'
import type { View } from '../api/query.ts'
import { badRequest } from '../faults.ts'
import { type RbacGiven, rbacAttributes } from './requests.ts'

export const rbacPolicyRules = [
  ...collectionPolicies('rbac_policy', rbacAttributes),
  { name: 'restrict_wildcard', check: 'rule:admin_required' },
]

const view = (row: RbacPolicyRow, project_id: string): View => ({ ...row, project_id, tenant_id: project_id })

/** Only an operator grants to everybody, or makes a network external. */
function guard(ctx: Context, given: RbacGiven): void {
  const target = given.target_tenant ?? given.target_project
  if (target === '*' || given.action === 'access_as_external') ctx.authorize('restrict_wildcard')
}

export const rbacRoutes = collection({
  name: 'rbac_policy', plural: 'rbac_policies', attributes: rbacAttributes,
  list: async (ctx) => (await gather(ctx, (project) => project.network.rbac.list())).map(({ project_id, row }) => view(row, project_id)),
  show: async (ctx, id) => {
    const { project_id, row } = await findOne(ctx, id, (project) => project.network.rbac.get(id))
    return view(row, project_id)
  },
  create: async (ctx, wanted) => {
    const views: View[] = []
    for (const { given } of wanted) {
      if (given.target_tenant === undefined && given.target_project === undefined) throw badRequest("Failed to parse request. Required attribute 'target_tenant' not specified")
      guard(ctx, given)
      const { project_id, row } = await findOne(ctx, given.object_id ?? '', (project) => project.network.rbac.create(given))
      views.push(view(row, project_id))
    }
    return views
  },
  update: async (ctx, id, given) => {
    guard(ctx, given)
    const { project_id, row } = await findOne(ctx, id, (project) => project.network.rbac.update(id, given))
    return view(row, project_id)
  },
  remove: async (ctx, id) => void (await findOne(ctx, id, (project) => project.network.rbac.remove(id))),
})
