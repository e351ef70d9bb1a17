/** What compute asks of volumes inside one transaction of the project: a server takes its volumes with it or not at all. */
import { eq } from 'drizzle-orm'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { VolumesPeer } from '../../durable-objects/project/peers.ts'
import { attachments } from '../../schema/project/volume.ts'
import { Fault } from '../../schema/values/fault.ts'
import { complete, connectLocally, detach, offer, offerOf, park, reserve } from './attach.ts'
import { watchDeadlines } from './deadlines.ts'
import { deleteVolume, makeVolume } from './make.ts'
import { findAttachment, findVolume, readAttachment, readSnapshot, readVolume, writeAttachment, writeVolume } from './rows.ts'
import { imageMetadata } from './volumes/image-metadata.ts'
import { DEFAULT_ZONE } from './types/default-type.ts'
import { accept, isDeletable } from './volumes/states.ts'

/** Wired once in the life of an object: its alarm too. */
export const volumesPeer = (deps: Deps): VolumesPeer => {
  watchDeadlines(deps)
  return peer(deps)
}

const peer = (deps: Deps): VolumesPeer => ({
  get(volumeId) {
    const row = findVolume(deps, volumeId)
    if (row === undefined) return null
    return { id: row.id, name: row.name ?? '', size_gib: row.size_gib, status: row.status, bootable: row.bootable, multiattach: row.multiattach, availability_zone: row.availability_zone, image_metadata: row.image_metadata ?? {}, host_id: row.host_id }
  },
  reserve: (tx, _caller, volumeId, serverId, device) => {
    const volume = readVolume(deps, volumeId)
    return { attachment_id: reserve(deps, tx, volume, { server_id: serverId, device, mode: volume.readonly ? 'ro' : 'rw', by_compute: true }).id }
  },
  connect(tx, _caller, attachmentId, hostId) {
    const row = readAttachment(deps, attachmentId)
    const volume = readVolume(deps, row.volume_id)
    const local = volume.host_id === hostId
    const next = local ? connectLocally(deps, tx, volume, row, hostId) : offer(deps, tx, volume, writeAttachment(deps, tx, row, { host_id: hostId }))
    if (volume.status === 'reserved' || volume.status === 'available') writeVolume(deps, tx, volume, { status: 'attaching' })
    return { id: volume.id, serial: volume.id, boot: false, source: { type: 'volume', size_gib: volume.size_gib, connection: local ? { type: 'local', volume_id: volume.id } : offerOf(next) } }
  },
  complete: (tx, _caller, attachmentId) => complete(deps, tx, readAttachment(deps, attachmentId)),
  beginDetach(tx, _caller, attachmentId) {
    const row = readAttachment(deps, attachmentId)
    const volume = readVolume(deps, row.volume_id)
    if (row.status === 'detaching') return
    if (!volume.multiattach) writeVolume(deps, tx, volume, { status: accept(volume, 'begin_detach') })
    writeAttachment(deps, tx, row, { status: 'detaching' })
  },
  detach(tx, _caller, attachmentId) {
    const row = findAttachment(deps, attachmentId)
    if (row !== undefined) detach(deps, tx, row)
  },
  park(tx, _caller, attachmentId) {
    const row = findAttachment(deps, attachmentId)
    if (row !== undefined && row.status !== 'reserved') park(deps, tx, row)
  },
  attachmentsOf: (serverId) =>
    deps.db.select().from(attachments).where(eq(attachments.server_id, serverId)).all().map(({ id, volume_id, device, status }) => ({ id, volume_id, device, status, delete_on_termination: false })),
  create(tx, caller, request) {
    if (findVolume(deps, request.id) !== undefined) return
    const { source } = request
    const origin = source.type === 'volume' ? readVolume(deps, source.id ?? '') : source.type === 'snapshot' ? readVolume(deps, readSnapshot(deps, source.id ?? '').volume_id) : null
    if (source.type === 'image' && source.image === undefined) throw new Fault('bad_request', 'A volume made from an image needs the image.')
    makeVolume(deps, tx, caller, {
      id: request.id, name: request.name, description: '', size_gib: request.size_gib, type: origin === null ? null : { id: origin.volume_type_id, name: origin.volume_type }, availability_zone: request.availability_zone === DEFAULT_ZONE ? null : request.availability_zone || null, metadata: {}, multiattach: false,
      source: source.type === 'blank' ? null : source.type === 'image' && source.image !== undefined ? { type: 'image', image: source.image } : { type: source.type === 'volume' ? 'volume' : 'snapshot', id: source.id ?? '' },
      snapshot_id: source.type === 'snapshot' ? (source.id ?? null) : null, source_volid: source.type === 'volume' ? (source.id ?? null) : null, bootable: source.type === 'image' || (origin?.bootable ?? false),
      image_metadata: source.type === 'image' && source.image !== undefined ? imageMetadata({ ...source.image, id: source.image.id, image_name: '' }) : (origin?.image_metadata ?? null), scheduler_hints: null,
    }, {})
  },
  delete(tx, _caller, volumeId) {
    const row = findVolume(deps, volumeId)
    if (row !== undefined && row.status !== 'deleting') deleteVolume(deps, tx, row, { cascade: false, force: !isDeletable(row.status) })
  },
})
