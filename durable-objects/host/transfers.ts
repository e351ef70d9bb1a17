/** Transfers: what one host may PUT to or GET from the plane, once asked to by a command. Unguessable, short-lived, bound to the host. */
import { Fault } from '../../schema/values/fault.ts'
import type { Deps } from '../kernel/deps.ts'

export const TRANSFER_LIFE_MS = 2 * 3_600_000

export type Transfer =
  | { method: 'PUT'; kind: 'image'; image_id: string; project_id: string; request_id: string }
  | { method: 'PUT' | 'GET'; kind: 'object'; account: string; container: string; object: string; project_id: string; request_id: string }

export class Transfers {
  #deps: Deps
  constructor(deps: Deps) {
    this.#deps = deps
  }

  grant(transfer: Transfer): { path: string } {
    const now = this.#deps.clock.now_ms()
    const id = this.#deps.ids.hex()
    this.#deps.storage.sql.exec('DELETE FROM transfers WHERE expires_ms < ?', now)
    this.#deps.storage.sql.exec('INSERT INTO transfers (id, transfer, expires_ms) VALUES (?, ?, ?)', id, JSON.stringify(transfer), now + TRANSFER_LIFE_MS)
    return { path: `/agents/v1/transfers/${id}` }
  }

  get(id: string): Transfer {
    const [row] = this.#deps.storage.sql.exec('SELECT transfer, expires_ms FROM transfers WHERE id = ?', id).toArray()
    if (row === undefined || Number(row.expires_ms) < this.#deps.clock.now_ms()) throw new Fault('not_found', 'This transfer is not known, or its time is over.')
    return JSON.parse(String(row.transfer)) as Transfer
  }

  end(id: string): void {
    this.#deps.storage.sql.exec('DELETE FROM transfers WHERE id = ?', id)
  }
}
