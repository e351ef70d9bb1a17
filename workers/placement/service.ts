/** Placement 1.0 to 1.39, for reading: providers and allocations are facts of the region's hosts and scheduler, which alone write them. */
import { Fault } from '../../schema/values/fault.ts'
import { isUuidLike } from '../../schema/values/ids.ts'
import type { Context } from '../http/context.ts'
import type { PolicyRule } from '../http/policy.ts'
import { reply, route } from '../http/route.ts'
import type { Service } from '../http/service.ts'
import type { ProviderFacts } from './facts.ts'
import { CLASSES, CLASS_LIST, candidatesView, hasRoom, inventoryView, providerView, resourcesOf } from './views.ts'

const P = 'placement:'
const service = (name: string, operation: string): PolicyRule => ({ name: P + name, check: 'role:admin or role:service', operations: [operation] })
const policies: PolicyRule[] = [
  service('resource_providers:list', 'GET /resource_providers'), service('resource_providers:show', 'GET /resource_providers/{id}'), service('resource_providers:inventories:list', 'GET /resource_providers/{id}/inventories'),
  service('resource_providers:inventories:show', 'GET /resource_providers/{id}/inventories/{class}'), service('resource_providers:usages', 'GET /resource_providers/{id}/usages'), service('resource_providers:traits:list', 'GET /resource_providers/{id}/traits'),
  service('resource_providers:aggregates:list', 'GET /resource_providers/{id}/aggregates'), service('resource_providers:allocations:list', 'GET /resource_providers/{id}/allocations'), service('resource_classes:list', 'GET /resource_classes'),
  service('resource_classes:show', 'GET /resource_classes/{name}'), service('traits:list', 'GET /traits'), service('traits:show', 'GET /traits/{name}'), service('allocations:list', 'GET /allocations/{consumer}'), service('allocation_candidates:list', 'GET /allocation_candidates'),
  { name: `${P}usages`, check: 'role:admin or role:service or rule:project_reader', operations: ['GET /usages'] },
]

const factsOf = (ctx: Context): Promise<ProviderFacts[]> => ctx.region.compute.placement.providers()

/** From 1.15 on, answers say when they were made and that they are not to be kept. */
const fresh = (ctx: Context, body: unknown) => reply({ body, headers: ctx.at(15) ? { 'last-modified': new Date(ctx.now_ms).toUTCString(), 'cache-control': 'no-cache' } : {} })

async function one(ctx: Context): Promise<ProviderFacts> {
  const id = ctx.params.id ?? ''
  const found = (await factsOf(ctx)).find((provider) => provider.id === id)
  if (found === undefined) throw new Fault('not_found', `No resource provider with uuid ${id} found`, { type: 'placement.undefined_code' })
  return found
}

/** 'VCPU:1,MEMORY_MB:512' */
export function amountsOf(text: string): Record<string, number> {
  const amounts: Record<string, number> = {}
  for (const part of text.split(',')) {
    const match = /^([A-Z0-9_]+):(\d+)$/.exec(part)
    if (match === null || Number(match[2]) < 1) throw new Fault('bad_request', `Badly formed resources parameter. Expected resources query string parameter in form: ?resources=VCPU:2,MEMORY_MB:1024. Got: ${text}.`)
    if (!CLASS_LIST.includes(match[1] ?? '') && !(match[1] ?? '').startsWith('CUSTOM_')) throw new Fault('bad_request', `Invalid resource class in resources parameter: ${match[1]}`)
    amounts[match[1] ?? ''] = Number(match[2])
  }
  return amounts
}

function filtered(ctx: Context, providers: ProviderFacts[]): ProviderFacts[] {
  const { query } = ctx
  const resources = ctx.at(4) ? query.get('resources') : null
  const wanted = resources === null ? {} : amountsOf(resources)
  const required = ctx.at(18) ? query.getAll('required').flatMap((list) => list.split(',')) : []
  const member = ctx.at(3) ? query.get('member_of') : null
  const members = member === null ? null : member.replace(/^in:/, '').split(',')
  return providers.filter((provider) =>
    (query.get('uuid') === null || provider.id === query.get('uuid')) && (query.get('name') === null || provider.name === query.get('name')) && (!ctx.at(14) || query.get('in_tree') === null || provider.id === query.get('in_tree')) &&
    (resources === null || hasRoom(provider, wanted)) && required.every((trait) => (trait.startsWith('!') ? !provider.traits.includes(trait.slice(1)) : provider.traits.includes(trait))) && (members === null || members.some((id) => provider.aggregates.includes(id))))
}

