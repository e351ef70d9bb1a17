/** Cinder's tables in a Project object. What a host keeps of them is told by generation: a row's `generation` is that of the desired item last promised to its host. */
import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { VolumeSpec } from '../agent/desired.ts'

export type VolumeStatus =
  | 'creating' | 'available' | 'reserved' | 'attaching' | 'detaching' | 'in-use' | 'maintenance' | 'deleting' | 'awaiting-transfer' | 'error' | 'error_deleting' | 'backing-up' | 'restoring-backup' | 'error_backing-up'
  | 'error_restoring' | 'error_extending' | 'error_managing' | 'downloading' | 'uploading' | 'retyping' | 'extending'
export type SnapshotStatus = 'creating' | 'available' | 'deleting' | 'error' | 'error_deleting' | 'backing-up' | 'unmanaging' | 'restoring'
export type BackupStatus = 'creating' | 'available' | 'deleting' | 'error' | 'restoring' | 'error_deleting'
export type AttachmentStatus = 'reserved' | 'attaching' | 'attached' | 'detaching' | 'error_attaching' | 'error_detaching'

export const volumes = sqliteTable('volumes', {
  id: text('id').primaryKey(),
  name: text('name'),
  description: text('description'),
  status: text('status').$type<VolumeStatus>().notNull(),
  /** What a transient status goes back to. */
  previous_status: text('previous_status').$type<VolumeStatus>(),
  size_gib: integer('size_gib').notNull(),
  /** Size promised by an extend under way; counts against quota. */
  pending_size_gib: integer('pending_size_gib'),
  volume_type_id: text('volume_type_id').notNull(),
  volume_type: text('volume_type').notNull(),
  availability_zone: text('availability_zone').notNull(),
  /** Where the blocks are; null until placed. */
  host_id: text('host_id'),
  /** host@driver#pool, as admins see it. */
  host: text('host'),
  /** ip:port of the host's iSCSI target. */
  portal: text('portal'),
  bootable: integer('bootable', { mode: 'boolean' }).notNull(),
  /** null: never set. */
  readonly: integer('readonly', { mode: 'boolean' }),
  multiattach: integer('multiattach', { mode: 'boolean' }).notNull(),
  metadata: text('metadata', { mode: 'json' }).$type<Record<string, string>>().notNull(),
  image_metadata: text('image_metadata', { mode: 'json' }).$type<Record<string, string> | null>(),
  source: text('source', { mode: 'json' }).$type<VolumeSpec['source']>(),
  snapshot_id: text('snapshot_id'),
  source_volid: text('source_volid'),
  /** The backup that is written into this volume once it is there. */
  restore_backup_id: text('restore_backup_id'),
  scheduler_hints: text('scheduler_hints', { mode: 'json' }).$type<Record<string, string> | null>(),
  user_id: text('user_id').notNull(),
  generation: integer('generation').notNull(),
  /** What the host was last told. */
  desired: text('desired').$type<'present' | 'absent'>(),
  /** The id does not carry this project's tag (taken over by a transfer). */
  foreign_id: integer('foreign_id', { mode: 'boolean' }).notNull(),
  created_ms: integer('created_ms').notNull(),
  updated_ms: integer('updated_ms'),
  /** When the wait for the host ends by itself; only looked at in a status that waits. */
  deadline_ms: integer('deadline_ms'),
  group_id: text('group_id'),
})

export const snapshots = sqliteTable(
  'volume_snapshots',
  {
    id: text('id').primaryKey(),
    volume_id: text('volume_id').notNull(),
    name: text('name'),
    description: text('description'),
    status: text('status').$type<SnapshotStatus>().notNull(),
    progress: text('progress').notNull(),
    size_gib: integer('size_gib').notNull(),
    volume_type: text('volume_type').notNull(),
    metadata: text('metadata', { mode: 'json' }).$type<Record<string, string>>().notNull(),
    host_id: text('host_id'),
    user_id: text('user_id').notNull(),
    generation: integer('generation').notNull(),
    desired: text('desired').$type<'present' | 'absent'>(),
    created_ms: integer('created_ms').notNull(),
    updated_ms: integer('updated_ms'),
    deadline_ms: integer('deadline_ms'),
    group_snapshot_id: text('group_snapshot_id'),
  },
  (table) => [index('volume_snapshots_volume').on(table.volume_id)],
)

