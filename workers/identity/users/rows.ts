/** A user's row, by id or by name: asked at each login and each validation. Used in the Identity object. */
import { and, eq, sql } from 'drizzle-orm'
import type { Db } from '../../../durable-objects/kernel/deps.ts'
import { prepared } from '../../../durable-objects/kernel/prepared.ts'
import { users } from '../../../schema/identity/tables.ts'

export type UserRow = typeof users.$inferSelect

const byId = prepared((db) => db.select().from(users).where(eq(users.id, sql.placeholder('id'))).prepare())
const byName = prepared((db) => db.select().from(users).where(and(eq(users.domain_id, sql.placeholder('domain')), eq(users.name, sql.placeholder('name')), eq(users.origin, 'local'))).prepare())

export const userById = (db: Db, id: string): UserRow | undefined => byId(db).get({ id })
/** Names of those whom a directory or an identity provider has are theirs to find. */
export const localUserByName = (db: Db, domain: string, name: string): UserRow | undefined => byName(db).get({ domain, name })
