/** /v3/OS-EP-FILTER. */
import * as v from 'valibot'
import type { PolicyRule } from '../../http/policy.ts'
import { type Route, reply, route } from '../../http/route.ts'
import { endpointView } from '../endpoints/routes.ts'
import { type CrudSpec, crudPolicies, crudRoutes } from '../kernel/crud.ts'
import { listView, param, realmOf, rootUrl } from '../kernel/http.ts'
import { selfLink } from '../kernel/links.ts'
import { changed, name255, text, wrapped } from '../kernel/words.ts'
import { projectView } from '../projects/views.ts'
import type { EndpointGroupRow } from './store.ts'

const BASE = '/v3/OS-EP-FILTER'
const READ = 'role:admin or (role:reader and system_scope:all)'
const filters = v.pipe(v.strictObject({ interface: v.optional(v.picklist(['public', 'internal', 'admin'], "is not one of ['admin', 'internal', 'public']")), service_id: v.optional(v.string()), region_id: v.optional(v.string()) }), v.check((by) => Object.keys(by).length > 0, 'filters field is required and cannot be empty'))
const groupView = ({ id, name, description, filters: by }: EndpointGroupRow, root: string) => ({ id, name, description, filters: by, links: selfLink(root, `/OS-EP-FILTER/endpoint_groups/${id}`) })

const spec: CrudSpec<EndpointGroupRow> = {
  one: 'endpoint_group', many: 'endpoint_groups', path: `${BASE}/endpoint_groups`, store: (session) => session.endpointGroups,
  create: wrapped('endpoint_group', { name: name255, description: text, filters }), update: changed('endpoint_group', { name: v.optional(name255), description: text, filters: v.optional(filters) }),
  filters: { name: 'text' }, columns: ['name', 'description', 'filters'], view: groupView, read: READ,
}

/** PUT, GET, HEAD and DELETE of one association. */
function association(path: string, kind: 'endpoint' | 'group', names: { add: string; check: string; remove: string }): Route[] {
  const ids = (ctx: Parameters<Route['handle']>[0]) => [param(ctx, 'project_id'), kind, param(ctx, 'id')] as const
  return [
    route({ method: 'PUT', path, policy: names.add, handle: async (ctx) => await realmOf(ctx).endpointGroups.associate(...ids(ctx)) }),
    route({
      method: 'GET', path, policy: names.check,
      handle: async (ctx) => {
        await realmOf(ctx).endpointGroups.check(...ids(ctx))
        if (kind === 'endpoint') return reply({ status: 204 })
        const [project_id, endpoint_group_id] = [param(ctx, 'project_id'), param(ctx, 'id')]
        return { project_endpoint_group: { endpoint_group_id, project_id, links: selfLink(rootUrl(ctx), `/OS-EP-FILTER/endpoint_groups/${endpoint_group_id}/projects/${project_id}`) } }
      },
    }),
    route({ method: 'DELETE', path, policy: names.remove, handle: async (ctx) => await realmOf(ctx).endpointGroups.dissociate(...ids(ctx)) }),
  ]
}

export const endpointFilterRoutes: Route[] = [
  ...crudRoutes(spec),
  ...association(`${BASE}/projects/:project_id/endpoints/:id`, 'endpoint', { add: 'identity:add_endpoint_to_project', check: 'identity:check_endpoint_in_project', remove: 'identity:remove_endpoint_from_project' }),
  ...association(`${BASE}/endpoint_groups/:id/projects/:project_id`, 'group', { add: 'identity:add_endpoint_group_to_project', check: 'identity:get_endpoint_group_in_project', remove: 'identity:remove_endpoint_group_from_project' }),
  route({ method: 'GET', path: `${BASE}/projects/:project_id/endpoints`, policy: 'identity:list_endpoints_for_project', handle: async (ctx) => listView(ctx, 'endpoints', (await realmOf(ctx).endpointGroups.endpointsOfProject(param(ctx, 'project_id'))).map((row) => endpointView(row, rootUrl(ctx)))) }),
  route({ method: 'GET', path: `${BASE}/endpoints/:id/projects`, policy: 'identity:list_projects_for_endpoint', handle: async (ctx) => listView(ctx, 'projects', (await realmOf(ctx).endpointGroups.projectsOf('endpoint', param(ctx, 'id'))).map((row) => projectView(row, rootUrl(ctx)))) }),
  route({ method: 'GET', path: `${BASE}/endpoint_groups/:id/projects`, policy: 'identity:list_projects_associated_with_endpoint_group', handle: async (ctx) => listView(ctx, 'projects', (await realmOf(ctx).endpointGroups.projectsOf('group', param(ctx, 'id'))).map((row) => projectView(row, rootUrl(ctx)))) }),
  route({ method: 'GET', path: `${BASE}/endpoint_groups/:id/endpoints`, policy: 'identity:list_endpoints_associated_with_endpoint_group', handle: async (ctx) => listView(ctx, 'endpoints', (await realmOf(ctx).endpointGroups.endpointsOfGroup(param(ctx, 'id'))).map((row) => endpointView(row, rootUrl(ctx)))) }),
  route({ method: 'GET', path: `${BASE}/projects/:project_id/endpoint_groups`, policy: 'identity:list_endpoint_groups_for_project', handle: async (ctx) => listView(ctx, 'endpoint_groups', (await realmOf(ctx).endpointGroups.groupsOfProject(param(ctx, 'project_id'))).map((row) => groupView(row, rootUrl(ctx)))) }),
]

const reads = ['check_endpoint_in_project', 'get_endpoint_group_in_project', 'list_endpoints_for_project', 'list_projects_for_endpoint', 'list_projects_associated_with_endpoint_group', 'list_endpoints_associated_with_endpoint_group', 'list_endpoint_groups_for_project']
const writes = ['add_endpoint_to_project', 'remove_endpoint_from_project', 'add_endpoint_group_to_project', 'remove_endpoint_group_from_project']
export const endpointFilterPolicies: PolicyRule[] = [...crudPolicies(spec), ...reads.map((name) => ({ name: `identity:${name}`, check: READ })), ...writes.map((name) => ({ name: `identity:${name}`, check: 'role:admin' }))]
