/** The roles that the caller may hand on: those it holds now on its token's project, and with a delegated token no more than that delegates. Runs in the Identity object. */
import type { Caller } from '../../../schema/values/caller.ts'
import { type RoleRow, assignedRoleIds, projectById, tokenRoles } from '../assignments/effective.ts'
import type { Realm } from '../kernel/realm.ts'

export function callersRoles({ db }: Realm, caller: Caller): RoleRow[] {
  const project = caller.project_id === null ? undefined : projectById(db, caller.project_id)
  if (project === undefined) return []
  const held = tokenRoles(db, assignedRoleIds(db, caller.user_id, { type: 'project', id: project.id }, project))
  return caller.app_cred_id || caller.trust_id ? held.filter((role) => caller.roles.includes(role.name)) : held
}
