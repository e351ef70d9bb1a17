/** Outbox tasks of volumes: placing, telling hosts, giving room back. Copies of bytes are in copies.ts. */
import { eq } from 'drizzle-orm'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import { REGION_OBJECT_NAME } from '../../durable-objects/kernel/env.ts'
import type { Remote } from '../../durable-objects/kernel/rpc.ts'
import type { Task, Tasks } from '../../durable-objects/kernel/outbox.ts'
import { type VolumeRow, volumes } from '../../schema/project/volume.ts'
import { systemCaller } from '../../schema/values/caller.ts'
import { copyTasks } from './copies.ts'
import { WAIT_MS, waitUntil } from './deadlines.ts'
import { endExtend } from './folds.ts'
import { currentItem, type PushPayload, volumeItem } from './items.ts'
import { attachmentsOf, EVENTS, findSnapshot, findVolume, tell, writeVolume } from './rows.ts'
import type { VolumeScheduler } from './scheduler/store.ts'
import { onRegion } from '../../durable-objects/kernel/sessions.ts'
import { transferTasks } from './transfers/tasks.ts'

const DAY_MS = 24 * 3_600_000
const scheduler = <T>(deps: Deps, requestId: string, work: (scheduler: Remote<VolumeScheduler>) => Promise<T>): Promise<T> => onRegion(deps.env, requestId, (region) => work(region.volume.scheduler as Remote<VolumeScheduler>))

interface PlacePayload {
  id: string
  availability_zone: string | null
  volume_type_id: string | null
}

const hint = (hints: Record<string, string> | null | undefined, name: string): string[] => (hints?.[name] ?? '').split(',').map((text) => text.trim()).filter((text) => text !== '')

/** Volumes of a group go where the first one went. */
const placedInGroup = (deps: Deps, row: VolumeRow): string[] =>
  row.group_id === null ? [] : deps.db.select().from(volumes).where(eq(volumes.group_id, row.group_id)).all().filter((other) => other.id !== row.id && other.host_id !== null).slice(0, 1).map((other) => other.id)

/** Claim in the region, then the host is told: both repeatable, so a crash between them costs nothing. */
const placeTask: Task<Deps> = {
  run: async (deps, payload: PlacePayload, entry) => {
    const row = findVolume(deps, payload.id)
    if (row === undefined || row.status !== 'creating') return
    const source = row.source?.type === 'snapshot' ? findSnapshot(deps, row.source.id)?.host_id : row.source?.type === 'volume' ? findVolume(deps, row.source.id)?.host_id : null
    const placed = await scheduler(deps, entry.request_id, (region) => region.place({
      volume_id: row.id, project_id: deps.name, size_gib: row.size_gib, volume_type_id: payload.volume_type_id, availability_zone: payload.availability_zone, host_id: source ?? null,
      same_as: [...hint(row.scheduler_hints, 'same_host'), ...placedInGroup(deps, row)], different_from: hint(row.scheduler_hints, 'different_host'),
    }))
    const now = findVolume(deps, payload.id)
    // Deleted while the region decided: the claim goes back.
    if (now === undefined || now.status !== 'creating') return await scheduler(deps, entry.request_id, (region) => region.release(payload.id))
    const next = deps.commit(systemCaller(entry.request_id), (tx) => {
      if (now.host_id !== null) return now
      const { portal, host, host_id, availability_zone, volume_type_id, volume_type } = placed
      const written = writeVolume(deps, tx, now, { portal, host, host_id, availability_zone, volume_type_id, volume_type, generation: now.generation + 1, desired: 'present', deadline_ms: waitUntil(deps, tx, WAIT_MS.create) })
      return written
    })
    await deps.env.HOST.getByName(placed.host_id).put([volumeItem(deps, next)])
  },
  expire: (deps, payload: PlacePayload, error, entry) => {
    const row = findVolume(deps, payload.id)
    if (row === undefined || row.status !== 'creating') return
    deps.commit(systemCaller(entry.request_id), (tx) => {
      tell(deps, tx, entry.request_id, 'VOLUME', row.id, EVENTS.schedule(error))
      writeVolume(deps, tx, row, { status: 'error' })
    })
  },
}

interface ExtendPayload {
  id: string
  size_gib: number
}

const extendTask: Task<Deps> = {
  run: async (deps, payload: ExtendPayload, entry) => {
    const row = findVolume(deps, payload.id)
    if (row === undefined || row.status !== 'extending' || row.pending_size_gib !== payload.size_gib) return
    await scheduler(deps, entry.request_id, (region) => region.resize(payload.id, payload.size_gib))
    const now = findVolume(deps, payload.id)
    if (now === undefined || now.status !== 'extending' || now.pending_size_gib !== payload.size_gib || now.host_id === null) return
    await deps.env.HOST.getByName(now.host_id).put([volumeItem(deps, now)])
  },
  expire: (deps, payload: ExtendPayload, error, entry) => {
    const row = findVolume(deps, payload.id)
    if (row === undefined || row.status !== 'extending' || row.pending_size_gib !== payload.size_gib) return
    deps.commit(systemCaller(entry.request_id), (tx) => {
      tell(deps, tx, entry.request_id, 'VOLUME', row.id, EVENTS.extend(error))
      // Nothing was promised to the host yet: the volume is as good as before.
      endExtend(deps, tx, row, row.previous_status ?? 'available')
    })
  },
}

const reserveWatch: Task<Deps> = {
  run: async (deps, { id, status }: { id: string; status: string }, entry) => {
    const row = findVolume(deps, id)
    if (row === undefined || row.status !== status || attachmentsOf(deps, id).length > 0) return
    deps.commit(systemCaller(entry.request_id), (tx) => writeVolume(deps, tx, row, { status: 'available' }))
  },
}

export const volumeTasks: Tasks<Deps> = {
  'volume.place': placeTask,
  'volume.push': {
    run: async (deps, payload: PushPayload) => {
      const item = currentItem(deps, payload)
      if (item !== null && payload.host_id !== '') await deps.env.HOST.getByName(payload.host_id).put([item])
    },
    deadline_ms: 7 * DAY_MS,
  },
  'volume.extend': extendTask,
  'volume.resize': { run: async (deps, { id, size_gib }: ExtendPayload, entry) => await scheduler(deps, entry.request_id, (region) => region.resize(id, size_gib)), deadline_ms: 7 * DAY_MS },
  'volume.retype': { run: async (deps, { id, volume_type_id }: { id: string; volume_type_id: string }, entry) => await scheduler(deps, entry.request_id, (region) => region.retype(id, volume_type_id)), deadline_ms: 7 * DAY_MS },
  'volume.release': {
    run: async (deps, { id, foreign_id }: { id: string; foreign_id: boolean }, entry) => {
      await scheduler(deps, entry.request_id, (region) => region.release(id))
      if (foreign_id) await deps.env.REGION.getByName(REGION_OBJECT_NAME).publish('volume-alias', id, deps.name, [], null)
    },
    deadline_ms: 7 * DAY_MS,
  },
  'volume.reserve_watch': reserveWatch,
  ...copyTasks,
  ...transferTasks,
}