export const attachments = sqliteTable(
  'volume_attachments',
  {
    id: text('id').primaryKey(),
    volume_id: text('volume_id').notNull(),
    server_id: text('server_id'),
    status: text('status').$type<AttachmentStatus>().notNull(),
    mode: text('mode').$type<'rw' | 'ro'>().notNull(),
    device: text('device'),
    /** The host that reaches the volume: an id of ours for servers, a name a client gave otherwise. */
    host_id: text('host_id'),
    host_name: text('host_name'),
    /** Made by compute: only compute takes it away. */
    by_compute: integer('by_compute', { mode: 'boolean' }).notNull(),
    connector: text('connector', { mode: 'json' }).$type<Record<string, unknown> | null>(),
    /** Set where the volume is offered over iSCSI. */
    iqn: text('iqn'),
    portal: text('portal'),
    chap_user: text('chap_user'),
    chap_secret: text('chap_secret'),
    generation: integer('generation').notNull(),
    attached_ms: integer('attached_ms'),
    created_ms: integer('created_ms').notNull(),
    updated_ms: integer('updated_ms').notNull(),
  },
  (table) => [index('volume_attachments_volume').on(table.volume_id), index('volume_attachments_server').on(table.server_id)],
)

export const backups = sqliteTable('volume_backups', {
  id: text('id').primaryKey(),
  volume_id: text('volume_id').notNull(),
  snapshot_id: text('snapshot_id'),
  name: text('name'),
  description: text('description'),
  status: text('status').$type<BackupStatus>().notNull(),
  container: text('container').notNull(),
  object: text('object').notNull(),
  size_gib: integer('size_gib').notNull(),
  size_bytes: integer('size_bytes'),
  sha512: text('sha512'),
  availability_zone: text('availability_zone').notNull(),
  metadata: text('metadata', { mode: 'json' }).$type<Record<string, string>>().notNull(),
  /** What a restored volume gets back. */
  volume_data: text('volume_data', { mode: 'json' }).$type<{ metadata: Record<string, string>; bootable: boolean; image_metadata: Record<string, string> | null }>().notNull(),
  restore_volume_id: text('restore_volume_id'),
  fail_reason: text('fail_reason'),
  user_id: text('user_id').notNull(),
  data_ms: integer('data_ms').notNull(),
  created_ms: integer('created_ms').notNull(),
  updated_ms: integer('updated_ms'),
  /** Swift account of the object: another project's for an imported record; '' is our own. */
  account: text('account').notNull(),
})

export const transfers = sqliteTable('volume_transfers', {
  id: text('id').primaryKey(),
  volume_id: text('volume_id').notNull(),
  name: text('name'),
  salt: text('salt').notNull(),
  key_hash: text('key_hash').notNull(),
  no_snapshots: integer('no_snapshots', { mode: 'boolean' }).notNull(),
  /** Who is taking the volume over: pinned from the first right key on. */
  taker_id: text('taker_id'),
  pinned_ms: integer('pinned_ms'),
  accepted: integer('accepted', { mode: 'boolean' }).notNull(),
  created_ms: integer('created_ms').notNull(),
})

/** What this project did with transfers of others: taken over, or refused for good. */
export const adoptions = sqliteTable('volume_adoptions', { transfer_id: text('transfer_id').primaryKey(), state: text('state').$type<'adopted' | 'refused'>().notNull(), at_ms: integer('at_ms').notNull() })

export const messages = sqliteTable('volume_messages', {
  id: text('id').primaryKey(),
  request_id: text('request_id').notNull(),
  resource_type: text('resource_type').notNull(),
  resource_id: text('resource_id').notNull(),
  event_id: text('event_id').notNull(),
  text: text('text').notNull(),
  created_ms: integer('created_ms').notNull(),
  expires_ms: integer('expires_ms').notNull(),
})

/** Volumes that belong together: placed on one host, snapshotted and deleted together. */
export const groups = sqliteTable('volume_groups', {
  id: text('id').primaryKey(),
  name: text('name'),
  description: text('description'),
  /** Set by an admin, or while the group is being deleted; null: what its volumes say. */
  status: text('status'),
  group_type_id: text('group_type_id').notNull(),
  volume_types: text('volume_types', { mode: 'json' }).$type<string[]>().notNull(),
  availability_zone: text('availability_zone').notNull(),
  group_snapshot_id: text('group_snapshot_id'),
  source_group_id: text('source_group_id'),
  created_ms: integer('created_ms').notNull(),
})

export const groupSnapshots = sqliteTable('volume_group_snapshots', {
  id: text('id').primaryKey(),
  group_id: text('group_id').notNull(),
  name: text('name'),
  description: text('description'),
  status: text('status'),
  group_type_id: text('group_type_id').notNull(),
  created_ms: integer('created_ms').notNull(),
})

export type GroupRow = typeof groups.$inferSelect
export type GroupSnapshotRow = typeof groupSnapshots.$inferSelect
export type VolumeRow = typeof volumes.$inferSelect
export type SnapshotRow = typeof snapshots.$inferSelect
export type AttachmentRow = typeof attachments.$inferSelect
export type BackupRow = typeof backups.$inferSelect
export type TransferRow = typeof transfers.$inferSelect
export type MessageRow = typeof messages.$inferSelect
