/** Who has which roles where: groups, inheritance down the project tree, implied roles. Reads only; every rule about roles is here. */
import { type Placeholder, and, eq, inArray, or, sql } from 'drizzle-orm'
import type { Db } from '../../../durable-objects/kernel/deps.ts'
import { prepared } from '../../../durable-objects/kernel/prepared.ts'
import { assignments, groupMembers, impliedRoles, projects, roles, vouchedMembers } from '../../../schema/identity/tables.ts'

export const SYSTEM_TARGET = 'all'
export type ProjectRow = typeof projects.$inferSelect
export type RoleRow = typeof roles.$inferSelect
export type AssignmentRow = typeof assignments.$inferSelect
/** No chain of projects is longer; also ends a walk over damaged data. */
const TREE_DEPTH_MAX = 64
/** An object binds at most 100 parameters to a statement. */
const BIND_CHUNK = 90

const projectWithId = prepared((db) => db.select().from(projects).where(eq(projects.id, sql.placeholder('id'))).prepare())
const projectNamed = prepared((db) => db.select().from(projects).where(and(eq(projects.domain_id, sql.placeholder('domain')), eq(projects.name, sql.placeholder('name')))).prepare())
export const projectById = (db: Db, id: string): ProjectRow | undefined => projectWithId(db).get({ id })
/** A domain is a project whose own domain is ''. */
export const projectByName = (db: Db, domain: string, name: string): ProjectRow | undefined => projectNamed(db).get({ domain, name })

/** A query per chunk of ids, within the platform's bound on parameters. */
export function byIds<T>(ids: Iterable<string>, query: (chunk: string[]) => T[]): T[] {
  const all = [...new Set(ids)]
  const out: T[] = []
  for (let at = 0; at < all.length; at += BIND_CHUNK) out.push(...query(all.slice(at, at + BIND_CHUNK)))
  return out
}

export const projectsByIds = (db: Db, ids: Iterable<string>): ProjectRow[] => byIds(ids, (chunk) => db.select().from(projects).where(inArray(projects.id, chunk)).all())
const rolesWithIds = prepared((db) => db.select().from(roles).where(sql`${roles.id} IN (SELECT value FROM json_each(${sql.placeholder('ids')}))`).prepare())
export const rolesByIds = (db: Db, ids: Iterable<string>): RoleRow[] => rolesWithIds(db).all({ ids: JSON.stringify([...ids]) })

/** Parents, nearest first; the last is the domain. */
export function ancestorsOf(db: Db, project: ProjectRow): ProjectRow[] {
  const chain: ProjectRow[] = []
  let parent = project.parent_id
  while (parent !== null && chain.length < TREE_DEPTH_MAX) {
    const row = projectById(db, parent)
    if (row === undefined) break
    chain.push(row)
    parent = row.parent_id
  }
  return chain
}

/** Every project below, at any depth. */
export function descendantIds(db: Db, projectId: string): string[] {
  const rows = db.all<{ id: string }>(sql`WITH RECURSIVE below(id) AS (SELECT id FROM projects WHERE parent_id = ${projectId} UNION SELECT p.id FROM projects p JOIN below b ON p.parent_id = b.id) SELECT id FROM below`)
  return rows.map((row) => row.id)
}

export const projectIdsOfDomain = (db: Db, domainId: string): string[] => db.select({ id: projects.id }).from(projects).where(eq(projects.domain_id, domainId)).all().map((row) => row.id)
/** Groups of a user: those it was put into, and those that an identity provider or a directory vouched for. */
export const groupIdsOf = (db: Db, userId: string): string[] => [
  ...new Set([
    ...db.select({ id: groupMembers.group_id }).from(groupMembers).where(eq(groupMembers.user_id, userId)).all(), ...db.select({ id: vouchedMembers.group_id }).from(vouchedMembers).where(eq(vouchedMembers.user_id, userId)).all(),
  ].map((row) => row.id)),
]
export const memberIdsOf = (db: Db, groupId: string): string[] => [
  ...new Set([
    ...db.select({ id: groupMembers.user_id }).from(groupMembers).where(eq(groupMembers.group_id, groupId)).all(), ...db.select({ id: vouchedMembers.user_id }).from(vouchedMembers).where(eq(vouchedMembers.group_id, groupId)).all(),
  ].map((row) => row.id)),
]

const actorIs = (userId: string | Placeholder) => or(and(eq(assignments.actor_type, 'user'), eq(assignments.actor_id, userId)), and(eq(assignments.actor_type, 'group'), sql`${assignments.actor_id} IN (SELECT group_id FROM group_members WHERE user_id = ${userId} UNION SELECT group_id FROM vouched_members WHERE user_id = ${userId})`))

