/** Resize on the host where the server is: both sizes are held until the tenant confirms or reverts. */
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { onRegion } from '../../../durable-objects/kernel/sessions.ts'
import type { TaskEntry } from '../../../durable-objects/kernel/outbox.ts'
import type { ServerRow } from '../../../schema/project/compute.ts'
import { systemCaller } from '../../../schema/values/caller.ts'
import { isFault } from '../../../schema/values/fault.ts'
import { setMigration } from '../migrations/rows.ts'
import { funnelText } from '../scheduler/place.ts'
import type { FunnelStep } from '../scheduler/types.ts'
import { roomOf } from './room.ts'
import { anyServer, endTask, faultOf, nextTask, noteEvent } from './rows.ts'

/** Claims the new size; then the host makes the machine anew with it. Where there is no room, the server stays as it was. */
export async function resizeStep(deps: Deps, row: ServerRow, entry: TaskEntry): Promise<void> {
  const { resize } = row
  if (resize === null) return
  let refusal: { message: string; details: string } | null = null
  try {
    await onRegion(deps.env, entry.request_id, (region) => region.compute.scheduler.resize(row.id, resize.kept_consumer, roomOf(deps, row)))
  } catch (error) {
    if (!isFault(error) || error.type !== 'NoValidHost') throw error
    const funnel = funnelText((error.details as { funnel?: FunnelStep[] } | undefined)?.funnel ?? [])
    refusal = { message: error.message, details: `${error.message} A server with local disks is resized on its own host, which has no room: ${funnel}` }
  }
  deps.commit(systemCaller(entry.request_id), (tx) => {
    const now = anyServer(tx.db, row.id)
    if (now === undefined || now.task_state !== 'resize_prep') return
    if (refusal === null) return void nextTask(deps, tx, now, 'resize_finish', { incarnation: now.incarnation + 1, generation: now.generation + 1 })
    noteEvent(tx, now, 'conductor_migrate_server', 'Error', refusal.details)
    setMigration(tx, resize.migration_id, 'error')
    const flavor = resize.old_flavor
    endTask(tx, now, resize.back, { flavor, vcpus: flavor.vcpus, ram_mib: flavor.ram_mib, resize: null, fault: faultOf(tx, refusal.message, refusal.details) }, refusal)
  })
}

/**
 * A resize that ends in the middle: what was not begun on the host goes back to the old size, what was keeps the new one; the room of the other is given back.
 * Answers what changes in the row.
 */
export function abandonResize(tx: Tx, row: ServerRow): Partial<ServerRow> {
  const { resize } = row
  if (resize === null) return {}
  if (row.task_state === 'resize_prep') {
    setMigration(tx, resize.migration_id, 'error')
    tx.outbox('compute.unresize', { consumer: row.id, kept: resize.kept_consumer }, { key: row.id })
    return { flavor: resize.old_flavor, vcpus: resize.old_flavor.vcpus, ram_mib: resize.old_flavor.ram_mib, resize: null }
  }
  if (row.task_state === 'resize_finish' || row.task_state === 'resize_migrating') {
    setMigration(tx, resize.migration_id, 'error')
    tx.outbox('compute.release', { consumers: [resize.kept_consumer] }, { key: row.id })
    return { resize: null }
  }
  return row.task_state === 'resize_reverting' ? { resize: null } : {}
}
