/** OAuth1 consumers: programs that may ask for delegations. The secret is sealed; who creates one is shown it, nobody else. Runs in the Identity object. */
import { consumers } from '../../../schema/identity/tables.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import type { Realm } from '../kernel/realm.ts'
import { TableStore } from '../kernel/store.ts'
import { consumerRow } from '../secrets/reseal.ts'

export type ConsumerRow = typeof consumers.$inferSelect

export class Consumers extends TableStore<typeof consumers> {
  constructor(realm: Realm, caller: Caller) {
    super(realm, caller, { kind: 'consumer', table: consumers, secrets: ['secret', 'sealed'], missing: () => new Fault('not_found', 'Consumer not found') })
  }

  /** With the secret in the clear. */
  override create(values: Partial<ConsumerRow>): ConsumerRow {
    const { deps, vault } = this.realm
    const [id, secret] = [deps.ids.hex(), Buffer.from(deps.random.bytes(32)).toString('hex')]
    const { text, sealed } = vault.seal(secret, consumerRow(id))
    return { ...super.create({ description: null, ...values, id, secret: text, sealed }), secret }
  }
}
