/** Role assignments: grants on projects, domains and the system, and the list of all of them, direct or effective. Runs in the Identity object. */
import { and, eq, inArray } from 'drizzle-orm'
import { assignments, groups, projects, roles, users } from '../../../schema/identity/tables.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { notFound } from '../kernel/realm.ts'
import { Store, inTx } from '../kernel/store.ts'
import { ofAssignment } from '../revocations/concerned.ts'
import { type AssignmentRow, type RoleRow, SYSTEM_TARGET, ancestorsOf, assignmentsOf, byIds, descendantIds, expand, groupIdsOf, impliedMap, memberIdsOf, projectById, projectIdsOfAssignment, rolesByIds } from './effective.ts'

export interface GrantRef {
  actor_type: 'user' | 'group'
  actor_id: string
  target_type: 'project' | 'domain' | 'system'
  target_id: string
  inherited: boolean
}

/** Domains of all that a grant names: what the policy looks at. */
export interface GrantFacts {
  user_domain_id: string | null
  group_domain_id: string | null
  project_domain_id: string | null
  domain_id: string | null
  role_name: string | null
  role_domain_id: string | null
}

export interface AssignmentFilter {
  role_id: string | null
  user_id: string | null
  group_id: string | null
  project_id: string | null
  domain_id: string | null
  system: boolean
  inherited: boolean
  effective: boolean
  include_subtree: boolean
}

/** One line of /role_assignments: where it is effective, it also says where it came from. */
export interface AssignmentLine {
  row: AssignmentRow
  /** The group that gave it, the project or domain it was inherited from, the role that implied it. */
  via: { group_id?: string; inherited_from?: { type: 'project' | 'domain'; id: string }; prior_role_id?: string } | null
}

export interface AssignmentNames {
  roles: Record<string, { name: string; domain_id: string | null }>
  users: Record<string, { name: string; domain_id: string }>
  groups: Record<string, { name: string; domain_id: string }>
  projects: Record<string, { name: string; domain_id: string }>
}

export class Assignments extends Store {
  /** What the policy needs to know of a grant. 404 where any of it is missing. */
  facts(ref: GrantRef, roleId: string | null): GrantFacts {
    const { db } = this.realm
    const actor = ref.actor_type === 'user' ? db.select({ domain_id: users.domain_id }).from(users).where(eq(users.id, ref.actor_id)).get() : db.select({ domain_id: groups.domain_id }).from(groups).where(eq(groups.id, ref.actor_id)).get()
    if (actor === undefined) throw notFound(ref.actor_type, ref.actor_id)
    const target = ref.target_type === 'system' ? null : projectById(db, ref.target_id)
    if (target === undefined || (ref.target_type === 'domain' && target?.is_domain !== true)) throw notFound(ref.target_type, ref.target_id)
    const role = roleId === null ? null : db.select().from(roles).where(eq(roles.id, roleId)).get()
    if (role === undefined) throw notFound('role', roleId ?? '')
    return {
      user_domain_id: ref.actor_type === 'user' ? actor.domain_id : null, group_domain_id: ref.actor_type === 'group' ? actor.domain_id : null,
      project_domain_id: ref.target_type === 'project' && target !== null ? (target.is_domain ? target.id : target.domain_id) : null, domain_id: ref.target_type === 'domain' ? ref.target_id : null,
      role_name: role?.name ?? null, role_domain_id: role?.domain_id || null,
    }
  }

  roles(ref: GrantRef): RoleRow[] {
    this.facts(ref, null)
    return rolesByIds(this.realm.db, this.realm.db.select({ role_id: assignments.role_id }).from(assignments).where(where(ref)).all().map((row) => row.role_id))
  }

  check(ref: GrantRef, roleId: string): RoleRow {
    this.facts(ref, roleId)
    const { db } = this.realm
    const row = db.select().from(assignments).where(and(where(ref), eq(assignments.role_id, roleId))).get()
    if (row === undefined) throw new Fault('not_found', `Could not find role assignment with role: ${roleId}, user or group: ${ref.actor_id}, project, domain, or system: ${ref.target_type === 'system' ? 'system' : ref.target_id}.`)
    return rolesByIds(db, [roleId])[0] as RoleRow
  }

