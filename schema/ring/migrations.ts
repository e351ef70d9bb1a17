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
  {
    // A weight set by the operator (null follows the size of the disk); a device taken out of the ring on purpose, which its host still reports. `moving`: partitions (32 bit) that a
    // device held before and may still hold. `addresses`: where hosts take replicas from each other, numbered by `ring.addresses`. `recon`: the figures a host told last.
    name: 'ring/0002',
    sql: `
ALTER TABLE devices ADD COLUMN weight_set REAL;
ALTER TABLE devices ADD COLUMN removed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ring ADD COLUMN addresses INTEGER NOT NULL DEFAULT 0;
CREATE TABLE moving (device INTEGER PRIMARY KEY, partitions BLOB NOT NULL);
CREATE TABLE addresses (host_id TEXT PRIMARY KEY, storage_ip TEXT, object_port INTEGER, public_key TEXT NOT NULL);
CREATE TABLE recon (host_id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, recon TEXT NOT NULL);
`,
  },
  // What words left with hosts are marked with: never told to anyone. Made at first use.
  { name: 'ring/mark-0001', sql: "ALTER TABLE ring ADD COLUMN mark_key TEXT NOT NULL DEFAULT ''" },
  // JSON: the rings that this one is composed of; null where it is one.
  { name: 'ring/compose-0001', sql: 'ALTER TABLE ring ADD COLUMN components TEXT' },
]
