/**
 * Folds what a host reports of a server into its row: tasks settle, failures go back or elsewhere, a guest that turned itself off is noticed. Reports about an
 * older generation, or from a host that no longer has the server, change nothing.
 */
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import type { ObservedItem } from '../../../schema/agent/observed.ts'
import type { ServerRow, ServerVolumeRow } from '../../../schema/project/compute.ts'
import { type Caller, systemCaller } from '../../../schema/values/caller.ts'
import { setVolume, dropVolume } from '../attachments/rows.ts'
import { setMigration } from '../migrations/rows.ts'
import { anyServer, converge, endTask, faultOf, finishDelete, nextTask, noteEvent, patch, volumesOf, wentOff } from './rows.ts'
import { POWER, TASKS, isOff, powerReached, settled } from './states.ts'
import { wantsAbsent } from './desired.ts'
import { abandonResize } from './resize-steps.ts'

export function foldServer(deps: Deps, tx: Tx, hostId: string, item: ObservedItem): void {
  const row = anyServer(tx.db, item.id)
  if (row === undefined || item.orphan === true || row.host_id !== hostId || item.generation < row.generation) return
  const caller = systemCaller(row.operation?.request_id ?? `host-${hostId}`)
  switch (item.status) {
    case 'working':
      return
    case 'gone':
      return gone(deps, tx, caller, row)
    case 'failed':
      return failed(deps, tx, caller, row, item.error ?? 'the host gave no reason')
    case 'ready':
      return ready(deps, tx, caller, row, item)
    default:
      return item.status satisfies never
  }
}

/** Only an absent server is gone; one that is wanted is made again by its host. */
function gone(deps: Deps, tx: Tx, caller: Caller, row: ServerRow): void {
  if (!wantsAbsent(row)) return
  if (row.deleted || row.task_state === 'deleting') return finishDelete(deps, tx, caller, row)
  if (row.task_state === 'shelving_offloading' || (row.task_state === null && row.vm_state === 'shelved_offloaded')) return offloaded(deps, tx, caller, row)
  if (row.task_state === 'scheduling') {
    peersOf(deps).ports.bind(tx, caller, row.id, null)
    parkVolumes(deps, tx, caller, row)
    patch(tx, row, { host_id: null, host_name: null })
    converge(tx, row.id)
  }
}

function offloaded(deps: Deps, tx: Tx, caller: Caller, row: ServerRow): void {
  peersOf(deps).ports.bind(tx, caller, row.id, null)
  parkVolumes(deps, tx, caller, row)
  endTask(tx, row, 'shelved_offloaded', { host_id: null, host_name: null, power_state: POWER.shutdown })
  tx.outbox('compute.release', { consumers: [row.id] }, { key: row.id })
}

function parkVolumes(deps: Deps, tx: Tx, caller: Caller, row: ServerRow): void {
  for (const volume of volumesOf(tx.db, row.id)) {
    if (volume.attachment_id === null) continue
    peersOf(deps).volumes.park(tx, caller, volume.attachment_id)
    setVolume(tx, volume, { disk: null, state: 'reserved' })
  }
}

function failed(deps: Deps, tx: Tx, caller: Caller, row: ServerRow, why: string): void {
  const pending = volumesOf(tx.db, row.id).filter((volume) => volume.state === 'attaching')
  if (row.task_state === null) {
    if (pending.length > 0) return undoAttach(deps, tx, caller, row, pending)
    if (row.vm_state !== 'error') patch(tx, row, { vm_state: 'error', fault: faultOf(tx, why) })
    return
  }
  const rule = TASKS[row.task_state]
  const back = row.operation?.back ?? row.vm_state
  if (rule.byStep === true) return
  if (rule.fails === 'elsewhere') return elsewhere(deps, tx, row, why)
  if (row.task_state === 'unshelving' && back === 'shelved_offloaded') return offloadAgain(deps, tx, row, why)
  if (rule.fails === 'back') {
    endTask(tx, row, back, { power: powerOf(back), generation: row.generation + 1 }, { message: why })
    return converge(tx, row.id)
  }
  endTask(tx, row, 'error', { ...abandonResize(tx, row), fault: faultOf(tx, why) }, { message: why })
}

