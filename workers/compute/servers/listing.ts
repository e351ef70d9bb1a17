/** Filters and orders of server lists. Pure: rows in, rows out. */
import type { ServerRow } from '../../../schema/project/compute.ts'
import type { Sort } from '../common/query.ts'
import { statusOf } from './states.ts'

export interface ServerFilter {
  deleted: boolean | null
  /** Upper case statuses, any of. */
  statuses: string[]
  /** Column -> exact value, as text. */
  equals: Record<string, string>
  name: string | null
  ip: string | null
  ip6: string | null
  ids: string[]
  changes_since_ms: number | null
  changes_before_ms: number | null
  tags: string[]
  tags_any: string[]
  not_tags: string[]
  not_tags_any: string[]
  locked: boolean | null
}

export const NO_FILTER: ServerFilter = {
  deleted: false, statuses: [], equals: {}, name: null, ip: null, ip6: null, ids: [], changes_since_ms: null, changes_before_ms: null, tags: [], tags_any: [], not_tags: [], not_tags_any: [], locked: null,
}

/** Filters that Nova compares for equality, by the name in the query. */
export const EQUALS: Record<string, (row: ServerRow) => string | null> = {
  image: (row) => row.image_id, image_ref: (row) => row.image_id, flavor: (row) => row.flavor.id, instance_type_id: (row) => row.flavor.id, host: (row) => row.host_name, node: (row) => row.host_name, hypervisor_hostname: (row) => row.host_name,
  user_id: (row) => row.user_id, vm_state: (row) => row.vm_state, task_state: (row) => row.task_state, power_state: (row) => String(row.power_state), key_name: (row) => row.key_name, hostname: (row) => row.hostname,
  availability_zone: (row) => row.availability_zone ?? row.requested_zone, reservation_id: (row) => row.reservation_id, launch_index: (row) => String(row.launch_index), access_ip_v4: (row) => row.access_ip_v4, access_ip_v6: (row) => row.access_ip_v6,
  progress: (row) => String(row.progress), uuid: (row) => row.id, config_drive: (row) => (row.config_drive ? 'True' : ''), root_device_name: () => '/dev/vda',
}

/** A user's pattern, where it cannot run away; else its literal text. */
export function searcher(pattern: string): (text: string) => boolean {
  const literal = (text: string) => text.includes(pattern)
  if (pattern.length > 255 || /\)\s*[*+{]|[*+}]\s*[*+{]|\(\?|\\\d/.test(pattern)) return literal
  try {
    const regex = new RegExp(pattern, 'i')
    return (text) => regex.test(text)
  } catch {
    return literal
  }
}

export function filterServers(rows: readonly ServerRow[], filter: ServerFilter, addresses: (row: ServerRow) => string[]): ServerRow[] {
  const byName = filter.name === null ? null : searcher(filter.name)
  const byIp = [filter.ip, filter.ip6].filter((ip): ip is string => ip !== null).map(searcher)
  return rows.filter((row) => {
    if (filter.deleted !== null && row.deleted !== filter.deleted) return false
    if (filter.statuses.length > 0 && !filter.statuses.includes(statusOf(row.vm_state, row.task_state))) return false
    for (const [key, wanted] of Object.entries(filter.equals)) if (EQUALS[key] !== undefined && EQUALS[key](row) !== wanted) return false
    if (byName !== null && !byName(row.name)) return false
    if (filter.ids.length > 0 && !filter.ids.includes(row.id)) return false
    if (filter.changes_since_ms !== null && row.updated_ms < filter.changes_since_ms) return false
    if (filter.changes_before_ms !== null && row.updated_ms > filter.changes_before_ms) return false
    if (filter.locked !== null && row.locked !== filter.locked) return false
    if (!filter.tags.every((tag) => row.tags.includes(tag)) || (filter.tags_any.length > 0 && !filter.tags_any.some((tag) => row.tags.includes(tag)))) return false
    if ((filter.not_tags.length > 0 && filter.not_tags.every((tag) => row.tags.includes(tag))) || filter.not_tags_any.some((tag) => row.tags.includes(tag))) return false
    return byIp.length === 0 || addresses(row).some((address) => byIp.every((matches) => matches(address)))
  })
}

type SortColumn = (row: ServerRow) => string | number | boolean | null

export const SORT_COLUMNS: Record<string, SortColumn> = {
  created_at: (row) => row.created_ms, updated_at: (row) => row.updated_ms, launched_at: (row) => row.launched_ms, terminated_at: (row) => row.terminated_ms, display_name: (row) => row.name, name: (row) => row.name,
  display_description: (row) => row.description, description: (row) => row.description, uuid: (row) => row.id, id: (row) => row.seq, host: (row) => row.host_name, node: (row) => row.host_name, image_ref: (row) => row.image_id,
  instance_type_id: (row) => row.flavor.id, key_name: (row) => row.key_name, launch_index: (row) => row.launch_index, power_state: (row) => row.power_state, progress: (row) => row.progress, project_id: () => null, user_id: (row) => row.user_id,
  vm_state: (row) => row.vm_state, task_state: (row) => row.task_state, availability_zone: (row) => row.availability_zone, config_drive: (row) => row.config_drive, hostname: (row) => row.hostname, access_ip_v4: (row) => row.access_ip_v4,
  access_ip_v6: (row) => row.access_ip_v6, locked: (row) => row.locked, locked_by: (row) => row.locked, root_device_name: () => null, ramdisk_id: () => null, kernel_id: () => null,
}

/** Newest first, unless asked otherwise. */
export const DEFAULT_SORTS: readonly Sort[] = [{ key: 'created_at', descending: true }, { key: 'id', descending: true }]

export function sortServers<T extends ServerRow>(rows: readonly T[], sorts: readonly Sort[]): T[] {
  return [...rows].sort((a, b) => {
    for (const { key, descending } of sorts) {
      const column = SORT_COLUMNS[key]
      if (column === undefined) continue
      const [x, y] = [column(a), column(b)]
      if (x === y) continue
      const order = x === null ? -1 : y === null ? 1 : x < y ? -1 : 1
      return descending ? -order : order
    }
    return 0
  })
}
