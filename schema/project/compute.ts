/** What compute keeps in a Project object: servers with all that is theirs, what was done to them, groups, console tokens. */
import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { DiskSpec, ImageRef } from '../agent/desired.ts'
import type { Caller } from '../values/caller.ts'

type Strings = Record<string, string>

export type VmState = 'building' | 'active' | 'paused' | 'suspended' | 'stopped' | 'rescued' | 'resized' | 'soft-deleted' | 'deleted' | 'error' | 'shelved' | 'shelved_offloaded'
export type TaskState =
  | 'scheduling' | 'block_device_mapping' | 'spawning' | 'rebooting' | 'reboot_started' | 'rebooting_hard' | 'pausing' | 'unpausing' | 'suspending' | 'resuming' | 'powering-off' | 'powering-on' | 'rescuing' | 'unrescuing'
  | 'rebuilding' | 'rebuild_spawning' | 'resize_prep' | 'resize_migrating' | 'resize_finish' | 'resize_reverting' | 'resize_confirming' | 'image_snapshot' | 'image_pending_upload' | 'image_uploading' | 'updating_password' | 'shelving'
  | 'shelving_image_uploading' | 'shelving_offloading' | 'unshelving' | 'deleting'

/** The flavor as it was when the server took it: later changes of the flavor do not touch the server. */
export interface ServerFlavor {
  id: string
  name: string
  vcpus: number
  ram_mib: number
  disk_gib: number
  ephemeral_gib: number
  swap_mib: number
  extra_specs: Strings
}

export interface ServerFault {
  code: number
  message: string
  details: string | null
  created_ms: number
}

/** What the running task needs to go on or back, and which request it answers. */
export interface ServerOperation {
  request_id: string
  action: string
  /** State to return to when the task fails or is over. */
  back: VmState
  image_id?: string
  /** Properties and form of the image that a snapshot makes. */
  image_disk_format?: string
  old_flavor?: ServerFlavor
  old_image_id?: string | null
}

/** A resize that waits to be confirmed. */
export interface ServerResize {
  migration_id: number
  old_flavor: ServerFlavor
  /** Consumer under which the old size is still held. */
  kept_consumer: string
  back: VmState
}

export const servers = sqliteTable(
  'servers',
  {
    seq: integer('seq').primaryKey({ autoIncrement: true }),
    id: text('id').notNull().unique(),
    name: text('name').notNull(),
    description: text('description'),
    hostname: text('hostname').notNull(),
    user_id: text('user_id').notNull(),
    vm_state: text('vm_state').$type<VmState>().notNull(),
    task_state: text('task_state').$type<TaskState>(),
    /** When a running task is given up; null exactly where there is no task. */
    deadline_ms: integer('deadline_ms'),
    power_state: integer('power_state').notNull(),
    /** What the tenant wants: on, off, paused, suspended. */
    power: text('power').$type<'on' | 'off' | 'paused' | 'suspended'>().notNull(),
    generation: integer('generation').notNull(),
    incarnation: integer('incarnation').notNull(),
    root_generation: integer('root_generation').notNull(),
    host_id: text('host_id'),
    host_name: text('host_name'),
    /** Where the tenant asked to be; and where it is. */
    requested_zone: text('requested_zone'),
    forced_host: text('forced_host'),
    availability_zone: text('availability_zone'),
    excluded_hosts: text('excluded_hosts', { mode: 'json' }).$type<string[]>().notNull(),
    vcpus: integer('vcpus').notNull(),
    ram_mib: integer('ram_mib').notNull(),
    flavor: text('flavor', { mode: 'json' }).$type<ServerFlavor>().notNull(),
    image_id: text('image_id'),
    image: text('image', { mode: 'json' }).$type<ImageRef>(),
    key_name: text('key_name'),
    key: text('key', { mode: 'json' }).$type<{ name: string; type: 'ssh' | 'x509'; data: string }>(),
    metadata: text('metadata', { mode: 'json' }).$type<Strings>().notNull(),
    tags: text('tags', { mode: 'json' }).$type<string[]>().notNull(),
    user_data: text('user_data'),
    config_drive: integer('config_drive', { mode: 'boolean' }).notNull(),
    disk_config: text('disk_config').notNull(),
    access_ip_v4: text('access_ip_v4').notNull(),
    access_ip_v6: text('access_ip_v6').notNull(),
    admin_pass: text('admin_pass'),
    password: text('password').notNull(),
    locked: integer('locked', { mode: 'boolean' }).notNull(),
    locked_reason: text('locked_reason'),
    progress: integer('progress').notNull(),
    reservation_id: text('reservation_id').notNull(),
    launch_index: integer('launch_index').notNull(),
    group_id: text('group_id'),
    hints: text('hints', { mode: 'json' }).$type<Record<string, unknown>>().notNull(),
    trusted_certs: text('trusted_certs', { mode: 'json' }).$type<string[]>(),
    fault: text('fault', { mode: 'json' }).$type<ServerFault>(),
    operation: text('operation', { mode: 'json' }).$type<ServerOperation>(),
    resize: text('resize', { mode: 'json' }).$type<ServerResize>(),
    /** A shelved server's image. */
    shelved_image_id: text('shelved_image_id'),
    /** The image of the rescue disk while rescued. */
    rescue_image: text('rescue_image', { mode: 'json' }).$type<ImageRef>(),
    created_ms: integer('created_ms').notNull(),
    updated_ms: integer('updated_ms').notNull(),
    launched_ms: integer('launched_ms'),
    terminated_ms: integer('terminated_ms'),
    deleted: integer('deleted', { mode: 'boolean' }).notNull(),
  },
  (table) => [index('servers_live').on(table.deleted, table.created_ms), index('servers_deadline').on(table.deadline_ms), index('servers_group').on(table.group_id)],
)

