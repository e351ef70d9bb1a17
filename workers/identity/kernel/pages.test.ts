/** Rendered pages: cut at their size, kept while nothing is written, no more than there is room for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PAGES_KEPT_MAX, PAGE_KEPT_CHARACTERS_MAX, Pages, pageOf } from './pages.ts'

const rows = [{ id: 'a' }, { id: 'b' }, { id: 'c' }]

test('a page has its rows, the last id, and says that there are more', () => {
  assert.deepEqual(pageOf(rows, { root: '', size: 2 }, ({ id }) => ({ name: id })), { rows: '[{"name":"a"},{"name":"b"}]', count: 2, last: 'b', truncated: true })
  assert.deepEqual(pageOf([], { root: '', size: 2 }, () => null), { rows: '[]', count: 0, last: null, truncated: false })
})

test('a page is made again after a write, for another question, and where it was too long to keep', () => {
  const deps = { writes: 1, clock: { now_ms: () => 0 } }
  const pages = new Pages(deps)
  let made = 0
  const ask = (what: unknown, text = '[]') => pages.kept(what, () => ({ rows: `${text}${++made}`, count: 0, last: null, truncated: false })).rows
  assert.deepEqual([ask(['x']), ask(['x']), ask(['y']), ask(['x'])], ['[]1', '[]1', '[]2', '[]1'])
  deps.writes++
  assert.equal(ask(['x']), '[]3')
  const long = 'x'.repeat(PAGE_KEPT_CHARACTERS_MAX)
  assert.notEqual(ask(['long'], long), ask(['long'], long))
  for (let n = 0; n < PAGES_KEPT_MAX; n++) ask([n])
  const before = made
  ask([PAGES_KEPT_MAX - 1])
  assert.equal(made, before, 'the newest is kept')
  ask(['x'])
  assert.equal(made, before + 1, 'the oldest made room')
})
