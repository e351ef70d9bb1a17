/** Memberships that somebody outside vouches for: an identity provider or a directory. What it said last replaces what it said before. Runs in the Identity object. */
import { and, eq } from 'drizzle-orm'
import type { Tx } from '../../../durable-objects/kernel/deps.ts'
import { assignments, vouchedMembers } from '../../../schema/identity/tables.ts'
import type { Realm } from '../kernel/realm.ts'
import { both, ofAssignment } from '../revocations/concerned.ts'

export interface Vouched {
  user_id: string
  source: string
  wanted: ReadonlySet<string>
  /** They hold so long, and at least as long as a token made now. */
  ttl_ms: number
}

/** Tokens that a lost group gave the user end. The number is for `revoker.pushed`. */
export function vouch(realm: Realm, tx: Tx, { user_id, source, wanted, ttl_ms }: Vouched): number {
  const { db } = tx
  const mine = and(eq(vouchedMembers.user_id, user_id), eq(vouchedMembers.source, source))
  const lost = db.select().from(vouchedMembers).where(mine).all().filter((row) => !wanted.has(row.group_id)).map((row) => row.group_id)
  const given = lost.flatMap((id) => db.select().from(assignments).where(and(eq(assignments.actor_type, 'group'), eq(assignments.actor_id, id))).all())
  const impact = both(...given.map((row) => ofAssignment(db, row)))
  const expires_ms = tx.now_ms + Math.max(ttl_ms, realm.options.token_life_ms)
  db.delete(vouchedMembers).where(mine).run()
  for (const group_id of wanted) db.insert(vouchedMembers).values({ user_id, group_id, source, expires_ms }).run()
  return realm.revoker.record(impact.refs.filter(({ subject }) => subject === user_id || subject.startsWith(`${user_id}:`)), impact.projectIds)
}
