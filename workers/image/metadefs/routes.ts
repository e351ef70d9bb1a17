/** /v2/metadefs: namespaces and their objects, properties, tags and resource types. Admins write, everybody reads what is public. */
import { any, array, boolean, looseObject, maxLength, minLength, nullish, objectWithRest, optional, picklist, pipe, string } from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { route } from '../../http/route.ts'
import { type MetadefData, namespaceMissing, type Part } from './store.ts'
import { namespaceView, objectView, propertyView, resourceTypeView, tagView } from './views.ts'

const RESOURCE_TYPES = ['OS::Glance::Image', 'OS::Cinder::Volume', 'OS::Nova::Flavor', 'OS::Nova::Aggregate', 'OS::Nova::Server', 'OS::Trove::Instance']

const short = pipe(string(), minLength(1), maxLength(80))
const fields = { display_name: nullish(pipe(string(), maxLength(80))), description: nullish(pipe(string(), maxLength(500))), visibility: optional(picklist(['public', 'private'])), protected: optional(boolean()), owner: nullish(string()) }
const entry = objectWithRest({ name: short }, any())
const createBody = looseObject({ namespace: short, ...fields, resource_type_associations: optional(array(entry)), objects: optional(array(entry)), tags: optional(array(entry)), properties: optional(objectWithRest({}, any())) })
const updateBody = looseObject({ namespace: short, ...fields })
const tagsBody = looseObject({ tags: array(looseObject({ name: short })) })

const of = (ctx: Context, name: string): string => decodeURIComponent(ctx.params[name] ?? '')
const byName = (entries: Record<string, unknown>[] = []) => Object.fromEntries(entries.map(({ name, ...value }) => [String(name), value]))

async function find(ctx: Context): Promise<MetadefData> {
  const namespace = of(ctx, 'namespace')
  const published = await ctx.region.directory.publishedById('metadef', namespace, ctx.projectId)
  if (published === null) throw namespaceMissing(namespace)
  return { ...(published.data as MetadefData), owner: published.owner_id }
}

/** The owner's store, for a write. */
async function owner(ctx: Context) {
  const { namespace, owner: id } = await find(ctx)
  return { namespace, store: ctx.projectById(id).image.metadefs }
}

async function create(ctx: Context) {
  const { body } = ctx
  if ((await ctx.region.directory.publishedById('metadef-name', body.namespace, '*')) !== null) throw new Fault('conflict', `Metadata definition namespace ${body.namespace} already exists.`)
  const parts = { objects: byName(body.objects), properties: body.properties ?? {}, tags: byName(body.tags), resource_types: byName(body.resource_type_associations) }
  const made = await ctx.project.image.metadefs.create({ namespace: body.namespace, display_name: body.display_name ?? null, description: body.description ?? null, visibility: body.visibility ?? 'private', protected: body.protected ?? false, parts: parts as never })
  return namespaceView(made, false)
}

async function list(ctx: Context) {
  const wanted = ctx.query.get('visibility')
  const types = ctx.query.get('resource_types')?.split(',') ?? []
  const rows = (await ctx.region.directory.published('metadef', ctx.projectId)).map((row) => ({ ...(row.data as MetadefData), owner: row.owner_id }))
  const shown = rows.filter((row) => (wanted === null || row.visibility === wanted) && (types.length === 0 || types.some((type) => type in row.parts.resource_types)))
  return { namespaces: shown.map((row) => namespaceView(row, false)), first: '/v2/metadefs/namespaces', schema: '/v2/schemas/metadefs/namespaces' }
}

const VIEWS: Record<Exclude<Part, 'resource_types'>, (namespace: string, name: string, value: Record<string, unknown>) => object> = {
  objects: objectView, properties: (_namespace, name, value) => propertyView(name, value), tags: tagView,
}

