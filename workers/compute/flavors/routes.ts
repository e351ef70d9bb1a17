/** Routes of flavors, their access lists and extra specs. */
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { reply, route } from '../../http/route.ts'
import { nextLink } from '../common/links.ts'
import { type Sort, limitOf, slice, sortsOf } from '../common/query.ts'
import { FALSE_TEXTS, TRUE_TEXTS, decoded } from '../common/texts.ts'
import { createFlavor, createSpecs, flavorAction, updateFlavor, updateSpec } from './requests.ts'
import type { Flavor } from './store.ts'
import { briefFlavor, fullFlavor } from './views.ts'

const SORT_KEYS: Record<string, keyof Flavor> = {
  created_at: 'created_ms', description: 'description', disabled: 'disabled', ephemeral_gb: 'ephemeral_gib', flavorid: 'id', id: 'seq', is_public: 'is_public', memory_mb: 'ram_mib', name: 'name', root_gb: 'disk_gib',
  rxtx_factor: 'rxtx_factor', swap: 'swap_mib', updated_at: 'updated_ms', vcpus: 'vcpus',
}

const seesAll = (ctx: Context) => ctx.allows('admin')
const specsVisible = (ctx: Context) => ctx.allows('os_compute_api:os-flavor-extra-specs:index')
const flavorOf = (ctx: Context): Promise<Flavor> => ctx.region.compute.flavors.get(decoded(ctx.params.id), ctx.caller.project_id, seesAll(ctx))

function publicFilter(ctx: Context): boolean | null {
  if (!seesAll(ctx)) return true
  const text = ctx.query.get('is_public')?.toLowerCase()
  if (text === undefined || TRUE_TEXTS.has(text)) return true
  if (text === 'none') return null
  if (FALSE_TEXTS.has(text)) return false
  throw new Fault('bad_request', `Invalid is_public filter [${ctx.query.get('is_public')}]`)
}

function minimum(ctx: Context, name: string): number {
  const text = ctx.query.get(name)
  if (text === null) return 0
  if (!/^-?\d+$/.test(text)) throw new Fault('bad_request', `Invalid ${name} filter [${text}]`)
  return Number(text)
}

const compare = (a: unknown, b: unknown): number => (a === b ? 0 : a === null || (b !== null && (a as string) < (b as string)) ? -1 : 1)

async function page(ctx: Context): Promise<{ rows: Flavor[]; next: string | null }> {
  const fallback: Sort[] = [{ key: 'flavorid', descending: false }, { key: 'id', descending: false }]
  const sorts = sortsOf(ctx.query, new Set(Object.keys(SORT_KEYS)), fallback).map((sort, i) => (ctx.query.getAll('sort_dir')[i] === undefined ? { ...sort, descending: false } : sort))
  const limit = limitOf(ctx.query)
  const rows = await ctx.region.compute.flavors.list({ is_public: publicFilter(ctx), project_id: ctx.caller.project_id, min_ram: minimum(ctx, 'minRam'), min_disk: minimum(ctx, 'minDisk') })
  rows.sort((a, b) => {
    for (const { key, descending } of sorts) {
      const column = SORT_KEYS[key] ?? 'seq'
      const order = compare(a[column], b[column])
      if (order !== 0) return descending ? -order : order
    }
    return 0
  })
  const found = slice(rows, limit, ctx.query.get('marker'), (row) => row.id)
  if (found === null) throw new Fault('bad_request', `marker [${ctx.query.get('marker')}] not found`)
  return found
}

const list = (detail: boolean) => async (ctx: Context) => {
  const { rows, next } = await page(ctx)
  const links = nextLink(ctx.origin, ctx.url, next)
  const minor = ctx.version[1]
  return { flavors: rows.map((row) => (detail ? fullFlavor(ctx.origin, minor, row, specsVisible(ctx)) : briefFlavor(ctx.origin, minor, row))), ...(links === null ? {} : { flavors_links: links }) }
}

const accessView = (id: string, projects: string[]) => ({ flavor_access: projects.map((tenant_id) => ({ flavor_id: id, tenant_id })) })

