/** The query string of a server list, as filters (nova/api/openstack/compute/schemas/servers.py: query_params). */
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { limitOf, sortsOf } from '../common/query.ts'
import { FALSE_TEXTS, TRUE_TEXTS } from '../common/texts.ts'
import { DEFAULT_SORTS, EQUALS, NO_FILTER, type ServerFilter, SORT_COLUMNS } from './listing.ts'
import { statesOfStatus } from './states.ts'
import type { ListQuery } from './store.ts'

/** Filters that only admins' queries obey; others' are ignored. */
const ADMIN_FILTERS = new Set(['host', 'node', 'hypervisor_hostname', 'vm_state', 'task_state', 'power_state', 'user_id', 'launch_index', 'progress', 'uuid', 'root_device_name'])
/** ... until 2.83 opened these to everyone. */
const OPEN_FROM_83 = new Set(['availability_zone', 'config_drive', 'key_name', 'created_at', 'launched_at', 'terminated_at', 'power_state', 'task_state', 'vm_state', 'progress', 'user_id'])
const OTHER_KEYS = new Set([
  'limit', 'marker', 'sort_key', 'sort_dir', 'status', 'name', 'display_name', 'ip', 'ip6', 'changes-since', 'changes-before', 'tags', 'tags-any', 'not-tags', 'not-tags-any', 'locked', 'all_tenants', 'deleted', 'tenant_id', 'project_id', 'detail',
  'uuid', 'soft_deleted', 'description', 'display_description', 'created_at', 'launched_at', 'terminated_at', 'updated_at', 'kernel_id', 'ramdisk_id', 'locked_by', 'changes-since', 'instance_name', 'cell_name', 'server_groups', 'services', 'tags',
  'metadata', 'system_metadata', 'info_cache', 'flavor_ref', 'image_name', 'minDisk', 'minRam',
])

export const boolOf = (text: string, field: string): boolean => {
  if (text === '' || TRUE_TEXTS.has(text.toLowerCase())) return true
  if (FALSE_TEXTS.has(text.toLowerCase())) return false
  throw new Fault('bad_request', `Invalid input for query parameters ${field}. Value: ${text}. must be a boolean`)
}

function timeOf(query: URLSearchParams, name: string): number | null {
  const text = query.get(name)
  if (text === null) return null
  const zoned = /(Z|[+-]\d\d:?\d\d)$/i.test(text) || !text.includes('T') ? text.replace(' ', '+') : `${text}Z`
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(zoned) : Number.NaN
  if (Number.isNaN(at)) throw new Fault('bad_request', `Invalid input for query parameters ${name}. Value: ${text}. is not a date`)
  return at
}

const tagList = (query: URLSearchParams, name: string) => (query.get(name) ?? '').split(',').filter((tag) => tag !== '')

/** Statuses asked for. Unknown ones match nothing, and are an error from 2.38 on. */
function statusesOf(ctx: Context, query: URLSearchParams): string[] {
  const given = query.getAll('status').map((status) => status.toUpperCase())
  for (const status of given) {
    if (statesOfStatus(status).length === 0 && ctx.at(38)) throw new Fault('bad_request', 'Invalid status value')
    if (status === 'DELETED' && !ctx.allows('os_compute_api:servers:allow_all_filters')) throw new Fault('forbidden', 'Only administrators may list deleted instances')
  }
  return given
}

export interface ParsedList extends ListQuery {
  all_tenants: boolean
  project_id: string | null
}

export function listQuery(ctx: Context, detail: boolean): ParsedList {
  const query = ctx.query
  const admin = ctx.allows('os_compute_api:servers:allow_all_filters')
  const equals: Record<string, string> = {}
  for (const [key, value] of query) {
    if (key in EQUALS) {
      if (admin || !ADMIN_FILTERS.has(key) || (ctx.at(83) && OPEN_FROM_83.has(key))) equals[key] = key === 'config_drive' ? (boolOf(value, key) ? 'True' : '') : key === 'image' || key === 'flavor' ? (value.split('/').at(-1) ?? '') : value
    } else if (!OTHER_KEYS.has(key) && ctx.at(75)) throw new Fault('bad_request', `Additional properties are not allowed ('${key}' was unexpected)`)
  }
  const all = query.get('all_tenants')
  const all_tenants = all !== null && boolOf(all, 'all_tenants')
  if (all_tenants) ctx.authorize(`os_compute_api:servers:${detail ? 'detail' : 'index'}:get_all_tenants`)
  const statuses = statusesOf(ctx, query)
  const since = timeOf(query, 'changes-since')
  const before = ctx.at(66) ? timeOf(query, 'changes-before') : null
  if (since !== null && before !== null && since > before) throw new Fault('bad_request', 'The value of changes-since must be less than or equal to changes-before.')
  const deletedText = query.get('deleted')
  const deleted = statuses.includes('DELETED') ? true : deletedText !== null && admin ? boolOf(deletedText, 'deleted') : since !== null || before !== null ? null : false
  const locked = ctx.at(73) && query.get('locked') !== null ? boolOf(query.get('locked') ?? '', 'locked') : null
  const tags = ctx.at(26)
  const filter: ServerFilter = {
    ...NO_FILTER, deleted, statuses, equals, name: query.get('name') ?? query.get('display_name'), ip: query.get('ip'), ip6: admin || ctx.at(5) ? query.get('ip6') : null, changes_since_ms: since, changes_before_ms: before, locked,
    ...(tags ? { tags: tagList(query, 'tags'), tags_any: tagList(query, 'tags-any'), not_tags: tagList(query, 'not-tags'), not_tags_any: tagList(query, 'not-tags-any') } : {}),
  }
  return { filter, sorts: sortsOf(query, new Set(Object.keys(SORT_COLUMNS)), DEFAULT_SORTS), limit: limitOf(query), marker: query.get('marker'), all_tenants, project_id: admin ? (query.get('project_id') ?? query.get('tenant_id')) : null }
}
