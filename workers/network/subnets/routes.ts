/** /v2.0/subnets: a subnet lives where its network lives. Subnets of shared networks are visible to those they are shared with; of external ones, not. */
import { isFault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { collectionPolicies } from '../api/attributes.ts'
import { ADMIN, type Wanted, collection } from '../api/collection.ts'
import { findOne, gather } from '../api/gather.ts'
import type { View } from '../api/query.ts'
import { badRequest, notFound } from '../faults.ts'
import { publishedTo } from '../networks/routes.ts'
import { sharedWith } from '../networks/views.ts'
import { subnetAttributes } from './requests.ts'
import { subnetView } from './views.ts'

export const subnetPolicies = collectionPolicies('subnet', subnetAttributes)

async function visibleSubnets(ctx: Context): Promise<View[]> {
  const networkIds = ctx.url.searchParams.getAll('network_id')
  const own = await gather(ctx, (project) => project.network.subnets.list(networkIds.length > 0 ? { network_ids: networkIds } : {}))
  const views = own.map(({ project_id, row }) => subnetView(row, project_id))
  return ctx.allows(ADMIN) ? views : [...views, ...(await sharedSubnets(ctx))]
}

async function sharedSubnets(ctx: Context): Promise<View[]> {
  const shared = (await publishedTo(ctx)).filter((network) => sharedWith(network, ctx.projectId))
  return shared.flatMap((network) => network.rows.subnets.map((row) => subnetView(row, network.owner_id)))
}

async function showSubnet(ctx: Context, id: string): Promise<View> {
  try {
    const { project_id, row } = await findOne(ctx, id, (project) => project.network.subnets.get(id))
    return subnetView(row, project_id)
  } catch (error) {
    if (!isFault(error, 'not_found') || ctx.allows(ADMIN)) throw error
    const view = (await sharedSubnets(ctx)).find((one) => one.id === id)
    if (view === undefined) throw notFound('subnet', id)
    return view
  }
}

/** In one transaction where all networks are of one project; a request over several owners' networks is refused whole. */
async function create(ctx: Context, wanted: Wanted<typeof subnetAttributes>[]): Promise<View[]> {
  const [first] = wanted
  const given = await Promise.all(wanted.map((one) => withPool(ctx, one)))
  const { project_id, row: rows } = await findOne(ctx, first?.given.network_id ?? '', (project) => project.network.subnets.createMany(given))
  return rows.map((row) => subnetView(row, project_id))
}

async function withPool(ctx: Context, { given }: Wanted<typeof subnetAttributes>): Promise<Wanted<typeof subnetAttributes>['given']> {
  if (given.use_default_subnetpool !== true) return given
  if (given.subnetpool_id != null) throw badRequest('Bad subnets request: subnetpool_id and use_default_subnetpool cannot both be specified.')
  const pool = (await ctx.project.network.subnetPools.list()).find((row) => row.is_default && row.ip_version === (given.ip_version ?? 4))
  if (pool === undefined) throw badRequest(`No default subnetpool defined for IPv${given.ip_version ?? 4}`)
  return { ...given, subnetpool_id: pool.id }
}

export const subnetRoutes = collection({
  name: 'subnet', plural: 'subnets', attributes: subnetAttributes,
  list: visibleSubnets,
  show: showSubnet,
  create,
  update: async (ctx, id, given, revision) => {
    const { project_id, row } = await findOne(ctx, id, (project) => project.network.subnets.update(id, given, revision))
    return subnetView(row, project_id)
  },
  remove: async (ctx, id, revision) => void (await findOne(ctx, id, (project) => project.network.subnets.remove(id, revision))),
})
