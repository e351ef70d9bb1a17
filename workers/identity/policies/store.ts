/** Policy blobs that deployments keep here for other services. Runs in the Identity object. */
import { policies } from '../../../schema/identity/tables.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { removeAssociations } from '../endpoint-policy/store.ts'
import type { Realm } from '../kernel/realm.ts'
import { TableStore } from '../kernel/store.ts'

export type PolicyRow = typeof policies.$inferSelect

export class Policies extends TableStore<typeof policies> {
  constructor(realm: Realm, caller: Caller) {
    super(realm, caller, { kind: 'policy', table: policies, remove: ({ realm: { db } }, row) => removeAssociations(db, { policy_id: row.id }) })
  }
}
