/** Migrations of compute in a Project object: append only. */
import type { Migration } from '../../durable-objects/kernel/migrate.ts'

export const computeMigrations: Migration[] = [
  {
    name: 'compute/0001',
    sql: `
CREATE TABLE servers (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, description TEXT, hostname TEXT NOT NULL,
  user_id TEXT NOT NULL, vm_state TEXT NOT NULL, task_state TEXT, deadline_ms INTEGER, power_state INTEGER NOT NULL, power TEXT NOT NULL,
  generation INTEGER NOT NULL, incarnation INTEGER NOT NULL, root_generation INTEGER NOT NULL, host_id TEXT, host_name TEXT, requested_zone TEXT,
  forced_host TEXT, availability_zone TEXT, excluded_hosts TEXT NOT NULL, vcpus INTEGER NOT NULL, ram_mib INTEGER NOT NULL, flavor TEXT NOT NULL,
  image_id TEXT, image TEXT, key_name TEXT, key TEXT, metadata TEXT NOT NULL, tags TEXT NOT NULL, user_data TEXT, config_drive INTEGER NOT NULL,
  disk_config TEXT NOT NULL, access_ip_v4 TEXT NOT NULL, access_ip_v6 TEXT NOT NULL, admin_pass TEXT, password TEXT NOT NULL,
  locked INTEGER NOT NULL, locked_reason TEXT, progress INTEGER NOT NULL, reservation_id TEXT NOT NULL, launch_index INTEGER NOT NULL, group_id TEXT,
  hints TEXT NOT NULL, trusted_certs TEXT, fault TEXT, operation TEXT, resize TEXT, shelved_image_id TEXT, rescue_image TEXT,
  created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, launched_ms INTEGER, terminated_ms INTEGER, deleted INTEGER NOT NULL);
CREATE TABLE server_volumes (
  server_id TEXT NOT NULL, volume_id TEXT NOT NULL, attachment_id TEXT, state TEXT NOT NULL, device TEXT NOT NULL, boot_index INTEGER,
  delete_on_termination INTEGER NOT NULL, tag TEXT, disk TEXT, since_generation INTEGER NOT NULL, PRIMARY KEY (server_id, volume_id));
CREATE TABLE server_actions (
  server_id TEXT NOT NULL, request_id TEXT NOT NULL, action TEXT NOT NULL, user_id TEXT NOT NULL, message TEXT, start_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL, events TEXT NOT NULL, PRIMARY KEY (server_id, request_id));
CREATE TABLE server_migrations (
  id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL, server_id TEXT NOT NULL, user_id TEXT NOT NULL, type TEXT NOT NULL, status TEXT NOT NULL,
  source TEXT NOT NULL, dest TEXT NOT NULL, old_flavor_id TEXT NOT NULL, new_flavor_id TEXT NOT NULL, created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL);
CREATE TABLE server_groups (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, policy TEXT NOT NULL, rules TEXT NOT NULL, user_id TEXT NOT NULL, created_ms INTEGER NOT NULL);
CREATE TABLE console_tokens (
  token_hash TEXT PRIMARY KEY, server_id TEXT NOT NULL, type TEXT NOT NULL, incarnation INTEGER NOT NULL, user_id TEXT NOT NULL,
  expires_ms INTEGER NOT NULL);
CREATE INDEX servers_live ON servers (deleted, created_ms);
CREATE INDEX servers_deadline ON servers (deadline_ms);
CREATE INDEX servers_group ON servers (group_id);
CREATE INDEX server_volumes_volume ON server_volumes (volume_id);
`,
  },
  { name: 'compute/console-callers', sql: 'ALTER TABLE console_tokens ADD COLUMN caller TEXT;' },
]
