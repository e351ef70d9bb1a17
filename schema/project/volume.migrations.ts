/** Migrations of volume in a Project object: append only. */
import type { Migration } from '../../durable-objects/kernel/migrate.ts'

export const volumeMigrations: Migration[] = []
