/** Migrations of the Region object, in order. Append only: a new one goes to the end of its service's list. */
import type { Migration } from '../../durable-objects/kernel/migrate.ts'
import { computeRegionMigrations } from './compute.migrations.ts'
import { networkRegionMigrations } from './network.migrations.ts'
import { volumeRegionMigrations } from './volume.migrations.ts'

const hosts: Migration[] = [
  {
    name: 'hosts/0001',
    sql: `
CREATE TABLE projects (id TEXT PRIMARY KEY, tag TEXT NOT NULL);
CREATE INDEX projects_tag ON projects (tag);
CREATE TABLE published (kind TEXT NOT NULL, id TEXT NOT NULL, owner_id TEXT NOT NULL, audience TEXT NOT NULL, data TEXT NOT NULL, updated_ms INTEGER NOT NULL, PRIMARY KEY (kind, id, audience));
CREATE INDEX published_audience ON published (kind, audience);
CREATE TABLE hosts (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, public_key TEXT NOT NULL UNIQUE, facts TEXT, up INTEGER NOT NULL DEFAULT 0, seen_ms INTEGER NOT NULL DEFAULT 0, joined_ms INTEGER NOT NULL,
  availability_zone TEXT NOT NULL DEFAULT 'nova', disabled INTEGER NOT NULL DEFAULT 0, disabled_reason TEXT, forced_down INTEGER NOT NULL DEFAULT 0, updated_ms INTEGER NOT NULL DEFAULT 0);
CREATE TABLE join_tokens (token_hash TEXT PRIMARY KEY, created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, uses_left INTEGER NOT NULL, roles TEXT, created_by TEXT NOT NULL);
`,
  },
]

const doors: Migration[] = [{ name: 'hosts/0002-door', sql: 'ALTER TABLE hosts ADD COLUMN door_url TEXT;' }]

export const migrations: Migration[] = [...hosts, ...computeRegionMigrations, ...networkRegionMigrations, ...volumeRegionMigrations, ...doors]
