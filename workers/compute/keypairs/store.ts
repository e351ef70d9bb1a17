/** Key pairs: public halves, per user, whatever the project; so they live in the Region object. */
import { RpcTarget } from 'cloudflare:workers'
import { and, eq } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { type KeypairRow, keypairs } from '../../../schema/region/compute.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'

export type Keypair = KeypairRow

export class Keypairs extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(userId: string): Keypair[] {
    return this.#deps.db.select().from(keypairs).where(eq(keypairs.user_id, userId)).orderBy(keypairs.name).all()
  }

  get(userId: string, name: string): Keypair {
    const row = this.#deps.db.select().from(keypairs).where(and(eq(keypairs.user_id, userId), eq(keypairs.name, name))).get()
    if (row === undefined) throw new Fault('not_found', `Keypair ${name} not found for user ${userId}`)
    return row
  }

  create(given: { user_id: string; name: string; type: 'ssh' | 'x509'; public_key: string; fingerprint: string; count_max: number }): Keypair {
    return this.#deps.commit(this.#caller, (tx) => {
      const { count_max, ...fields } = given
      const owned = this.list(given.user_id)
      if (owned.some((row) => row.name === given.name)) throw new Fault('conflict', `Key pair '${given.name}' already exists.`)
      if (count_max >= 0 && owned.length >= count_max) throw new Fault('over_quota', 'Quota exceeded, too many key pairs.')
      const row = tx.db.insert(keypairs).values({ ...fields, created_ms: tx.now_ms }).returning().get()
      tx.change('keypair', `${given.user_id}/${given.name}`, 'create', null, row)
      return row
    })
  }

  delete(userId: string, name: string): void {
    this.#deps.commit(this.#caller, (tx) => {
      const row = this.get(userId, name)
      tx.db.delete(keypairs).where(eq(keypairs.seq, row.seq)).run()
      tx.change('keypair', `${userId}/${name}`, 'delete', row, null)
    })
  }
}
