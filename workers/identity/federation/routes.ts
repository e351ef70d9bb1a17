/** All routes of federation. */
import type { Route } from '../../http/route.ts'
import { identityProviderRoutes } from './identity-providers/routes.ts'
import { federatedLoginRoutes } from './login/routes.ts'
import { mappingRoutes } from './mappings/routes.ts'
import { protocolRoutes } from './protocols/routes.ts'
import { serviceProviderRoutes } from './service-providers/routes.ts'

export const federationRoutes: Route[] = [...identityProviderRoutes, ...protocolRoutes, ...mappingRoutes, ...serviceProviderRoutes, ...federatedLoginRoutes]
