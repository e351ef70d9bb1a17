/** Migrations of volume in the Region object: append only. */
import type { Migration } from '../../durable-objects/kernel/migrate.ts'

export const volumeRegionMigrations: Migration[] = []
