/**
 * Glance's table in a Project object: one row per image. Tags, members, properties, locations and tasks are part of the row: they are few, bounded by quota, and
 * change with it, so that a change of an image writes one row.
 */
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'

export type ImageStatus = 'queued' | 'saving' | 'uploading' | 'importing' | 'active' | 'deactivated' | 'killed'
export type Visibility = 'public' | 'community' | 'shared' | 'private'
export type MemberStatus = 'pending' | 'accepted' | 'rejected'

/** Where bytes are. `host_id` only in the `file` store. */
export interface ImageLocation {
  store: 'object' | 'file'
  name: string
  host_id?: string
}

/** Measured while the bytes were written. */
export interface Measured {
  size_bytes: number
  checksum: string
  sha512: string
  virtual_size_bytes: number | null
}

export interface ImageMember {
  member_id: string
  status: MemberStatus
  created_ms: number
  updated_ms: number
}

export interface ImageTask {
  id: string
  status: 'pending' | 'processing' | 'success' | 'failure'
  method: string
  /** What the client sent. */
  input: unknown
  stores: string[]
  message: string
  request_id: string
  user_id: string
  created_ms: number
  updated_ms: number
}

export const images = sqliteTable('images', {
  id: text('id').primaryKey(),
  name: text('name'),
  status: text('status').$type<ImageStatus>().notNull(),
  visibility: text('visibility').$type<Visibility>().notNull(),
  protected: integer('protected', { mode: 'boolean' }).notNull(),
  hidden: integer('hidden', { mode: 'boolean' }).notNull(),
  container_format: text('container_format'),
  disk_format: text('disk_format'),
  size_bytes: integer('size_bytes'),
  virtual_size_bytes: integer('virtual_size_bytes'),
  checksum: text('checksum'),
  sha512: text('sha512'),
  min_disk_gib: integer('min_disk_gib').notNull(),
  min_ram_mib: integer('min_ram_mib').notNull(),
  locations: text('locations', { mode: 'json' }).$type<ImageLocation[]>().notNull(),
  /** Bytes of PUT /stage, until they are imported. */
  staged: text('staged', { mode: 'json' }).$type<{ location: ImageLocation; measured: Measured } | null>(),
  /** The upload under way: only its own end is taken. */
  upload_id: text('upload_id'),
  upload_seen_ms: integer('upload_seen_ms'),
  properties: text('properties', { mode: 'json' }).$type<Record<string, string>>().notNull(),
  tags: text('tags', { mode: 'json' }).$type<string[]>().notNull(),
  members: text('members', { mode: 'json' }).$type<ImageMember[]>().notNull(),
  tasks: text('tasks', { mode: 'json' }).$type<ImageTask[]>().notNull(),
  /** The id does not carry this project's tag: the directory has an alias for it. */
  foreign_id: integer('foreign_id', { mode: 'boolean' }).notNull(),
  /** The region's directory has (or had) an entry that must follow this row. */
  published: integer('published', { mode: 'boolean' }).notNull(),
  created_ms: integer('created_ms').notNull(),
  updated_ms: integer('updated_ms').notNull(),
})

export type ImageRow = typeof images.$inferSelect

/** A namespace of metadata definitions: what properties, objects and tags mean to whoever edits images, volumes or flavors. One row; its parts change with it. */
export interface MetadefParts {
  objects: Record<string, Record<string, unknown>>
  properties: Record<string, Record<string, unknown>>
  tags: Record<string, { created_ms: number; updated_ms: number }>
  resource_types: Record<string, { prefix?: string; properties_target?: string; created_ms: number; updated_ms: number }>
}

export const metadefs = sqliteTable('metadefs', {
  namespace: text('namespace').primaryKey(),
  display_name: text('display_name'),
  description: text('description'),
  visibility: text('visibility').$type<'public' | 'private'>().notNull(),
  protected: integer('protected', { mode: 'boolean' }).notNull(),
  parts: text('parts', { mode: 'json' }).$type<MetadefParts>().notNull(),
  created_ms: integer('created_ms').notNull(),
  updated_ms: integer('updated_ms').notNull(),
})

export type MetadefRow = typeof metadefs.$inferSelect
