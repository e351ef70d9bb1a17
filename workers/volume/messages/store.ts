/** Messages of one project: why something asynchronous failed. Runs in the Project object. */
import { RpcTarget } from 'cloudflare:workers'
import { eq, lt } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { type MessageRow, messages } from '../../../schema/project/volume.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'

export class MessagesStore extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(): MessageRow[] {
    this.#deps.db.delete(messages).where(lt(messages.expires_ms, this.#deps.clock.now_ms())).run()
    return this.#deps.db.select().from(messages).all()
  }

  get(id: string): MessageRow {
    const row = this.#deps.db.select().from(messages).where(eq(messages.id, id)).get()
    if (row === undefined) throw new Fault('not_found', `Message ${id} could not be found.`)
    return row
  }

  delete(id: string): void {
    this.get(id)
    this.#deps.commit(this.#caller, (tx) => {
      this.#deps.db.delete(messages).where(eq(messages.id, id)).run()
      tx.change('message', id, 'delete', { id }, null)
    })
  }
}