export const flavorRoutes = [
  route({ method: 'GET', path: '/v2.1/flavors', policy: 'os_compute_api:flavors', handle: list(false) }),
  route({ method: 'GET', path: '/v2.1/flavors/detail', policy: 'os_compute_api:flavors', handle: list(true) }),
  route({
    method: 'POST', path: '/v2.1/flavors', policy: 'os_compute_api:os-flavor-manage:create', body: createFlavor,
    handle: async (ctx) => {
      const given = ctx.body.flavor
      const id = given.id === 'auto' ? null : (given.id ?? null)
      const flavor = await ctx.region.compute.flavors.create({
        id, name: given.name, vcpus: given.vcpus, ram_mib: given.ram, disk_gib: given.disk, ephemeral_gib: given['OS-FLV-EXT-DATA:ephemeral'] ?? 0, swap_mib: given.swap ?? 0, rxtx_factor: given.rxtx_factor ?? 1,
        is_public: given['os-flavor-access:is_public'] ?? true, description: given.description ?? null,
      })
      return { flavor: fullFlavor(ctx.origin, ctx.version[1], flavor, specsVisible(ctx)) }
    },
  }),
  route({ method: 'GET', path: '/v2.1/flavors/:id', policy: 'os_compute_api:flavors', handle: async (ctx) => ({ flavor: fullFlavor(ctx.origin, ctx.version[1], await flavorOf(ctx), specsVisible(ctx)) }) }),
  route({
    method: 'PUT', path: '/v2.1/flavors/:id', policy: 'os_compute_api:os-flavor-manage:update', versions: [55, null], body: updateFlavor,
    handle: async (ctx) => ({ flavor: fullFlavor(ctx.origin, ctx.version[1], await ctx.region.compute.flavors.describe(decoded(ctx.params.id), ctx.body.flavor.description), specsVisible(ctx)) }),
  }),
  route({ method: 'DELETE', path: '/v2.1/flavors/:id', policy: 'os_compute_api:os-flavor-manage:delete', status: 202, handle: (ctx) => ctx.region.compute.flavors.delete(decoded(ctx.params.id)).then(() => reply({ status: 202 })) }),
  route({ method: 'GET', path: '/v2.1/flavors/:id/os-flavor-access', policy: 'os_compute_api:os-flavor-access', handle: async (ctx) => accessView(decoded(ctx.params.id), await ctx.region.compute.flavors.access(decoded(ctx.params.id))) }),
  route({
    method: 'POST', path: '/v2.1/flavors/:id/action', policy: 'token', body: flavorAction,
    handle: async (ctx) => {
      const id = decoded(ctx.params.id)
      const { flavors } = ctx.region.compute
      if ('addTenantAccess' in ctx.body) {
        ctx.authorize('os_compute_api:os-flavor-access:add_tenant_access')
        return accessView(id, await flavors.addAccess(id, ctx.body.addTenantAccess.tenant))
      }
      ctx.authorize('os_compute_api:os-flavor-access:remove_tenant_access')
      return accessView(id, await flavors.removeAccess(id, ctx.body.removeTenantAccess.tenant))
    },
  }),
  route({ method: 'GET', path: '/v2.1/flavors/:id/os-extra_specs', policy: 'os_compute_api:os-flavor-extra-specs:index', handle: async (ctx) => ({ extra_specs: (await flavorOf(ctx)).extra_specs }) }),
  route({
    method: 'POST', path: '/v2.1/flavors/:id/os-extra_specs', policy: 'os_compute_api:os-flavor-extra-specs:create', body: createSpecs,
    handle: async (ctx) => {
      await ctx.region.compute.flavors.setExtraSpecs(decoded(ctx.params.id), ctx.body.extra_specs)
      return { extra_specs: ctx.body.extra_specs }
    },
  }),
  route({
    method: 'GET', path: '/v2.1/flavors/:id/os-extra_specs/:key', policy: 'os_compute_api:os-flavor-extra-specs:show',
    handle: async (ctx) => {
      const key = decoded(ctx.params.key)
      const value = (await flavorOf(ctx)).extra_specs[key]
      if (value === undefined) throw new Fault('not_found', `Flavor ${decoded(ctx.params.id)} has no extra specs with key ${key}.`)
      return { [key]: value }
    },
  }),
  route({
    method: 'PUT', path: '/v2.1/flavors/:id/os-extra_specs/:key', policy: 'os_compute_api:os-flavor-extra-specs:update', body: updateSpec,
    handle: async (ctx) => {
      if (!(decoded(ctx.params.key) in ctx.body)) throw new Fault('bad_request', 'Request body and URI mismatch')
      await ctx.region.compute.flavors.setExtraSpecs(decoded(ctx.params.id), ctx.body)
      return ctx.body
    },
  }),
  route({
    method: 'DELETE', path: '/v2.1/flavors/:id/os-extra_specs/:key', policy: 'os_compute_api:os-flavor-extra-specs:delete',
    handle: (ctx) => ctx.region.compute.flavors.deleteExtraSpec(decoded(ctx.params.id), decoded(ctx.params.key)).then(() => reply({ status: 200 })),
  }),
]
