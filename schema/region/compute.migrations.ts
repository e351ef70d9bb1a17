/** Migrations of compute in the Region object: append only. */
import type { Migration } from '../../durable-objects/kernel/migrate.ts'

export const computeRegionMigrations: Migration[] = [
  {
    name: 'compute/0001',
    sql: `
CREATE TABLE flavors (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE, vcpus INTEGER NOT NULL, ram_mib INTEGER NOT NULL, disk_gib INTEGER NOT NULL,
  ephemeral_gib INTEGER NOT NULL, swap_mib INTEGER NOT NULL, rxtx_factor REAL NOT NULL, is_public INTEGER NOT NULL, disabled INTEGER NOT NULL, description TEXT, extra_specs TEXT NOT NULL,
  created_ms INTEGER NOT NULL, updated_ms INTEGER);
CREATE TABLE flavor_access (flavor_id TEXT NOT NULL, project_id TEXT NOT NULL, PRIMARY KEY (flavor_id, project_id));
CREATE TABLE keypairs (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, user_id TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL, public_key TEXT NOT NULL, fingerprint TEXT NOT NULL, created_ms INTEGER NOT NULL);
CREATE UNIQUE INDEX keypairs_user ON keypairs (user_id, name);
CREATE TABLE aggregates (
  id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL, name TEXT NOT NULL UNIQUE, availability_zone TEXT, metadata TEXT NOT NULL, hosts TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER);
CREATE TABLE allocations (
  consumer_id TEXT PRIMARY KEY, host_id TEXT NOT NULL, project_id TEXT NOT NULL, user_id TEXT NOT NULL, consumer_type TEXT NOT NULL, vcpus INTEGER NOT NULL, ram_mib INTEGER NOT NULL, disk_gib INTEGER NOT NULL,
  created_ms INTEGER NOT NULL, funnel TEXT NOT NULL);
CREATE INDEX allocations_host ON allocations (host_id);
CREATE INDEX allocations_project ON allocations (project_id);
`,
  },
  {
    name: 'compute/0002',
    sql: `
ALTER TABLE allocations ADD COLUMN group_id TEXT;
CREATE INDEX allocations_group ON allocations (group_id);
`,
  },
]
