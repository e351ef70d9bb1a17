/** Nova's old door to Glance (up to 2.35; metadata to 2.38): the same images in Nova's shape. */
import { Fault, isFault } from '../../../schema/values/fault.ts'
import { isoSeconds } from '../../../schema/values/time.ts'
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { reply, route } from '../../http/route.ts'
import type { ImageData } from '../../image/images/views.ts'
import { locate, locateOwn } from '../../image/locate.ts'
import { bookmark, linksOf, nextLink } from '../common/links.ts'
import { limitOf, slice } from '../common/query.ts'
import { metadata, wrap } from '../common/schemas.ts'
import { decoded } from '../common/texts.ts'

export const imageProxyPolicies: PolicyRule[] = [{ name: 'os_compute_api:images', check: '@', operations: ['/images'] }]
const POLICY = 'os_compute_api:images'
/** Glance's own rules: upstream's proxy calls Glance with the caller's token, so this door opens to nobody to whom that one is shut. */
const CHANGES = 'modify_image'
const DELETES = 'delete_image'
const OLD: readonly [number, number] = [1, 35]
const OLD_METADATA: readonly [number, number] = [1, 38]

const STATUS: Record<string, string> = { active: 'ACTIVE', queued: 'SAVING', saving: 'SAVING', uploading: 'SAVING', importing: 'SAVING', killed: 'ERROR', deactivated: 'UNKNOWN' }
const PROGRESS: Record<string, number> = { active: 100, saving: 50, uploading: 50, importing: 50 }
const missing = (id: string) => new Fault('not_found', `Image ${id} could not be found.`)

const imageLinks = (origin: string, id: string) => [...linksOf(origin, 'images', id), { rel: 'alternate', type: 'application/vnd.openstack.image', href: `${origin}/image/images/${id}` }]
const brief = (origin: string, image: ImageData) => ({ id: image.id, name: image.name, links: imageLinks(origin, image.id) })

function full(origin: string, image: ImageData) {
  const server = image.properties.instance_uuid
  const size = image.size_bytes ?? 0
  return {
    ...brief(origin, image), status: STATUS[image.status] ?? 'UNKNOWN', progress: PROGRESS[image.status] ?? 0, minDisk: image.min_disk_gib, minRam: image.min_ram_mib, created: isoSeconds(image.created_ms), updated: isoSeconds(image.updated_ms),
    metadata: image.properties, 'OS-EXT-IMG-SIZE:size': size, ...(server === undefined || server === '' ? {} : { server: { id: server, links: [{ rel: 'self', href: linksOf(origin, 'servers', server)[0]?.href ?? '' }, ...bookmark(origin, 'servers', server)] } }),
  }
}

async function visible(ctx: Context): Promise<ImageData[]> {
  const [own, published] = await Promise.all([ctx.project.image.images.list(), ctx.region.directory.published('image', ctx.projectId)])
  return [...own, ...published.filter((entry) => entry.owner_id !== ctx.projectId).map((entry) => entry.data as ImageData)].sort((a, b) => b.created_ms - a.created_ms || (a.id < b.id ? 1 : -1))
}

/** ?server= is the id or a URL that ends in it; ?type=snapshot; ?changes-since=. */
function wanted(ctx: Context): (image: ImageData) => boolean {
  const { query } = ctx
  const server = query.get('server')?.split('/').at(-1)
  const since = query.get('changes-since')
  const since_ms = since === null ? null : Date.parse(/(Z|[+-]\d\d:?\d\d)$/i.test(since) ? since : `${since}Z`)
  return (image) =>
    (query.get('name') === null || image.name === query.get('name')) && (query.get('status') === null || STATUS[image.status] === query.get('status')?.toUpperCase()) && (server === undefined || image.properties.instance_uuid === server) &&
    (query.get('type') === null || (image.properties.image_type ?? 'image') === query.get('type')) && (since_ms === null || image.updated_ms >= since_ms)
}

const list = (detail: boolean) => async (ctx: Context) => {
  const page = slice((await visible(ctx)).filter(wanted(ctx)), limitOf(ctx.query), ctx.query.get('marker'), (image) => image.id)
  if (page === null) throw new Fault('bad_request', `marker [${ctx.query.get('marker')}] not found`)
  const links = nextLink(ctx.origin, ctx.url, page.next)
  return { images: page.rows.map((image) => (detail ? full(ctx.origin, image) : brief(ctx.origin, image))), ...(links === null ? {} : { images_links: links }) }
}

