/** Keystone: identity, version 3. */
import type { Service } from '../http/service.ts'
import { discoveryRoutes } from './discovery/routes.ts'
import { tokenPolicies } from './tokens/policy.ts'
import { tokenRoutes } from './tokens/routes.ts'

export const identity: Service = {
  name: 'keystone', type: 'identity', prefix: '/identity', endpoint: '/identity/v3', dialect: 'keystone',
  routes: [...discoveryRoutes, ...tokenRoutes],
  policies: [...tokenPolicies],
}