/** Entries of a part are written alike: POST to the collection (tags also by name), PUT may rename. */
function partRoutes(part: Exclude<Part, 'resource_types'>) {
  const path = `/v2/metadefs/namespaces/:namespace/${part}`
  const show = async (ctx: Context, name: string) => {
    const { namespace, parts } = await find(ctx)
    const value = parts[part][name] as Record<string, unknown> | undefined
    if (value === undefined) throw new Fault('not_found', `The metadata definition ${part} entry with name=${name} was not found in namespace=${namespace}.`)
    return VIEWS[part](namespace, name, value)
  }
  const rename = async (ctx: Context) => {
    const { namespace, store } = await owner(ctx)
    const { name, ...value } = ctx.body
    const before = of(ctx, 'name')
    await store.setPart(namespace, part, { [before]: name === before ? value : null }, 'change')
    if (name !== before) await store.setPart(namespace, part, { [name]: value }, 'create')
    return await show(ctx, name)
  }
  const add = async (ctx: Context, name: string, value: Record<string, unknown>) => {
    const { namespace, store } = await owner(ctx)
    await store.setPart(namespace, part, { [name]: value }, 'create')
    return await show(ctx, name)
  }
  const addGiven = (ctx: Context) => {
    const { name, ...value } = ctx.body
    return add(ctx, name, value)
  }
  return [
    route({
      method: 'GET',
      path,
      policy: 'get_metadef_namespaces',
      handle: async (ctx) => {
        const { namespace, parts } = await find(ctx)
        const entries = Object.entries(parts[part]) as [string, Record<string, unknown>][]
        // Upstream lists properties as an object by name; Tempest and glanceclient read either.
        const shown = entries.map(([name, value]) => VIEWS[part](namespace, name, value))
        return { [part]: part === 'properties' ? Object.fromEntries(entries.map(([name], i) => [name, shown[i]])) : shown, schema: `/v2/schemas/metadefs/${part}` }
      },
    }),
    route({ method: 'GET', path: `${path}/:name`, policy: 'get_metadef_namespaces', handle: (ctx) => show(ctx, of(ctx, 'name')) }),
    route({ method: 'PUT', path: `${path}/:name`, policy: 'metadef_admin', body: entry, handle: rename }),
    route({
      method: 'DELETE',
      path: `${path}/:name`,
      policy: 'metadef_admin',
      handle: async (ctx) => {
        const { namespace, store } = await owner(ctx)
        await store.setPart(namespace, part, { [of(ctx, 'name')]: null }, 'change')
      },
    }),
    route({
      method: 'DELETE',
      path,
      policy: 'metadef_admin',
      handle: async (ctx) => {
        const { namespace, store } = await owner(ctx)
        await store.clearPart(namespace, part)
      },
    }),
    part === 'tags'
      ? route({ method: 'POST', path: `${path}/:name`, policy: 'metadef_admin', status: 201, handle: (ctx) => add(ctx, of(ctx, 'name'), {}) })
      : route({ method: 'POST', path, policy: 'metadef_admin', body: entry, status: 201, handle: addGiven }),
  ]
}

async function replaceTags(ctx: Context) {
  const { namespace, store } = await owner(ctx)
  await store.clearPart(namespace, 'tags')
  const entries = Object.fromEntries((ctx.body.tags as { name: string }[]).map(({ name }) => [name, {}]))
  await store.setPart(namespace, 'tags', entries, 'any')
  return { tags: Object.keys(entries).map((name) => ({ name })) }
}

export const routes = [
  route({ method: 'GET', path: '/v2/metadefs/namespaces', policy: 'get_metadef_namespaces', handle: list }),
  route({ method: 'POST', path: '/v2/metadefs/namespaces', policy: 'metadef_admin', body: createBody, status: 201, handle: create }),
  route({ method: 'GET', path: '/v2/metadefs/namespaces/:namespace', policy: 'get_metadef_namespaces', handle: async (ctx) => namespaceView(await find(ctx), true) }),
  route({
    method: 'PUT',
    path: '/v2/metadefs/namespaces/:namespace',
    policy: 'metadef_admin',
    body: updateBody,
    handle: async (ctx) => {
      const { namespace, store } = await owner(ctx)
      const { display_name, description, visibility, protected: kept } = ctx.body
      return namespaceView(await store.update(namespace, { display_name: display_name ?? null, description: description ?? null, visibility: visibility ?? 'private', protected: kept ?? false }), false)
    },
  }),
  route({
    method: 'DELETE',
    path: '/v2/metadefs/namespaces/:namespace',
    policy: 'metadef_admin',
    handle: async (ctx) => {
      const { namespace, store } = await owner(ctx)
      await store.delete(namespace)
    },
  }),
  ...partRoutes('objects'), ...partRoutes('properties'), ...partRoutes('tags'),
  route({ method: 'POST', path: '/v2/metadefs/namespaces/:namespace/tags', policy: 'metadef_admin', body: tagsBody, status: 201, handle: replaceTags }),
  route({ method: 'GET', path: '/v2/metadefs/resource_types', policy: 'list_metadef_resource_types', handle: () => ({ resource_types: RESOURCE_TYPES.map((name) => ({ name, created_at: '2014-08-28T18:13:04Z', updated_at: '2014-08-28T18:13:04Z' })) }) }),
  route({
    method: 'GET',
    path: '/v2/metadefs/namespaces/:namespace/resource_types',
    policy: 'get_metadef_namespaces',
    handle: async (ctx) => ({ resource_type_associations: Object.entries((await find(ctx)).parts.resource_types).map(([name, value]) => resourceTypeView(name, value)) }),
  }),
  route({
    method: 'POST',
    path: '/v2/metadefs/namespaces/:namespace/resource_types',
    policy: 'metadef_admin',
    body: entry,
    status: 201,
    handle: async (ctx) => {
      const { namespace, store } = await owner(ctx)
      const { name, ...value } = ctx.body
      await store.setPart(namespace, 'resource_types', { [name]: value }, 'create')
      return resourceTypeView(name, { ...value, created_ms: ctx.now_ms, updated_ms: ctx.now_ms })
    },
  }),
  route({
    method: 'DELETE',
    path: '/v2/metadefs/namespaces/:namespace/resource_types/:name',
    policy: 'metadef_admin',
    handle: async (ctx) => {
      const { namespace, store } = await owner(ctx)
      await store.setPart(namespace, 'resource_types', { [of(ctx, 'name')]: null }, 'change')
    },
  }),
]
