/** Policy of servers and all that hangs on them (nova/policies). Members act, readers look; both only in their own project unless they are admins. */
import type { PolicyRule } from '../../http/policy.ts'

const P = 'os_compute_api:'
const member = (name: string, operation: string): PolicyRule => ({ name: P + name, check: 'rule:project_member_or_admin', operations: [operation] })
const reader = (name: string, operation: string): PolicyRule => ({ name: P + name, check: 'rule:project_reader_or_admin', operations: [operation] })
const admin = (name: string, operation: string): PolicyRule => ({ name: P + name, check: 'rule:admin', operations: [operation] })
const act = (key: string) => `POST /servers/{id}/action (${key})`

export const serverPolicies: PolicyRule[] = [
  reader('servers:index', 'GET /servers'), reader('servers:detail', 'GET /servers/detail'), admin('servers:index:get_all_tenants', 'GET /servers?all_tenants'), admin('servers:detail:get_all_tenants', 'GET /servers/detail?all_tenants'),
  reader('servers:show', 'GET /servers/{id}'), admin('servers:show:host_status', 'GET /servers/{id} (host_status)'), admin('servers:allow_all_filters', 'GET /servers'), member('servers:create', 'POST /servers'),
  admin('servers:create:forced_host', 'POST /servers (az:host)'), admin('compute:servers:create:requested_destination', 'POST /servers (host)'), member('servers:create:attach_volume', 'POST /servers (volumes)'), member('servers:create:attach_network', 'POST /servers (networks)'),
  member('servers:create:trusted_certs', 'POST /servers (trusted_image_certificates)'), member('servers:update', 'PUT /servers/{id}'), member('servers:delete', 'DELETE /servers/{id}'), member('servers:start', act('os-start')), member('servers:stop', act('os-stop')),
  member('servers:reboot', act('reboot')), member('servers:rebuild', act('rebuild')), member('servers:resize', act('resize')), member('servers:confirm_resize', act('confirmResize')), member('servers:revert_resize', act('revertResize')),
  member('servers:create_image', act('createImage')), member('os-create-backup', act('createBackup')), member('os-pause-server:pause', act('pause')), member('os-pause-server:unpause', act('unpause')), member('os-suspend-server:suspend', act('suspend')),
  member('os-suspend-server:resume', act('resume')), member('os-lock-server:lock', act('lock')), member('os-lock-server:unlock', act('unlock')), admin('os-lock-server:unlock:unlock_override', act('unlock')), member('os-shelve:shelve', act('shelve')),
  member('os-shelve:unshelve', act('unshelve')), admin('os-shelve:unshelve_to_host', act('unshelve')), admin('os-shelve:shelve_offload', act('shelveOffload')), member('os-rescue', act('rescue')), member('os-unrescue', act('unrescue')), member('os-admin-password', act('changePassword')),
  admin('os-admin-actions:reset_state', act('os-resetState')), member('os-deferred-delete:force', act('forceDelete')), member('os-deferred-delete:restore', act('restore')), member('os-console-output', act('os-getConsoleOutput')),
  member('os-security-groups:add', act('addSecurityGroup')), member('os-security-groups:remove', act('removeSecurityGroup')), reader('os-security-groups:list', 'GET /servers/{id}/os-security-groups'),
  member('os-remote-consoles', 'POST /servers/{id}/remote-consoles'), admin('os-console-auth-tokens', 'GET /os-console-auth-tokens/{token}'), admin('os-migrate-server:migrate', act('migrate')), admin('os-migrate-server:migrate_live', act('os-migrateLive')),
  admin('os-evacuate', act('evacuate')), admin('os-admin-actions:inject_network_info', act('injectNetworkInfo')), admin('os-admin-actions:reset_network', act('resetNetwork')), member('os-multinic:add', act('addFixedIp')), member('os-multinic:remove', act('removeFixedIp')),
  member('os-floating-ips:add', act('addFloatingIp')), member('os-floating-ips:remove', act('removeFloatingIp')),
  reader('server-metadata:index', 'GET /servers/{id}/metadata'), reader('server-metadata:show', 'GET /servers/{id}/metadata/{key}'), member('server-metadata:create', 'POST /servers/{id}/metadata'), member('server-metadata:update_all', 'PUT /servers/{id}/metadata'),
  member('server-metadata:update', 'PUT /servers/{id}/metadata/{key}'), member('server-metadata:delete', 'DELETE /servers/{id}/metadata/{key}'),
  reader('os-server-tags:index', 'GET /servers/{id}/tags'), reader('os-server-tags:show', 'GET /servers/{id}/tags/{tag}'), member('os-server-tags:update', 'PUT /servers/{id}/tags/{tag}'), member('os-server-tags:update_all', 'PUT /servers/{id}/tags'),
  member('os-server-tags:delete', 'DELETE /servers/{id}/tags/{tag}'), member('os-server-tags:delete_all', 'DELETE /servers/{id}/tags'), reader('ips:index', 'GET /servers/{id}/ips'), reader('ips:show', 'GET /servers/{id}/ips/{network}'),
  admin('os-extended-server-attributes', 'GET /servers/{id}'), admin('os-server-diagnostics', 'GET /servers/{id}/diagnostics'), reader('os-server-password:show', 'GET /servers/{id}/os-server-password'), member('os-server-password:clear', 'DELETE /servers/{id}/os-server-password'),
  reader('os-instance-actions:list', 'GET /servers/{id}/os-instance-actions'), reader('os-instance-actions:show', 'GET /servers/{id}/os-instance-actions/{request}'), admin('os-instance-actions:events', 'GET /servers/{id}/os-instance-actions/{request}'),
  admin('os-instance-actions:events:details', 'GET /servers/{id}/os-instance-actions/{request}'), admin('os-migrations:index', 'GET /os-migrations'), admin('servers:migrations:index', 'GET /servers/{id}/migrations'),
  reader('os-attach-interfaces:list', 'GET /servers/{id}/os-interface'), reader('os-attach-interfaces:show', 'GET /servers/{id}/os-interface/{port}'), member('os-attach-interfaces:create', 'POST /servers/{id}/os-interface'), member('os-attach-interfaces:delete', 'DELETE /servers/{id}/os-interface/{port}'),
  reader('os-volumes-attachments:index', 'GET /servers/{id}/os-volume_attachments'), reader('os-volumes-attachments:show', 'GET /servers/{id}/os-volume_attachments/{volume}'), member('os-volumes-attachments:create', 'POST /servers/{id}/os-volume_attachments'),
  member('os-volumes-attachments:update', 'PUT /servers/{id}/os-volume_attachments/{volume}'), admin('os-volumes-attachments:swap', 'PUT /servers/{id}/os-volume_attachments/{volume}'), member('os-volumes-attachments:delete', 'DELETE /servers/{id}/os-volume_attachments/{volume}'),
  reader('os-server-groups:index', 'GET /os-server-groups'), admin('os-server-groups:index:all_projects', 'GET /os-server-groups?all_projects'), reader('os-server-groups:show', 'GET /os-server-groups/{id}'), member('os-server-groups:create', 'POST /os-server-groups'),
  member('os-server-groups:delete', 'DELETE /os-server-groups/{id}'), reader('server-topology:index', 'GET /servers/{id}/topology'),
]
