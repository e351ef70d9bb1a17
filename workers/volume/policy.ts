/** Cinder's rules (cinder/policies/*.py). One line each: name, who, what. */
import type { PolicyRule } from '../http/policy.ts'

const READ = 'rule:project_reader_or_admin'
const WRITE = 'rule:project_member_or_admin'
const ADMIN = 'rule:admin_required'
const SERVICE = 'rule:project_member_or_admin or rule:service_role'
const rules = (check: string, names: string[]): PolicyRule[] => names.map((name) => ({ name, check }))

export const policies: PolicyRule[] = [
  ...rules(READ, [
    'volume:get', 'volume:get_all', 'volume:get_volume_metadata', 'volume:get_snapshot', 'volume:get_all_snapshots', 'volume:get_snapshot_metadata', 'volume_extension:volume_image_metadata:show', 'backup:get', 'backup:get_all',
    'volume:get_transfer', 'volume:get_all_transfers', 'volume_extension:type_get', 'volume_extension:type_get_all', 'volume_extension:types_extra_specs:index', 'volume_extension:types_extra_specs:show', 'volume_extension:quotas:show',
    'limits_extension:used_limits', 'volume:availability_zone_list', 'volume_extension:list_extensions', 'message:get', 'message:get_all', 'volume:attachment_get', 'group:get_all', 'group:get', 'group:get_all_group_snapshots', 'group:get_group_snapshot', 'group:group_types:get',
  ]),
  ...rules(WRITE, [
    'volume:create', 'volume:create_from_image', 'volume:update', 'volume:delete', 'volume:create_volume_metadata', 'volume:update_volume_metadata', 'volume:delete_volume_metadata', 'volume:create_snapshot', 'volume:update_snapshot',
    'volume:delete_snapshot', 'volume:update_snapshot_metadata', 'volume:delete_snapshot_metadata', 'volume_extension:volume_image_metadata:set', 'volume_extension:volume_image_metadata:remove', 'backup:create', 'backup:update', 'backup:delete',
    'backup:restore', 'volume:create_transfer', 'volume:accept_transfer', 'volume:delete_transfer', 'volume:extend', 'volume:extend_attached_volume', 'volume:retype', 'volume:update_readonly_flag', 'volume_extension:volume_actions:upload_image',
    'volume_extension:volume_actions:reserve', 'volume_extension:volume_actions:unreserve', 'volume_extension:volume_actions:begin_detaching', 'volume_extension:volume_actions:roll_detaching', 'volume_extension:volume_actions:attach',
    'volume_extension:volume_actions:detach', 'volume_extension:volume_actions:initialize_connection', 'volume_extension:volume_actions:terminate_connection', 'volume:reimage', 'message:delete', 'volume:attachment_create',
    'volume:attachment_delete', 'volume:attachment_update', 'volume:attachment_complete', 'volume:revert_to_snapshot', 'group:create', 'group:update', 'group:delete', 'group:create_group_snapshot', 'group:delete_group_snapshot', 'volume_extension:snapshot_actions:update_snapshot_status',
  ]),
  ...rules(ADMIN, [
    'volume_extension:volume_admin_actions:reset_status', 'volume_extension:volume_admin_actions:force_delete', 'volume_extension:volume_admin_actions:force_detach', 'volume_extension:snapshot_admin_actions:reset_status',
    'volume_extension:snapshot_admin_actions:force_delete', 'volume_extension:backup_admin_actions:reset_status', 'volume_extension:backup_admin_actions:force_delete', 'backup:export-import', 'backup:export', 'backup:import',
    'volume_extension:type_create', 'volume_extension:type_update', 'volume_extension:type_delete', 'volume_extension:types_extra_specs:create', 'volume_extension:types_extra_specs:update', 'volume_extension:types_extra_specs:delete',
    'volume_extension:type_access_list', 'volume_extension:volume_type_access:addProjectAccess', 'volume_extension:volume_type_access:removeProjectAccess', 'volume_extension:volume_type_encryption:create',
    'volume_extension:volume_type_encryption:get', 'volume_extension:volume_type_encryption:update', 'volume_extension:volume_type_encryption:delete', 'volume_extension:qos_specs_manage:create', 'volume_extension:qos_specs_manage:get',
    'volume_extension:qos_specs_manage:get_all', 'volume_extension:qos_specs_manage:update', 'volume_extension:qos_specs_manage:delete', 'volume_extension:quotas:update', 'volume_extension:quotas:delete', 'volume_extension:quota_classes:get',
    'volume_extension:quota_classes:update', 'volume_extension:services:index', 'volume_extension:services:update', 'volume:freeze_host', 'volume:thaw_host', 'volume_extension:hosts', 'volume_extension:capabilities',
    'scheduler_extension:scheduler_stats:get_pools', 'volume_extension:default_set_or_update', 'volume_extension:default_get', 'volume_extension:default_get_all', 'volume_extension:default_unset', 'volume_extension:volume_host_attribute', 'group:reset_status', 'group:reset_group_snapshot_status', 'group:group_types_manage', 'group:group_types_specs',
    // What an admin may do with volumes of others; not a rule of upstream, which asks whether the context is an admin's.
    'skyhook:volume:any_project', 'skyhook:volume:explain_placement',
  ]),
  ...rules(SERVICE, ['volume_extension:volume_tenant_attribute']),
]
