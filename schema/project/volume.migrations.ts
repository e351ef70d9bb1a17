/** Migrations of volume in a Project object: append only. */
import type { Migration } from '../../durable-objects/kernel/migrate.ts'

export const volumeMigrations: Migration[] = [
  {
    name: 'volume/0001',
    sql: `
CREATE TABLE volumes (
  id TEXT PRIMARY KEY, name TEXT, description TEXT, status TEXT NOT NULL, previous_status TEXT, size_gib INTEGER NOT NULL, pending_size_gib INTEGER, volume_type_id TEXT NOT NULL, volume_type TEXT NOT NULL,
  availability_zone TEXT NOT NULL, host_id TEXT, host TEXT, portal TEXT, bootable INTEGER NOT NULL, readonly INTEGER, multiattach INTEGER NOT NULL, metadata TEXT NOT NULL, image_metadata TEXT, source TEXT,
  snapshot_id TEXT, source_volid TEXT, restore_backup_id TEXT, scheduler_hints TEXT, user_id TEXT NOT NULL, generation INTEGER NOT NULL, desired TEXT, foreign_id INTEGER NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER);
CREATE TABLE volume_snapshots (
  id TEXT PRIMARY KEY, volume_id TEXT NOT NULL, name TEXT, description TEXT, status TEXT NOT NULL, progress TEXT NOT NULL, size_gib INTEGER NOT NULL, volume_type TEXT NOT NULL, metadata TEXT NOT NULL, host_id TEXT,
  user_id TEXT NOT NULL, generation INTEGER NOT NULL, desired TEXT, created_ms INTEGER NOT NULL, updated_ms INTEGER);
CREATE INDEX volume_snapshots_volume ON volume_snapshots (volume_id);
CREATE TABLE volume_attachments (
  id TEXT PRIMARY KEY, volume_id TEXT NOT NULL, server_id TEXT, status TEXT NOT NULL, mode TEXT NOT NULL, device TEXT, host_id TEXT, host_name TEXT, by_compute INTEGER NOT NULL, connector TEXT, iqn TEXT, portal TEXT,
  chap_user TEXT, chap_secret TEXT, generation INTEGER NOT NULL, attached_ms INTEGER, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL);
CREATE INDEX volume_attachments_volume ON volume_attachments (volume_id);
CREATE INDEX volume_attachments_server ON volume_attachments (server_id);
CREATE TABLE volume_backups (
  id TEXT PRIMARY KEY, volume_id TEXT NOT NULL, snapshot_id TEXT, name TEXT, description TEXT, status TEXT NOT NULL, container TEXT NOT NULL, object TEXT NOT NULL, size_gib INTEGER NOT NULL, size_bytes INTEGER, sha512 TEXT,
  availability_zone TEXT NOT NULL, metadata TEXT NOT NULL, volume_data TEXT NOT NULL, restore_volume_id TEXT, fail_reason TEXT, user_id TEXT NOT NULL, data_ms INTEGER NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER);
CREATE TABLE volume_transfers (
  id TEXT PRIMARY KEY, volume_id TEXT NOT NULL, name TEXT, salt TEXT NOT NULL, key_hash TEXT NOT NULL, no_snapshots INTEGER NOT NULL, taker_id TEXT, pinned_ms INTEGER, accepted INTEGER NOT NULL, created_ms INTEGER NOT NULL);
CREATE TABLE volume_adoptions (transfer_id TEXT PRIMARY KEY, state TEXT NOT NULL, at_ms INTEGER NOT NULL);
CREATE TABLE volume_messages (
  id TEXT PRIMARY KEY, request_id TEXT NOT NULL, resource_type TEXT NOT NULL, resource_id TEXT NOT NULL, event_id TEXT NOT NULL, text TEXT NOT NULL, created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL);
`,
  },
  { name: 'volume/0002', sql: "ALTER TABLE volume_backups ADD COLUMN account TEXT NOT NULL DEFAULT ''" },
  {
    name: 'volume/0003',
    sql: `
ALTER TABLE volumes ADD COLUMN deadline_ms INTEGER;
ALTER TABLE volume_snapshots ADD COLUMN deadline_ms INTEGER;
`,
  },
  {
    name: 'volume/0004',
    sql: `
ALTER TABLE volumes ADD COLUMN group_id TEXT;
ALTER TABLE volume_snapshots ADD COLUMN group_snapshot_id TEXT;
CREATE TABLE volume_groups (
  id TEXT PRIMARY KEY, name TEXT, description TEXT, status TEXT, group_type_id TEXT NOT NULL, volume_types TEXT NOT NULL, availability_zone TEXT NOT NULL, group_snapshot_id TEXT, source_group_id TEXT, created_ms INTEGER NOT NULL);
CREATE TABLE volume_group_snapshots (id TEXT PRIMARY KEY, group_id TEXT NOT NULL, name TEXT, description TEXT, status TEXT, group_type_id TEXT NOT NULL, created_ms INTEGER NOT NULL);
`,
  },
]
