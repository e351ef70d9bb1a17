/** Policy of key pairs (nova/policies/keypairs.py): one's own, or an admin's business. */
import type { PolicyRule } from '../../http/policy.ts'

const OWN = 'role:admin or user_id:%(user_id)s'
export const keypairPolicies: PolicyRule[] = [
  { name: 'os_compute_api:os-keypairs:index', check: OWN, operations: ['GET /os-keypairs'] },
  { name: 'os_compute_api:os-keypairs:create', check: OWN, operations: ['POST /os-keypairs'] },
  { name: 'os_compute_api:os-keypairs:delete', check: OWN, operations: ['DELETE /os-keypairs/{name}'] },
  { name: 'os_compute_api:os-keypairs:show', check: OWN, operations: ['GET /os-keypairs/{name}'] },
]
