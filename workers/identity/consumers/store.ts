/** OAuth1 consumers: programs that may ask for delegations. The secret is sealed; who creates one is shown it, nobody else. Runs in the Identity object. */
import { eq } from 'drizzle-orm'
import { consumers } from '../../../schema/identity/tables.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import type { Realm } from '../kernel/realm.ts'
import { TableStore, inTx } from '../kernel/store.ts'
import { removeTokensOfConsumer } from '../oauth1/store.ts'
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

  /** With all that was delegated to it: those tokens end. */
  override async delete(id: string): Promise<void> {
    const { revoker } = this.realm
    const seq = inTx(this, (tx) => {
      const { description } = this.get(id)
      tx.db.delete(consumers).where(eq(consumers.id, id)).run()
      tx.change('consumer', id, 'delete', { id, description }, null)
      return removeTokensOfConsumer(this.realm, tx, id)
    })
    await revoker.pushed(seq)
  }
}
