/**
 * Finds the image that an id means to a caller: their own first (one hop), else one that its owner published to them, else, for an admin, anybody's. What is not
 * visible is not found.
 */
import type { Remote } from '../../durable-objects/kernel/rpc.ts'
import { isFault, Fault } from '../../schema/values/fault.ts'
import type { Context } from '../http/context.ts'
import type { ImagesStore } from './images/store.ts'
import type { ImageData } from './images/views.ts'

export interface Located {
  image: ImageData
  /** The owner's images. */
  store: Remote<ImagesStore>
  /** The caller's project owns it. */
  own: boolean
  /** ...or the caller acts for everybody. */
  admin: boolean
}

const missing = (id: string) => new Fault('not_found', `No image found with ID ${id}`)
export const ANY_PROJECT = 'skyhook:image:any_project'

async function tryProject(ctx: Context, projectId: string, id: string): Promise<{ image: ImageData; store: Remote<ImagesStore> } | null> {
  const store = (projectId === ctx.caller.project_id ? ctx.project : ctx.projectById(projectId)).image.images as Remote<ImagesStore>
  try {
    return { image: await store.get(id), store }
  } catch (error) {
    if (isFault(error, 'not_found')) return null
    throw error
  }
}

export async function locate(ctx: Context, id: string): Promise<Located> {
  const caller = ctx.caller.project_id
  const admin = ctx.allows(ANY_PROJECT, { project_id: null })
  if (caller !== null) {
    const mine = await tryProject(ctx, caller, id)
    if (mine !== null) return { ...mine, own: true, admin }
  }
  const published = await ctx.region.directory.publishedById('image', id, caller ?? '*')
  if (published !== null && published.owner_id !== caller) {
    const found = await tryProject(ctx, published.owner_id, id)
    if (found !== null && (admin || isVisible(found.image, caller))) return { ...found, own: false, admin }
  }
  if (!admin) throw missing(id)
  const alias = await ctx.region.directory.publishedById('image-alias', id, '*')
  for (const owner of new Set([...(alias === null ? [] : [alias.owner_id]), ...(await ctx.ownersOf(id))])) {
    if (owner === caller) continue
    const found = await tryProject(ctx, owner, id)
    if (found !== null) return { ...found, own: false, admin }
  }
  throw missing(id)
}

const isVisible = (image: ImageData, projectId: string | null): boolean =>
  image.visibility === 'public' || image.visibility === 'community' || (image.visibility === 'shared' && image.members.some((member) => member.member_id === projectId))

/** As locate, for a change: others' visible images are 403, as upstream. */
export async function locateOwn(ctx: Context, id: string, what: string): Promise<Located> {
  const found = await locate(ctx, id)
  if (!found.own && !found.admin) throw new Fault('forbidden', `You are not permitted to ${what} this image.`)
  return found
}

const PARALLEL = 16
/** Every project's answer, for an admin's view over all tenants. */
export async function everyProject<T>(ctx: Context, work: (projectId: string) => Promise<T>): Promise<T[]> {
  const projects = await ctx.region.directory.projects()
  const results: T[] = []
  for (let at = 0; at < projects.length; at += PARALLEL) results.push(...(await Promise.all(projects.slice(at, at + PARALLEL).map(work))))
  return results
}