  /** Idempotent. */
  grant(ref: GrantRef, roleId: string): void {
    const facts = this.facts(ref, roleId)
    if (facts.role_domain_id !== null && ref.target_type === 'system') throw new Fault('bad_request', `Role ${roleId} is a domain-specific role. Unable to use a domain-specific role in a system assignment.`)
    if (facts.role_domain_id !== null && (facts.project_domain_id ?? facts.domain_id) !== facts.role_domain_id) throw new Fault('forbidden', ref.target_type === 'project' ? `Project ${ref.target_id} must be in the same domain as the role ${roleId} being assigned.` : `Domain ${ref.target_id} must be the domain of the role ${roleId} being assigned.`)
    inTx(this, (tx) => {
      tx.db.insert(assignments).values({ ...ref, role_id: roleId }).onConflictDoNothing().run()
      tx.change('assignment', ref.actor_id, 'create', null, { ...ref, role_id: roleId })
    })
  }

  async revoke(ref: GrantRef, roleId: string): Promise<void> {
    const { db, revoker } = this.realm
    this.check(ref, roleId)
    const seq = inTx(this, (tx) => {
      const impact = ofAssignment(db, { ...ref, role_id: roleId })
      tx.db.delete(assignments).where(and(where(ref), eq(assignments.role_id, roleId))).run()
      tx.change('assignment', ref.actor_id, 'delete', { ...ref, role_id: roleId }, null)
      return revoker.record(impact.refs, impact.projectIds)
    })
    await revoker.pushed(seq)
  }

  list(filter: AssignmentFilter): AssignmentLine[] {
    return filter.effective ? this.#effective(filter) : this.#direct(filter)
  }

  names(lines: AssignmentLine[]): AssignmentNames {
    const { db } = this.realm
    const ids = (pick: (line: AssignmentLine) => string | null | undefined) => new Set(lines.map(pick).filter((id): id is string => id != null))
    const named = <T extends { id: string }>(rows: T[]) => Object.fromEntries(rows.map((row) => [row.id, row]))
    return {
      roles: Object.fromEntries(rolesByIds(db, ids(({ row }) => row.role_id)).map((role) => [role.id, { name: role.name, domain_id: role.domain_id || null }])),
      users: named(byIds(ids(({ row }) => (row.actor_type === 'user' ? row.actor_id : null)), (chunk) => db.select({ id: users.id, name: users.name, domain_id: users.domain_id }).from(users).where(inArray(users.id, chunk)).all())),
      groups: named(byIds(ids(({ row }) => (row.actor_type === 'group' ? row.actor_id : null)), (chunk) => db.select({ id: groups.id, name: groups.name, domain_id: groups.domain_id }).from(groups).where(inArray(groups.id, chunk)).all())),
      projects: named(this.#withDomains(ids(({ row }) => (row.target_type === 'system' ? null : row.target_id)))),
    }
  }

  #withDomains(ids: Set<string>) {
    const { db } = this.realm
    const read = (wanted: Iterable<string>) => byIds(wanted, (chunk) => db.select({ id: projects.id, name: projects.name, domain_id: projects.domain_id }).from(projects).where(inArray(projects.id, chunk)).all())
    const rows = read(ids)
    const actors = read(db.select({ id: projects.id }).from(projects).where(eq(projects.is_domain, true)).all().map((row) => row.id))
    return [...actors, ...rows]
  }

