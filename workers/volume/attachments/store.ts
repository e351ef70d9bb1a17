/** Attachments of one project's volumes, as clients ask for them: the attachments API and the older actions. Runs in the Project object. */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import { type AttachmentRow, attachments } from '../../../schema/project/volume.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { complete, detach, type IscsiOffer, offer, offerOf, reserve } from '../attach.ts'
import { attachmentMissing, attachmentsOf, readAttachment, readVolume, writeAttachment, writeVolume } from '../rows.ts'
import { accept } from '../volumes/states.ts'

export interface AttachmentData extends Omit<AttachmentRow, 'chap_secret' | 'chap_user'> {
  project_id: string
  /** Only in the answer to who connects. */
  offer: IscsiOffer | null
}

export class AttachmentsStore extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(): AttachmentData[] {
    return this.#deps.db.select().from(attachments).all().map((row) => this.#data(row, false))
  }

  get(id: string): AttachmentData {
    return this.#data(readAttachment(this.#deps, id), true)
  }

  /** With a connector: reserved and offered in one step. */
  create(request: { volume_id: string; server_id: string | null; mode: 'rw' | 'ro'; connector: Record<string, unknown> | null }): AttachmentData {
    const row = this.#deps.commit(this.#caller, (tx) => {
      const volume = readVolume(this.#deps, request.volume_id)
      const made = reserve(this.#deps, tx, volume, { server_id: request.server_id, device: null, mode: request.mode, by_compute: false, connector: request.connector, host_name: hostOf(request.connector) })
      return request.connector === null ? made : offer(this.#deps, tx, volume, made)
    })
    return this.#data(row, true)
  }

  connect(id: string, connector: Record<string, unknown>): AttachmentData {
    const row = this.#deps.commit(this.#caller, (tx) => {
      const found = this.#ours(id)
      const volume = readVolume(this.#deps, found.volume_id)
      const device = typeof connector.mountpoint === 'string' ? connector.mountpoint : found.device
      const next = offer(this.#deps, tx, volume, writeAttachment(this.#deps, tx, found, { connector, host_name: hostOf(connector), device }))
      if (volume.status === 'reserved') writeVolume(this.#deps, tx, volume, { status: 'attaching' })
      return next
    })
    return this.#data(row, true)
  }

  complete(id: string): void {
    this.#deps.commit(this.#caller, (tx) => complete(this.#deps, tx, this.#ours(id)))
  }

  /** A server's attachment is its server's to end: else a tenant could pull a disk from under another's running guest (OSSA-2023-003). */
  delete(id: string): AttachmentData[] {
    return this.#deps.commit(this.#caller, (tx) => {
      const row = this.#ours(id)
      detach(this.#deps, tx, row)
      return attachmentsOf(this.#deps, row.volume_id).map((left) => this.#data(left, false))
    })
  }

  /** os-attach: bookkeeping of a client that connected the volume itself. */
  attach(volume_id: string, request: { server_id: string | null; host_name: string | null; mountpoint: string; mode: 'rw' | 'ro' }): void {
    this.#deps.commit(this.#caller, (tx) => {
      const volume = readVolume(this.#deps, volume_id)
      if (request.mode === 'rw' && volume.readonly === true) throw new Fault('bad_request', `Invalid volume: Volume ${volume_id} is read-only; it can be attached with mode ro.`)
      const held = attachmentsOf(this.#deps, volume_id).find((row) => row.status !== 'attached' && !row.by_compute)
      const open = volume.status === 'attaching' || volume.status === 'reserved'
      const row = held ?? reserve(this.#deps, tx, open ? { ...volume, status: 'available' } : volume, { server_id: request.server_id, device: request.mountpoint, mode: request.mode, by_compute: false, host_name: request.host_name })
      complete(this.#deps, tx, writeAttachment(this.#deps, tx, row, { server_id: request.server_id, device: request.mountpoint, mode: request.mode, host_name: request.host_name ?? row.host_name }))
    })
  }

  /** os-detach, os-force_detach. Without an attachment id there must be one at most. */
  detach(volume_id: string, attachment_id: string | null, force: boolean): void {
    this.#deps.commit(this.#caller, (tx) => {
      const volume = readVolume(this.#deps, volume_id)
      const rows = attachmentsOf(this.#deps, volume_id).filter((row) => attachment_id === null || row.id === attachment_id)
      if (attachment_id !== null && rows.length === 0) throw attachmentMissing(attachment_id)
      if (rows.length > 1) throw new Fault('bad_request', 'Invalid volume: Detach volume failed: More than one attachment, but no attachment_id provided.')
      const [row] = rows
      if (row === undefined) {
        if (volume.status === 'available') return
        if (!force && !['attaching', 'detaching', 'reserved', 'in-use'].includes(volume.status)) accept(volume, 'begin_detach')
        return void writeVolume(this.#deps, tx, volume, { status: 'available' })
      }
      // Forced: whatever the status was said to be, the attachment is over.
      if (force) writeVolume(this.#deps, tx, volume, { status: 'detaching' })
      detach(this.#deps, tx, this.#ours(row.id))
    })
  }

  /** os-initialize_connection: an attachment of the connector's host, offered. Again: the same. */
  initialize(volume_id: string, connector: Record<string, unknown>): AttachmentData {
    const row = this.#deps.commit(this.#caller, (tx) => {
      const volume = readVolume(this.#deps, volume_id)
      const known = attachmentsOf(this.#deps, volume_id).find((entry) => !entry.by_compute && (entry.host_name === hostOf(connector) || entry.iqn === null))
      const free = volume.status === 'attaching' ? { ...volume, status: 'available' as const } : volume
      const made = known ?? reserve(this.#deps, tx, free, { server_id: null, device: null, mode: 'rw', by_compute: false, connector, host_name: hostOf(connector) }, 'attaching')
      return offer(this.#deps, tx, volume, made)
    })
    return this.#data(row, true)
  }

  terminate(volume_id: string, connector: Record<string, unknown>): void {
    this.#deps.commit(this.#caller, (tx) => {
      readVolume(this.#deps, volume_id)
      const row = attachmentsOf(this.#deps, volume_id).find((entry) => !entry.by_compute && entry.status !== 'attached' && entry.host_name === hostOf(connector))
      if (row !== undefined) detach(this.#deps, tx, row)
    })
  }

  #ours(id: string): AttachmentRow {
    const row = readAttachment(this.#deps, id)
    const server = row.by_compute && row.server_id !== null ? peersOf(this.#deps).servers.get(row.server_id) : null
    if (server !== null && server !== undefined && !this.#caller.roles.includes('service')) throw new Fault('conflict', `Detach volume from instance ${row.server_id} using the Compute API`, { type: 'ConflictNovaUsingAttachment' })
    return row
  }

  #data(row: AttachmentRow, withOffer: boolean): AttachmentData {
    const { chap_secret: _secret, chap_user: _user, ...shown } = row
    return { ...shown, project_id: this.#deps.name, offer: withOffer && row.iqn !== null && !row.by_compute ? offerOf(row) : null }
  }
}

const hostOf = (connector: Record<string, unknown> | null): string | null => (typeof connector?.host === 'string' ? connector.host : null)
