/** Images of servers: queued in the same transaction as the task, filled by the host, and the end of what waited for them (shelving goes on, backups rotate). */
import { desc } from 'drizzle-orm'
import type { CommandResults } from '../../../schema/agent/commands.ts'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import type { Task, TaskEntry } from '../../../durable-objects/kernel/outbox.ts'
import { type ImageRow, images } from '../../../schema/project/image.ts'
import type { ServerRow } from '../../../schema/project/compute.ts'
import { systemCaller } from '../../../schema/values/caller.ts'
import { isFault } from '../../../schema/values/fault.ts'
import { queueImage, readImage, removeImage } from '../../image/images/store.ts'
import { anyServer, converge, endTask, nextTask, patch } from './rows.ts'

const SNAPSHOT_DEADLINE_MS = 45 * 60_000
const BACKUP_TYPE = 'backup_type'

export interface SnapshotSpec {
  id: string
  name: string
  properties: Record<string, string>
}

/** Properties that do not follow a server into its image (nova/conf: non_inheritable_image_properties). */
const NOT_INHERITED = new Set(['cache_in_nova', 'bittorrent', 'img_signature_hash_method', 'img_signature', 'img_signature_key_type', 'img_signature_certificate_uuid', 'stores', 'locations'])

export function queueSnapshot(deps: Deps, tx: Tx, row: ServerRow, spec: SnapshotSpec): ImageRow {
  const inherited = Object.fromEntries(Object.entries(row.image?.properties ?? {}).filter(([key]) => !NOT_INHERITED.has(key) && !key.startsWith('os_glance_')))
  return queueImage(deps, tx, {
    id: spec.id, name: spec.name, visibility: 'private', protected: false, hidden: false, container_format: 'bare', disk_format: 'qcow2', min_disk_gib: row.flavor.disk_gib, min_ram_mib: 0, tags: [],
    properties: { ...inherited, image_type: 'snapshot', base_image_ref: row.image_id ?? '', instance_uuid: row.id, user_id: row.user_id, owner_user_name: row.user_id, ...spec.properties },
  })
}

function dropQueued(deps: Deps, tx: Tx, imageId: string): void {
  try {
    removeImage(deps, tx, readImage(deps, imageId))
  } catch (error) {
    if (!isFault(error, 'not_found')) throw error
  }
}

interface SnapshotPayload {
  server_id: string
  image_id: string
  rotation: { type: string; keep: number } | null
}

const waits = (row: ServerRow | undefined, imageId: string): row is ServerRow => row !== undefined && row.operation?.image_id === imageId && row.task_state !== null

async function run(deps: Deps, payload: SnapshotPayload, entry: TaskEntry): Promise<void> {
  const row = anyServer(deps.db, payload.server_id)
  if (!waits(row, payload.image_id) || row.host_id === null || row.task_state === 'shelving_offloading') return
  const host = deps.env.HOST.getByName(row.host_id)
  const { path } = await host.grantTransfer({ method: 'PUT', kind: 'image', image_id: payload.image_id, project_id: deps.name, request_id: entry.request_id })
  const options = { id: `snapshot-${payload.image_id}`, deadline_ms: deps.clock.now_ms() + SNAPSHOT_DEADLINE_MS }
  const made = (await host.command('server.snapshot', { server_id: row.id, transfer_path: path }, options)) as CommandResults['server.snapshot']
  deps.commit({ request_id: entry.request_id, user_id: row.user_id }, (tx) => {
    const now = anyServer(tx.db, payload.server_id)
    if (!waits(now, payload.image_id)) return
    if (payload.rotation !== null) rotate(deps, tx, now, payload.rotation)
    if (now.operation?.action !== 'shelve') return void endTask(tx, now, now.operation?.back ?? 'active')
    const image = { id: payload.image_id, owner_id: deps.name, size_bytes: made.size_bytes, sha512: made.sha512, disk_format: 'qcow2', properties: now.image?.properties ?? {} }
    nextTask(deps, tx, now, 'shelving_offloading', { vm_state: 'shelved', image, shelved_image_id: payload.image_id, generation: now.generation + 1, operation: { ...now.operation, back: 'shelved' } })
    converge(tx, now.id)
  })
}

/** Oldest backups of the same type beyond `keep` are removed. */
function rotate(deps: Deps, tx: Tx, row: ServerRow, rotation: { type: string; keep: number }): void {
  const mine = tx.db.select().from(images).orderBy(desc(images.created_ms)).all().filter((image) => image.properties[BACKUP_TYPE] === rotation.type && image.properties.instance_uuid === row.id)
  for (const old of mine.slice(rotation.keep)) removeImage(deps, tx, old)
}

export const snapshot: Task<Deps> = {
  deadline_ms: SNAPSHOT_DEADLINE_MS,
  attempts_max: 20,
  run,
  expire: (deps, payload: SnapshotPayload, error, entry) => {
    const row = anyServer(deps.db, payload.server_id)
    deps.commit(systemCaller(entry.request_id), (tx) => {
      dropQueued(deps, tx, payload.image_id)
      if (waits(row, payload.image_id)) endTask(tx, row, row.operation?.back ?? row.vm_state, {}, { message: `The image could not be made: ${error}` })
    })
  },
}

/** After an unshelve: the image that the server waited in is not needed any more. */
export const forgetImage: Task<Deps> = {
  run: async (deps, { server_id, image_id }: { server_id: string; image_id: string }, entry) => {
    deps.commit(systemCaller(entry.request_id), (tx) => {
      dropQueued(deps, tx, image_id)
      const row = anyServer(tx.db, server_id)
      if (row?.shelved_image_id === image_id) patch(tx, row, { shelved_image_id: null })
    })
  },
}

export { BACKUP_TYPE }
