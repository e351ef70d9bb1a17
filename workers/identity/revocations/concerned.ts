/** Which projects must learn of a revocation before it is answered: those that a token it names may be scoped to. */
import { eq, or } from 'drizzle-orm'
import type { Db } from '../../../durable-objects/kernel/deps.ts'
import { applicationCredentials, oauthAccessTokens, trusts, users } from '../../../schema/identity/tables.ts'
import type { AssignmentRow } from '../assignments/effective.ts'
import { memberIdsOf, projectIdsOfAssignment, projectIdsOfDomain, projectIdsOfUser } from '../assignments/effective.ts'
import type { RevocationRef } from './revoker.ts'

/** Beyond this many projects one event about the user stands for all of them. */
const EVENTS_PER_USER_MAX = 20

export interface Impact {
  refs: RevocationRef[]
  projectIds: string[]
}

export const nothing: Impact = { refs: [], projectIds: [] }
export const both = (...impacts: Impact[]): Impact => ({ refs: impacts.flatMap((impact) => impact.refs), projectIds: [...new Set(impacts.flatMap((impact) => impact.projectIds))] })

/** Everywhere that tokens of this user, or of trusts it gave or took, may be in use. */
export function projectsOfTokens(db: Db, userId: string): string[] {
  const out = projectIdsOfUser(db, userId)
  for (const row of db.select().from(trusts).where(or(eq(trusts.trustor_user_id, userId), eq(trusts.trustee_user_id, userId))).all()) if (row.project_id !== null) out.add(row.project_id)
  for (const row of db.select({ project_id: applicationCredentials.project_id }).from(applicationCredentials).where(eq(applicationCredentials.user_id, userId)).all()) out.add(row.project_id)
  for (const row of db.select({ project_id: oauthAccessTokens.project_id }).from(oauthAccessTokens).where(eq(oauthAccessTokens.user_id, userId)).all()) out.add(row.project_id)
  return [...out]
}

/** All tokens of a user. Ask before the rows that say where they reach are deleted. */
export const ofUser = (db: Db, userId: string): Impact => ({ refs: [{ scope: 'user', subject: userId }], projectIds: projectsOfTokens(db, userId) })

export const ofProject = (projectId: string): Impact => ({ refs: [{ scope: 'project', subject: projectId }], projectIds: [projectId] })

/** A domain: tokens scoped to it or its projects, and those of its users, wherever they reach. */
export function ofDomain(db: Db, domainId: string): Impact {
  const ids = new Set(projectIdsOfDomain(db, domainId))
  for (const { id } of db.select({ id: users.id }).from(users).where(eq(users.domain_id, domainId)).all()) for (const project of projectsOfTokens(db, id)) ids.add(project)
  return { refs: [{ scope: 'domain', subject: domainId }], projectIds: [...ids] }
}

/** An assignment that is going away: the tokens of its users on what it gave. */
export function ofAssignment(db: Db, row: AssignmentRow): Impact {
  const userIds = row.actor_type === 'user' ? [row.actor_id] : memberIdsOf(db, row.actor_id)
  const projectIds = projectIdsOfAssignment(db, row)
  const refs = userIds.flatMap((user): RevocationRef[] => {
    if (row.target_type === 'system') return [{ scope: 'user_system', subject: user }]
    const own: RevocationRef[] = row.target_type === 'domain' && !row.inherited ? [{ scope: 'user_domain', subject: `${user}:${row.target_id}` }] : []
    if (projectIds.length > EVENTS_PER_USER_MAX) return [{ scope: 'user', subject: user }]
    return [...own, ...projectIds.map((project): RevocationRef => ({ scope: 'user_project', subject: `${user}:${project}` }))]
  })
  return { refs, projectIds }
}
