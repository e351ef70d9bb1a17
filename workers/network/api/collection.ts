/**
 * The five routes of a Neutron collection, made from a description: attributes, and what list, show, create, update and delete do. Bodies, guarded
 * attributes, owners, filters, fields, sorting, pages and `If-Match` are the same for all and live here.
 */
import type { Context } from '../../http/context.ts'
import { policyFault } from '../../http/policy.ts'
import { type Route, reply, route } from '../../http/route.ts'
import { badRequest } from '../faults.ts'
import { type Attributes, type Given, bodiesOf, guardedIn, ownerIn, parsePost, parsePut } from './attributes.ts'
import { type View, only, query } from './query.ts'

/** What a client gave for one new resource, and whose it will be. */
export interface Wanted<A extends Attributes> {
  project_id: string
  given: Given<A>
}

export interface Collection<A extends Attributes> {
  name: string
  plural: string
  /** Default: /v2.0/<plural with dashes>. */
  path?: string
  attributes: A
  list(ctx: Context): Promise<View[]>
  show(ctx: Context, id: string): Promise<View>
  create?(ctx: Context, wanted: Wanted<A>[]): Promise<View[]>
  update?(ctx: Context, id: string, given: Given<A>, revision: number | null): Promise<View>
  remove?(ctx: Context, id: string, revision: number | null): Promise<void>
}

export const ADMIN = 'admin_required'

export function collection<A extends Attributes>(spec: Collection<A>): Route[] {
  const path = spec.path ?? `/v2.0/${spec.plural.replace(/_/g, '-')}`
  const { name, plural, attributes } = spec
  const shown = (ctx: Context, view: View) => visible(ctx, name, attributes, view)
  const routes: Route[] = [
    route({
      method: 'GET', path, policy: `get_${name}`,
      handle: async (ctx) => {
        const views = (await spec.list(ctx)).map((view) => shown(ctx, view))
        const { rows, links } = query(views, ctx.url.searchParams, `${ctx.origin}${ctx.url.pathname}`, name)
        return { [plural]: rows, ...(links === null || links.length === 0 ? {} : { [`${plural}_links`]: links }) }
      },
    }),
    route({ method: 'GET', path: `${path}/:id`, policy: `get_${name}`, handle: async (ctx) => ({ [name]: only(shown(ctx, await spec.show(ctx, idOf(ctx))), ctx.url.searchParams) }) }),
  ]
  const { create, update, remove } = spec
  if (create !== undefined) {
    routes.push(route({
      method: 'POST', path, policy: `create_${name}`, body: 'json', status: 201,
      handle: async (ctx) => {
        const { bodies, bulk } = bodiesOf(ctx.body, name, plural, true)
        const wanted = bodies.map((body) => wantedOf(ctx, spec, body))
        const views = (await create(ctx, wanted)).map((view) => shown(ctx, view))
        return bulk ? { [plural]: views } : { [name]: views[0] }
      },
    }))
  }
  if (update !== undefined) {
    routes.push(route({
      method: 'PUT', path: `${path}/:id`, policy: `update_${name}`, body: 'json',
      handle: async (ctx) => {
        const { bodies } = bodiesOf(ctx.body, name, plural, false)
        const body = bodies[0] ?? {}
        if (ownerIn(body) !== null) throw badRequest('Cannot update read-only attribute tenant_id')
        const given = parsePut(attributes, body)
        for (const attribute of guardedIn(attributes, body)) ctx.authorize(`update_${name}:${attribute}`)
        return { [name]: shown(ctx, await update(ctx, idOf(ctx), given, revisionOf(ctx))) }
      },
    }))
  }
  if (remove !== undefined) {
    routes.push(route({
      method: 'DELETE', path: `${path}/:id`, policy: `delete_${name}`,
      handle: async (ctx) => {
        await remove(ctx, idOf(ctx), revisionOf(ctx))
        return reply({ status: 204 })
      },
    }))
  }
  return routes
}

function wantedOf<A extends Attributes>(ctx: Context, spec: Collection<A>, body: Record<string, unknown>): Wanted<A> {
  const owner = ownerIn(body)
  const given = parsePost(spec.attributes, body)
  for (const attribute of guardedIn(spec.attributes, body)) ctx.authorize(`create_${spec.name}:${attribute}`)
  const project_id = owner ?? ctx.projectId
  if (project_id !== ctx.caller.project_id && !ctx.allows(ADMIN)) throw policyFault(`create_${spec.name}`)
  return { project_id, given }
}

/** Without what the caller may not see. */
export function visible(ctx: Context, name: string, attributes: Attributes, view: View): View {
  const hidden = Object.entries(attributes).filter(([attribute, { hidden }]) => hidden === true && attribute in view && !ctx.allows(`get_${name}:${attribute}`)).map(([attribute]) => attribute)
  if (hidden.length === 0) return view
  return Object.fromEntries(Object.entries(view).filter(([attribute]) => !hidden.includes(attribute))) as View
}

export const idOf = (ctx: Context): string => decodeURIComponent(ctx.params.id ?? '')

/** The revision that an If-Match header asks for. */
export function revisionOf(ctx: Context): number | null {
  const header = ctx.request.headers.get('if-match')
  if (header === null) return null
  const match = /^"?revision_number=(\d+)"?$/.exec(header.trim())
  if (match === null) throw badRequest(`Invalid If-Match header: '${header}'. It has the form revision_number=<number>.`)
  return Number(match[1])
}
