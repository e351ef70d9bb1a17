/** Records of moves and resizes. */
import { eq } from 'drizzle-orm'
import type { Tx } from '../../../durable-objects/kernel/deps.ts'
import { type MigrationRow, serverMigrations } from '../../../schema/project/compute.ts'

export const addMigration = (tx: Tx, migration: Omit<MigrationRow, 'id' | 'created_ms' | 'updated_ms'>): MigrationRow =>
  tx.db.insert(serverMigrations).values({ ...migration, created_ms: tx.now_ms, updated_ms: tx.now_ms }).returning().get()

export const setMigration = (tx: Tx, id: number, status: string): void => void tx.db.update(serverMigrations).set({ status, updated_ms: tx.now_ms }).where(eq(serverMigrations.id, id)).run()