const base = '/resource_providers'
const providerRoutes = [
  route({ method: 'GET', path: base, policy: `${P}resource_providers:list`, handle: async (ctx) => fresh(ctx, { resource_providers: filtered(ctx, await factsOf(ctx)).map((provider) => providerView(ctx.version[1], provider)) }) }),
  route({ method: 'GET', path: `${base}/:id`, policy: `${P}resource_providers:show`, handle: async (ctx) => fresh(ctx, providerView(ctx.version[1], await one(ctx))) }),
  route({
    method: 'GET', path: `${base}/:id/inventories`, policy: `${P}resource_providers:inventories:list`,
    handle: async (ctx) => {
      const provider = await one(ctx)
      return fresh(ctx, { resource_provider_generation: provider.generation, inventories: Object.fromEntries(CLASSES.map((resource) => [resource, inventoryView(provider, resource)])) })
    },
  }),
  route({
    method: 'GET', path: `${base}/:id/inventories/:class`, policy: `${P}resource_providers:inventories:show`,
    handle: async (ctx) => {
      const provider = await one(ctx)
      const resource = CLASSES.find((name) => name === ctx.params.class)
      if (resource === undefined) throw new Fault('not_found', `No inventory of class ${ctx.params.class} for ${provider.id}`)
      return fresh(ctx, { resource_provider_generation: provider.generation, ...inventoryView(provider, resource) })
    },
  }),
  route({
    method: 'GET', path: `${base}/:id/usages`, policy: `${P}resource_providers:usages`,
    handle: async (ctx) => {
      const provider = await one(ctx)
      return fresh(ctx, { resource_provider_generation: provider.generation, usages: provider.used })
    },
  }),
  route({
    method: 'GET', path: `${base}/:id/traits`, policy: `${P}resource_providers:traits:list`, versions: [6, null],
    handle: async (ctx) => {
      const provider = await one(ctx)
      return fresh(ctx, { resource_provider_generation: provider.generation, traits: provider.traits })
    },
  }),
  route({
    method: 'GET', path: `${base}/:id/aggregates`, policy: `${P}resource_providers:aggregates:list`, versions: [1, null],
    handle: async (ctx) => {
      const provider = await one(ctx)
      return fresh(ctx, { aggregates: provider.aggregates, ...(ctx.at(19) ? { resource_provider_generation: provider.generation } : {}) })
    },
  }),
  route({
    method: 'GET', path: `${base}/:id/allocations`, policy: `${P}resource_providers:allocations:list`,
    handle: async (ctx) => {
      const provider = await one(ctx)
      const rows = await ctx.region.compute.placement.allocations({ host_id: provider.id })
      return fresh(ctx, { resource_provider_generation: provider.generation, allocations: Object.fromEntries(rows.map((row) => [row.consumer_id, { resources: resourcesOf(row), ...(ctx.at(28) ? { consumer_generation: 1 } : {}) }])) })
    },
  }),
]

