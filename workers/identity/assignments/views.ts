/** Assignments -> JSON (keystone/api/role_assignments.py). */
import type { AssignmentLine, AssignmentNames } from './store.ts'

interface Scope {
  project?: unknown
  domain?: unknown
  system?: { all: true }
  'OS-INHERIT:inherited_to'?: 'projects'
}

function pathOf({ row, via }: AssignmentLine): string {
  const [kind, id] = via?.inherited_from === undefined ? [row.target_type, row.target_id] : [via.inherited_from.type, via.inherited_from.id]
  const actor = via?.group_id === undefined ? `${row.actor_type}s/${row.actor_id}` : `groups/${via.group_id}`
  const role = via?.prior_role_id ?? row.role_id
  if (kind === 'system') return `/system/${actor}/roles/${role}`
  return row.inherited ? `/OS-INHERIT/${kind}s/${id}/${actor}/roles/${role}/inherited_to_projects` : `/${kind}s/${id}/${actor}/roles/${role}`
}

export function assignmentView(line: AssignmentLine, names: AssignmentNames | null, root: string): Record<string, unknown> {
  const { row, via } = line
  const domain = (id: string) => ({ id, name: names?.projects[id]?.name })
  const named = (id: string, table: Record<string, { name: string; domain_id: string }> | undefined) => {
    const found = table?.[id]
    return found === undefined ? { id } : { id, name: found.name, domain: domain(found.domain_id) }
  }
  const scope: Scope = {}
  if (row.target_type === 'system') scope.system = { all: true }
  else if (row.target_type === 'project') scope.project = named(row.target_id, names?.projects)
  else scope.domain = names === null ? { id: row.target_id } : domain(row.target_id)
  if (row.inherited && via === null) scope['OS-INHERIT:inherited_to'] = 'projects'
  else if (via?.inherited_from !== undefined) scope['OS-INHERIT:inherited_to'] = 'projects'
  const role = names?.roles[row.role_id]
  const links: Record<string, string> = { assignment: `${root}${pathOf(line)}` }
  if (via?.group_id !== undefined) links.membership = `${root}/groups/${via.group_id}/users/${row.actor_id}`
  if (via?.prior_role_id !== undefined) links.prior_role = `${root}/prior_role/${via.prior_role_id}/implies/${row.role_id}`
  return {
    role: role === undefined ? { id: row.role_id } : { id: row.role_id, name: role.name, ...(role.domain_id === null ? {} : { domain: domain(role.domain_id) }) },
    [row.actor_type]: named(row.actor_id, row.actor_type === 'user' ? names?.users : names?.groups), scope, links,
  }
}
