/** Migrations of a Project object, in order. Append only: a new one goes to the end of its service's list. */
import type { Migration } from '../../durable-objects/kernel/migrate.ts'
import { QUOTA_SQL } from '../../durable-objects/project/quota.ts'
import { computeMigrations } from './compute.migrations.ts'
import { imageMigrations } from './image.migrations.ts'
import { networkMigrations } from './network.migrations.ts'
import { volumeMigrations } from './volume.migrations.ts'

export const migrations: Migration[] = [{ name: 'quota/0001', sql: QUOTA_SQL }, ...networkMigrations, ...volumeMigrations, ...computeMigrations, ...imageMigrations]