  #direct(filter: AssignmentFilter): AssignmentLine[] {
    const rows = this.realm.db.select().from(assignments).where(and(
      filter.role_id === null ? undefined : eq(assignments.role_id, filter.role_id),
      filter.user_id === null ? undefined : and(eq(assignments.actor_type, 'user'), eq(assignments.actor_id, filter.user_id)),
      filter.group_id === null ? undefined : and(eq(assignments.actor_type, 'group'), eq(assignments.actor_id, filter.group_id)),
      filter.domain_id === null ? undefined : and(eq(assignments.target_type, 'domain'), eq(assignments.target_id, filter.domain_id)),
      filter.system ? eq(assignments.target_type, 'system') : undefined,
      filter.inherited ? eq(assignments.inherited, true) : undefined,
      filter.project_id === null || filter.include_subtree ? undefined : and(eq(assignments.target_type, 'project'), eq(assignments.target_id, filter.project_id)),
    )).all()
    const wanted = this.#projects(filter)
    return rows.filter((row) => wanted === null || (row.target_type === 'project' && wanted.has(row.target_id))).map((row) => ({ row, via: null }))
  }

  /** Groups become their members, inheritance the projects it reaches, roles all that they imply; roles of a domain drop out, as in tokens. */
  #effective(filter: AssignmentFilter): AssignmentLine[] {
    const { db } = this.realm
    const implied = impliedMap(db)
    const wanted = this.#projects(filter)
    const global = new Set(db.select({ id: roles.id, domain_id: roles.domain_id }).from(roles).all().filter((role) => role.domain_id === '').map((role) => role.id))
    const groupsOfUser = filter.user_id === null ? null : new Set(groupIdsOf(db, filter.user_id))
    const seen = new Set<string>()
    const lines: AssignmentLine[] = []
    for (const row of this.#candidates(filter)) {
      if (filter.user_id !== null && !(row.actor_type === 'user' ? row.actor_id === filter.user_id : groupsOfUser?.has(row.actor_id))) continue
      if (filter.inherited && !row.inherited) continue
      const userIds = row.actor_type === 'user' ? [row.actor_id] : memberIdsOf(db, row.actor_id).filter((id) => filter.user_id === null || id === filter.user_id)
      const targets: Pick<AssignmentRow, 'target_type' | 'target_id'>[] = row.inherited ? projectIdsOfAssignment(db, row).map((id) => ({ target_type: 'project', target_id: id })) : [row]
      for (const target of targets) {
        if (wanted !== null && !(target.target_type === 'project' && wanted.has(target.target_id))) continue
        if (filter.domain_id !== null && !(target.target_type === 'domain' && target.target_id === filter.domain_id)) continue
        if (filter.system && target.target_type !== 'system') continue
        for (const role_id of expand(implied, [row.role_id])) {
          if (!global.has(role_id) || (filter.role_id !== null && role_id !== filter.role_id)) continue
          for (const user of userIds) {
            const line: AssignmentRow = { actor_type: 'user', actor_id: user, target_type: target.target_type, target_id: target.target_id, role_id, inherited: row.inherited }
            const via = {
              ...(row.actor_type === 'group' ? { group_id: row.actor_id } : {}), ...(row.inherited ? { inherited_from: { type: row.target_type as 'project' | 'domain', id: row.target_id } } : {}),
              ...(role_id === row.role_id ? {} : { prior_role_id: row.role_id }),
            }
            const key = JSON.stringify([line, via])
            if (seen.has(key)) continue
            seen.add(key)
            lines.push({ row: line, via: Object.keys(via).length === 0 ? null : via })
          }
        }
      }
    }
    return lines
  }

  /** Rows that can have an effect under the filter: those of the user and its groups, or those on the projects asked for and what is above them. Without either, all. */
  #candidates(filter: AssignmentFilter): AssignmentRow[] {
    const { db } = this.realm
    if (filter.user_id !== null) return assignmentsOf(db, filter.user_id)
    const wanted = this.#projects(filter)
    if (wanted === null) return db.select().from(assignments).all()
    const project = projectById(db, filter.project_id ?? '')
    const targets = [...wanted, ...(project === undefined ? [] : ancestorsOf(db, project).map(({ id }) => id))]
    return byIds(targets, (chunk) => db.select().from(assignments).where(inArray(assignments.target_id, chunk)).all())
  }

  #projects(filter: AssignmentFilter): Set<string> | null {
    if (filter.project_id === null) return null
    return new Set([filter.project_id, ...(filter.include_subtree ? descendantIds(this.realm.db, filter.project_id) : [])])
  }
}

const where = (ref: GrantRef) => and(eq(assignments.actor_type, ref.actor_type), eq(assignments.actor_id, ref.actor_id), eq(assignments.target_type, ref.target_type), eq(assignments.target_id, ref.target_type === 'system' ? SYSTEM_TARGET : ref.target_id), eq(assignments.inherited, ref.inherited))
