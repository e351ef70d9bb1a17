/**
 * The steps that a server's transactions promise: find it a place, tell its host, run commands whose end changes its state. Each is idempotent: it looks at the
 * row, does what the row still needs, and writes only if the row still needs it afterwards.
 */
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { onRegion } from '../../../durable-objects/kernel/sessions.ts'
import type { Task, TaskEntry, Tasks } from '../../../durable-objects/kernel/outbox.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import type { ServerRow } from '../../../schema/project/compute.ts'
import { type Caller, systemCaller } from '../../../schema/values/caller.ts'
import { isFault } from '../../../schema/values/fault.ts'
import { setVolume } from '../attachments/rows.ts'
import { NO_VALID_HOST, funnelText } from '../scheduler/place.ts'
import type { Claim } from '../scheduler/store.ts'
import type { FunnelStep, PlaceRequest } from '../scheduler/types.ts'
import { groupPlacement } from '../server-groups/rows.ts'
import { serverItem, wantsAbsent } from './desired.ts'
import { forgetImage, snapshot } from './image-steps.ts'
import { abandonResize, resizeStep } from './resize-steps.ts'
import { BUILD_HOSTS_MAX } from './states.ts'
import { roomOf } from './room.ts'
import { CONVERGE, anyServer, converge, endTask, faultOf, finishDelete, nextTask, noteEvent, volumesOf } from './rows.ts'

interface ServerPayload {
  server_id: string
}

const asCaller = (row: ServerRow, entry: TaskEntry): Caller => ({ ...systemCaller(entry.request_id), user_id: row.user_id, project_id: null })

const needsPlace = (row: ServerRow) => row.host_id === null && (row.task_state === 'scheduling' || row.task_state === 'unshelving')

/** Servers named in same_host and different_host hints, as the hosts they are on now. */
function hostsOfHint(deps: Deps, hint: unknown): string[] {
  const ids = Array.isArray(hint) ? hint.map(String) : hint === undefined ? [] : [String(hint)]
  return ids.map((id) => anyServer(deps.db, id)?.host_id ?? '').filter((host) => host !== '')
}

export function placeRequest(deps: Deps, row: ServerRow): PlaceRequest {
  return {
    consumer_id: row.id, project_id: deps.name, user_id: row.user_id, resources: roomOf(deps, row), availability_zone: row.requested_zone, forced_host: row.forced_host,
    excluded_hosts: row.excluded_hosts, extra_specs: row.flavor.extra_specs, image_properties: row.image?.properties ?? {},
    same_hosts: row.hints.same_host === undefined ? null : hostsOfHint(deps, row.hints.same_host), different_hosts: hostsOfHint(deps, row.hints.different_host), group: groupPlacement(deps.db, row),
  }
}

/** Built in vain on as many hosts as may be tried. */
const exhausted = (row: ServerRow): boolean => row.task_state === 'scheduling' && (row.excluded_hosts.length >= BUILD_HOSTS_MAX || (row.forced_host !== null && row.excluded_hosts.length > 0))

async function findPlace(deps: Deps, row: ServerRow, entry: TaskEntry): Promise<void> {
  if (exhausted(row)) return deps.commit(asCaller(row, entry), (tx) => giveUp(tx, row.id))
  let claim: Claim
  try {
    claim = await onRegion(deps.env, entry.request_id, (region) => region.compute.scheduler.place(placeRequest(deps, row)))
  } catch (error) {
    if (!isFault(error) || error.type !== 'NoValidHost') throw error
    const funnel = (error.details as { funnel?: FunnelStep[] } | undefined)?.funnel ?? []
    return deps.commit(asCaller(row, entry), (tx) => noPlace(tx, row.id, funnelText(funnel)))
  }
  deps.commit(asCaller(row, entry), (tx) => {
    const now = anyServer(tx.db, row.id)
    if (now === undefined || !needsPlace(now)) return
    settleOn(deps, tx, asCaller(row, entry), now, claim)
  })
}

function noPlace(tx: Tx, serverId: string, funnel: string): void {
  const row = anyServer(tx.db, serverId)
  if (row === undefined || !needsPlace(row)) return
  noteEvent(tx, row, 'conductor_schedule_and_build_instances', 'Error', funnel)
  // After a host refused, its reason says more than the scheduler's.
  const failure = { message: NO_VALID_HOST, details: `${NO_VALID_HOST} Filters: ${funnel}${row.fault === null ? '' : `. Before: ${row.fault.message}`}` }
  endTask(tx, row, row.task_state === 'unshelving' ? 'shelved_offloaded' : 'error', { fault: faultOf(tx, NO_VALID_HOST, failure.details), power_state: 0 }, failure)
  // A host where the build failed may still be claimed.
  tx.outbox('compute.release', { consumers: [row.id] }, { key: row.id })
}

function giveUp(tx: Tx, serverId: string): void {
  const row = anyServer(tx.db, serverId)
  if (row === undefined || !needsPlace(row)) return
  const message = `Exceeded maximum number of retries. Exhausted all hosts available for retrying build failures for instance ${row.id}.`
  const why = row.fault?.message ?? null
  endTask(tx, row, 'error', { fault: faultOf(tx, message, why), power_state: 0 }, { message: why ?? message })
  tx.outbox('compute.release', { consumers: [row.id] }, { key: row.id })
}

