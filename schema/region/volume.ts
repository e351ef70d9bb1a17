/** Cinder's tables in the Region object: types and QoS specs that tenants share, what is promised to which host, the state of volume services. */
import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'

export interface Encryption {
  encryption_id: string
  provider: string
  cipher: string | null
  key_size: number | null
  control_location: 'front-end' | 'back-end'
  created_ms: number
  updated_ms: number | null
}

export const volumeTypes = sqliteTable('volume_types', {
  id: text('id').primaryKey(),
  name: text('name').notNull().unique(),
  description: text('description'),
  is_public: integer('is_public', { mode: 'boolean' }).notNull(),
  extra_specs: text('extra_specs', { mode: 'json' }).$type<Record<string, string>>().notNull(),
  /** Projects that may use a private type. */
  access: text('access', { mode: 'json' }).$type<string[]>().notNull(),
  qos_specs_id: text('qos_specs_id'),
  encryption: text('encryption', { mode: 'json' }).$type<Encryption | null>(),
  created_ms: integer('created_ms').notNull(),
})

export const qosSpecs = sqliteTable('volume_qos_specs', {
  id: text('id').primaryKey(),
  name: text('name').notNull().unique(),
  consumer: text('consumer').$type<'front-end' | 'back-end' | 'both'>().notNull(),
  specs: text('specs', { mode: 'json' }).$type<Record<string, string>>().notNull(),
})

/** A volume's place: one row per volume, written by the claim, gone with the volume. */
export const volumeAllocations = sqliteTable(
  'volume_allocations',
  { volume_id: text('volume_id').primaryKey(), project_id: text('project_id').notNull(), host_id: text('host_id').notNull(), pool: text('pool').notNull(), size_gib: integer('size_gib').notNull(), volume_type_id: text('volume_type_id').notNull() },
  (table) => [index('volume_allocations_host').on(table.host_id)],
)

/** What an operator said of the volume service of a host; no row is enabled. */
export const volumeServices = sqliteTable('volume_services', {
  host_id: text('host_id').primaryKey(),
  disabled: integer('disabled', { mode: 'boolean' }).notNull(),
  disabled_reason: text('disabled_reason'),
  frozen: integer('frozen', { mode: 'boolean' }).notNull(),
  updated_ms: integer('updated_ms').notNull(),
})

/** Default type of a project ('' is everybody's), and default quotas. */
export const volumeDefaults = sqliteTable('volume_defaults', { name: text('name').primaryKey(), value: text('value', { mode: 'json' }).$type<unknown>().notNull() })

export const groupTypes = sqliteTable('volume_group_types', {
  id: text('id').primaryKey(),
  name: text('name').notNull().unique(),
  description: text('description'),
  is_public: integer('is_public', { mode: 'boolean' }).notNull(),
  group_specs: text('group_specs', { mode: 'json' }).$type<Record<string, string>>().notNull(),
})

export type GroupTypeRow = typeof groupTypes.$inferSelect
export type VolumeTypeRow = typeof volumeTypes.$inferSelect
export type QosRow = typeof qosSpecs.$inferSelect
export type AllocationRow = typeof volumeAllocations.$inferSelect
