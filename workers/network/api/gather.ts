/** Rows of the caller's project, or of all that an admin may look through, in few hops: the query's own filters say which projects can hold them. */
import type { Remote } from '../../../durable-objects/kernel/rpc.ts'
import type { ProjectSession } from '../../../durable-objects/project/session.ts'
import type { Context } from '../../http/context.ts'
import { ADMIN } from './collection.ts'

/** Projects asked at the same time. */
export const FANOUT_MAX = 16

export interface Found<R> {
  project_id: string
  row: R
}

export type ProjectRemote = Remote<ProjectSession>

export async function gather<R>(ctx: Context, pick: (project: ProjectRemote, projectId: string) => Promise<R[]>): Promise<Found<R>[]> {
  const projects = await projectsToAsk(ctx)
  const found: Found<R>[] = []
  for (let at = 0; at < projects.length; at += FANOUT_MAX) {
    const rows = await Promise.all(projects.slice(at, at + FANOUT_MAX).map(async (project_id) => (await pick(project_id === ctx.caller.project_id ? ctx.project : ctx.projectById(project_id), project_id)).map((row) => ({ project_id, row }))))
    found.push(...rows.flat())
  }
  return found
}

async function projectsToAsk(ctx: Context): Promise<string[]> {
  const { searchParams } = ctx.url
  if (!ctx.allows(ADMIN)) return [ctx.projectId]
  const named = [...searchParams.getAll('project_id'), ...searchParams.getAll('tenant_id')]
  const known = await ctx.region.directory.projects()
  if (named.length > 0) return known.filter((id) => named.includes(id))
  const ids = searchParams.getAll('id')
  if (ids.length > 0 && ids.length <= FANOUT_MAX) return [...new Set((await Promise.all(ids.map((id) => ctx.ownersOf(id)))).flat())]
  const own = ctx.caller.project_id
  return own === null || known.includes(own) ? known : [own, ...known]
}

/** One resource, with its project, wherever the caller may look. */
export async function findOne<R>(ctx: Context, id: string, pick: (project: ProjectRemote) => Promise<R>): Promise<Found<R>> {
  return await ctx.onOwner(id, ADMIN, async (project, project_id) => ({ project_id, row: await pick(project) }))
}
