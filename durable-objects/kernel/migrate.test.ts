/** Migrations: applied once, append only, refused when newer data meets older code. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimStorage, newDisk } from '../../test/support/platform/storage.ts'
import { migrate } from './migrate.ts'

const first = { name: 'a/0001', sql: 'CREATE TABLE a (id TEXT);\nCREATE INDEX a_id ON a (id);' }
const second = { name: 'a/0002', sql: 'ALTER TABLE a ADD COLUMN name TEXT' }

test('each migration runs once, later boots add only what is new', () => {
  const sql = new SimStorage(newDisk()).sql as never as Parameters<typeof migrate>[0]
  migrate(sql, [first])
  migrate(sql, [first])
  migrate(sql, [first, second])
  sql.exec('INSERT INTO a (id, name) VALUES (?, ?)', '1', 'x')
  assert.equal(sql.exec('SELECT * FROM a').toArray().length, 1)
})

test('a changed migration and a missing one refuse to start', () => {
  const sql = new SimStorage(newDisk()).sql as never as Parameters<typeof migrate>[0]
  migrate(sql, [first, second])
  assert.throws(() => migrate(sql, [first]), /newer build/)
  assert.throws(() => migrate(sql, [{ ...first, sql: 'CREATE TABLE b (id TEXT)' }, second]), /was changed/)
})
