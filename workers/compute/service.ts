/** Nova: compute v2.1 with microversions 2.1 to 2.96. */
import type { Service } from '../http/service.ts'
import { actionLogRoutes } from './actions-log/routes.ts'
import { aggregatePolicies, aggregateRoutes } from './aggregates/routes.ts'
import { attachmentRoutes } from './attachments/routes.ts'
import { consoleRoutes } from './consoles/routes.ts'
import { flavorPolicies } from './flavors/policy.ts'
import { flavorRoutes } from './flavors/routes.ts'
import { hostPolicies } from './hosts/policy.ts'
import { hostRoutes, hypervisorRoutes, serviceRoutes } from './hosts/routes.ts'
import { interfaceRoutes } from './interfaces/routes.ts'
import { keypairPolicies } from './keypairs/policy.ts'
import { keypairRoutes } from './keypairs/routes.ts'
import { imageProxyPolicies, imageProxyRoutes } from './proxies/images.ts'
import { networkProxyPolicies, networkProxyRoutes } from './proxies/networks.ts'
import { securityGroupProxyPolicies, securityGroupProxyRoutes } from './proxies/security-groups.ts'
import { volumeProxyPolicies, volumeProxyRoutes } from './proxies/volumes.ts'
import { quotaPolicies, quotaRoutes } from './quotas/routes.ts'
import { serverGroupRoutes } from './server-groups/routes.ts'
import { serverDetailRoutes } from './servers/details.ts'
import { serverPolicies } from './servers/policy.ts'
import { serverRoutes } from './servers/routes.ts'
import { auditRoutes } from './usage/audit.ts'
import { usagePolicies, usageRoutes } from './usage/routes.ts'
import { eventPolicies, eventRoutes } from './external-events/routes.ts'
import { VERSION_MAX, VERSION_MIN, versionPolicies, versionRoutes } from './versions/routes.ts'

export const compute: Service = {
  name: 'nova', type: 'compute', prefix: '/compute', endpoint: '/compute/v2.1', dialect: 'nova', microversions: { header: 'compute', legacyHeader: 'X-OpenStack-Nova-API-Version', min: VERSION_MIN, max: VERSION_MAX },
  // /v2 is the API before microversions; both took the project's id after the version once, and old clients still send it.
  // A slash at the end is an empty name: upstream finds nothing there.
  rewrite: (path) => path.replace(/^\/v2(?=\/.)/, '/v2.1').replace(/^\/v2\.1\/[0-9a-f]{32}(?=\/)/, '/v2.1').replace(/^(\/v2\.1\/.+)\/$/, '/v2.1/-'),
  routes: [
    ...versionRoutes, ...serverRoutes, ...serverDetailRoutes, ...attachmentRoutes, ...interfaceRoutes, ...actionLogRoutes, ...consoleRoutes, ...serverGroupRoutes, ...flavorRoutes, ...keypairRoutes, ...aggregateRoutes, ...serviceRoutes,
    ...hypervisorRoutes, ...hostRoutes, ...quotaRoutes, ...usageRoutes, ...auditRoutes, ...eventRoutes, ...imageProxyRoutes, ...networkProxyRoutes, ...securityGroupProxyRoutes, ...volumeProxyRoutes,
  ],
  policies: [...serverPolicies, ...flavorPolicies, ...keypairPolicies, ...aggregatePolicies, ...hostPolicies, ...quotaPolicies, ...usagePolicies, ...eventPolicies, ...versionPolicies, ...imageProxyPolicies, ...networkProxyPolicies, ...securityGroupProxyPolicies, ...volumeProxyPolicies],
}
