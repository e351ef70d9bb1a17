/** Volumes -> JSON, by microversion. Pure. */
import { isoMicrosNoZone } from '../../../schema/values/time.ts'
import { linksOf } from '../route.ts'
import type { VolumeData } from './store.ts'

export interface ViewOf {
  minor: number
  admin: boolean
  base: { self: string; bookmark: string }
}

export const time = (ms: number | null | undefined): string | null => (ms == null ? null : isoMicrosNoZone(ms))

export const summaryView = (volume: VolumeData, { base }: ViewOf): Record<string, unknown> => ({ id: volume.id, name: volume.name, links: linksOf(base, 'volumes', volume.id) })

/** What create and update answer with: detail without the extensions of show. */
export function volumeView(volume: VolumeData, view: ViewOf): Record<string, unknown> {
  const { minor, admin, base } = view
  const attached = volume.attachments.filter((attachment) => attachment.status === 'attached' || attachment.status === 'detaching')
  return {
    id: volume.id, status: volume.status, size: volume.size_gib, availability_zone: volume.availability_zone, created_at: time(volume.created_ms), updated_at: time(volume.updated_ms), name: volume.name, description: volume.description,
    attachments: attached.map((attachment) => ({
      id: volume.id, attachment_id: attachment.id, volume_id: volume.id, server_id: attachment.server_id, host_name: admin ? attachment.host_name : null, device: attachment.device, attached_at: time(attachment.attached_ms),
    })),
    volume_type: volume.volume_type, snapshot_id: volume.snapshot_id, source_volid: volume.source_volid, metadata: { ...volume.metadata, ...(volume.readonly === null ? {} : { readonly: volume.readonly ? 'True' : 'False' }) },
    links: linksOf(base, 'volumes', volume.id), user_id: volume.user_id, bootable: volume.bootable ? 'true' : 'false', encrypted: false, replication_status: null, consistencygroup_id: null, multiattach: volume.multiattach,
    migration_status: null,
    ...(minor >= 13 ? { group_id: volume.group_id } : {}),
    ...(minor >= 21 && admin ? { provider_id: null } : {}),
    ...(minor >= 48 ? { service_uuid: volume.host_id, shared_targets: false } : {}),
    ...(minor >= 61 && admin ? { cluster_name: null } : {}),
    ...(minor >= 63 ? { volume_type_id: volume.volume_type_id } : {}),
    ...(minor >= 65 ? { consumes_quota: true } : {}),
  }
}

/** Show and list detail. */
export function detailView(volume: VolumeData, view: ViewOf): Record<string, unknown> {
  return {
    ...volumeView(volume, view), 'os-vol-tenant-attr:tenant_id': volume.project_id,
    ...(view.admin ? { 'os-vol-host-attr:host': volume.host, 'os-vol-mig-status-attr:migstat': null, 'os-vol-mig-status-attr:name_id': null } : {}),
    ...(volume.image_metadata != null && Object.keys(volume.image_metadata).length > 0 ? { volume_image_metadata: volume.image_metadata } : {}),
  }
}
