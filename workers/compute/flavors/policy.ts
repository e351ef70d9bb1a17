/** Policy of flavors (nova/policies/flavor_*.py). */
import type { PolicyRule } from '../../http/policy.ts'

export const flavorPolicies: PolicyRule[] = [
  { name: 'os_compute_api:flavors', check: '@', operations: ['GET /flavors', 'GET /flavors/detail', 'GET /flavors/{id}'] },
  { name: 'os_compute_api:os-flavor-manage:create', check: 'rule:admin', operations: ['POST /flavors'] },
  { name: 'os_compute_api:os-flavor-manage:update', check: 'rule:admin', operations: ['PUT /flavors/{id}'] },
  { name: 'os_compute_api:os-flavor-manage:delete', check: 'rule:admin', operations: ['DELETE /flavors/{id}'] },
  { name: 'os_compute_api:os-flavor-access', check: 'rule:admin', operations: ['GET /flavors/{id}/os-flavor-access'] },
  { name: 'os_compute_api:os-flavor-access:add_tenant_access', check: 'rule:admin', operations: ['POST /flavors/{id}/action (addTenantAccess)'] },
  { name: 'os_compute_api:os-flavor-access:remove_tenant_access', check: 'rule:admin', operations: ['POST /flavors/{id}/action (removeTenantAccess)'] },
  { name: 'os_compute_api:os-flavor-extra-specs:index', check: 'rule:project_reader_or_admin', operations: ['GET /flavors/{id}/os-extra_specs'] },
  { name: 'os_compute_api:os-flavor-extra-specs:show', check: 'rule:project_reader_or_admin', operations: ['GET /flavors/{id}/os-extra_specs/{key}'] },
  { name: 'os_compute_api:os-flavor-extra-specs:create', check: 'rule:admin', operations: ['POST /flavors/{id}/os-extra_specs'] },
  { name: 'os_compute_api:os-flavor-extra-specs:update', check: 'rule:admin', operations: ['PUT /flavors/{id}/os-extra_specs/{key}'] },
  { name: 'os_compute_api:os-flavor-extra-specs:delete', check: 'rule:admin', operations: ['DELETE /flavors/{id}/os-extra_specs/{key}'] },
]
