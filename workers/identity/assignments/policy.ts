/** Rules of role assignments. The manager of a domain may hand out manager, member and reader in it; nobody but an admin hands out admin. */
import type { PolicyRule } from '../../http/policy.ts'

const SYSTEM_READER = '(role:reader and system_scope:all)'
const actors = '(domain_id:%(target.user.domain_id)s or domain_id:%(target.group.domain_id)s)'
const targets = '(domain_id:%(target.project.domain_id)s or domain_id:%(target.domain.id)s)'
const within = `(${actors} and ${targets})`
const read = `role:admin or ${SYSTEM_READER} or (role:reader and ${within})`
const grantable = "('manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s)"
const write = `role:admin or (role:manager and ${within} and ${grantable})`

export const assignmentPolicies: PolicyRule[] = [
  { name: 'identity:check_grant', check: read, operations: ['HEAD /v3/projects/{id}/users/{id}/roles/{id}', 'and its siblings'] },
  { name: 'identity:list_grants', check: read, operations: ['GET /v3/projects/{id}/users/{id}/roles', 'and its siblings'] },
  { name: 'identity:create_grant', check: write, operations: ['PUT /v3/projects/{id}/users/{id}/roles/{id}', 'and its siblings'] },
  { name: 'identity:revoke_grant', check: write, operations: ['DELETE /v3/projects/{id}/users/{id}/roles/{id}', 'and its siblings'] },
  ...['user', 'group'].flatMap((actor) => [
    { name: `identity:list_system_grants_for_${actor}`, check: `role:admin or ${SYSTEM_READER}` },
    { name: `identity:check_system_grant_for_${actor}`, check: `role:admin or ${SYSTEM_READER}` },
    { name: `identity:create_system_grant_for_${actor}`, check: 'role:admin' },
    { name: `identity:revoke_system_grant_for_${actor}`, check: 'role:admin' },
  ]),
  { name: 'identity:list_role_assignments', check: `role:admin or ${SYSTEM_READER} or (role:reader and domain_id:%(target.domain_id)s)`, operations: ['GET /v3/role_assignments'] },
  { name: 'identity:list_role_assignments_for_tree', check: `role:admin or ${SYSTEM_READER} or (role:reader and domain_id:%(target.domain_id)s) or (role:admin and project_id:%(target.project.id)s)`, operations: ['GET /v3/role_assignments?include_subtree'] },
]
