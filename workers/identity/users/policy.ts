/** Rules of users and groups. Upstream's personas: admin; system reader; the manager and reader of a domain; the user itself. */
import type { PolicyRule } from '../../http/policy.ts'

const SYSTEM_READER = '(role:reader and system_scope:all)'
const reader = (kind: string) => `role:admin or ${SYSTEM_READER} or (role:reader and domain_id:%(target.${kind}.domain_id)s)`
const manager = (kind: string) => `role:admin or (role:manager and domain_id:%(target.${kind}.domain_id)s)`
const inGroup = '(role:manager and domain_id:%(target.group.domain_id)s and domain_id:%(target.user.domain_id)s)'

export const userPolicies: PolicyRule[] = [
  { name: 'identity:get_user', check: `${reader('user')} or user_id:%(target.user.id)s`, operations: ['GET /v3/users/{id}'] },
  { name: 'identity:list_users', check: `role:admin or ${SYSTEM_READER} or (role:reader and domain_id:%(target.domain_id)s)`, operations: ['GET /v3/users'] },
  { name: 'identity:create_user', check: manager('user'), operations: ['POST /v3/users'] },
  { name: 'identity:update_user', check: manager('user'), operations: ['PATCH /v3/users/{id}'] },
  { name: 'identity:delete_user', check: manager('user'), operations: ['DELETE /v3/users/{id}'] },
  { name: 'identity:list_groups_for_user', check: `${reader('user')} or user_id:%(target.user.id)s`, operations: ['GET /v3/users/{id}/groups'] },
]

export const groupPolicies: PolicyRule[] = [
  { name: 'identity:get_group', check: reader('group'), operations: ['GET /v3/groups/{id}'] },
  { name: 'identity:list_groups', check: `role:admin or ${SYSTEM_READER} or (role:reader and domain_id:%(target.domain_id)s)`, operations: ['GET /v3/groups'] },
  { name: 'identity:create_group', check: manager('group'), operations: ['POST /v3/groups'] },
  { name: 'identity:update_group', check: manager('group'), operations: ['PATCH /v3/groups/{id}'] },
  { name: 'identity:delete_group', check: manager('group'), operations: ['DELETE /v3/groups/{id}'] },
  { name: 'identity:list_users_in_group', check: reader('group'), operations: ['GET /v3/groups/{id}/users'] },
  { name: 'identity:check_user_in_group', check: `role:admin or ${SYSTEM_READER} or (role:reader and domain_id:%(target.group.domain_id)s and domain_id:%(target.user.domain_id)s)`, operations: ['HEAD /v3/groups/{id}/users/{user_id}'] },
  { name: 'identity:add_user_to_group', check: `role:admin or ${inGroup}`, operations: ['PUT /v3/groups/{id}/users/{user_id}'] },
  { name: 'identity:remove_user_from_group', check: `role:admin or ${inGroup}`, operations: ['DELETE /v3/groups/{id}/users/{user_id}'] },
]
