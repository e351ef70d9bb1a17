/** Finds whose a volume (or what hangs on it) is: the caller's own in one hop; for an admin anybody's, by the tag in the id, or by the alias of one that changed hands. */
import type { Remote } from '../../durable-objects/kernel/rpc.ts'
import { isFault } from '../../schema/values/fault.ts'
import type { Context } from '../http/context.ts'
import type { VolumeStores } from './project.ts'
import { VOLUME_ALIAS } from './transfers/tasks.ts'

export const ANY_PROJECT = 'skyhook:volume:any_project'
export const isAdmin = (ctx: Context): boolean => ctx.allows(ANY_PROJECT, { project_id: null })

type Stores = Remote<VolumeStores>

export async function onOwner<T>(ctx: Context, id: string, work: (stores: Stores, projectId: string) => Promise<T>): Promise<T> {
  try {
    return await ctx.onOwner(id, ANY_PROJECT, (project, projectId) => work(project.volume as Stores, projectId))
  } catch (error) {
    if (!isFault(error, 'not_found') || !isAdmin(ctx)) throw error
    const alias = await ctx.region.directory.publishedById(VOLUME_ALIAS, id, '*')
    if (alias === null || alias.owner_id === ctx.caller.project_id) throw error
    return await work(ctx.projectById(alias.owner_id).volume as Stores, alias.owner_id)
  }
}

const PARALLEL = 16

/** Rows of the caller's project, or of all for an admin who asks: all_tenants (or one by project_id). */
export async function rowsOf<T>(ctx: Context, list: (stores: Stores) => Promise<T[]>): Promise<T[]> {
  const all = ctx.query.get('all_tenants')
  const admin = isAdmin(ctx)
  const one = ctx.query.get('project_id')
  if (!admin || (!/^(1|true|yes|on|t|y)$/i.test(all ?? '') && one === null)) return await list(ctx.project.volume as Stores)
  if (one !== null) return await list(ctx.projectById(one).volume as Stores)
  const projects = await ctx.region.directory.projects()
  const rows: T[] = []
  for (let at = 0; at < projects.length; at += PARALLEL) rows.push(...(await Promise.all(projects.slice(at, at + PARALLEL).map((id) => list(ctx.projectById(id).volume as Stores)))).flat())
  return rows
}
