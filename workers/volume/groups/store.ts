/** Groups of volumes and their snapshots, of one project. Runs in the Project object. A group has no work of its own on a host: its volumes have. */
import { RpcTarget } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import { type GroupRow, type GroupSnapshotRow, groups, groupSnapshots } from '../../../schema/project/volume.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { deleteSnapshotRow, deleteVolume, makeVolume } from '../make.ts'
import { readVolume, writeVolume } from '../rows.ts'
import { makeSnapshot } from '../snapshots/store.ts'
import { readGroup, readGroupSnapshot, snapshotsIn, statusOf, volumesIn } from './rows.ts'

export interface GroupData extends Omit<GroupRow, 'status'> {
  status: string
  volumes: string[]
  project_id: string
}

export interface GroupSnapshotData extends Omit<GroupSnapshotRow, 'status'> {
  status: string
  project_id: string
}

export interface NewGroup {
  name: string | null
  description: string | null
  group_type_id: string
  volume_types: string[]
  availability_zone: string
}

const STATUSES = ['creating', 'available', 'deleting', 'error', 'in-use', 'error_deleting', 'updating']

export class GroupsStore extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(): GroupData[] {
    return this.#deps.db.select().from(groups).all().map((row) => this.#data(row))
  }

  get(id: string): GroupData {
    return this.#data(readGroup(this.#deps, id))
  }

  create(spec: NewGroup): GroupData {
    return this.#data(this.#deps.commit(this.#caller, (tx) => this.#insert(tx, { ...spec, group_snapshot_id: null, source_group_id: null })))
  }

  /** One new volume for each of the source's, from its snapshot or as its clone. */
  createFrom(source: { group_snapshot_id: string } | { source_group_id: string }, name: string | null, description: string | null, quota_defaults: Record<string, number>): GroupData {
    const row = this.#deps.commit(this.#caller, (tx) => {
      const snapshot = 'group_snapshot_id' in source ? readGroupSnapshot(this.#deps, source.group_snapshot_id) : null
      const origin = readGroup(this.#deps, snapshot?.group_id ?? ('source_group_id' in source ? source.source_group_id : ''))
      const made = this.#insert(tx, { ...origin, name, description, group_snapshot_id: snapshot?.id ?? null, source_group_id: snapshot === null ? origin.id : null })
      const parts = snapshot === null
        ? volumesIn(this.#deps, origin.id).map((volume) => ({ volume, snapshot_id: null }))
        : snapshotsIn(this.#deps, snapshot.id).map((part) => ({ volume: readVolume(this.#deps, part.volume_id), snapshot_id: part.id }))
      for (const { volume, snapshot_id } of parts) {
        makeVolume(this.#deps, tx, this.#caller, {
          name: volume.name, description: volume.description, size_gib: volume.size_gib, type: { id: volume.volume_type_id, name: volume.volume_type }, availability_zone: null, metadata: volume.metadata, multiattach: volume.multiattach,
          source: snapshot_id === null ? { type: 'volume', id: volume.id } : { type: 'snapshot', id: snapshot_id }, snapshot_id, source_volid: snapshot_id === null ? volume.id : null, bootable: volume.bootable,
          image_metadata: volume.image_metadata ?? null, scheduler_hints: null, group_id: made.id,
        }, quota_defaults)
      }
      return made
    })
    return this.#data(row)
  }

  update(id: string, change: { name?: string | null; description?: string | null; add: string[]; remove: string[] }): GroupData {
    const row = this.#deps.commit(this.#caller, (tx) => {
      const found = readGroup(this.#deps, id)
      for (const volumeId of change.remove) {
        const volume = readVolume(this.#deps, volumeId)
        if (volume.group_id !== id) throw new Fault('bad_request', `Invalid volume: Cannot remove volume ${volumeId} from group ${id} because it is not in the group.`)
        writeVolume(this.#deps, tx, volume, { group_id: null })
      }
      for (const volumeId of change.add) {
        const volume = readVolume(this.#deps, volumeId)
        if (volume.group_id !== null) throw new Fault('bad_request', `Invalid volume: Cannot add volume ${volumeId} to group ${id} because it is already in group ${volume.group_id}.`)
        if (!found.volume_types.includes(volume.volume_type_id)) throw new Fault('bad_request', `Invalid volume: Cannot add volume ${volumeId} to group ${id} because its type is not supported by the group.`)
        writeVolume(this.#deps, tx, volume, { group_id: id })
      }
      const next = { ...found, ...(change.name === undefined ? {} : { name: change.name }), ...(change.description === undefined ? {} : { description: change.description }) }
      this.#deps.db.update(groups).set(next).where(eq(groups.id, id)).run()
      tx.change('volume_group', id, 'update', found, next)
      return next
    })
    return this.#data(row)
  }

  delete(id: string, withVolumes: boolean): void {
    this.#deps.commit(this.#caller, (tx) => {
      readGroup(this.#deps, id)
      const parts = volumesIn(this.#deps, id)
      if (parts.length > 0 && !withVolumes) throw new Fault('bad_request', `Invalid group: Group ${id} still contains volumes. The delete-volumes flag is required to delete it.`)
      if (this.#deps.db.select().from(groupSnapshots).where(eq(groupSnapshots.group_id, id)).get() !== undefined) throw new Fault('bad_request', `Invalid group: Group ${id} still has dependent group snapshots.`)
      if (parts.length === 0) {
        this.#deps.db.delete(groups).where(eq(groups.id, id)).run()
        tx.change('volume_group', id, 'delete', { id }, null)
        return
      }
      this.#deps.db.update(groups).set({ status: 'deleting' }).where(eq(groups.id, id)).run()
      for (const volume of parts) deleteVolume(this.#deps, tx, volume, { cascade: false, force: false, with_group: true })
    })
  }

  resetStatus(id: string, status: string): void {
    if (!STATUSES.includes(status)) throw new Fault('bad_request', `Invalid group status '${status}'.`)
    readGroup(this.#deps, id)
    this.#deps.commit(this.#caller, () => void this.#deps.db.update(groups).set({ status: status === 'available' ? null : status }).where(eq(groups.id, id)).run())
  }

  // ---------------------------------------------------------------- snapshots

  listSnapshots(): GroupSnapshotData[] {
    return this.#deps.db.select().from(groupSnapshots).all().map((row) => this.#snapshot(row))
  }

  getSnapshot(id: string): GroupSnapshotData {
    return this.#snapshot(readGroupSnapshot(this.#deps, id))
  }

  createSnapshot(group_id: string, name: string | null, description: string | null, quota_defaults: Record<string, number>): GroupSnapshotData {
    const row = this.#deps.commit(this.#caller, (tx) => {
      const group = readGroup(this.#deps, group_id)
      const parts = volumesIn(this.#deps, group_id)
      if (parts.length === 0) throw new Fault('bad_request', `Invalid group: Source group ${group_id} is empty. No group snapshot will be created.`)
      const made: GroupSnapshotRow = { id: this.#deps.newId(), group_id, name, description, status: null, group_type_id: group.group_type_id, created_ms: tx.now_ms }
      this.#deps.db.insert(groupSnapshots).values(made).run()
      tx.change('volume_group_snapshot', made.id, 'create', null, { id: made.id, group_id })
      for (const volume of parts) makeSnapshot(this.#deps, tx, this.#caller, { volume_id: volume.id, name, description, metadata: {}, force: true, quota_defaults, group_snapshot_id: made.id })
      return made
    })
    return this.#snapshot(row)
  }

  deleteSnapshot(id: string): void {
    this.#deps.commit(this.#caller, (tx) => {
      const row = readGroupSnapshot(this.#deps, id)
      const parts = snapshotsIn(this.#deps, id)
      if (parts.length === 0) this.#deps.db.delete(groupSnapshots).where(eq(groupSnapshots.id, id)).run()
      else this.#deps.db.update(groupSnapshots).set({ status: 'deleting' }).where(eq(groupSnapshots.id, id)).run()
      for (const part of parts) deleteSnapshotRow(this.#deps, tx, part, part.volume_id)
      tx.change('volume_group_snapshot', id, 'delete', row, null)
    })
  }

  resetSnapshotStatus(id: string, status: string): void {
    if (!STATUSES.includes(status)) throw new Fault('bad_request', `Invalid group snapshot status '${status}'.`)
    readGroupSnapshot(this.#deps, id)
    this.#deps.commit(this.#caller, () => void this.#deps.db.update(groupSnapshots).set({ status: status === 'available' ? null : status }).where(eq(groupSnapshots.id, id)).run())
  }

  #insert(tx: Tx, spec: NewGroup & { group_snapshot_id: string | null; source_group_id: string | null }): GroupRow {
    peersOf(this.#deps).quotas.claim('volume', this.#deps.db, { groups: 1 }, (over) => new Fault('over_quota', `Maximum number of groups allowed (${over[0]?.limit}) exceeded`, { type: 'GroupLimitExceeded' }))
    const { name, description, group_type_id, volume_types, availability_zone, group_snapshot_id, source_group_id } = spec
    const row: GroupRow = { id: this.#deps.newId(), name, description, status: null, group_type_id, volume_types, availability_zone, group_snapshot_id, source_group_id, created_ms: tx.now_ms }
    this.#deps.db.insert(groups).values(row).run()
    tx.change('volume_group', row.id, 'create', null, row)
    return row
  }

  #data(row: GroupRow): GroupData {
    const parts = volumesIn(this.#deps, row.id)
    return { ...row, status: statusOf(row, parts), volumes: parts.map((volume) => volume.id), project_id: this.#deps.name }
  }

  #snapshot(row: GroupSnapshotRow): GroupSnapshotData {
    return { ...row, status: statusOf(row, snapshotsIn(this.#deps, row.id)), project_id: this.#deps.name }
  }
}
