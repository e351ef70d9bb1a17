/** Migrations of network in the Region object: append only. */
import type { Migration } from '../../durable-objects/kernel/migrate.ts'

export const networkRegionMigrations: Migration[] = []