export type DiskState = 'creating' | 'reserved' | 'attaching' | 'attached' | 'detaching'

export const serverVolumes = sqliteTable(
  'server_volumes',
  {
    server_id: text('server_id').notNull(),
    volume_id: text('volume_id').notNull(),
    attachment_id: text('attachment_id'),
    state: text('state').$type<DiskState>().notNull(),
    device: text('device').notNull(),
    boot_index: integer('boot_index'),
    delete_on_termination: integer('delete_on_termination', { mode: 'boolean' }).notNull(),
    tag: text('tag'),
    /** How QEMU reaches it, once connected for the server's host. */
    disk: text('disk', { mode: 'json' }).$type<DiskSpec>(),
    /** Generation of the server that first has (or no longer has) it. */
    since_generation: integer('since_generation').notNull(),
  },
  (table) => [primaryKey({ columns: [table.server_id, table.volume_id] }), index('server_volumes_volume').on(table.volume_id)],
)

export interface ActionEvent {
  event: string
  start_ms: number
  finish_ms: number | null
  result: 'Success' | 'Error' | null
  details: string | null
  host: string | null
}

export const serverActions = sqliteTable(
  'server_actions',
  {
    server_id: text('server_id').notNull(),
    request_id: text('request_id').notNull(),
    action: text('action').notNull(),
    user_id: text('user_id').notNull(),
    message: text('message'),
    start_ms: integer('start_ms').notNull(),
    updated_ms: integer('updated_ms').notNull(),
    events: text('events', { mode: 'json' }).$type<ActionEvent[]>().notNull(),
  },
  (table) => [primaryKey({ columns: [table.server_id, table.request_id] })],
)

export const serverMigrations = sqliteTable('server_migrations', {
  id: integer('id').primaryKey({ autoIncrement: true }),
  uuid: text('uuid').notNull(),
  server_id: text('server_id').notNull(),
  user_id: text('user_id').notNull(),
  type: text('type').notNull(),
  status: text('status').notNull(),
  source: text('source').notNull(),
  dest: text('dest').notNull(),
  old_flavor_id: text('old_flavor_id').notNull(),
  new_flavor_id: text('new_flavor_id').notNull(),
  created_ms: integer('created_ms').notNull(),
  updated_ms: integer('updated_ms').notNull(),
})

export const serverGroups = sqliteTable('server_groups', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  policy: text('policy').notNull(),
  rules: text('rules', { mode: 'json' }).$type<{ max_server_per_host?: number }>().notNull(),
  user_id: text('user_id').notNull(),
  created_ms: integer('created_ms').notNull(),
})

export const consoleTokens = sqliteTable('console_tokens', {
  token_hash: text('token_hash').primaryKey(),
  server_id: text('server_id').notNull(),
  type: text('type').notNull(),
  incarnation: integer('incarnation').notNull(),
  user_id: text('user_id').notNull(),
  expires_ms: integer('expires_ms').notNull(),
  /** null: granted before this was kept; such a token opens nothing. */
  caller: text('caller', { mode: 'json' }).$type<Caller>(),
})

export type ServerRow = typeof servers.$inferSelect
export type ServerVolumeRow = typeof serverVolumes.$inferSelect
export type ServerActionRow = typeof serverActions.$inferSelect
export type ServerGroupRow = typeof serverGroups.$inferSelect
export type MigrationRow = typeof serverMigrations.$inferSelect
