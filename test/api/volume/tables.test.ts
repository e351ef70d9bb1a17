/** The drizzle tables of image and volume are what the migrations make. */
import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { getTableColumns, getTableName, is } from 'drizzle-orm'
import { SQLiteTable } from 'drizzle-orm/sqlite-core'
import * as image from '../../../schema/project/image.ts'
import { imageMigrations } from '../../../schema/project/image.migrations.ts'
import * as volume from '../../../schema/project/volume.ts'
import { volumeMigrations } from '../../../schema/project/volume.migrations.ts'
import * as region from '../../../schema/region/volume.ts'
import { volumeRegionMigrations } from '../../../schema/region/volume.migrations.ts'

for (const [name, tables, migrations] of [['image', image, imageMigrations], ['volume', volume, volumeMigrations], ['volume in the region', region, volumeRegionMigrations]] as const) {
  test(`tables of ${name}`, () => {
    const database = new DatabaseSync(':memory:')
    for (const { sql } of migrations) database.exec(sql)
    const declared = Object.values(tables).filter((table): table is SQLiteTable => is(table, SQLiteTable))
    assert.ok(declared.length > 0)
    for (const table of declared) {
      const columns = database.prepare(`PRAGMA table_info(${getTableName(table)})`).all() as { name: string; notnull: number; pk: number }[]
      const want = Object.values(getTableColumns(table)).map((column) => ({ name: column.name, required: column.notNull }))
      assert.deepEqual(columns.map((column) => ({ name: column.name, required: column.notnull === 1 || column.pk > 0 })), want, getTableName(table))
    }
    database.close()
  })
}
