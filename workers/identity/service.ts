/** Keystone: identity, version 3. */
import type { Service } from '../http/service.ts'
import { applicationCredentialPolicies, applicationCredentialRoutes } from './application-credentials/routes.ts'
import { assignmentPolicies } from './assignments/policy.ts'
import { assignmentRoutes } from './assignments/routes.ts'
import { consumerPolicies, consumerRoutes } from './consumers/routes.ts'
import { credentialPolicies, credentialRoutes } from './credentials/routes.ts'
import { discoveryRoutes } from './discovery/routes.ts'
import { domainConfigPolicies, domainConfigRoutes } from './domain-config/routes.ts'
import { domainRoutes } from './domains/routes.ts'
import { ec2Policies, ec2Routes } from './ec2/routes.ts'
import { endpointFilterPolicies, endpointFilterRoutes } from './endpoint-filter/routes.ts'
import { endpointPolicyPolicies, endpointPolicyRoutes } from './endpoint-policy/routes.ts'
import { endpointPolicies, endpointRoutes } from './endpoints/routes.ts'
import { federationPolicies } from './federation/policy.ts'
import { federationRoutes } from './federation/routes.ts'
import { groupRoutes } from './groups/routes.ts'
import { importPolicies, importRoutes } from './import/routes.ts'
import { limitPolicies, limitRoutes } from './limits/routes.ts'
import { oauth1Policies, oauth1Routes } from './oauth1/routes.ts'
import { oauth2Routes } from './oauth2/routes.ts'
import { policyPolicies, policyRoutes } from './policies/routes.ts'
import { domainPolicies, projectPolicies } from './projects/policy.ts'
import { projectRoutes } from './projects/routes.ts'
import { regionPolicies, regionRoutes } from './regions/routes.ts'
import { revocationPolicies, revocationRoutes } from './revocations/routes.ts'
import { rolePolicies, roleRoutes } from './roles/routes.ts'
import { servicePolicies, serviceRoutes } from './services/routes.ts'
import { tokenPolicies } from './tokens/policy.ts'
import { tokenRoutes } from './tokens/routes.ts'
import { trustPolicies, trustRoutes } from './trusts/routes.ts'
import { groupPolicies, userPolicies } from './users/policy.ts'
import { userRoutes } from './users/routes.ts'
import { wording } from './kernel/wording.ts'

export const identity: Service = {
  name: 'keystone', type: 'identity', prefix: '/identity', endpoint: '/identity/v3', dialect: 'keystone', wording,
  routes: [
    ...discoveryRoutes, ...tokenRoutes, ...domainRoutes, ...projectRoutes, ...userRoutes, ...groupRoutes, ...roleRoutes, ...assignmentRoutes, ...regionRoutes, ...serviceRoutes, ...endpointRoutes,
    ...policyRoutes, ...endpointPolicyRoutes, ...revocationRoutes, ...oauth2Routes, ...consumerRoutes, ...oauth1Routes, ...endpointFilterRoutes, ...credentialRoutes, ...ec2Routes, ...importRoutes, ...applicationCredentialRoutes, ...trustRoutes, ...domainConfigRoutes, ...limitRoutes, ...federationRoutes,
  ],
  policies: [
    ...tokenPolicies, ...domainPolicies, ...projectPolicies, ...userPolicies, ...groupPolicies, ...rolePolicies, ...assignmentPolicies, ...regionPolicies, ...servicePolicies, ...endpointPolicies,
    ...policyPolicies, ...endpointPolicyPolicies, ...revocationPolicies, ...consumerPolicies, ...oauth1Policies, ...endpointFilterPolicies, ...credentialPolicies, ...ec2Policies, ...importPolicies, ...applicationCredentialPolicies, ...trustPolicies, ...domainConfigPolicies, ...limitPolicies, ...federationPolicies,
  ],
}
