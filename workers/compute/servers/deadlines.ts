/** No task outlives its deadline: the alarm ends those whose time is over, each as its rule says. */
import { and, isNotNull, lte } from 'drizzle-orm'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import { type ServerRow, servers } from '../../../schema/project/compute.ts'
import { systemCaller } from '../../../schema/values/caller.ts'
import { DEADLINES, converge, endTask, faultOf, patch } from './rows.ts'
import { wantsAbsent } from './desired.ts'
import { offloadAgain, powerOf } from './fold.ts'
import { abandonResize } from './resize-steps.ts'
import { TASKS } from './states.ts'

export function watchDeadlines(deps: Deps): void {
  deps.alarms.handle(DEADLINES, () => expireTasks(deps))
}

export function expireTasks(deps: Deps): void {
  const now = deps.clock.now_ms()
  const overdue = deps.db.select().from(servers).where(and(isNotNull(servers.deadline_ms), lte(servers.deadline_ms, now))).all()
  if (overdue.length > 0) deps.commit(systemCaller('deadline'), (tx) => {
    for (const row of overdue) expire(deps, tx, row)
  })
  const [next] = deps.storage.sql.exec('SELECT MIN(deadline_ms) AS at FROM servers WHERE deadline_ms IS NOT NULL').toArray()
  if (next?.at != null) deps.alarms.at(DEADLINES, Number(next.at))
}

function expire(deps: Deps, tx: Tx, row: ServerRow): void {
  if (row.task_state === null) return void patch(tx, row, { deadline_ms: null })
  const rule = TASKS[row.task_state]
  const message = `${row.operation?.action ?? row.task_state} was not done in time: the host did not answer`
  switch (rule.expires) {
    case 'gone':
      return goneForTenant(deps, tx, row)
    case 'error': {
      if (row.task_state === 'unshelving' && row.operation?.back === 'shelved_offloaded') return offloadAgain(deps, tx, row, message)
      // What was to be absent is wanted again, so that row and host agree.
      const again = row.host_id !== null && wantsAbsent(row)
      endTask(tx, row, row.task_state === 'resize_prep' ? row.vm_state : 'error', { ...abandonResize(tx, row), fault: faultOf(tx, message), ...(again ? { generation: row.generation + 1 } : {}) }, { message })
      if (again) converge(tx, row.id)
      return
    }
    case 'back': {
      const back = row.operation?.back ?? row.vm_state
      endTask(tx, row, back, { power: powerOf(back), generation: row.generation + 1 }, { message })
      return converge(tx, row.id)
    }
    default:
      return rule.expires satisfies never
  }
}

/**
 * The host is silent: the tenant's server is gone, its ports are free. The order to remove it stays with the host, and its room and its volumes stay taken until
 * the host confirms: a copy that may still run must not share them.
 */
function goneForTenant(deps: Deps, tx: Tx, row: ServerRow): void {
  const caller = systemCaller(row.operation?.request_id ?? 'deadline')
  peersOf(deps).ports.release(tx, caller, row.id)
  endTask(tx, row, 'deleted', { deleted: true, terminated_ms: tx.now_ms })
}