const otherRoutes = [
  route({ method: 'GET', path: '/', policy: 'public', handle: () => ({ versions: [{ id: 'v1.0', min_version: '1.0', max_version: '1.39', status: 'CURRENT', links: [{ rel: 'self', href: '' }] }] }) }),
  route({
    method: 'GET', path: '/resource_classes', policy: `${P}resource_classes:list`, versions: [2, null],
    handle: (ctx) => fresh(ctx, { resource_classes: CLASS_LIST.map((name) => ({ name, links: [{ rel: 'self', href: `/placement/resource_classes/${name}` }] })) }),
  }),
  route({
    method: 'GET', path: '/resource_classes/:name', policy: `${P}resource_classes:show`, versions: [2, null],
    handle: (ctx) => {
      const name = ctx.params.name ?? ''
      if (!CLASS_LIST.includes(name)) throw new Fault('not_found', `No such resource class ${name}.`)
      return fresh(ctx, { name, links: [{ rel: 'self', href: `/placement/resource_classes/${name}` }] })
    },
  }),
  route({
    method: 'GET', path: '/traits', policy: `${P}traits:list`, versions: [6, null],
    handle: async (ctx) => {
      const all = [...new Set((await factsOf(ctx)).flatMap((provider) => provider.traits))].sort()
      const name = ctx.query.get('name')
      const wanted = (trait: string) => name === null || (name.startsWith('in:') ? name.slice(3).split(',').includes(trait) : trait.startsWith(name.replace(/^startswith:/, '')))
      return fresh(ctx, { traits: all.filter(wanted) })
    },
  }),
  route({
    method: 'GET', path: '/traits/:name', policy: `${P}traits:show`, versions: [6, null],
    handle: async (ctx) => {
      if (!(await factsOf(ctx)).some((provider) => provider.traits.includes(ctx.params.name ?? ''))) throw new Fault('not_found', `No such trait(s): ${ctx.params.name}.`)
      return reply({ status: 204 })
    },
  }),
  route({
    method: 'GET', path: '/allocations/:consumer', policy: `${P}allocations:list`,
    handle: async (ctx) => {
      const rows = await ctx.region.compute.placement.allocations({ consumer_id: ctx.params.consumer ?? '' })
      const [first] = rows
      return fresh(ctx, {
        allocations: Object.fromEntries(rows.map((row) => [row.host_id, { generation: 1, resources: resourcesOf(row) }])),
        ...(first !== undefined && ctx.at(12) ? { project_id: first.project_id, user_id: first.user_id } : {}), ...(first !== undefined && ctx.at(28) ? { consumer_generation: 1 } : {}), ...(first !== undefined && ctx.at(38) ? { consumer_type: first.consumer_type } : {}),
      })
    },
  }),
  route({
    method: 'GET', path: '/allocation_candidates', policy: `${P}allocation_candidates:list`, versions: [10, null],
    handle: async (ctx) => {
      const text = ctx.query.get('resources')
      if (text === null) throw new Fault('bad_request', "At least one group of `resources` is required in the query string.")
      const limit = Number(ctx.query.get('limit') ?? Number.MAX_SAFE_INTEGER)
      const providers = filtered(ctx, (await factsOf(ctx)).filter((provider) => provider.available)).slice(0, limit)
      return fresh(ctx, candidatesView(ctx.version[1], providers, amountsOf(text)))
    },
  }),
  route({
    method: 'GET', path: '/usages', policy: 'token', versions: [9, null],
    handle: async (ctx) => {
      const project = ctx.query.get('project_id')
      if (project === null || project === '') throw new Fault('bad_request', "Invalid query string parameters: 'project_id' is a required property")
      if (!isUuidLike(project) && project.length > 255) throw new Fault('bad_request', 'Invalid query string parameters: project_id')
      ctx.authorize(`${P}usages`, { project_id: project })
      const rows = await ctx.region.compute.placement.allocations({ project_id: project })
      const mine = ctx.query.get('user_id') === null ? rows : rows.filter((row) => row.user_id === ctx.query.get('user_id'))
      const total: Record<string, number> = {}
      for (const row of mine) for (const [resource, amount] of Object.entries(resourcesOf(row))) total[resource] = (total[resource] ?? 0) + (amount ?? 0)
      return fresh(ctx, { usages: ctx.at(38) ? (mine.length === 0 ? {} : { INSTANCE: { consumer_count: mine.length, ...total } }) : total })
    },
  }),
]

export const placement: Service = {
  name: 'placement', type: 'placement', prefix: '/placement', endpoint: '/placement', dialect: 'placement', microversions: { header: 'placement', min: [1, 0], max: [1, 39] }, routes: [...otherRoutes, ...providerRoutes], policies,
}
