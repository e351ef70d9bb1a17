/** OAuth1 consumers: the registration only; see README for what of OAuth1 is not there. Runs in the Identity object. */
import { consumers } from '../../../schema/identity/tables.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import type { Realm } from '../kernel/realm.ts'
import { TableStore } from '../kernel/store.ts'

export type ConsumerRow = typeof consumers.$inferSelect

export class Consumers extends TableStore<typeof consumers> {
  constructor(realm: Realm, caller: Caller) {
    super(realm, caller, { kind: 'consumer', table: consumers, missing: () => new Fault('not_found', 'Consumer not found') })
  }

  override create(values: Partial<ConsumerRow>): ConsumerRow {
    return super.create({ description: null, ...values, secret: Buffer.from(this.realm.deps.random.bytes(32)).toString('hex') })
  }
}
