/** Neutron, network API v2.0: routes and policies of its resources. */
import type { Service } from '../http/service.ts'
import { addressScopePolicies, addressScopeRoutes } from './address-scopes/routes.ts'
import { agentPolicies, agentRoutes } from './agents/routes.ts'
import { availabilityPolicies, availabilityRoutes } from './availability/routes.ts'
import { extensionPolicies, extensionRoutes } from './extensions/routes.ts'
import { floatingIpPolicies, floatingIpRoutes } from './floating-ips/routes.ts'
import { networkPolicies, networkRoutes } from './networks/routes.ts'
import { portPolicies, portRoutes } from './ports/routes.ts'
import { quotaPolicies, quotaRoutes } from './quotas/routes.ts'
import { rbacPolicyRules, rbacRoutes } from './rbac/routes.ts'
import { routerPolicies, routerRoutes } from './routers/routes.ts'
import { securityGroupPolicies, securityGroupRoutes } from './security-groups/routes.ts'
import { subnetPoolPolicies, subnetPoolRoutes } from './subnet-pools/routes.ts'
import { subnetPolicies, subnetRoutes } from './subnets/routes.ts'
import { tagPolicies, tagRoutes } from './tags/routes.ts'

export const network: Service = {
  name: 'neutron', type: 'network', prefix: '/network', endpoint: '/network', dialect: 'neutron',
  routes: [
    ...networkRoutes, ...subnetRoutes, ...subnetPoolRoutes, ...addressScopeRoutes, ...portRoutes, ...routerRoutes, ...floatingIpRoutes, ...securityGroupRoutes, ...rbacRoutes, ...quotaRoutes, ...agentRoutes,
    ...availabilityRoutes, ...tagRoutes, ...extensionRoutes,
  ],
  policies: [
    ...networkPolicies, ...subnetPolicies, ...subnetPoolPolicies, ...addressScopePolicies, ...portPolicies, ...routerPolicies, ...floatingIpPolicies, ...securityGroupPolicies, ...rbacPolicyRules, ...quotaPolicies, ...agentPolicies,
    ...availabilityPolicies, ...tagPolicies, ...extensionPolicies,
  ],
}
