/** Migrations of a Host object, in order. Append only. */
import type { Migration } from '../../durable-objects/kernel/migrate.ts'

export const migrations: Migration[] = [
  {
    name: 'host/0001',
    sql: `
CREATE TABLE desired (kind TEXT NOT NULL, id TEXT NOT NULL, project_id TEXT NOT NULL, generation INTEGER NOT NULL, state TEXT NOT NULL, spec TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (kind, id));
CREATE INDEX desired_version ON desired (version);
CREATE TABLE observed (kind TEXT NOT NULL, id TEXT NOT NULL, generation INTEGER NOT NULL, item TEXT NOT NULL, folded INTEGER NOT NULL, PRIMARY KEY (kind, id));
CREATE INDEX observed_folded ON observed (folded) WHERE folded = 0;
CREATE TABLE transfers (id TEXT PRIMARY KEY, transfer TEXT NOT NULL, expires_ms INTEGER NOT NULL);
CREATE TABLE link (one INTEGER PRIMARY KEY CHECK (one = 1), facts TEXT, up INTEGER NOT NULL DEFAULT 0, seen_ms INTEGER NOT NULL DEFAULT 0, version INTEGER NOT NULL DEFAULT 0);
INSERT INTO link (one) VALUES (1);
`,
  },
]
