/** /v2/images: create, show, list, change, delete, tags, (de)activation. */
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { reply, route, validate } from '../../http/route.ts'
import { defaultStore } from '../bytes.ts'
import { ANY_PROJECT, everyProject, locate, locateOwn } from '../locate.ts'
import { IMPORT_METHODS } from '../stores/routes.ts'
import { parsePatch, wanted } from './patch.ts'
import { isListed, isMatch, page, parseQuery, sorted } from './query.ts'
import { checkQuotas, createBody, customProperties, refuseAttributes } from './requests.ts'
import type { ImageSpec } from './store.ts'
import { type ImageData, imageView } from './views.ts'

const idOf = (ctx: Context): string => decodeURIComponent(ctx.params.id ?? '')

function authorizeVisibility(ctx: Context, visibility: unknown): void {
  if (visibility === 'public') ctx.authorize('publicize_image')
  if (visibility === 'community') ctx.authorize('communitize_image')
}

async function refuseTakenId(ctx: Context, id: string): Promise<void> {
  const taken = new Fault('conflict', `Image ID ${id} already exists!`)
  if ((await ctx.region.directory.publishedById('image-alias', id, '*')) !== null) throw taken
  for (const owner of await ctx.ownersOf(id)) if (owner !== ctx.caller.project_id && (await ctx.projectById(owner).image.images.has(id))) throw taken
}

async function create(ctx: Context) {
  if (typeof ctx.body !== 'object' || ctx.body === null || Array.isArray(ctx.body)) throw new Fault('bad_request', 'Request body must be a JSON object.')
  refuseAttributes(Object.keys(ctx.body), { creating: true })
  const body = validate(createBody, ctx.body)
  authorizeVisibility(ctx, body.visibility)
  const owner = body.owner ?? ctx.projectId
  if (owner !== ctx.caller.project_id && !ctx.allows(ANY_PROJECT, { project_id: null })) throw new Fault('forbidden', `You are not permitted to create images owned by '${owner}'.`)
  const spec: ImageSpec = {
    ...(body.id === undefined ? {} : { id: body.id.toLowerCase() }), name: body.name ?? null, visibility: body.visibility ?? 'shared', protected: body.protected ?? false, hidden: body.os_hidden ?? false,
    container_format: body.container_format ?? null, disk_format: body.disk_format ?? null, min_disk_gib: body.min_disk ?? 0, min_ram_mib: body.min_ram ?? 0, properties: customProperties(body), tags: body.tags ?? [],
  }
  checkQuotas(spec.properties, spec.tags)
  if (spec.id !== undefined) await refuseTakenId(ctx, spec.id)
  const image: ImageData = await (owner === ctx.caller.project_id ? ctx.project : ctx.projectById(owner)).image.images.create(spec)
  return reply({ status: 201, headers: { location: `${ctx.origin}/image/v2/images/${image.id}`, 'openstack-image-import-methods': IMPORT_METHODS.join(','), 'openstack-image-store-ids': defaultStore(ctx.env) }, body: imageView(image) })
}

/** Whose images the caller may see at all; the filters do the rest. */
async function visible(ctx: Context, everybody: boolean): Promise<ImageData[]> {
  if (everybody) return (await everyProject(ctx, (id) => ctx.projectById(id).image.images.list())).flat()
  const [own, published] = await Promise.all([ctx.project.image.images.list(), ctx.region.directory.published('image', ctx.projectId)])
  return [...own, ...published.filter((entry) => entry.owner_id !== ctx.caller.project_id).map((entry) => entry.data as ImageData)]
}

/** An empty id is an unknown image, not the list. */
const refuseEmptyId = (ctx: Context) => {
  if (ctx.url.pathname.endsWith('/')) throw new Fault('not_found', 'No image found with ID ')
}

