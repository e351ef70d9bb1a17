/** Snapshots of one project's volumes. Runs in the Project object; they live where their volume lives. */
import { RpcTarget } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { type SnapshotRow, type SnapshotStatus, snapshots, volumes } from '../../../schema/project/volume.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { WAIT_MS, waitUntil } from '../deadlines.ts'
import { push } from '../items.ts'
import { claimVolume, deleteSnapshotRow } from '../make.ts'
import { removeSnapshot } from '../folds.ts'
import { readSnapshot, readVolume, writeSnapshot } from '../rows.ts'
import { accept } from '../volumes/states.ts'

export interface SnapshotData extends SnapshotRow {
  project_id: string
}

export const SNAPSHOT_STATUSES: readonly SnapshotStatus[] = ['creating', 'available', 'deleting', 'error', 'error_deleting', 'backing-up', 'unmanaging', 'restoring']

export interface NewSnapshot {
  volume_id: string
  name: string | null
  description: string | null
  metadata: Record<string, string>
  force: boolean
  quota_defaults: Record<string, number>
  group_snapshot_id?: string
}

/** Row, quota and the promise to the volume's host. */
export function makeSnapshot(deps: Deps, tx: Tx, caller: Caller, spec: NewSnapshot): SnapshotRow {
  const volume = readVolume(deps, spec.volume_id)
  accept(volume, spec.force ? 'snapshot_forced' : 'snapshot')
  if (volume.host_id === null) throw new Fault('bad_request', `Invalid volume: Volume ${volume.id} is not on a host.`)
  claimVolume(deps, spec.quota_defaults, { volumes: 0, gigabytes: volume.size_gib, snapshots: 1, type: volume.volume_type })
  const made: SnapshotRow = {
    id: deps.newId(), volume_id: volume.id, name: spec.name, description: spec.description, status: 'creating', progress: '0%', size_gib: volume.size_gib, volume_type: volume.volume_type, metadata: spec.metadata, host_id: volume.host_id,
    user_id: caller.user_id, generation: 1, desired: 'present', created_ms: tx.now_ms, updated_ms: null, deadline_ms: waitUntil(deps, tx, WAIT_MS.snapshot), group_snapshot_id: spec.group_snapshot_id ?? null,
  }
  deps.db.insert(snapshots).values(made).run()
  tx.change('snapshot', made.id, 'create', null, { id: made.id, volume_id: volume.id, name: made.name })
  push(tx, volume.id, { host_id: volume.host_id, kind: 'snapshot', id: made.id })
  return made
}

export class SnapshotsStore extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(): SnapshotData[] {
    return this.#deps.db.select().from(snapshots).all().map((row) => this.#data(row))
  }

  get(id: string): SnapshotData {
    return this.#data(readSnapshot(this.#deps, id))
  }

  create(spec: NewSnapshot): SnapshotData {
    const row = this.#deps.commit(this.#caller, (tx) => makeSnapshot(this.#deps, tx, this.#caller, spec))
    return this.#data(row)
  }

  update(id: string, change: Partial<Pick<SnapshotRow, 'name' | 'description' | 'metadata'>>): SnapshotData {
    return this.#data(this.#deps.commit(this.#caller, (tx) => writeSnapshot(this.#deps, tx, readSnapshot(this.#deps, id), change)))
  }

  delete(id: string, force: boolean): void {
    this.#deps.commit(this.#caller, (tx) => {
      const row = readSnapshot(this.#deps, id)
      if (row.status === 'deleting' && row.desired === 'absent') return
      if (!force && !['available', 'error', 'error_deleting'].includes(row.status)) throw new Fault('bad_request', `Invalid snapshot: Snapshot status must be one of available, error or error_deleting, but is ${row.status}.`)
      if (this.#deps.db.select().from(volumes).where(eq(volumes.snapshot_id, id)).all().some((volume) => volume.status === 'creating')) throw new Fault('bad_request', `Invalid snapshot: Snapshot ${id} is being copied into a volume.`)
      if (row.host_id === null) return removeSnapshot(this.#deps, tx, row)
      // An earlier try that failed is told to the host anew.
      deleteSnapshotRow(this.#deps, tx, { ...row, desired: 'present' }, row.volume_id)
    })
  }

  setMetadata(id: string, metadata: Record<string, string>, replace: boolean): Record<string, string> {
    return this.update(id, { metadata: replace ? metadata : { ...readSnapshot(this.#deps, id).metadata, ...metadata } }).metadata
  }

  deleteMetadata(id: string, key: string): void {
    const { metadata } = readSnapshot(this.#deps, id)
    if (!(key in metadata)) throw new Fault('not_found', `Snapshot ${id} has no metadata with key ${key}.`)
    this.update(id, { metadata: Object.fromEntries(Object.entries(metadata).filter(([name]) => name !== key)) })
  }

  resetStatus(id: string, status: string, progress?: string): void {
    if (!SNAPSHOT_STATUSES.includes(status as SnapshotStatus)) throw new Fault('bad_request', `Must specify a valid status, not '${status}'.`)
    this.#deps.commit(this.#caller, (tx) => writeSnapshot(this.#deps, tx, readSnapshot(this.#deps, id), { status: status as SnapshotStatus, ...(progress === undefined ? {} : { progress }) }))
  }

  #data(row: SnapshotRow): SnapshotData {
    return { ...row, project_id: this.#deps.name }
  }
}
