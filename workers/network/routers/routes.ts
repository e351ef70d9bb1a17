/** /v2.0/routers and their actions. */
import { route } from '../../http/route.ts'
import { collectionPolicies } from '../api/attributes.ts'
import { collection, idOf } from '../api/collection.ts'
import { findOne, gather } from '../api/gather.ts'
import type { View } from '../api/query.ts'
import type { Context } from '../../http/context.ts'
import { byProject } from '../networks/routes.ts'
import { type RouterGiven, extraRoutesBody, interfaceBody, routerAttributes } from './requests.ts'
import { routerView } from './views.ts'

const member = 'rule:project_member_or_admin'
export const routerPolicies = [
  ...collectionPolicies('router', routerAttributes),
  ...['add_router_interface', 'remove_router_interface', 'add_extraroutes', 'remove_extraroutes'].map((name) => ({ name, check: member })),
  ...['create', 'update'].flatMap((verb) => ['enable_snat', 'external_fixed_ips'].map((part) => ({ name: `${verb}_router:external_gateway_info:${part}`, check: 'rule:admin_required' }))),
]

/** Choosing SNAT or an outside address is the operator's. */
function guardGateway(ctx: Context, verb: 'create' | 'update', given: RouterGiven): void {
  for (const part of ['enable_snat', 'external_fixed_ips'] as const) if (given.external_gateway_info?.[part] !== undefined) ctx.authorize(`${verb}_router:external_gateway_info:${part}`)
}

export const routerRoutes = [
  ...collection({
    name: 'router', plural: 'routers', attributes: routerAttributes,
    list: async (ctx) => (await gather(ctx, (project) => project.network.routers.list())).map(({ project_id, row }) => routerView(row, project_id)),
    show: async (ctx, id) => {
      const { project_id, row } = await findOne(ctx, id, (project) => project.network.routers.get(id))
      return routerView(row, project_id)
    },
    create: async (ctx, wanted) => {
      const views: View[] = []
      for (const { given } of wanted) guardGateway(ctx, 'create', given)
      for (const [project_id, group] of byProject(wanted)) views.push(...(await ctx.projectById(project_id).network.routers.createMany(group.map((one) => one.given))).map((record) => routerView(record, project_id)))
      return views
    },
    update: async (ctx, id, given, revision) => {
      guardGateway(ctx, 'update', given)
      const { project_id, row } = await findOne(ctx, id, (project) => project.network.routers.update(id, given, revision))
      return routerView(row, project_id)
    },
    remove: async (ctx, id, revision) => void (await findOne(ctx, id, (project) => project.network.routers.remove(id, revision))),
  }),
  route({
    method: 'PUT', path: '/v2.0/routers/:id/add_router_interface', policy: 'add_router_interface', body: interfaceBody,
    handle: async (ctx) => {
      const { project_id, row } = await findOne(ctx, idOf(ctx), (project) => project.network.routers.addInterface(idOf(ctx), ctx.body))
      return { ...row, tenant_id: project_id, project_id }
    },
  }),
  route({
    method: 'PUT', path: '/v2.0/routers/:id/remove_router_interface', policy: 'remove_router_interface', body: interfaceBody,
    handle: async (ctx) => {
      const { project_id, row } = await findOne(ctx, idOf(ctx), (project) => project.network.routers.removeInterface(idOf(ctx), ctx.body))
      return { ...row, tenant_id: project_id, project_id }
    },
  }),
  ...(['add', 'remove'] as const).map((verb) => route({
    method: 'PUT', path: `/v2.0/routers/:id/${verb}_extraroutes`, policy: `${verb}_extraroutes`, body: extraRoutesBody,
    handle: async (ctx) => {
      const { project_id, row } = await findOne(ctx, idOf(ctx), (project) => project.network.routers.changeRoutes(idOf(ctx), { [verb]: ctx.body.router.routes }))
      return { router: routerView(row, project_id) }
    },
  })),
]
