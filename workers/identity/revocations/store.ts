/** OS-REVOKE: the revocations that still matter, for services that verify tokens by themselves and poll. Runs in the Identity object. */
import { and, asc, gt, gte } from 'drizzle-orm'
import { revocationLog } from '../../../schema/identity/tables.ts'
import { Store } from '../kernel/store.ts'

export type RevocationRow = typeof revocationLog.$inferSelect
const EVENTS_MAX = 10_000

export class RevocationEvents extends Store {
  /** Oldest first; `since_ms` null is all. */
  list(since_ms: number | null): RevocationRow[] {
    const { db, deps } = this.realm
    const live = gt(revocationLog.expires_ms, deps.clock.now_ms())
    return db.select().from(revocationLog).where(since_ms === null ? live : and(live, gte(revocationLog.at_ms, since_ms))).orderBy(asc(revocationLog.seq)).limit(EVENTS_MAX).all()
  }
}
