/** Migrations of network in the Region object: append only. */
import type { Migration } from '../../durable-objects/kernel/migrate.ts'

export const networkRegionMigrations: Migration[] = [
  {
    name: 'network/0001',
    sql: `
CREATE TABLE net_segments (segment_id INTEGER PRIMARY KEY, network_id TEXT NOT NULL UNIQUE, project_id TEXT NOT NULL);
CREATE TABLE net_router_hosts (router_id TEXT PRIMARY KEY, host_id TEXT NOT NULL, project_id TEXT NOT NULL);
CREATE INDEX net_router_hosts_host ON net_router_hosts (host_id);
`,
  },
]
