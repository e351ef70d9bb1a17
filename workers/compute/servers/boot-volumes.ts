/** A server that boots from volumes made for it waits until they are there; one that failed is the server's fault. */
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import type { ServerVolumeRow } from '../../../schema/project/compute.ts'
import { systemCaller } from '../../../schema/values/caller.ts'
import { setVolume } from '../attachments/rows.ts'
import { anyServer, converge, endTask, faultOf, nextTask, volumesOf } from './rows.ts'

export function volumeChanged(deps: Deps, tx: Tx, volume: ServerVolumeRow, status: string): void {
  const row = anyServer(tx.db, volume.server_id)
  if (row === undefined || row.deleted || volume.state !== 'creating' || row.task_state !== 'block_device_mapping') return
  const caller = systemCaller(row.operation?.request_id ?? 'volume')
  if (status.startsWith('error')) {
    const message = `Build of instance ${row.id} aborted: Volume ${volume.volume_id} did not finish being created even after we waited: its status is ${status}.`
    return void endTask(tx, row, 'error', { fault: faultOf(tx, message) }, { message })
  }
  if (status !== 'available') return
  const { attachment_id } = peersOf(deps).volumes.reserve(tx, caller, volume.volume_id, row.id, volume.device)
  setVolume(tx, volume, { attachment_id, state: 'reserved' })
  if (volumesOf(tx.db, row.id).some((other) => other.state === 'creating')) return
  nextTask(deps, tx, row, 'scheduling')
  converge(tx, row.id)
}
