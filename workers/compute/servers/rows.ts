/** Reading and writing server rows: every change goes through `patch`, every task through `beginTask` and `endTask`, so that none is without a deadline. */
import { and, eq } from 'drizzle-orm'
import type { Db, Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import { type ActionEvent, type ServerFault, type ServerOperation, type ServerRow, type ServerVolumeRow, type TaskState, type VmState, serverActions, serverVolumes, servers } from '../../../schema/project/compute.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { serverMissing } from './faults.ts'
import { POWER, TASKS } from './states.ts'

const OFF_NUMBERS: ReadonlySet<number> = new Set([POWER.shutdown, POWER.crashed])

export const CONVERGE = 'compute.converge'
export const DEADLINES = 'compute.deadlines'
/** Deleted rows are kept this long: changes-since and usage reports still show them. */
export const DELETED_KEPT_MS = 7 * 86_400_000


export { serverMissing }
export const anyServer = (db: Db, id: string): ServerRow | undefined => db.select().from(servers).where(eq(servers.id, id)).get()

export function liveServer(db: Db, id: string): ServerRow {
  const row = anyServer(db, id)
  if (row === undefined || row.deleted) throw serverMissing(id)
  return row
}

export const volumesOf = (db: Db, serverId: string): ServerVolumeRow[] => db.select().from(serverVolumes).where(eq(serverVolumes.server_id, serverId)).orderBy(serverVolumes.device).all()

/** Writes what changed, and logs only that. */
export function patch(tx: Tx, row: ServerRow, change: Partial<ServerRow>): ServerRow {
  const full: Partial<ServerRow> = { ...change, updated_ms: tx.now_ms }
  tx.db.update(servers).set(full).where(eq(servers.seq, row.seq)).run()
  const before = Object.fromEntries(Object.keys(change).map((key) => [key, row[key as keyof ServerRow]]))
  tx.change('server', row.id, 'update', before, change)
  return { ...row, ...full }
}

/** Promises that the host will learn of this server's rows as they then are. */
export const converge = (tx: Tx, serverId: string): void => tx.outbox(CONVERGE, { server_id: serverId }, { key: serverId })

export interface Begin {
  action: string
  task: TaskState
  change?: Partial<ServerRow>
  operation?: Partial<ServerOperation>
}

/** Sets a task with its deadline, remembers whom it answers, and logs the action. */
export function beginTask(deps: Deps, tx: Tx, caller: Pick<Caller, 'request_id' | 'user_id'>, row: ServerRow, begin: Begin): ServerRow {
  const deadline_ms = tx.now_ms + TASKS[begin.task].deadline_ms
  deps.alarms.at(DEADLINES, deadline_ms)
  startAction(tx, caller, row, begin.action)
  return patch(tx, row, { ...begin.change, task_state: begin.task, deadline_ms, operation: { request_id: caller.request_id, action: begin.action, back: row.vm_state, ...begin.operation } })
}

/** Another phase of the same operation. */
export function nextTask(deps: Deps, tx: Tx, row: ServerRow, task: TaskState, change: Partial<ServerRow> = {}): ServerRow {
  const deadline_ms = tx.now_ms + TASKS[task].deadline_ms
  deps.alarms.at(DEADLINES, deadline_ms)
  return patch(tx, row, { ...change, task_state: task, deadline_ms })
}

/** The guest turned itself off: that is the tenant's wish from now on, or the host would start it again after its own reboot. */
export const wentOff = (row: Pick<ServerRow, 'vm_state' | 'task_state' | 'power_state' | 'power' | 'host_id'>): boolean =>
  row.task_state === null && row.host_id !== null && row.power !== 'off' && OFF_NUMBERS.has(row.power_state) && (row.vm_state === 'active' || row.vm_state === 'paused' || row.vm_state === 'stopped')

/** The operation is over: its event gets a result, the task is gone. */
export function endTask(tx: Tx, row: ServerRow, vm_state: VmState, change: Partial<ServerRow> = {}, failure: { message: string; details?: string | null } | null = null): ServerRow {
  if (row.operation !== null) finishAction(tx, row, row.operation.request_id, failure)
  const ended = { ...change, vm_state, task_state: null, deadline_ms: null, operation: null }
  if (!wentOff({ ...row, ...ended })) return patch(tx, row, ended)
  const off = patch(tx, row, { ...ended, vm_state: 'stopped', power: 'off', generation: (change.generation ?? row.generation) + 1 })
  converge(tx, row.id)
  return off
}

export const faultOf = (tx: Tx, message: string, details: string | null = null, code = 500): ServerFault => ({ code, message, details, created_ms: tx.now_ms })

const EVENTS: Record<string, string> = { create: 'compute__do_build_and_run_instance', delete: 'compute_terminate_instance', createImage: 'compute_snapshot_instance', createBackup: 'compute_backup_instance', changePassword: 'compute_set_admin_password', resize: 'compute_prep_resize' }
export const eventName = (action: string): string => EVENTS[action] ?? `compute_${action.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}${/_|[A-Z]/.test(action) ? '' : '_instance'}`

export function startAction(tx: Tx, caller: Pick<Caller, 'request_id' | 'user_id'>, row: Pick<ServerRow, 'id' | 'host_name'>, action: string, done = false): void {
  const event: ActionEvent = { event: eventName(action), start_ms: tx.now_ms, finish_ms: done ? tx.now_ms : null, result: done ? 'Success' : null, details: null, host: row.host_name }
  tx.db.insert(serverActions).values({ server_id: row.id, request_id: caller.request_id, action, user_id: caller.user_id, message: null, start_ms: tx.now_ms, updated_ms: tx.now_ms, events: [event] })
    .onConflictDoUpdate({ target: [serverActions.server_id, serverActions.request_id], set: { updated_ms: tx.now_ms } }).run()
}

export function finishAction(tx: Tx, row: Pick<ServerRow, 'id' | 'host_name'>, requestId: string, failure: { message: string; details?: string | null } | null): void {
  const where = and(eq(serverActions.server_id, row.id), eq(serverActions.request_id, requestId))
  const found = tx.db.select().from(serverActions).where(where).get()
  if (found === undefined) return
  const events = found.events.map((event) => (event.finish_ms !== null ? event : { ...event, finish_ms: tx.now_ms, result: failure === null ? ('Success' as const) : ('Error' as const), details: failure?.details ?? failure?.message ?? null, host: row.host_name ?? event.host }))
  tx.db.update(serverActions).set({ events, updated_ms: tx.now_ms, message: failure === null ? found.message : 'Error' }).where(where).run()
}

/** A step inside an action that is worth telling: where scheduling looked, which host refused. */
export function noteEvent(tx: Tx, row: Pick<ServerRow, 'id' | 'host_name' | 'operation'>, event: string, result: 'Success' | 'Error', details: string | null): void {
  if (row.operation === null) return
  const where = and(eq(serverActions.server_id, row.id), eq(serverActions.request_id, row.operation.request_id))
  const found = tx.db.select().from(serverActions).where(where).get()
  if (found === undefined) return
  tx.db.update(serverActions).set({ events: [...found.events, { event, start_ms: tx.now_ms, finish_ms: tx.now_ms, result, details, host: row.host_name }] }).where(where).run()
}

/** The server has left its host for good: ports and volumes let go, the row kept for a while as deleted. */
export function finishDelete(deps: Deps, tx: Tx, caller: Caller, row: ServerRow): void {
  const peers = peersOf(deps)
  if (!row.deleted) peers.ports.release(tx, caller, row.id)
  releaseVolumes(deps, tx, caller, row)
  if (row.operation !== null) finishAction(tx, row, row.operation.request_id, null)
  patch(tx, row, { vm_state: 'deleted', task_state: null, deadline_ms: null, operation: null, deleted: true, terminated_ms: row.terminated_ms ?? tx.now_ms, host_id: null, power_state: 0 })
  tx.outbox('compute.release', { consumers: [row.id, ...(row.resize === null ? [] : [row.resize.kept_consumer])] }, { key: row.id })
  deps.storage.sql.exec('DELETE FROM server_actions WHERE server_id IN (SELECT id FROM servers WHERE deleted = 1 AND updated_ms < ?)', tx.now_ms - DELETED_KEPT_MS)
  deps.storage.sql.exec('DELETE FROM servers WHERE deleted = 1 AND host_id IS NULL AND updated_ms < ?', tx.now_ms - DELETED_KEPT_MS)
}

export function releaseVolumes(deps: Deps, tx: Tx, caller: Caller, row: ServerRow): void {
  const peers = peersOf(deps)
  for (const volume of volumesOf(tx.db, row.id)) {
    if (volume.attachment_id !== null) peers.volumes.detach(tx, caller, volume.attachment_id)
    if (volume.delete_on_termination) peers.volumes.delete(tx, caller, volume.volume_id)
  }
  tx.db.delete(serverVolumes).where(eq(serverVolumes.server_id, row.id)).run()
}