async function list(ctx: Context) {
  refuseEmptyId(ctx)
  const query = parseQuery(ctx.url.searchParams)
  const admin = ctx.allows(ANY_PROJECT, { project_id: null })
  const rows = (await visible(ctx, admin)).filter((image) => isListed(image, query, ctx.caller.project_id, admin) && isMatch(image, query))
  const { rows: shown, next } = page(sorted(rows, query.sort), query)
  const params = new URLSearchParams(ctx.url.searchParams)
  params.delete('marker')
  const first = params.size === 0 ? '/v2/images' : `/v2/images?${params}`
  if (next !== null) params.set('marker', next)
  return { images: shown.map(imageView), first, schema: '/v2/schemas/images', ...(next === null ? {} : { next: `/v2/images?${params}` }) }
}

async function patch(ctx: Context) {
  const ops = parsePatch(ctx.request.headers.get('content-type'), ctx.body)
  const { store, image, admin } = await locateOwn(ctx, idOf(ctx), 'modify')
  const { visibility, owner } = wanted(ops)
  if (visibility !== image.visibility) authorizeVisibility(ctx, visibility)
  if (owner !== undefined && owner !== image.owner) {
    if (!admin) throw new Fault('forbidden', "You are not permitted to modify 'owner' on this image.")
    return await changeOwner(ctx, image, String(owner), ops)
  }
  return imageView(await store.patch(image.id, ops))
}

/** The row moves to another Project object: taken in there first, dropped here last, so that it is never nowhere; each half is harmless when repeated. */
async function changeOwner(ctx: Context, image: ImageData, owner: string, ops: ReturnType<typeof parsePatch>) {
  const from = ctx.projectById(image.owner).image.images
  await from.patch(image.id, ops)
  const to = ctx.projectById(owner).image.images
  await to.adopt(await from.release(image.id))
  await from.drop(image.id)
  return imageView(await to.get(image.id))
}

export const routes = [
  route({ method: 'POST', path: '/v2/images', policy: 'add_image', body: 'json', handle: create }),
  route({ method: 'GET', path: '/v2/images', policy: 'get_images', handle: list }),
  route({
    method: 'DELETE',
    path: '/v2/images',
    policy: 'delete_image',
    handle: (ctx) => {
      refuseEmptyId(ctx)
      throw new Fault('method_not_allowed', 'The method DELETE is not allowed for this resource.', { headers: { allow: 'GET, POST' } })
    },
  }),
  route({ method: 'GET', path: '/v2/images/:id', policy: 'get_image', handle: async (ctx) => imageView((await locate(ctx, idOf(ctx))).image) }),
  route({ method: 'PATCH', path: '/v2/images/:id', policy: 'modify_image', body: 'json', handle: patch }),
  route({
    method: 'DELETE',
    path: '/v2/images/:id',
    policy: 'delete_image',
    handle: async (ctx) => {
      const { store, image } = await locateOwn(ctx, idOf(ctx), 'delete')
      await store.delete(image.id)
    },
  }),
  route({
    method: 'POST',
    path: '/v2/images/:id/actions/deactivate',
    policy: 'deactivate',
    handle: async (ctx) => {
      const { store, image } = await locateOwn(ctx, idOf(ctx), 'deactivate')
      await store.setActive(image.id, false)
    },
  }),
  route({
    method: 'POST',
    path: '/v2/images/:id/actions/reactivate',
    policy: 'reactivate',
    handle: async (ctx) => {
      const { store, image } = await locateOwn(ctx, idOf(ctx), 'reactivate')
      await store.setActive(image.id, true)
    },
  }),
  route({
    method: 'PUT',
    path: '/v2/images/:id/tags/:tag',
    policy: 'modify_image',
    handle: async (ctx) => {
      const tag = decodeURIComponent(ctx.params.tag ?? '')
      if (tag.length > 255) throw new Fault('bad_request', 'A tag has at most 255 characters.')
      const { store, image } = await locateOwn(ctx, idOf(ctx), 'modify')
      await store.addTag(image.id, tag)
    },
  }),
  route({
    method: 'DELETE',
    path: '/v2/images/:id/tags/:tag',
    policy: 'modify_image',
    handle: async (ctx) => {
      const { store, image } = await locateOwn(ctx, idOf(ctx), 'modify')
      await store.deleteTag(image.id, decodeURIComponent(ctx.params.tag ?? ''))
    },
  }),
]