/** Assignments of a user, own and by group. */
export const assignmentsOf = (db: Db, userId: string): AssignmentRow[] => db.select().from(assignments).where(actorIs(userId)).all()

const allImplied = prepared((db) => db.select().from(impliedRoles).prepare())
/** prior -> implied, all of it: a deployment has a handful. */
export function impliedMap(db: Db): Map<string, string[]> {
  const map = new Map<string, string[]>()
  for (const row of allImplied(db).all()) map.set(row.prior_id, [...(map.get(row.prior_id) ?? []), row.implied_id])
  return map
}

/** The roles and all they imply, cycles or not. */
export function expand(implied: Map<string, string[]>, roleIds: Iterable<string>): Set<string> {
  const out = new Set<string>()
  const todo = [...roleIds]
  for (let id = todo.pop(); id !== undefined; id = todo.pop()) {
    if (out.has(id)) continue
    out.add(id)
    todo.push(...(implied.get(id) ?? []))
  }
  return out
}

/** The role and all by which somebody has it: what implies it, at any depth. */
export function giversOf(db: Db, roleId: string): string[] {
  const implied = impliedMap(db)
  return [...new Set([roleId, ...implied.keys()])].filter((id) => expand(implied, [id]).has(roleId))
}

/** On a target itself, or inherited from above it (ids as a JSON list). */
const assignedRoles = prepared((db) => {
  const here = and(eq(assignments.target_type, sql.placeholder('type')), eq(assignments.target_id, sql.placeholder('id')), eq(assignments.inherited, false))
  const above = and(sql`${assignments.target_id} IN (SELECT value FROM json_each(${sql.placeholder('above')}))`, eq(assignments.inherited, true))
  return db.select({ role_id: assignments.role_id }).from(assignments).where(and(actorIs(sql.placeholder('user')), or(here, above))).prepare()
})

/** Role ids assigned to a user on a target, inherited ones included, implied ones not. */
export function assignedRoleIds(db: Db, userId: string, target: { type: 'project' | 'domain' | 'system'; id: string }, project?: ProjectRow): string[] {
  const above = project === undefined ? [] : ancestorsOf(db, project).map((row) => row.id)
  return [...new Set(assignedRoles(db).all({ user: userId, type: target.type, id: target.id, above: JSON.stringify(above) }).map((row) => row.role_id))]
}

const rolesImplied = prepared((db) =>
  db.select().from(roles).where(sql`${roles.domain_id} = '' AND ${roles.id} IN (
    WITH RECURSIVE held(id) AS (SELECT value FROM json_each(${sql.placeholder('ids')}) UNION SELECT implied_id FROM implied_roles JOIN held ON prior_id = held.id) SELECT id FROM held)`).orderBy(roles.name).prepare())

/** What a token carries: implied roles expanded, roles of a domain left out (they only imply). Sorted by name. */
export function tokenRoles(db: Db, roleIds: Iterable<string>): RoleRow[] {
  const ids = [...roleIds]
  return ids.length === 0 ? [] : rolesImplied(db).all({ ids: JSON.stringify(ids) })
}

/** Those that give a token a role: one of a domain's own roles may imply none. */
export function givingAssignmentsOf(db: Db, userId: string): AssignmentRow[] {
  const rows = assignmentsOf(db, userId)
  const own = new Set(rolesByIds(db, rows.map((row) => row.role_id)).filter((role) => role.domain_id !== '').map((role) => role.id))
  const idle = new Set([...own].filter((id) => tokenRoles(db, [id]).length === 0))
  return rows.filter((row) => !idle.has(row.role_id))
}

/** Every project where the user has a role, directly, by group or by inheritance. */
export function projectIdsOfUser(db: Db, userId: string, rows: AssignmentRow[] = assignmentsOf(db, userId)): Set<string> {
  const out = new Set<string>()
  for (const row of rows) for (const id of projectIdsOfAssignment(db, row)) out.add(id)
  return out
}

/** The projects that an assignment gives its role on. */
export function projectIdsOfAssignment(db: Db, row: Pick<AssignmentRow, 'target_type' | 'target_id' | 'inherited'>): string[] {
  if (row.target_type === 'project') return row.inherited ? descendantIds(db, row.target_id) : [row.target_id]
  return row.target_type === 'domain' && row.inherited ? projectIdsOfDomain(db, row.target_id) : []
}

export function domainIdsOfUser(rows: AssignmentRow[]): Set<string> {
  return new Set(rows.filter((row) => row.target_type === 'domain' && !row.inherited).map((row) => row.target_id))
}
