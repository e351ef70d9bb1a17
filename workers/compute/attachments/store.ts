/** Volumes of servers: attach and detach go through the volume's own state in the same transaction; the host's report of the disk ends them. */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import type { ServerRow, ServerVolumeRow } from '../../../schema/project/compute.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault, isFault } from '../../../schema/values/fault.ts'
import { converge, liveServer, patch, startAction, volumesOf } from '../servers/rows.ts'
import { requireAction } from '../servers/states.ts'
import { addVolume, dropVolume, nextDevice, setVolume } from './rows.ts'

export interface Attachment extends Omit<ServerVolumeRow, 'disk'> {}

const shown = ({ disk: _disk, ...row }: ServerVolumeRow): Attachment => row
const missing = (volumeId: string) => new Fault('not_found', `volume_id not found: ${volumeId}`)

export class Attachments extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(serverId: string): Attachment[] {
    liveServer(this.#deps.db, serverId)
    return volumesOf(this.#deps.db, serverId).filter((row) => row.state !== 'creating').map(shown)
  }

  get(serverId: string, volumeId: string): Attachment {
    const found = this.list(serverId).find((row) => row.volume_id === volumeId)
    if (found === undefined) throw missing(volumeId)
    return found
  }

  attach(serverId: string, given: { volume_id: string; device: string | null; tag: string | null; delete_on_termination: boolean }, locked_override: boolean): Attachment {
    const { volumes } = peersOf(this.#deps)
    return this.#deps.commit(this.#caller, (tx) => {
      const row = this.#usable(tx, serverId, 'attach_volume', locked_override)
      const held = volumesOf(tx.db, serverId)
      if (held.some((volume) => volume.volume_id === given.volume_id)) throw new Fault('bad_request', `Invalid volume: volume ${given.volume_id} already attached`)
      const device = held.some((volume) => volume.device === given.device) || given.device === null ? nextDevice(held.map((volume) => volume.device), row.image !== null) : given.device
      const attachment_id = this.#reserve(tx, given.volume_id, serverId, device)
      const generation = row.generation + 1
      const disk = row.host_id === null ? null : volumes.connect(tx, this.#caller, attachment_id, row.host_id)
      // A server that is on no host takes the volume all the same: it is in use from now on, and connected where the server goes.
      if (disk === null) volumes.complete(tx, this.#caller, attachment_id)
      const volume: ServerVolumeRow = {
        server_id: serverId, volume_id: given.volume_id, attachment_id, state: disk === null ? 'reserved' : 'attaching', device, boot_index: null, delete_on_termination: given.delete_on_termination, tag: given.tag, disk, since_generation: generation,
      }
      addVolume(tx, volume)
      startAction(tx, this.#caller, row, 'attach_volume', true)
      patch(tx, row, { generation })
      if (row.host_id !== null) converge(tx, serverId)
      return shown(volume)
    })
  }

  detach(serverId: string, volumeId: string, locked_override: boolean): void {
    const { volumes } = peersOf(this.#deps)
    this.#deps.commit(this.#caller, (tx) => {
      const row = this.#usable(tx, serverId, 'detach_volume', locked_override)
      const volume = volumesOf(tx.db, serverId).find((candidate) => candidate.volume_id === volumeId)
      if (volume === undefined || volume.attachment_id === null) throw missing(volumeId)
      if (volume.boot_index === 0 && row.host_id !== null) throw new Fault('bad_request', 'Cannot detach a root device volume')
      if (volume.state === 'detaching') return
      startAction(tx, this.#caller, row, 'detach_volume', true)
      if (row.host_id === null) {
        volumes.detach(tx, this.#caller, volume.attachment_id)
        dropVolume(tx, volume)
        return
      }
      volumes.beginDetach(tx, this.#caller, volume.attachment_id)
      const generation = row.generation + 1
      setVolume(tx, volume, { state: 'detaching', since_generation: generation })
      patch(tx, row, { generation })
      converge(tx, serverId)
    })
  }

  setDeleteOnTermination(serverId: string, volumeId: string, value: boolean): void {
    this.#deps.commit(this.#caller, (tx) => {
      liveServer(tx.db, serverId)
      const volume = volumesOf(tx.db, serverId).find((candidate) => candidate.volume_id === volumeId)
      if (volume === undefined) throw missing(volumeId)
      setVolume(tx, volume, { delete_on_termination: value })
    })
  }

  #usable(tx: Tx, serverId: string, action: 'attach_volume' | 'detach_volume', locked_override: boolean): ServerRow {
    const row = liveServer(tx.db, serverId)
    if (row.locked && !locked_override) throw new Fault('conflict', `Instance ${serverId} is locked`)
    requireAction(row, action)
    return row
  }

  #reserve(tx: Tx, volumeId: string, serverId: string, device: string): string {
    const { volumes } = peersOf(this.#deps)
    if (volumes.get(volumeId) === null) throw new Fault('not_found', `Volume ${volumeId} could not be found.`)
    try {
      return volumes.reserve(tx, this.#caller, volumeId, serverId, device).attachment_id
    } catch (error) {
      // Cinder's refusal of a volume that is not available is Nova's 400.
      throw isFault(error, 'conflict') ? new Fault('bad_request', `Invalid volume: ${error.message}`) : error
    }
  }
}
