/** /v2.0/ports. Gateway ports belong to no tenant: only admins see them. */
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { collectionPolicies } from '../api/attributes.ts'
import { ADMIN, type Wanted, collection } from '../api/collection.ts'
import { findOne, gather } from '../api/gather.ts'
import type { View } from '../api/query.ts'
import { notFound } from '../faults.ts'
import { byProject } from '../networks/routes.ts'
import { GATEWAY_OWNER } from '../plane/known.ts'
import { type PortGiven, portAttributes } from './requests.ts'
import { portView } from './views.ts'

export const portPolicies = [...collectionPolicies('port', portAttributes), { name: 'create_port:device_owner', check: 'rule:admin_required or rule:service_role' }]

async function listPorts(ctx: Context): Promise<View[]> {
  const { searchParams } = ctx.url
  const hint = (name: string) => (searchParams.has(name) ? searchParams.getAll(name) : undefined)
  const found = await gather(ctx, (project) => project.network.ports.list({ ids: hint('id'), network_ids: hint('network_id'), device_ids: hint('device_id') }))
  const admin = ctx.allows(ADMIN)
  return found.filter(({ row }) => admin || row.device_owner !== GATEWAY_OWNER).map(({ project_id, row }) => portView(row, project_id))
}

/** Owners of the plane's own ports are not for tenants to claim. */
function refuseOwner(ctx: Context, given: PortGiven): void {
  if (given.device_owner?.startsWith('network:') && !ctx.allows('create_port:device_owner')) throw new Fault('forbidden', 'rule:create_port:device_owner is disallowed by policy', { type: 'PolicyNotAuthorized' })
}

async function create(ctx: Context, wanted: Wanted<typeof portAttributes>[]): Promise<View[]> {
  const views: View[] = []
  for (const { given } of wanted) refuseOwner(ctx, given)
  for (const [project_id, group] of byProject(wanted)) views.push(...(await ctx.projectById(project_id).network.ports.createMany(group.map((one) => one.given))).map((row) => portView(row, project_id)))
  return views
}

export const portRoutes = collection({
  name: 'port', plural: 'ports', attributes: portAttributes,
  list: listPorts,
  show: async (ctx, id) => {
    const { project_id, row } = await findOne(ctx, id, (project) => project.network.ports.get(id))
    if (row.device_owner === GATEWAY_OWNER && !ctx.allows(ADMIN)) throw notFound('port', id)
    return portView(row, project_id)
  },
  create,
  update: async (ctx, id, given, revision) => {
    refuseOwner(ctx, given)
    const { project_id, row } = await findOne(ctx, id, (project) => project.network.ports.update(id, given, revision))
    return portView(row, project_id)
  },
  remove: async (ctx, id, revision) => void (await findOne(ctx, id, (project) => project.network.ports.remove(id, revision))),
})
