/**
 * Which primaries others must stand in for. A device that its own host calls broken is out at once; a host that says nothing is not, for it may be back in a minute and moving
 * all it held costs more than waiting: only one that was silent for `host_lost_s`, as far as this host could see, is lost.
 */
import { isFault } from '../../schema/values/fault.ts'
import type { Peer } from './peers.ts'
import type { RingDeviceAt } from './ring.ts'

export interface AbsentDeps {
  now_ms(): number
  host_lost_s(): number
}

export class Absent {
  #deps: AbsentDeps
  #silent_since = new Map<string, number>()

  constructor(deps: AbsentDeps) {
    this.#deps = deps
  }

  heard(host_id: string): void {
    this.#silent_since.delete(host_id)
  }

  /** Asked after a device gave no answer. */
  async isOut(target: RingDeviceAt, policy: number, peer: Peer): Promise<boolean> {
    try {
      const why = await peer.ask('device', { device: target.device, policy })
      this.heard(target.host_id)
      return why !== null
    } catch (error) {
      // Any other answer is an answer, and nobody knows anything where the plane itself is away.
      if (!isFault(error, 'unavailable')) return false
      const now = this.#deps.now_ms()
      const since = this.#silent_since.get(target.host_id) ?? now
      this.#silent_since.set(target.host_id, since)
      return now - since >= this.#deps.host_lost_s() * 1_000
    }
  }
}
