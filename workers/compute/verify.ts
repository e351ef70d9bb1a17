/** Invariants of compute in one project: what must hold at every moment, whatever crashed (DESIGN, "What must always hold"). Reads only. */
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Violation } from '../../durable-objects/kernel/violation.ts'
import type { Expected, Holdings } from '../../durable-objects/project/holdings.ts'
import { peersOf } from '../../durable-objects/project/peers.ts'
import { type ServerRow, serverVolumes, servers } from '../../schema/project/compute.ts'
import { computeQuota } from './quotas/quota.ts'
import { findGroup } from './server-groups/rows.ts'
import { wantsAbsent } from './servers/desired.ts'
import { roomOf } from './servers/room.ts'
import { volumesOf } from './servers/rows.ts'

/** How far past its deadline a task may be before it counts: the alarm has its own delay. */
const DEADLINE_GRACE_MS = 60_000

export function verifyCompute(deps: Deps): Violation[] {
  const now = deps.clock.now_ms()
  const rows = deps.db.select().from(servers).all()
  const violations: Violation[] = []
  const say = (invariant: string, row: ServerRow, message: string) => violations.push({ invariant, project_id: deps.name, resource: `server ${row.id}`, message })
  for (const row of rows) {
    if ((row.task_state === null) !== (row.deadline_ms === null)) say('no-overdue-state', row, `task ${row.task_state} has ${row.deadline_ms === null ? 'no' : 'a'} deadline`)
    if (row.task_state !== null && row.operation === null) say('no-overdue-state', row, `task ${row.task_state} belongs to no request`)
    if (row.deadline_ms !== null && row.deadline_ms + DEADLINE_GRACE_MS < now) say('no-overdue-state', row, `task ${row.task_state} is ${Math.round((now - row.deadline_ms) / 1000)} s past its deadline`)
    if (row.deleted) continue
    if (row.host_id === null && ['active', 'paused', 'suspended', 'stopped', 'resized', 'rescued'].includes(row.vm_state) && row.task_state !== 'deleting') say('server-on-one-host', row, `it is ${row.vm_state} but on no host`)
    if (row.vm_state === 'building' && row.task_state === null) say('no-overdue-state', row, 'it is building with no task')
    if (row.group_id !== null && findGroup(deps.db, row.group_id) === undefined) say('reference-exists', row, `its group ${row.group_id} is missing`)
    violations.push(...verifyReferences(deps, row))
  }
  return [...violations, ...verifyVolumes(deps, new Set(rows.filter((row) => !row.deleted || row.host_id !== null).map((row) => row.id))), ...verifyQuota(deps, rows)]
}

function verifyReferences(deps: Deps, row: ServerRow): Violation[] {
  const peers = peersOf(deps)
  const found: Violation[] = []
  const say = (invariant: string, message: string) => found.push({ invariant, project_id: deps.name, resource: `server ${row.id}`, message })
  const held = new Map(peers.volumes.attachmentsOf(row.id).map((attachment) => [attachment.id, attachment.status]))
  for (const volume of volumesOf(deps.db, row.id)) {
    if (peers.volumes.get(volume.volume_id) === null) say('reference-exists', `its volume ${volume.volume_id} is missing`)
    if (volume.attachment_id !== null && !held.has(volume.attachment_id)) say('volume-one-attachment', `its attachment ${volume.attachment_id} of volume ${volume.volume_id} is missing`)
    if (volume.disk !== null && volume.disk.serial !== volume.volume_id) say('volume-serial', `volume ${volume.volume_id} is known to the host by another serial, ${volume.disk.serial}`)
    if (volume.state === 'attached' && volume.attachment_id !== null && held.get(volume.attachment_id) === 'reserved') say('volume-one-attachment', `it has volume ${volume.volume_id}, whose attachment is only reserved`)
  }
  return found
}

