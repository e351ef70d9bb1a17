/** Rules of projects, their tags, and domains. Upstream's personas: admin; system reader; the manager and reader of a domain. */
import type { PolicyRule } from '../../http/policy.ts'

const SYSTEM_READER = '(role:reader and system_scope:all)'
const DOMAIN_READER = '(role:reader and domain_id:%(target.project.domain_id)s)'
const DOMAIN_MANAGER = '(role:manager and domain_id:%(target.project.domain_id)s)'
const READ = `role:admin or ${SYSTEM_READER} or ${DOMAIN_READER} or project_id:%(target.project.id)s`

export const projectPolicies: PolicyRule[] = [
  { name: 'identity:get_project', check: READ, operations: ['GET /v3/projects/{id}'] },
  { name: 'identity:list_projects', check: `role:admin or ${SYSTEM_READER} or (role:reader and domain_id:%(target.domain_id)s)`, operations: ['GET /v3/projects'] },
  { name: 'identity:list_user_projects', check: `role:admin or ${SYSTEM_READER} or (role:reader and domain_id:%(target.user.domain_id)s) or user_id:%(target.user.id)s`, operations: ['GET /v3/users/{id}/projects'] },
  { name: 'identity:create_project', check: `role:admin or ${DOMAIN_MANAGER}`, operations: ['POST /v3/projects'] },
  { name: 'identity:update_project', check: `role:admin or ${DOMAIN_MANAGER}`, operations: ['PATCH /v3/projects/{id}'] },
  { name: 'identity:delete_project', check: `role:admin or ${DOMAIN_MANAGER}`, operations: ['DELETE /v3/projects/{id}'] },
  { name: 'identity:list_project_tags', check: READ, operations: ['GET /v3/projects/{id}/tags'] },
  { name: 'identity:get_project_tag', check: READ, operations: ['GET /v3/projects/{id}/tags/{tag}'] },
  ...['create_project_tag', 'update_project_tags', 'delete_project_tag', 'delete_project_tags'].map((name) => ({ name: `identity:${name}`, check: `role:admin or ${DOMAIN_MANAGER} or (role:manager and project_id:%(target.project.id)s)` })),
]

export const domainPolicies: PolicyRule[] = [
  { name: 'identity:get_domain', check: `role:admin or ${SYSTEM_READER} or domain_id:%(target.domain.id)s or project_domain_id:%(target.domain.id)s`, operations: ['GET /v3/domains/{id}'] },
  { name: 'identity:list_domains', check: `role:admin or ${SYSTEM_READER} or (role:reader and domain_id:%(target.domain.id)s)`, operations: ['GET /v3/domains'] },
  ...['create_domain', 'update_domain', 'delete_domain'].map((name) => ({ name: `identity:${name}`, check: 'role:admin' })),
]
