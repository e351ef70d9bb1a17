/** Attachments -> JSON. Pure. */
import { time } from '../volumes/views.ts'
import type { AttachmentData } from './store.ts'

/** What os-brick is given to log in with. */
export function connectionInfo(attachment: AttachmentData): Record<string, unknown> {
  const { offer } = attachment
  if (offer === null) return {}
  return {
    driver_volume_type: 'iscsi',
    data: {
      target_discovered: false, target_portal: offer.portal, target_iqn: offer.iqn, target_lun: offer.lun, volume_id: attachment.volume_id, auth_method: 'CHAP', auth_username: offer.chap_user, auth_password: offer.chap_secret, encrypted: false,
      qos_specs: null, access_mode: attachment.mode, cacheable: false,
    },
  }
}

export const summaryView = (attachment: AttachmentData): Record<string, unknown> => ({ id: attachment.id, volume_id: attachment.volume_id, instance: attachment.server_id, status: attachment.status })

export const detailView = (attachment: AttachmentData): Record<string, unknown> => {
  const info = connectionInfo(attachment)
  return {
    ...summaryView(attachment), attached_at: time(attachment.attached_ms) ?? '', detached_at: '', attach_mode: attachment.mode,
    connection_info: attachment.offer === null ? {} : { ...(info.data as object), driver_volume_type: info.driver_volume_type, attachment_id: attachment.id },
  }
}