/** Rows of volumes: of servers that are there, and an exclusive one in one of them. */
function verifyVolumes(deps: Deps, known: ReadonlySet<string>): Violation[] {
  const found: Violation[] = []
  const homes = new Map<string, string>()
  for (const volume of deps.db.select().from(serverVolumes).all()) {
    const say = (invariant: string, message: string) => found.push({ invariant, project_id: deps.name, resource: `volume ${volume.volume_id}`, message })
    if (!known.has(volume.server_id)) say('reference-exists', `it is in server ${volume.server_id}, which does not exist`)
    const other = homes.get(volume.volume_id)
    if (other !== undefined && !peersOf(deps).volumes.get(volume.volume_id)?.multiattach) say('volume-one-attachment', `an exclusive volume is in servers ${other} and ${volume.server_id}`)
    homes.set(volume.volume_id, volume.server_id)
  }
  return found
}

function verifyQuota(deps: Deps, rows: readonly ServerRow[]): Violation[] {
  const live = rows.filter((row) => !row.deleted)
  const sums: Record<string, number> = { instances: live.length, cores: live.reduce((sum, row) => sum + row.flavor.vcpus, 0), ram: live.reduce((sum, row) => sum + row.flavor.ram_mib, 0) }
  const used = computeQuota.usage(deps.db)
  return Object.entries(sums).filter(([resource, sum]) => used[resource] !== sum).map(([resource, sum]) => ({
    invariant: 'quota-is-sum', project_id: deps.name, resource: `quota ${resource}`, message: `${used[resource]} is counted, the servers' flavors sum up to ${sum}`,
  }))
}

/** States in which the guest runs as the tenant wants. */
const SETTLED: ReadonlySet<ServerRow['vm_state']> = new Set(['active', 'stopped', 'paused', 'suspended'])
const POWER: Record<ServerRow['power'], NonNullable<Expected['power']>> = { on: 'running', off: 'off', paused: 'paused', suspended: 'suspended' }

/** What compute believes that hosts and the region hold for it. */
export function computeHoldings(deps: Deps): Pick<Holdings, 'items' | 'consumers' | 'underway'> {
  const pending = new Set(deps.outbox.pending().filter((entry) => entry.task.startsWith('compute.')).map((entry) => entry.key.replace(/^command-/, '')))
  const items: Expected[] = []
  const consumers: Holdings['consumers'] = []
  const underway: string[] = []
  for (const row of deps.db.select().from(servers).all()) {
    const volumes = volumesOf(deps.db, row.id)
    const busy = row.task_state !== null || pending.has(row.id) || (row.vm_state !== 'error' && volumes.some((volume) => volume.state === 'attaching' || volume.state === 'detaching'))
    const absent = wantsAbsent(row)
    if (row.task_state !== null) underway.push(row.id)
    if (row.host_id !== null) {
      items.push({
        host_id: row.host_id, kind: 'server', id: row.id, generation: row.generation, state: absent ? 'absent' : 'present', busy: busy || (row.deleted && absent), broken: row.vm_state === 'error',
        ...(busy || !SETTLED.has(row.vm_state) ? {} : { power: POWER[row.power] }), volumes: volumes.filter((volume) => volume.state === 'attached').map((volume) => volume.volume_id),
      })
    }
    // What is on its way (being placed, let go) may hold room or not.
    if (row.host_id !== null) consumers.push(busy || row.deleted ? { id: row.id, host_id: null } : { id: row.id, host_id: row.host_id, room: roomOf(deps, row) })
    else if (busy || pending.has(row.id)) consumers.push({ id: row.id, host_id: null })
    if (row.resize !== null) consumers.push({ id: row.resize.kept_consumer, host_id: busy ? null : row.host_id })
  }
  // Room that is about to be given back is still held.
  const known = new Set(consumers.map((consumer) => consumer.id))
  for (const row of deps.storage.sql.exec("SELECT payload FROM _outbox WHERE task = 'compute.release'").toArray()) {
    const { consumers: leaving } = JSON.parse(String(row.payload)) as { consumers: string[] }
    for (const id of leaving) if (!known.has(id)) consumers.push({ id, host_id: null })
  }
  return { items, consumers, underway }
}
