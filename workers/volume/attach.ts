/** Attachments inside a transaction: reserve, connect, complete, detach. Compute's peer, the attachments API and the older actions all come here. */
import { eq } from 'drizzle-orm'
import type { Deps, Tx } from '../../durable-objects/kernel/deps.ts'
import { type AttachmentRow, attachments, type VolumeRow } from '../../schema/project/volume.ts'
import { Fault } from '../../schema/values/fault.ts'
import { exportItem, LUN, push } from './items.ts'
import { attachmentsOf, readVolume, writeAttachment, writeVolume } from './rows.ts'
import { accept } from './volumes/states.ts'

export interface Reservation {
  server_id: string | null
  device: string | null
  mode: 'rw' | 'ro'
  by_compute: boolean
  host_name?: string | null
  connector?: Record<string, unknown> | null
}

/** Each attachment offers the volume under a name of its own only where several may be at it at once. */
export const iqnOf = (volume: VolumeRow, attachmentId: string): string => `iqn.2026-01.cloud.skyhook:volume-${volume.id}${volume.multiattach ? `-${attachmentId.slice(9, 13)}${attachmentId.slice(24)}` : ''}`

const hex = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')

export function reserve(deps: Deps, tx: Tx, volume: VolumeRow, request: Reservation, status: AttachmentRow['status'] = 'reserved'): AttachmentRow {
  accept(volume, volume.multiattach ? 'reserve_more' : 'reserve')
  const live = attachmentsOf(deps, volume.id)
  if (!volume.multiattach && live.length > 0) accept({ ...volume, status: 'reserved' }, 'reserve')
  if (request.server_id !== null && live.some((attachment) => attachment.server_id === request.server_id)) throw new Fault('bad_request', `Invalid volume: Volume ${volume.id} is already attached to instance ${request.server_id}.`, { type: 'InvalidVolume' })
  const row: AttachmentRow = {
    id: deps.newId(), volume_id: volume.id, server_id: request.server_id, status, mode: request.mode, device: request.device, host_id: null, host_name: request.host_name ?? null, by_compute: request.by_compute, connector: request.connector ?? null,
    iqn: null, portal: null, chap_user: null, chap_secret: null, generation: 0, attached_ms: null, created_ms: tx.now_ms, updated_ms: tx.now_ms,
  }
  deps.db.insert(attachments).values(row).run()
  tx.change('attachment', row.id, 'create', null, { id: row.id, volume_id: volume.id, server_id: row.server_id })
  if (volume.status !== 'in-use') writeVolume(deps, tx, volume, { status: status === 'reserved' ? 'reserved' : 'attaching' })
  return row
}

/** Promises the export over iSCSI, with credentials of this attachment alone. Again for the same host: the same answer. */
export function offer(deps: Deps, tx: Tx, volume: VolumeRow, row: AttachmentRow): AttachmentRow {
  if (row.iqn !== null) return row
  if (volume.host_id === null || volume.portal === null) throw new Fault('unavailable', `The host of volume ${volume.id} says no address for iSCSI.`)
  const next = writeAttachment(deps, tx, row, {
    iqn: iqnOf(volume, row.id), portal: volume.portal, chap_user: hex(deps.random.bytes(10)), chap_secret: hex(deps.random.bytes(16)), generation: row.generation + 1,
    // A server that moves to another host keeps its volume in use.
    ...(row.status === 'attached' ? {} : { status: 'attaching' as const }),
  })
  push(tx, volume.id, { host_id: volume.host_id, kind: 'export', id: row.id })
  return next
}

/** On the volume's own host: no export is needed (any more). */
export function connectLocally(deps: Deps, tx: Tx, volume: VolumeRow, row: AttachmentRow, hostId: string): AttachmentRow {
  withdraw(deps, tx, volume, row)
  const offered = row.iqn === null ? {} : { iqn: null, portal: null, chap_user: null, chap_secret: null, generation: row.generation + 1 }
  return writeAttachment(deps, tx, row, { host_id: hostId, ...offered, ...(row.status === 'attached' ? {} : { status: 'attaching' as const }) })
}

export interface IscsiOffer {
  type: 'iscsi'
  portal: string
  iqn: string
  lun: number
  chap_user: string
  chap_secret: string
}

export const offerOf = (row: AttachmentRow): IscsiOffer => ({ type: 'iscsi', portal: row.portal ?? '', iqn: row.iqn ?? '', lun: LUN, chap_user: row.chap_user ?? '', chap_secret: row.chap_secret ?? '' })

/** Withdraws the export, if there is one, from the host that offers it. */
export function withdraw(deps: Deps, tx: Tx, volume: VolumeRow, row: AttachmentRow): void {
  if (row.iqn !== null && volume.host_id !== null) push(tx, volume.id, { host_id: volume.host_id, kind: 'export', id: row.id, item: exportItem(deps, row, 'absent') })
}

export function complete(deps: Deps, tx: Tx, row: AttachmentRow): void {
  if (row.status === 'attached') return
  writeAttachment(deps, tx, row, { status: 'attached', attached_ms: tx.now_ms })
  writeVolume(deps, tx, readVolume(deps, row.volume_id), { status: 'in-use' })
}

const HELD: ReadonlySet<string> = new Set(['reserved', 'attaching', 'detaching', 'in-use'])

/** The attachment is over; the last one frees the volume. */
export function detach(deps: Deps, tx: Tx, row: AttachmentRow): void {
  const volume = readVolume(deps, row.volume_id)
  withdraw(deps, tx, volume, row)
  deps.db.delete(attachments).where(eq(attachments.id, row.id)).run()
  tx.change('attachment', row.id, 'delete', { id: row.id, volume_id: row.volume_id, server_id: row.server_id }, null)
  const left = attachmentsOf(deps, volume.id)
  if (!HELD.has(volume.status)) return
  writeVolume(deps, tx, volume, { status: left.length === 0 ? 'available' : left.some((other) => other.status === 'attached') ? 'in-use' : 'reserved' })
}

/** The server is on no host now, and keeps its volume: the export goes, the claim stays. */
export function park(deps: Deps, tx: Tx, row: AttachmentRow): void {
  const volume = readVolume(deps, row.volume_id)
  withdraw(deps, tx, volume, row)
  writeAttachment(deps, tx, row, { status: 'reserved', host_id: null, iqn: null, portal: null, chap_user: null, chap_secret: null, attached_ms: null, generation: row.generation + (row.iqn === null ? 0 : 1) })
  const used = attachmentsOf(deps, volume.id).some((other) => other.status === 'attached')
  if (!used && HELD.has(volume.status)) writeVolume(deps, tx, volume, { status: 'reserved' })
}