/** What a settled state means as a wish. */
export const powerOf = (vm: ServerRow['vm_state']): ServerRow['power'] => (vm === 'stopped' ? 'off' : vm === 'paused' ? 'paused' : vm === 'suspended' ? 'suspended' : 'on')

/** The build failed here: this host lets go first (a server is on at most one), then another is tried. */
function elsewhere(deps: Deps, tx: Tx, row: ServerRow, why: string): void {
  const excluded = row.host_id === null ? row.excluded_hosts : [...row.excluded_hosts, row.host_id]
  noteEvent(tx, row, 'compute__do_build_and_run_instance', 'Error', why)
  nextTask(deps, tx, row, 'scheduling', { excluded_hosts: excluded, generation: row.generation + 1, fault: faultOf(tx, why) })
  converge(tx, row.id)
}

/** An unshelve that failed: the host lets go again, and the server waits in its image as before. */
export function offloadAgain(deps: Deps, tx: Tx, row: ServerRow, why: string): void {
  noteEvent(tx, row, 'compute_unshelve_instance', 'Error', why)
  if (row.host_id === null) return void endTask(tx, row, 'shelved_offloaded', {}, { message: why })
  nextTask(deps, tx, row, 'shelving_offloading', { generation: row.generation + 1 })
  converge(tx, row.id)
}

function undoAttach(deps: Deps, tx: Tx, caller: Caller, row: ServerRow, pending: ServerVolumeRow[]): void {
  for (const volume of pending) {
    if (volume.attachment_id !== null) peersOf(deps).volumes.detach(tx, caller, volume.attachment_id)
    dropVolume(tx, volume)
  }
  patch(tx, row, { generation: row.generation + 1 })
  converge(tx, row.id)
}

function ready(deps: Deps, tx: Tx, caller: Caller, before: ServerRow, item: ObservedItem): void {
  if (wantsAbsent(before)) return
  settleVolumes(deps, tx, caller, before, item)
  let row = before
  const power_state = POWER[item.power ?? 'nostate']
  if (row.task_state !== null && TASKS[row.task_state].byStep !== true) {
    if (!powerReached(row.power, item.power)) return
    const back = row.operation?.back ?? 'active'
    const vm = settled(row.task_state, back === 'building' || back === 'error' ? (row.power === 'off' ? 'stopped' : 'active') : back, row.power, item.power)
    if (vm === 'resized') settleResize(tx, row)
    row = endTask(tx, row, vm, { power_state, launched_ms: row.launched_ms ?? tx.now_ms, progress: 100, ...afterTask(row), ...(vm === 'error' ? {} : { fault: null }) })
    afterUnshelve(tx, before)
  } else if (row.power_state !== power_state) row = patch(tx, row, { power_state })
  if (wentOff(row)) {
    patch(tx, row, { vm_state: 'stopped', power: 'off', generation: row.generation + 1 })
    converge(tx, row.id)
  }
}

function afterTask(row: ServerRow): Partial<ServerRow> {
  if (row.task_state === 'unrescuing') return { rescue_image: null }
  if (row.task_state === 'resize_reverting') return { resize: null }
  return {}
}

function settleResize(tx: Tx, row: ServerRow): void {
  if (row.resize !== null) setMigration(tx, row.resize.migration_id, 'finished')
}

/** The image that a shelved server waited in has served. */
function afterUnshelve(tx: Tx, row: ServerRow): void {
  if (row.task_state === 'unshelving' && row.shelved_image_id !== null) tx.outbox('compute.forget-image', { server_id: row.id, image_id: row.shelved_image_id }, {})
}

function settleVolumes(deps: Deps, tx: Tx, caller: Caller, row: ServerRow, item: ObservedItem): void {
  const seen = new Set(item.disks?.map((disk) => disk.id) ?? [])
  for (const volume of volumesOf(tx.db, row.id)) {
    if (volume.since_generation > item.generation) continue
    if (volume.state === 'attaching' && (seen.has(volume.volume_id) || item.disks === undefined || isOff(item.power))) {
      if (volume.attachment_id !== null) peersOf(deps).volumes.complete(tx, caller, volume.attachment_id)
      setVolume(tx, volume, { state: 'attached' })
    } else if (volume.state === 'detaching' && !seen.has(volume.volume_id)) {
      if (volume.attachment_id !== null) peersOf(deps).volumes.detach(tx, caller, volume.attachment_id)
      dropVolume(tx, volume)
    }
  }
}
