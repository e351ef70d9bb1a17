/** Migrations of the Identity object, in order. Append only. */
import type { Migration } from '../../durable-objects/kernel/migrate.ts'

export const migrations: Migration[] = []
