/** Migrations of volume in the Region object: append only. */
import type { Migration } from '../../durable-objects/kernel/migrate.ts'

export const volumeRegionMigrations: Migration[] = [
  {
    name: 'volume/0001',
    sql: `
CREATE TABLE volume_types (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT, is_public INTEGER NOT NULL, extra_specs TEXT NOT NULL, access TEXT NOT NULL, qos_specs_id TEXT, encryption TEXT, created_ms INTEGER NOT NULL);
CREATE TABLE volume_qos_specs (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, consumer TEXT NOT NULL, specs TEXT NOT NULL);
CREATE TABLE volume_allocations (volume_id TEXT PRIMARY KEY, project_id TEXT NOT NULL, host_id TEXT NOT NULL, pool TEXT NOT NULL, size_gib INTEGER NOT NULL, volume_type_id TEXT NOT NULL);
CREATE INDEX volume_allocations_host ON volume_allocations (host_id);
CREATE TABLE volume_services (host_id TEXT PRIMARY KEY, disabled INTEGER NOT NULL, disabled_reason TEXT, frozen INTEGER NOT NULL, updated_ms INTEGER NOT NULL);
CREATE TABLE volume_defaults (name TEXT PRIMARY KEY, value TEXT NOT NULL);
`,
  },
  { name: 'volume/0002', sql: 'CREATE TABLE volume_group_types (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT, is_public INTEGER NOT NULL, group_specs TEXT NOT NULL)' },
]
