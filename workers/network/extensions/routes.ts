/** Versions, extensions, and the small fixed lists that clients ask for. */
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { reply, route } from '../../http/route.ts'
import { notFound } from '../faults.ts'
import { EXTENSIONS } from './list.ts'

export const extensionPolicies: PolicyRule[] = [
  { name: 'get_service_provider', check: 'rule:project_reader_or_admin' },
  { name: 'get_flavor', check: 'rule:project_reader_or_admin' },
]

const EXTENSIONS_UPDATED = '2026-01-01T00:00:00-00:00'
const view = (alias: string) => ({ alias, name: EXTENSIONS[alias]?.[0] ?? alias, description: EXTENSIONS[alias]?.[1] ?? '', updated: EXTENSIONS_UPDATED, links: [] })

const base = (ctx: Context) => `${ctx.origin}/network`
const version = (ctx: Context) => ({ id: 'v2.0', status: 'CURRENT', links: [{ rel: 'self', href: `${base(ctx)}/v2.0/` }] })

/** Collections named by the root of the API. */
const RESOURCES = ['networks', 'subnets', 'subnetpools', 'ports', 'routers', 'floatingips', 'security-groups', 'security-group-rules', 'address-scopes', 'rbac-policies', 'quotas', 'agents', 'availability_zones', 'extensions', 'network-ip-availabilities', 'service-providers']

const versions = (path: string) => route({ method: 'GET', path, policy: 'public', handle: (ctx) => ({ versions: [version(ctx)] }) })
const root = (path: string) =>
  route({ method: 'GET', path, policy: 'public', handle: (ctx) => ({ resources: RESOURCES.map((collection) => ({ name: collection.replace(/s$/, ''), collection, links: [{ rel: 'self', href: `${base(ctx)}/v2.0/${collection}` }] })) }) })

export const extensionRoutes = [
  versions('/'),
  root('/v2.0'),
  root('/v2.0/'),
  route({ method: 'GET', path: '/v2.0/extensions', policy: 'token', handle: () => ({ extensions: Object.keys(EXTENSIONS).sort().map(view) }) }),
  route({
    method: 'GET', path: '/v2.0/extensions/:alias', policy: 'token',
    handle: (ctx) => {
      const alias = decodeURIComponent(ctx.params.alias ?? '')
      if (!Object.hasOwn(EXTENSIONS, alias)) throw notFound('extension', alias)
      return { extension: view(alias) }
    },
  }),
  route({ method: 'GET', path: '/v2.0/service-providers', policy: 'get_service_provider', handle: () => ({ service_providers: [{ service_type: 'L3_ROUTER_NAT', name: 'single_node', default: true }] }) }),
  route({ method: 'GET', path: '/v2.0/flavors', policy: 'get_flavor', handle: () => reply({ body: { flavors: [] } }) }),
]
