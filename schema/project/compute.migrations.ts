/** Migrations of compute in a Project object: append only. */
import type { Migration } from '../../durable-objects/kernel/migrate.ts'

export const computeMigrations: Migration[] = []
