/** OS-ENDPOINT-POLICY: policies associated with endpoints, services, and services in regions. */
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { type Route, reply, route } from '../../http/route.ts'
import { endpointView } from '../endpoints/routes.ts'
import { listView, param, realmOf, rootUrl } from '../kernel/http.ts'
import { policyView } from '../policies/routes.ts'
import type { Place } from './store.ts'

const BASE = '/v3/policies/:policy_id/OS-ENDPOINT-POLICY'
const part = (ctx: Context, name: string) => (ctx.params[name] === undefined ? '' : param(ctx, name))
const placeOf = (ctx: Context): Place => ({ endpoint_id: part(ctx, 'endpoint_id'), service_id: part(ctx, 'service_id'), region_id: part(ctx, 'region_id') })

/** PUT, GET (and HEAD) and DELETE of one kind of place. */
function association(path: string, kind: string): Route[] {
  const rule = (verb: string) => `identity:${verb}_policy_association_for_${kind}`
  return [
    route({ method: 'PUT', path, policy: rule('create'), handle: async (ctx) => await realmOf(ctx).endpointPolicies.put(param(ctx, 'policy_id'), placeOf(ctx)) }),
    route({
      method: 'GET', path, policy: rule('check'),
      handle: async (ctx) => {
        await realmOf(ctx).endpointPolicies.check(param(ctx, 'policy_id'), placeOf(ctx))
        return reply({ status: 204 })
      },
    }),
    route({ method: 'DELETE', path, policy: rule('delete'), handle: async (ctx) => await realmOf(ctx).endpointPolicies.remove(param(ctx, 'policy_id'), placeOf(ctx)) }),
  ]
}

export const endpointPolicyRoutes: Route[] = [
  ...association(`${BASE}/endpoints/:endpoint_id`, 'endpoint'),
  ...association(`${BASE}/services/:service_id`, 'service'),
  ...association(`${BASE}/services/:service_id/regions/:region_id`, 'region_and_service'),
  route({
    method: 'GET', path: `${BASE}/endpoints`, policy: 'identity:list_endpoints_for_policy',
    handle: async (ctx) => listView(ctx, 'endpoints', (await realmOf(ctx).endpointPolicies.endpointsOf(param(ctx, 'policy_id'))).map((row) => endpointView(row, rootUrl(ctx)))),
  }),
  route({
    method: 'GET', path: '/v3/endpoints/:endpoint_id/OS-ENDPOINT-POLICY/policy', policy: 'identity:get_policy_for_endpoint',
    handle: async (ctx) => ({ policy: policyView(await realmOf(ctx).endpointPolicies.policyOf(param(ctx, 'endpoint_id')), rootUrl(ctx)) }),
  }),
]

const READ = 'role:admin or (role:reader and system_scope:all)'
export const endpointPolicyPolicies: PolicyRule[] = ['endpoint', 'service', 'region_and_service'].flatMap((kind) => [
  { name: `identity:create_policy_association_for_${kind}`, check: 'role:admin' },
  { name: `identity:check_policy_association_for_${kind}`, check: READ },
  { name: `identity:delete_policy_association_for_${kind}`, check: 'role:admin' },
]).concat([{ name: 'identity:list_endpoints_for_policy', check: READ }, { name: 'identity:get_policy_for_endpoint', check: READ }])
