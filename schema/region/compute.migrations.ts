/** Migrations of compute in the Region object: append only. */
import type { Migration } from '../../durable-objects/kernel/migrate.ts'

export const computeRegionMigrations: Migration[] = []