async function one(ctx: Context): Promise<ImageData> {
  const id = decoded(ctx.params.id)
  try {
    return (await locate(ctx, id)).image
  } catch (error) {
    throw isFault(error, 'not_found') ? missing(id) : error
  }
}

async function change(ctx: Context, next: (properties: Record<string, string>) => Record<string, string>): Promise<Record<string, string>> {
  const id = decoded(ctx.params.id)
  try {
    const { image, store } = await locateOwn(ctx, id, 'change')
    const after = next(image.properties)
    const gone = Object.keys(image.properties).filter((key) => !(key in after)).map((key) => ({ op: 'remove', path: [key] }))
    const set = Object.entries(after).filter(([key, value]) => image.properties[key] !== value).map(([key, value]) => ({ op: key in image.properties ? 'replace' : 'add', path: [key], value }))
    if (gone.length + set.length > 0) await store.patch(id, [...gone, ...set] as never)
    return after
  } catch (error) {
    throw isFault(error, 'not_found') ? missing(id) : error
  }
}

const keyOf = (ctx: Context) => decoded(ctx.params.key)
const LIMIT = 128
function bounded(properties: Record<string, string>): Record<string, string> {
  if (Object.keys(properties).length > LIMIT) throw new Fault('over_quota', 'Image metadata limit exceeded')
  return properties
}

const metaRoutes = [
  route({ method: 'GET', path: '/v2.1/images/:id/metadata', policy: POLICY, versions: OLD_METADATA, handle: async (ctx) => ({ metadata: (await one(ctx)).properties }) }),
  route({ method: 'POST', path: '/v2.1/images/:id/metadata', policy: CHANGES, versions: OLD_METADATA, body: wrap('metadata', metadata), handle: async (ctx) => ({ metadata: await change(ctx, (before) => bounded({ ...before, ...ctx.body.metadata })) }) }),
  route({ method: 'PUT', path: '/v2.1/images/:id/metadata', policy: CHANGES, versions: OLD_METADATA, body: wrap('metadata', metadata), handle: async (ctx) => ({ metadata: await change(ctx, () => bounded(ctx.body.metadata)) }) }),
  route({
    method: 'GET', path: '/v2.1/images/:id/metadata/:key', policy: POLICY, versions: OLD_METADATA,
    handle: async (ctx) => {
      const value = (await one(ctx)).properties[keyOf(ctx)]
      if (value === undefined) throw new Fault('not_found', 'Metadata item was not found')
      return { meta: { [keyOf(ctx)]: value } }
    },
  }),
  route({
    method: 'PUT', path: '/v2.1/images/:id/metadata/:key', policy: CHANGES, versions: OLD_METADATA, body: wrap('meta', metadata),
    handle: async (ctx) => {
      const meta = ctx.body.meta
      if (Object.keys(meta).length !== 1 || !(keyOf(ctx) in meta)) throw new Fault('bad_request', 'Request body and URI mismatch')
      await change(ctx, (before) => bounded({ ...before, ...meta }))
      return { meta }
    },
  }),
  route({
    method: 'DELETE', path: '/v2.1/images/:id/metadata/:key', policy: CHANGES, versions: OLD_METADATA,
    handle: async (ctx) => {
      await change(ctx, (before) => {
        if (!(keyOf(ctx) in before)) throw new Fault('not_found', 'Invalid metadata key')
        const { [keyOf(ctx)]: _, ...rest } = before
        return rest
      }).catch((error: unknown) => {
        throw isFault(error, 'not_found') ? new Fault('not_found', 'Metadata item was not found') : error
      })
      return reply({ status: 204 })
    },
  }),
]

export const imageProxyRoutes = [
  route({ method: 'GET', path: '/v2.1/images', policy: POLICY, versions: OLD, handle: list(false) }),
  route({ method: 'GET', path: '/v2.1/images/detail', policy: POLICY, versions: OLD, handle: list(true) }),
  route({ method: 'GET', path: '/v2.1/images/:id', policy: POLICY, versions: OLD, handle: async (ctx) => ({ image: full(ctx.origin, await one(ctx)) }) }),
  route({
    method: 'DELETE', path: '/v2.1/images/:id', policy: DELETES, versions: OLD,
    handle: async (ctx) => {
      const id = decoded(ctx.params.id)
      try {
        const { store } = await locateOwn(ctx, id, 'delete')
        await store.delete(id)
      } catch (error) {
        throw isFault(error, 'not_found') ? missing(id) : error
      }
      return reply({ status: 204 })
    },
  }),
  ...metaRoutes,
]
