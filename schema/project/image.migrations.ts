/** Migrations of image in a Project object: append only. */
import type { Migration } from '../../durable-objects/kernel/migrate.ts'

export const imageMigrations: Migration[] = [
  {
    name: 'image/0001',
    sql: `
CREATE TABLE images (
  id TEXT PRIMARY KEY, name TEXT, status TEXT NOT NULL, visibility TEXT NOT NULL, protected INTEGER NOT NULL, hidden INTEGER NOT NULL, container_format TEXT, disk_format TEXT,
  size_bytes INTEGER, virtual_size_bytes INTEGER, checksum TEXT, sha512 TEXT, min_disk_gib INTEGER NOT NULL, min_ram_mib INTEGER NOT NULL, locations TEXT NOT NULL, staged TEXT,
  upload_id TEXT, upload_seen_ms INTEGER, properties TEXT NOT NULL, tags TEXT NOT NULL, members TEXT NOT NULL, tasks TEXT NOT NULL, foreign_id INTEGER NOT NULL, published INTEGER NOT NULL,
  created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL);
`,
  },
  {
    name: 'image/0002',
    sql: `
CREATE TABLE metadefs (
  namespace TEXT PRIMARY KEY, display_name TEXT, description TEXT, visibility TEXT NOT NULL, protected INTEGER NOT NULL, parts TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL);
`,
  },
]
