/**
 * Auth receipts: who has proved a part of what its rules ask gets one, and goes on with it. A receipt is random and kept as its digest until it expires; it is
 * no token, is good for its user alone, and a newer password ends what the older one proved. Runs in the Identity object.
 */
import { createHash } from 'node:crypto'
import { eq, lt } from 'drizzle-orm'
import { receipts, type users } from '../../../schema/identity/tables.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { Realm } from '../kernel/realm.ts'
import { currentPassword } from '../passwords/rules.ts'
import { rulesBegun } from './rules.ts'

type UserRow = typeof users.$inferSelect

/** In the details of the fault that answers an incomplete login. */
export interface Receipt {
  id: string
  user: { id: string; name: string; domain: { id: string; name: string } }
  methods: string[]
  issued_ms: number
  expires_ms: number
  required_auth_methods: string[][]
}

const digest = (id: string) => createHash('sha256').update(id).digest('hex')

export function makeReceipt(realm: Realm, user: UserRow, domain_name: string, methods: string[]): Fault {
  const { db, deps, options } = realm
  const now = deps.clock.now_ms()
  const id = Buffer.from(deps.random.bytes(32)).toString('base64url')
  const expires_ms = now + options.receipt_life_ms
  db.delete(receipts).where(lt(receipts.expires_ms, now)).run()
  db.insert(receipts).values({ digest: digest(id), user_id: user.id, methods, issued_ms: now, expires_ms }).run()
  const receipt: Receipt = { id, user: { id: user.id, name: user.name, domain: { id: user.domain_id, name: domain_name } }, methods, issued_ms: now, expires_ms, required_auth_methods: rulesBegun(user.options, methods) }
  return new Fault('unauthorized', 'The request you have made requires authentication.', { details: { receipt } })
}

/** The methods that a receipt proves for this user; 401 for any other receipt. */
export function methodsOfReceipt(realm: Realm, user: UserRow, id: string): string[] {
  const { db, deps } = realm
  const row = db.select().from(receipts).where(eq(receipts.digest, digest(id))).get()
  const renewed = row?.methods.includes('password') === true && (currentPassword(db, user.id)?.created_ms ?? 0) > row.issued_ms
  if (row === undefined || row.user_id !== user.id || row.expires_ms <= deps.clock.now_ms() || renewed) throw new Fault('unauthorized', 'The request you have made requires authentication.')
  return row.methods
}
