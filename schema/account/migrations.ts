/** Migrations of an Account object, in order. Append only. */
import type { Migration } from '../../durable-objects/kernel/migrate.ts'

/**
 * `account` is one row: totals follow the containers' reports. A container's row outlives its deletion (`deleted`), so that a late report of
 * a lower `seq` can't bring it back.
 */
export const migrations: Migration[] = [
  {
    name: 'account/0001',
    sql: `
CREATE TABLE account (
  id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT NOT NULL, created_at TEXT NOT NULL, metadata TEXT NOT NULL,
  container_count INTEGER NOT NULL, object_count INTEGER NOT NULL, bytes_used INTEGER NOT NULL, policies TEXT NOT NULL);
CREATE TABLE containers (
  name TEXT PRIMARY KEY, policy INTEGER NOT NULL, put_at TEXT NOT NULL, deleted INTEGER NOT NULL, seq INTEGER NOT NULL, object_count INTEGER NOT NULL, bytes_used INTEGER NOT NULL) WITHOUT ROWID;
`,
  },
  // Whether the region's directory knows of the account's project; when the account was deleted, to be reaped later.
  {
    name: 'account/0002',
    sql: `
ALTER TABLE account ADD COLUMN entered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN deleted_ms INTEGER;
`,
  },
]
