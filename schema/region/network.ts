/** Neutron's tables in the Region object: what tenants share. */
import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'

/** Overlay segment ids (24 bits), one per network. */
export const segments = sqliteTable('net_segments', {
  segment_id: integer('segment_id').primaryKey(),
  network_id: text('network_id').notNull().unique(),
  project_id: text('project_id').notNull(),
})

/** Which gateway host runs a router. */
export const routerHosts = sqliteTable('net_router_hosts', {
  router_id: text('router_id').primaryKey(),
  host_id: text('host_id').notNull(),
  project_id: text('project_id').notNull(),
}, (table) => [index('net_router_hosts_host').on(table.host_id)])
