/** Migrations of a Container object, in order. Append only. */
import type { Migration } from '../../durable-objects/kernel/migrate.ts'

/**
 * `container` is one row; it stays after a deletion (deleted = 1) to keep its times and its report's number. `objects` is the listing. A deleted
 * object leaves a tombstone for a day: an upload that began before the deletion and ends after it must not come back.
 */
export const migrations: Migration[] = [
  {
    name: 'container/0001',
    sql: `
CREATE TABLE container (
  id INTEGER PRIMARY KEY CHECK (id = 1), account TEXT NOT NULL, name TEXT NOT NULL, policy INTEGER NOT NULL, created_at TEXT NOT NULL, put_at TEXT NOT NULL, deleted INTEGER NOT NULL, metadata TEXT NOT NULL,
  object_count INTEGER NOT NULL, bytes_used INTEGER NOT NULL, last_at TEXT NOT NULL, seq INTEGER NOT NULL, reported_seq INTEGER NOT NULL);
CREATE TABLE objects (
  name TEXT PRIMARY KEY, at TEXT NOT NULL, modified_at TEXT NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL, content_type TEXT NOT NULL, delete_at INTEGER, slo_etag TEXT) WITHOUT ROWID;
CREATE INDEX objects_delete_at ON objects (delete_at) WHERE delete_at IS NOT NULL;
CREATE TABLE tombstones (name TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID;
`,
  },
  // How far container sync has got.
  { name: 'container/0002', sql: "ALTER TABLE container ADD COLUMN sync_point TEXT NOT NULL DEFAULT ''" },
  // Bytes of a static large object's segments: shown in listings, while `size` is what the manifest itself takes.
  { name: 'container/0003', sql: 'ALTER TABLE objects ADD COLUMN slo_size INTEGER' },
  // Object versioning: what was current before, delete markers among it. `key` is the name, NUL, and the time counted down: the newest first. `version` is '' for the one written without
  // versioning. `extra` is JSON that listings show or that a dialect keeps with the row.
  {
    name: 'container/0004',
    sql: `
ALTER TABLE objects ADD COLUMN version TEXT NOT NULL DEFAULT '';
ALTER TABLE objects ADD COLUMN extra TEXT;
CREATE TABLE versions (
  key TEXT PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL, deleted INTEGER NOT NULL, at TEXT NOT NULL, modified_at TEXT NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
  content_type TEXT NOT NULL, delete_at INTEGER, slo_etag TEXT, slo_size INTEGER, extra TEXT) WITHOUT ROWID;
CREATE UNIQUE INDEX versions_null ON versions (name) WHERE version = '';
CREATE INDEX versions_delete_at ON versions (delete_at) WHERE delete_at IS NOT NULL;
`,
  },
  // What a bucket has beside its objects: settings by name, uploads in parts that go on, uploads whose segments are to be removed, and names that a conditional write holds.
  {
    name: 'container/s3-0001',
    sql: `
CREATE TABLE s3_config (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE s3_uploads (key TEXT NOT NULL, id TEXT NOT NULL, at_ms INTEGER NOT NULL, spec TEXT NOT NULL, PRIMARY KEY (key, id)) WITHOUT ROWID;
CREATE TABLE s3_garbage (upload TEXT PRIMARY KEY, due_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE s3_writing (name TEXT PRIMARY KEY, at TEXT NOT NULL, until_ms INTEGER NOT NULL) WITHOUT ROWID;
`,
  },
  // A large container's listing lies in several objects. `shards` is at the container itself: which object has the names from `low` on ('' as id is the container's own); `source` while it
  // is being filled from there, up to `goal` objects. `part_of` is at a shard: whose it is.
  {
    name: 'container/0005',
    sql: `
CREATE TABLE shards (
  id TEXT PRIMARY KEY, low TEXT, object_count INTEGER NOT NULL, bytes_used INTEGER NOT NULL, seq INTEGER NOT NULL, source TEXT, goal INTEGER) WITHOUT ROWID;
ALTER TABLE container ADD COLUMN part_of TEXT;
`,
  },
  // A part whose names go to the part before it, one batch after another, because both have become small.
  { name: 'container/join-0001', sql: 'ALTER TABLE shards ADD COLUMN joins TEXT' },
  // Changes to copy elsewhere that the order of times passes over: of metadata alone, or told later than newer ones. `at` is when they were made.
  { name: 'container/sync-0001', sql: 'CREATE TABLE sync_late (name TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID' },
]