function settleOn(deps: Deps, tx: Tx, caller: Caller, row: ServerRow, claim: Claim): void {
  const peers = peersOf(deps)
  const placed = nextTask(deps, tx, row, row.task_state === 'unshelving' ? 'unshelving' : 'spawning', { host_id: claim.host_id, host_name: claim.host_name, availability_zone: claim.availability_zone, generation: row.generation + 1 })
  noteEvent(tx, placed, 'conductor_schedule_and_build_instances', 'Success', `${claim.host_name} of ${funnelText(claim.funnel)}`)
  peers.ports.bind(tx, caller, row.id, claim.host_id)
  for (const volume of volumesOf(tx.db, row.id)) {
    if (volume.attachment_id !== null) setVolume(tx, volume, { disk: peers.volumes.connect(tx, caller, volume.attachment_id, claim.host_id), state: 'attaching', since_generation: placed.generation })
  }
}

/** Tells the host what the rows say now. */
export async function pushServer(deps: Deps, serverId: string): Promise<void> {
  const row = anyServer(deps.db, serverId)
  if (row === undefined || row.host_id === null) return
  await deps.env.HOST.getByName(row.host_id).put([serverItem(row, deps.name, peersOf(deps).ports.ofServer(row.id), volumesOf(deps.db, row.id))])
}

const convergeTask: Task<Deps> = {
  deadline_ms: 30 * 60_000,
  run: async (deps, { server_id }: ServerPayload, entry) => {
    const row = anyServer(deps.db, server_id)
    if (row === undefined) return
    if (needsPlace(row)) await findPlace(deps, row, entry)
    if (row.task_state === 'resize_prep') await resizeStep(deps, row, entry)
    const now = anyServer(deps.db, server_id)
    if (now?.task_state === 'deleting' && now.host_id === null) deps.commit(asCaller(now, entry), (tx) => finishDelete(deps, tx, asCaller(now, entry), now))
    await pushServer(deps, server_id)
  },
  expire: (deps, { server_id }: ServerPayload, error, entry) => {
    const row = anyServer(deps.db, server_id)
    if (row === undefined || row.task_state === null || wantsAbsent(row)) return
    deps.commit(asCaller(row, entry), (tx) => endTask(tx, row, row.task_state === 'resize_prep' ? row.vm_state : 'error', { ...abandonResize(tx, row), fault: faultOf(tx, `The server could not be brought to its host: ${error}.`) }, { message: error }))
  },
}

const releaseTask: Task<Deps> = {
  deadline_ms: 24 * 3_600_000,
  run: async (deps, { consumers }: { consumers: string[] }, entry) => {
    await onRegion(deps.env, entry.request_id, async ({ compute }) => {
      for (const consumer of consumers) await compute.scheduler.release(consumer)
    })
  },
}

/** A reverted resize: the room of the old size is the server's again. */
const unresizeTask: Task<Deps> = {
  deadline_ms: 24 * 3_600_000,
  run: async (deps, { consumer, kept }: { consumer: string; kept: string }, entry) => {
    await onRegion(deps.env, entry.request_id, (region) => region.compute.scheduler.revert(consumer, kept))
  },
}

/** Soft reboot is a command; where the host cannot do it softly, it becomes a hard one: a new incarnation. */
const rebootTask: Task<Deps> = {
  deadline_ms: 4 * 60_000,
  attempts_max: 3,
  run: async (deps, { server_id }: ServerPayload, entry) => {
    const row = anyServer(deps.db, server_id)
    if (row === undefined || row.task_state !== 'rebooting' || row.host_id === null) return
    await deps.env.HOST.getByName(row.host_id).command('server.reboot', { server_id, hard: false }, { id: `reboot-${entry.request_id}-${server_id}`, deadline_ms: deps.clock.now_ms() + 120_000 })
    deps.commit(asCaller(row, entry), (tx) => {
      const now = anyServer(tx.db, server_id)
      if (now?.task_state === 'rebooting') endTask(tx, now, 'active', { power_state: 1 })
    })
  },
  expire: (deps, { server_id }: ServerPayload, _error, entry) => {
    const row = anyServer(deps.db, server_id)
    if (row === undefined || row.task_state !== 'rebooting') return
    deps.commit(asCaller(row, entry), (tx) => {
      nextTask(deps, tx, row, 'rebooting_hard', { incarnation: row.incarnation + 1, generation: row.generation + 1, power: 'on' })
      converge(tx, server_id)
    })
  },
}

const passwordTask: Task<Deps> = {
  deadline_ms: 2 * 60_000,
  attempts_max: 3,
  run: async (deps, { server_id, password }: ServerPayload & { password: string }, entry) => {
    const row = anyServer(deps.db, server_id)
    if (row === undefined || row.task_state !== 'updating_password' || row.host_id === null) return
    await deps.env.HOST.getByName(row.host_id).command('server.set_password', { server_id, user: 'root', password }, { id: `password-${entry.request_id}-${server_id}` })
    deps.commit(asCaller(row, entry), (tx) => {
      const now = anyServer(tx.db, server_id)
      if (now?.task_state === 'updating_password') endTask(tx, now, now.operation?.back ?? 'active')
    })
  },
  expire: (deps, { server_id }: ServerPayload, error, entry) => {
    const row = anyServer(deps.db, server_id)
    if (row === undefined || row.task_state !== 'updating_password') return
    deps.commit(asCaller(row, entry), (tx) => endTask(tx, row, row.operation?.back ?? 'active', {}, { message: `Failed to set admin password on ${server_id}: ${error}` }))
  },
}

export const serverTasks: Tasks<Deps> = { [CONVERGE]: convergeTask, 'compute.release': releaseTask, 'compute.unresize': unresizeTask, 'compute.reboot': rebootTask, 'compute.password': passwordTask, 'compute.snapshot': snapshot, 'compute.forget-image': forgetImage }
