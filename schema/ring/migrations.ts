/** Migrations of a Ring object, in order. Append only. */
import type { Migration } from '../../durable-objects/kernel/migrate.ts'

/** One row of `ring`; one blob per replica (a 16-bit device id per partition); device ids are never used again. */
export const migrations: Migration[] = [
  {
    name: 'ring/0001',
    sql: `
CREATE TABLE ring (
  id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, part_power INTEGER NOT NULL, replicas INTEGER NOT NULL, min_part_hours INTEGER NOT NULL, overload REAL NOT NULL,
  hash_prefix TEXT NOT NULL, hash_suffix TEXT NOT NULL, moved_h BLOB, rebalanced_ms INTEGER NOT NULL, moved INTEGER NOT NULL);
CREATE TABLE devices (
  id INTEGER PRIMARY KEY AUTOINCREMENT, host_id TEXT NOT NULL, device TEXT NOT NULL, region INTEGER NOT NULL, zone TEXT NOT NULL, weight REAL NOT NULL, drained INTEGER NOT NULL DEFAULT 0, UNIQUE (host_id, device));
CREATE TABLE replicas (replica INTEGER PRIMARY KEY, parts BLOB NOT NULL);
`,
  },
]
