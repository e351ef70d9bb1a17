/** Volumes of one project. Runs in the Project object; what hosts and the region must do is promised in the same transaction. */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { type AttachmentRow, attachments, type VolumeRow, type VolumeStatus, volumes } from '../../../schema/project/volume.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { WAIT_MS, waitUntil } from '../deadlines.ts'
import { keyOf } from '../items.ts'
import { claimSize, claimVolume, deleteVolume, makeVolume, type NewVolume } from '../make.ts'
import { readGroup } from '../groups/rows.ts'
import { attachmentsOf, readSnapshot, readVolume, writeVolume } from '../rows.ts'
import { accept, STATUSES } from './states.ts'

export interface VolumeData extends VolumeRow {
  project_id: string
  attachments: Omit<AttachmentRow, 'chap_secret' | 'chap_user'>[]
}

export type CreateVolume = Omit<NewVolume, 'source' | 'bootable' | 'image_metadata'> & {
  image: { source: NewVolume['source']; metadata: Record<string, string>; min_gib: number } | null
  quota_defaults: Record<string, number>
}

const RESERVED_LIFE_MS = 3_600_000

export class VolumesStore extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(): VolumeData[] {
    const byVolume = new Map<string, AttachmentRow[]>()
    for (const row of this.#deps.db.select().from(attachments).all()) byVolume.set(row.volume_id, [...(byVolume.get(row.volume_id) ?? []), row])
    return this.#deps.db.select().from(volumes).all().map((row) => this.#data(row, byVolume.get(row.id) ?? []))
  }

  get(id: string): VolumeData {
    return this.#data(readVolume(this.#deps, id), attachmentsOf(this.#deps, id))
  }

  /** Size 0: the source's. Sources are checked here, where they cannot change meanwhile. */
  create(spec: CreateVolume): VolumeData {
    const row = this.#deps.commit(this.#caller, (tx) => {
      const snapshot = spec.snapshot_id === null ? null : readSnapshot(this.#deps, spec.snapshot_id)
      const origin = spec.source_volid === null ? null : readVolume(this.#deps, spec.source_volid)
      if (snapshot !== null && snapshot.status !== 'available') throw new Fault('bad_request', `Invalid snapshot: Originating snapshot status must be one of 'available' values`)
      if (origin !== null) accept(origin, 'clone')
      if (spec.group_id) readGroup(this.#deps, spec.group_id)
      const base = origin ?? (snapshot === null ? null : readVolume(this.#deps, snapshot.volume_id))
      const size_gib = spec.size_gib || snapshot?.size_gib || origin?.size_gib || 0
      if (size_gib <= 0) throw new Fault('bad_request', "Invalid input received: Volume size '0' must be an integer and greater than 0")
      if (snapshot !== null && size_gib < snapshot.size_gib) throw new Fault('bad_request', `Invalid input received: Volume size ${size_gib}GB cannot be smaller than the snapshot size ${snapshot.size_gib}GB. They must be >= original snapshot size.`)
      if (origin !== null && size_gib < origin.size_gib) throw new Fault('bad_request', `Invalid input received: Clones currently disallowed when ${size_gib} < ${origin.size_gib}. They must be >= original volume size.`)
      if (spec.image !== null && size_gib < spec.image.min_gib) throw new Fault('bad_request', `Invalid input received: Volume size ${size_gib}GB cannot be smaller than the image minDisk size ${spec.image.min_gib}GB.`)
      return makeVolume(this.#deps, tx, this.#caller, {
        ...spec, size_gib, type: spec.type ?? (base === null ? null : { id: base.volume_type_id, name: base.volume_type }),
        source: spec.image?.source ?? (snapshot !== null ? { type: 'snapshot', id: snapshot.id } : origin !== null ? { type: 'volume', id: origin.id } : null),
        bootable: spec.image !== null || (base?.bootable ?? false), image_metadata: spec.image?.metadata ?? base?.image_metadata ?? null,
      }, spec.quota_defaults)
    })
    return this.#data(row, [])
  }

  update(id: string, change: Partial<Pick<VolumeRow, 'name' | 'description' | 'metadata' | 'bootable' | 'readonly'>>): VolumeData {
    return this.#change(id, () => change)
  }

  delete(id: string, options: { cascade: boolean; force: boolean }): void {
    this.#deps.commit(this.#caller, (tx) => {
      const row = readVolume(this.#deps, id)
      if (row.status !== 'deleting' || options.force) deleteVolume(this.#deps, tx, row, options)
    })
  }

  extend(id: string, new_size: number, options: { attached: boolean; quota_defaults: Record<string, number> }): void {
    this.#deps.commit(this.#caller, (tx) => {
      const row = readVolume(this.#deps, id)
      const status = accept(row, options.attached ? 'extend_attached' : 'extend')
      if (new_size <= row.size_gib) throw new Fault('bad_request', `Invalid input received: New size for extend must be greater than current size. (current: ${row.size_gib}, extended: ${new_size}).`)
      claimSize(this.#deps, new_size)
      claimVolume(this.#deps, options.quota_defaults, { volumes: 0, gigabytes: new_size - row.size_gib, type: row.volume_type })
      writeVolume(this.#deps, tx, row, { status, previous_status: row.status, pending_size_gib: new_size, generation: row.generation + 1, deadline_ms: waitUntil(this.#deps, tx, WAIT_MS.extend) })
      tx.outbox('volume.extend', { id, size_gib: new_size }, { key: keyOf(id) })
    })
  }

  setMetadata(id: string, metadata: Record<string, string>, replace: boolean): Record<string, string> {
    return this.#change(id, (row) => ({ metadata: replace ? metadata : { ...row.metadata, ...metadata } })).metadata
  }

  deleteMetadata(id: string, key: string): void {
    this.#change(id, (row) => {
      if (!(key in row.metadata)) throw new Fault('not_found', `Volume ${id} has no metadata with key ${key}.`)
      return { metadata: Object.fromEntries(Object.entries(row.metadata).filter(([name]) => name !== key)) }
    })
  }

  setImageMetadata(id: string, metadata: Record<string, string>): Record<string, string> {
    return this.#change(id, (row) => ({ image_metadata: { ...row.image_metadata, ...metadata } })).image_metadata ?? {}
  }

  deleteImageMetadata(id: string, key: string): void {
    this.#change(id, (row) => {
      if (row.image_metadata == null || !(key in row.image_metadata)) throw new Fault('not_found', 'Metadata item was not found')
      return { image_metadata: Object.fromEntries(Object.entries(row.image_metadata).filter(([name]) => name !== key)) }
    })
  }

