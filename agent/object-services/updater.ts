/** Tells containers what they could not be told when it happened: a write that the disks have and the listing has not. In the order of their times; what can't be told now is kept. */
import type { ListingAnswer } from '../../schema/agent/replication.ts'
import type { ObjectReplicas } from '../drivers/object/replicas.ts'
import { type Log, messageOf } from '../log.ts'
import type { PlaneHttp } from '../plane.ts'

export const UPDATES_PER_CALL_MAX = 100

export interface UpdaterPass {
  told: number
  failures: number
}

export interface UpdaterDeps {
  replicas: ObjectReplicas
  http: PlaneHttp
  stopped(): boolean
  log: Log
}

export class Updater {
  #deps: UpdaterDeps

  constructor(deps: UpdaterDeps) {
    this.#deps = deps
  }

  async pass(device: string): Promise<UpdaterPass> {
    const { replicas, http, stopped } = this.#deps
    const result: UpdaterPass = { told: 0, failures: 0 }
    const pending = await replicas.pending(device)
    for (let from = 0; from < pending.length && !stopped(); from += UPDATES_PER_CALL_MAX) {
      const some = pending.slice(from, from + UPDATES_PER_CALL_MAX)
      try {
        const { done } = (await http.call('/agents/v1/objects/updates', { updates: some.map(({ update }) => update) })) as ListingAnswer
        for (const [n, { file }] of some.entries()) {
          if (done[n] !== true) {
            result.failures++
            continue
          }
          await replicas.settled(device, file)
          result.told++
        }
      } catch (error) {
        result.failures += some.length
        this.#deps.log('updates_failed', { device, error: messageOf(error) })
      }
    }
    return result
  }
}
