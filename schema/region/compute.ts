/** What compute keeps in the Region object: flavors, key pairs, aggregates, and which consumer holds what on which host (Placement). */
import { index, integer, primaryKey, real, sqliteTable, text } from 'drizzle-orm/sqlite-core'

type Strings = Record<string, string>

export const flavors = sqliteTable('flavors', {
  seq: integer('seq').primaryKey({ autoIncrement: true }),
  id: text('id').notNull().unique(),
  name: text('name').notNull().unique(),
  vcpus: integer('vcpus').notNull(),
  ram_mib: integer('ram_mib').notNull(),
  disk_gib: integer('disk_gib').notNull(),
  ephemeral_gib: integer('ephemeral_gib').notNull(),
  swap_mib: integer('swap_mib').notNull(),
  rxtx_factor: real('rxtx_factor').notNull(),
  is_public: integer('is_public', { mode: 'boolean' }).notNull(),
  disabled: integer('disabled', { mode: 'boolean' }).notNull(),
  description: text('description'),
  extra_specs: text('extra_specs', { mode: 'json' }).$type<Strings>().notNull(),
  created_ms: integer('created_ms').notNull(),
  updated_ms: integer('updated_ms'),
})

export const flavorAccess = sqliteTable('flavor_access', { flavor_id: text('flavor_id').notNull(), project_id: text('project_id').notNull() }, (table) => [primaryKey({ columns: [table.flavor_id, table.project_id] })])

export const keypairs = sqliteTable(
  'keypairs',
  {
    seq: integer('seq').primaryKey({ autoIncrement: true }),
    user_id: text('user_id').notNull(),
    name: text('name').notNull(),
    type: text('type').$type<'ssh' | 'x509'>().notNull(),
    public_key: text('public_key').notNull(),
    fingerprint: text('fingerprint').notNull(),
    created_ms: integer('created_ms').notNull(),
  },
  (table) => [index('keypairs_user').on(table.user_id, table.name)],
)

export const aggregates = sqliteTable('aggregates', {
  id: integer('id').primaryKey({ autoIncrement: true }),
  uuid: text('uuid').notNull(),
  name: text('name').notNull().unique(),
  availability_zone: text('availability_zone'),
  metadata: text('metadata', { mode: 'json' }).$type<Strings>().notNull(),
  /** Names of hosts. */
  hosts: text('hosts', { mode: 'json' }).$type<string[]>().notNull(),
  created_ms: integer('created_ms').notNull(),
  updated_ms: integer('updated_ms'),
})

export const allocations = sqliteTable(
  'allocations',
  {
    /** The server's id, or of what is kept for it during a resize. */
    consumer_id: text('consumer_id').primaryKey(),
    host_id: text('host_id').notNull(),
    project_id: text('project_id').notNull(),
    user_id: text('user_id').notNull(),
    consumer_type: text('consumer_type').notNull(),
    vcpus: integer('vcpus').notNull(),
    ram_mib: integer('ram_mib').notNull(),
    disk_gib: integer('disk_gib').notNull(),
    created_ms: integer('created_ms').notNull(),
    /** How the place was found: each filter's survivors. */
    funnel: text('funnel', { mode: 'json' }).$type<string[]>().notNull(),
    /** Server group: members placed at the same moment must see each other. */
    group_id: text('group_id'),
  },
  (table) => [index('allocations_host').on(table.host_id), index('allocations_project').on(table.project_id)],
)

export type FlavorRow = typeof flavors.$inferSelect
export type KeypairRow = typeof keypairs.$inferSelect
export type AggregateRow = typeof aggregates.$inferSelect
export type AllocationRow = typeof allocations.$inferSelect
