/** Volume types and QoS specs -> JSON. Pure. */
import type { QosRow, VolumeTypeRow } from '../../../schema/region/volume.ts'
import { time } from '../volumes/views.ts'

/** Keys of extra specs that tenants may see (cinder/policies/types_extra_specs.py: user-visible specs). */
const VISIBLE = new Set(['multiattach', 'RESKEY:availability_zones', 'replication_enabled'])

export interface TypeView {
  admin: boolean
  minor: number
}

export function typeView(type: VolumeTypeRow, { admin }: TypeView): Record<string, unknown> {
  const extra_specs = admin ? type.extra_specs : Object.fromEntries(Object.entries(type.extra_specs).filter(([key]) => VISIBLE.has(key)))
  return {
    id: type.id, name: type.name, description: type.description, is_public: type.is_public, 'os-volume-type-access:is_public': type.is_public, ...(admin || Object.keys(extra_specs).length > 0 ? { extra_specs } : {}),
    ...(admin ? { qos_specs_id: type.qos_specs_id } : {}),
  }
}

export function encryptionView(type: VolumeTypeRow): Record<string, unknown> {
  if (type.encryption == null) return {}
  const { encryption_id, provider, cipher, key_size, control_location, created_ms, updated_ms } = type.encryption
  return { volume_type_id: type.id, encryption_id, provider, cipher, key_size, control_location, created_at: time(created_ms), updated_at: time(updated_ms), deleted: false, deleted_at: null }
}

export const qosView = (qos: QosRow): Record<string, unknown> => ({ id: qos.id, name: qos.name, consumer: qos.consumer, specs: qos.specs })
