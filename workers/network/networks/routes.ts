/** /v2.0/networks: own networks, and those that others published. */
import type { Context } from '../../http/context.ts'
import { collectionPolicies } from '../api/attributes.ts'
import { ADMIN, type Wanted, collection } from '../api/collection.ts'
import { findOne, gather } from '../api/gather.ts'
import type { View } from '../api/query.ts'
import { notFound } from '../faults.ts'
import type { PublishedNetwork } from '../plane/known.ts'
import { networkAttributes } from './requests.ts'
import { networkView, publishedView } from './views.ts'
import { isFault } from '../../../schema/values/fault.ts'

export const networkPolicies = collectionPolicies('network', networkAttributes)

export async function visibleNetworks(ctx: Context): Promise<View[]> {
  const own = await gather(ctx, (project) => project.network.networks.list())
  const views = own.map(({ project_id, row }) => networkView(row, project_id))
  if (ctx.allows(ADMIN)) return views
  return [...views, ...(await publishedTo(ctx)).map((published) => publishedView(published, ctx.projectId))]
}

/** Others' networks that the caller may see. */
export async function publishedTo(ctx: Context): Promise<PublishedNetwork[]> {
  const found = await ctx.region.directory.published('network', ctx.projectId)
  return found.filter((one) => one.owner_id !== ctx.projectId).map((one) => one.data as PublishedNetwork)
}

/** A network published to the caller, else a 404. */
export async function publishedNetwork(ctx: Context, id: string, projectId: string = ctx.projectId): Promise<PublishedNetwork> {
  const found = await ctx.region.directory.publishedById('network', id, projectId)
  if (found === null) throw notFound('network', id)
  return found.data as PublishedNetwork
}

export async function showNetwork(ctx: Context, id: string): Promise<View> {
  try {
    const { project_id, row } = await findOne(ctx, id, (project) => project.network.networks.get(id))
    return networkView(row, project_id)
  } catch (error) {
    if (!isFault(error, 'not_found') || ctx.allows(ADMIN)) throw error
    return publishedView(await publishedNetwork(ctx, id), ctx.projectId)
  }
}

async function create(ctx: Context, wanted: Wanted<typeof networkAttributes>[]): Promise<View[]> {
  const views: View[] = []
  for (const [project_id, group] of byProject(wanted)) {
    const records = await ctx.projectById(project_id).network.networks.createMany(group.map((one) => one.given))
    views.push(...records.map((record) => networkView(record, project_id)))
  }
  return views
}

/** New resources by the project that will own them; mostly one. */
export function byProject<W extends { project_id: string }>(wanted: W[]): Map<string, W[]> {
  const groups = new Map<string, W[]>()
  for (const one of wanted) groups.set(one.project_id, [...(groups.get(one.project_id) ?? []), one])
  return groups
}

export const networkRoutes = collection({
  name: 'network', plural: 'networks', attributes: networkAttributes,
  list: visibleNetworks,
  show: showNetwork,
  create,
  update: async (ctx, id, given, revision) => {
    const { project_id, row } = await findOne(ctx, id, (project) => project.network.networks.update(id, given, revision))
    return networkView(row, project_id)
  },
  remove: async (ctx, id, revision) => {
    await findOne(ctx, id, (project) => project.network.networks.remove(id, revision))
  },
})
