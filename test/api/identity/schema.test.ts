/** The tables that the code knows are those that the migrations make. */
import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { SQLiteTable, getTableConfig } from 'drizzle-orm/sqlite-core'
import { is } from 'drizzle-orm'
import { migrations } from '../../../schema/identity/migrations.ts'
import * as tables from '../../../schema/identity/tables.ts'

test('every drizzle table has exactly the columns and indexes of the migrated one', () => {
  const db = new DatabaseSync(':memory:')
  for (const { sql } of migrations) db.exec(sql)
  for (const table of Object.values(tables)) {
    if (!is(table, SQLiteTable)) continue
    const { name, columns, indexes } = getTableConfig(table)
    const made = db.prepare(`SELECT name, type, "notnull" AS required, pk FROM pragma_table_info('${name}')`).all()
    assert.deepEqual(
      made.map((column) => `${column.name} ${column.type} ${column.pk ? '' : column.required}`),
      columns.map((column) => `${column.name} ${column.getSQLType().toUpperCase()} ${made.find((each) => each.name === column.name)?.pk ? '' : Number(column.notNull)}`),
      name,
    )
    const known = new Set(db.prepare(`SELECT name FROM pragma_index_list('${name}')`).all().map((row) => String(row.name)))
    for (const index of indexes) assert.ok(known.has(index.config.name), `${name}: index ${index.config.name}`)
  }
})
