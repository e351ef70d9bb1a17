/** /v3/endpoints. Endpoints that we serve ourselves keep a template of their URL and show today's origin. */
import * as v from 'valibot'
import { type Route, route } from '../../http/route.ts'
import { type CrudSpec, crudPolicies, crudRoutes, split } from '../kernel/crud.ts'
import { param, realmOf, rootUrl, sameId } from '../kernel/http.ts'
import { selfLink } from '../kernel/links.ts'
import { bool, changed, id, text, wrapped } from '../kernel/words.ts'
import type { EndpointRow } from './store.ts'

/** Names that an endpoint's URL may have in it, as $(name)s or %(name)s. */
const NAMES = /[$%]\((?!(?:tenant_id|project_id|user_id|public_bind_host|admin_bind_host|compute_host|admin_port|public_port|public_endpoint|admin_endpoint)\)s)/
const url = v.pipe(
  v.string(), v.regex(/^[a-zA-Z0-9+.-]+:.+/), v.maxLength(1024),
  v.check((value) => !NAMES.test(value), (issue) => `Cannot create an endpoint with an invalid URL: ${issue.input}.`),
)
const face = v.pipe(v.string(), v.picklist(['public', 'internal', 'admin'], "is not one of ['admin', 'internal', 'public']"))
const createBody = wrapped('endpoint', { interface: face, service_id: id, url, region_id: text, region: text, enabled: v.optional(bool), name: text })
const updateBody = changed('endpoint', { interface: v.optional(face), service_id: v.optional(id), url: v.optional(url), region_id: text, region: text, enabled: v.optional(bool), name: text })

export const endpointView = ({ extra, id: own, service_id, region_id, interface: of, url: template, enabled, name }: EndpointRow, root: string) => ({
  ...extra, id: own, service_id, region_id, region: region_id, interface: of, url: template.replace('$(origin)s', root.slice(0, -'/identity/v3'.length)), enabled, ...(name === null ? {} : { name }), links: selfLink(root, `/endpoints/${own}`),
})

const spec: CrudSpec<EndpointRow> = {
  one: 'endpoint', many: 'endpoints', path: '/v3/endpoints', store: (session) => session.endpoints, create: createBody, update: updateBody,
  filters: { interface: 'text', service_id: 'text', region_id: 'text' }, columns: ['interface', 'service_id', 'url', 'region_id', 'enabled', 'name'], view: endpointView, read: 'role:admin or (role:reader and system_scope:all)',
}

/** Columns, and the region's name where the older form was used. */
function given(endpoint: Record<string, unknown>): [Partial<EndpointRow>, string | null] {
  const { region, ...rest } = endpoint
  return [split(rest, spec.columns) as Partial<EndpointRow>, typeof region === 'string' && endpoint.region_id == null ? region : null]
}

export const endpointRoutes: Route[] = [
  route({ method: 'POST', path: '/v3/endpoints', policy: 'identity:create_endpoint', body: createBody, status: 201, handle: async (ctx) => ({ endpoint: endpointView(await realmOf(ctx).endpoints.make(...given(ctx.body.endpoint)), rootUrl(ctx)) }) }),
  route({ method: 'PATCH', path: '/v3/endpoints/:id', policy: 'identity:update_endpoint', body: updateBody, 
    handle: async (ctx) => {
      sameId(ctx.body.endpoint, param(ctx, 'id'))
      return { endpoint: endpointView(await realmOf(ctx).endpoints.change(param(ctx, 'id'), ...given(ctx.body.endpoint)), rootUrl(ctx)) }
    },
  }),
  ...crudRoutes(spec).filter(({ method }) => method === 'GET' || method === 'DELETE'),
]
export const endpointPolicies = crudPolicies(spec)
