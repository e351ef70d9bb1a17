/** Filters of volume listings (api-ref: List accessible volumes). Unknown filters are ignored, as before 3.31. Pure. */
import { inTime, type Keys, parseDict, truth } from '../page.ts'
import type { VolumeData } from './store.ts'

export const VOLUME_KEYS: Keys<VolumeData> = {
  id: (row) => row.id, name: (row) => row.name, display_name: (row) => row.name, status: (row) => row.status, size: (row) => row.size_gib, availability_zone: (row) => row.availability_zone, created_at: (row) => row.created_ms,
  updated_at: (row) => row.updated_ms, bootable: (row) => row.bootable, host: (row) => row.host, project_id: (row) => row.project_id, volume_type: (row) => row.volume_type, volume_type_id: (row) => row.volume_type_id, attach_status: (row) => row.attachments.length,
}
export const VOLUME_SORTABLE = Object.keys(VOLUME_KEYS)

const like = (value: string | null, part: string): boolean => value?.toLowerCase().includes(part.toLowerCase()) ?? false

const FILTERS: Record<string, (row: VolumeData, value: string, query: URLSearchParams) => boolean> = {
  name: (row, value) => row.name === value,
  'name~': (row, value) => like(row.name, value),
  display_name: (row, value) => row.name === value,
  status: (row, value) => row.status === value,
  'status~': (row, value) => like(row.status, value),
  id: (row, value) => row.id === value,
  size: (row, value) => row.size_gib === Number(value),
  availability_zone: (row, value) => row.availability_zone === value,
  'availability_zone~': (row, value) => like(row.availability_zone, value),
  bootable: (row, value) => row.bootable === truth(value, 'bootable'),
  multiattach: (row, value) => row.multiattach === truth(value, 'multiattach'),
  encrypted: (_row, value) => !truth(value, 'encrypted'),
  volume_type: (row, value) => row.volume_type === value || row.volume_type_id === value,
  volume_type_id: (row, value) => row.volume_type_id === value,
  user_id: (row, value) => row.user_id === value,
  source_volid: (row, value) => row.source_volid === value,
  snapshot_id: (row, value) => row.snapshot_id === value,
  group_id: (row, value) => row.group_id === value,
  host: (row, value) => row.host === value,
  'description~': (row, value) => like(row.description, value),
  metadata: (row, value) => Object.entries(parseDict(value) ?? { '': '' }).every(([key, wanted]) => row.metadata[key] === String(wanted)),
  glance_metadata: (row, value) => Object.entries(parseDict(value) ?? { '': '' }).every(([key, wanted]) => row.image_metadata?.[key] === String(wanted)),
  created_at: (row, value) => inTime(row.created_ms, value),
  updated_at: (row, value) => inTime(row.updated_ms, value),
}

export const matchesVolume = (row: VolumeData, query: URLSearchParams): boolean => [...query].every(([name, value]) => FILTERS[name]?.(row, value, query) ?? true)