  /** The older handshake: status only, no attachment yet. Given up after an hour if nothing follows. */
  hold(id: string): void {
    this.#deps.commit(this.#caller, (tx) => {
      const row = readVolume(this.#deps, id)
      writeVolume(this.#deps, tx, row, { status: accept(row, 'reserve') })
      tx.outbox('volume.reserve_watch', { id, status: 'attaching' }, { delay_ms: RESERVED_LIFE_MS, deadline_ms: RESERVED_LIFE_MS * 2 })
    })
  }

  unhold(id: string): void {
    this.#change(id, (row) => (row.status === 'attaching' || row.status === 'reserved' ? { status: attachmentsOf(this.#deps, id).length > 0 ? 'in-use' : 'available' } : {}))
  }

  beginDetaching(id: string): void {
    this.#change(id, (row) => ({ status: accept(row, 'begin_detach') }))
  }

  rollDetaching(id: string): void {
    this.#change(id, (row) => (row.status === 'detaching' ? { status: 'in-use' } : {}))
  }

  /** Copying to a queued image of this project. */
  upload(id: string, image_id: string, disk_format: string, force: boolean): VolumeData {
    return this.#change(id, (row, tx) => {
      const status = accept(row, force ? 'upload_forced' : 'upload')
      tx.outbox('volume.upload', { volume_id: id, image_id, disk_format })
      return { status, previous_status: row.status }
    })
  }

  retype(id: string, type: { id: string; name: string }, quota_defaults: Record<string, number>): void {
    this.#change(id, (row, tx) => {
      accept(row, 'retype')
      if (row.volume_type_id === type.id) throw new Fault('bad_request', `Invalid input received: New volume_type same as original: ${type.id}.`)
      const limits: Record<string, number> = Object.fromEntries(Object.entries(quota_defaults).filter(([name]) => name.endsWith(`_${type.name}`)))
      claimVolume(this.#deps, limits, { volumes: 0, gigabytes: 0, type: type.name })
      tx.outbox('volume.retype', { id, volume_type_id: type.id }, { key: keyOf(id) })
      return { volume_type_id: type.id, volume_type: type.name }
    })
  }

  /** An admin's word against the row's. Attachments are dropped where the volume is declared detached. */
  resetStatus(id: string, change: { status?: string; attach_status?: string }): void {
    this.#change(id, (_row) => {
      if (change.status !== undefined && !STATUSES.includes(change.status as VolumeStatus)) throw new Fault('bad_request', `Must specify a valid status, not '${change.status}'.`)
      return change.status === undefined ? {} : { status: change.status as VolumeStatus, previous_status: null }
    })
  }

  #change(id: string, change: (row: VolumeRow, tx: Tx) => Partial<VolumeRow>): VolumeData {
    const row = this.#deps.commit(this.#caller, (tx) => {
      const found = readVolume(this.#deps, id)
      const changes = change(found, tx)
      return Object.keys(changes).length === 0 ? found : writeVolume(this.#deps, tx, found, changes)
    })
    return this.#data(row, attachmentsOf(this.#deps, id))
  }

  #data(row: VolumeRow, attached: AttachmentRow[]): VolumeData {
    return { ...row, project_id: this.#deps.name, attachments: attached.map(({ chap_secret: _secret, chap_user: _user, ...shown }) => shown) }
  }
}
