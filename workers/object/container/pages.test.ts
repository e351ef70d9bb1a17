import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import fc from 'fast-check'
import { migrations } from '../../../schema/container/migrations.ts'
import { type ListQuery, listNames } from '../list.ts'
import { RowPages, joinPages, pageBody, pageRead } from './pages.ts'
import { RowRanges } from './ranges.ts'
import { type ContainerInfo, OBJECT_COLUMNS, type ObjectRow, type Rows, objectValues } from './rows.ts'
import { rowsText } from './views.ts'

const info = { account: 'AUTH_a', name: 'c' } as ContainerInfo
const QUERY: ListQuery = { limit: 10_000, marker: '', end_marker: '', prefix: '', delimiter: '', reverse: false, path: null }

function table(objects: Partial<ObjectRow>[]) {
  const database = new DatabaseSync(':memory:')
  for (const { sql } of migrations) database.exec(sql)
  const rows = ((sql: string, ...values: never[]) => database.prepare(sql).all(...values)) as unknown as Rows
  for (const one of objects) {
    const row: ObjectRow = { name: '', at: '1400000000.00000', modified_at: '1400000000.00000', size: 1, etag: 'd41d8cd98f00b204e9800998ecf8427e', content_type: 'text/plain', delete_at: null, slo_etag: null, slo_size: null, version: '', extra: null, ...one }
    rows(`INSERT OR REPLACE INTO objects (${OBJECT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, ...objectValues(row))
  }
  const ranges = new RowRanges(rows)
  return { pages: new RowPages(rows), slow: (query: ListQuery, format: 'plain' | 'json') => rowsText(format, info, listNames(query, (read) => ranges.shown(read))) }
}

const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }).filter((one) => !one.includes('\0'))
const row = fc.record({
  name: fc.oneof(text, fc.constantFrom('a', 'a/b', 'a"b', 'a\\', 'ü/é', '\u2028', '😀', 'a\nb', '\x07')), content_type: text, etag: fc.constantFrom('d41d8cd98f00b204e9800998ecf8427e', 'x"y'),
  size: fc.nat(), slo_size: fc.option(fc.nat({ max: 5_000_000_000_000 })), slo_etag: fc.option(fc.constantFrom('abc', 'a"b')),
  modified_at: fc.integer({ min: 0, max: 400_000_000_000_000 }).map((ticks) => String(ticks).padStart(15, '0').replace(/(.{5})$/, '.$1')),
})

test('a page made by SQLite is what rows would make, whatever is in them and however it is asked', () => {
  fc.assert(fc.property(fc.array(row, { maxLength: 25 }), fc.nat({ max: 30 }), text, text, fc.boolean(), fc.constantFrom('', 'a', 'a/', 'ü'), (objects, limit, marker, end_marker, reverse, prefix) => {
    const { pages, slow } = table(objects)
    for (const format of ['plain', 'json'] as const) {
      for (const query of [QUERY, { ...QUERY, reverse }, { ...QUERY, limit, marker, reverse, prefix }, { ...QUERY, limit, end_marker, reverse }]) assert.equal(pages.body(query, format), slow(query, format))
    }
  }), { numRuns: 300 })
})

test('pages longer than a query, forwards and backwards', () => {
  const { pages, slow } = table(Array.from({ length: 3_500 }, (_, n) => ({ name: `o${String(n).padStart(5, '0')}` })))
  for (const query of [QUERY, { ...QUERY, reverse: true }, { ...QUERY, limit: 2_000 }, { ...QUERY, limit: 1_000, marker: 'o00500' }]) {
    assert.equal(pages.body(query, 'json'), slow(query, 'json'))
    assert.equal(pages.body(query, 'plain'), slow(query, 'plain'))
  }
})

test('what is more than a line for each row is left to others: symlinks, prefixes, XML, rows too long for one text', () => {
  const { pages } = table([{ name: 'a' }, { name: 'b', extra: { symlink: 'c/o' } }])
  assert.equal(pages.body(QUERY, 'json'), null)
  assert.equal(pages.body(QUERY, 'plain'), 'a\nb\n')
  assert.notEqual(pages.body({ ...QUERY, limit: 1 }, 'json'), null)
  assert.equal(pages.body({ ...QUERY, delimiter: '/' }, 'plain'), null)
  assert.equal(pages.body({ ...QUERY, path: '' }, 'plain'), null)
  assert.equal(pages.body(QUERY, 'xml'), null)
  const refusing = new RowPages((sql) => {
    if (!sql.includes('group_concat')) return []
    throw new Error('string or blob too big: SQLITE_TOOBIG')
  })
  assert.equal(refusing.body(QUERY, 'plain'), null)
})

test('pages of several parts are one page', () => {
  const flat = pageRead(QUERY, 'json')
  assert.ok(flat !== null)
  const parts = [['a', 'b'], [], ['c']].map((names) => table(names.map((name) => ({ name }))).pages.read(flat.read, flat.format))
  const page = joinPages(parts.filter((part) => part !== null), 'json')
  assert.deepEqual((JSON.parse(pageBody(page, 'json')) as { name: string }[]).map(({ name }) => name), ['a', 'b', 'c'])
  assert.equal(page.last, 'c')
  assert.equal(pageBody(joinPages([], 'plain'), 'plain'), '')
})
