/** The roles that the caller may hand on: those of its token that it still holds. Runs in the Identity object. */
import type { Caller } from '../../../schema/values/caller.ts'
import { type RoleRow, assignedRoleIds, projectById, tokenRoles } from '../assignments/effective.ts'
import type { Realm } from '../kernel/realm.ts'

export function callersRoles({ db }: Realm, caller: Caller): RoleRow[] {
  const project = caller.project_id === null ? undefined : projectById(db, caller.project_id)
  if (project === undefined) return []
  return tokenRoles(db, assignedRoleIds(db, caller.user_id, { type: 'project', id: project.id }, project)).filter((role) => caller.roles.includes(role.name))
}
