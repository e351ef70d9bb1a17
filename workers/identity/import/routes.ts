/** POST /skyhook/import: what `skyhook import keystone` sends. Ours, not Keystone's; for administrators alone. */
import type { PolicyRule } from '../../http/policy.ts'
import { type Route, route } from '../../http/route.ts'
import { realmOf } from '../kernel/http.ts'
import { importRequest } from './requests.ts'

export const importRoutes: Route[] = [
  route({ method: 'POST', path: '/skyhook/import', policy: 'identity:import', body: importRequest, status: 200, handle: async (ctx) => ({ results: await realmOf(ctx).imports.run(ctx.body) }) }),
]

export const importPolicies: PolicyRule[] = [{ name: 'identity:import', check: 'role:admin', operations: ['POST /skyhook/import'] }]
