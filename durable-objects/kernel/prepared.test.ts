/** Statements built once: each database has its own, and what changes is given at each call. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/durable-sqlite'
import { sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { SimStorage, newDisk } from '../../test/support/platform/storage.ts'
import type { Db } from './deps.ts'
import { prepared } from './prepared.ts'

const words = sqliteTable('words', { id: text('id').primaryKey(), word: text('word').notNull() })

function database(word: string): Db {
  const storage = new SimStorage(newDisk())
  storage.sql.exec('CREATE TABLE words (id TEXT PRIMARY KEY, word TEXT NOT NULL)')
  const db = drizzle(storage as never) as unknown as Db
  db.insert(words).values({ id: 'a', word }).run()
  return db
}

test('a statement is built once for a database, and reads that database', () => {
  let built = 0
  const byId = prepared((db) => {
    built++
    return db.select().from(words).where(eq(words.id, sql.placeholder('id'))).prepare()
  })
  const [one, other] = [database('one'), database('other')]
  const read = () => [byId(one).get({ id: 'a' })?.word, byId(other).get({ id: 'a' })?.word, byId(one).get({ id: 'b' })]
  assert.deepEqual([read(), read()], [['one', 'other', undefined], ['one', 'other', undefined]])
  assert.equal(built, 2)
  one.update(words).set({ word: 'changed' }).run()
  assert.deepEqual(read(), ['changed', 'other', undefined])
})
