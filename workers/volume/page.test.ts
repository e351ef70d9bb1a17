import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault, isFault } from '../../schema/values/fault.ts'
import { inTime, paged, parseDict, parsePage, truth } from './page.ts'

const KEYS = { id: (row: { id: string; n: number }) => row.id, n: (row: { id: string; n: number }) => row.n, created_at: (row: { id: string; n: number }) => row.n }
const page = (text: string) => parsePage(new URLSearchParams(text), Object.keys(KEYS))
const missing = (id: string) => new Fault('not_found', id)

test('bad parameters are 400, an unknown marker is 404', () => {
  for (const text of ['limit=x', 'limit=-1', 'offset=x', 'sort=zzz', 'sort=n:up', 'sort=n&sort_key=n', 'sort_key=zzz']) assert.throws(() => page(text), (error) => isFault(error, 'bad_request'), text)
  assert.throws(() => paged([], page('marker=m'), KEYS, missing), (error) => isFault(error, 'not_found'))
})

test('pages of any size have every row once, in order', () => {
  fc.assert(fc.property(fc.uniqueArray(fc.nat(50), { maxLength: 12 }), fc.integer({ min: 1, max: 5 }), (numbers, limit) => {
    const rows = numbers.map((n) => ({ id: `id-${n}`, n }))
    const seen: number[] = []
    let marker = ''
    for (let turn = 0; turn < 20; turn++) {
      const { rows: shown, more } = paged(rows, page(`limit=${limit}&sort=n:asc${marker === '' ? '' : `&marker=${marker}`}`), KEYS, missing)
      seen.push(...shown.map((row) => row.n))
      if (!more) break
      marker = shown.at(-1)?.id ?? ''
    }
    assert.deepEqual(seen, [...numbers].sort((a, b) => a - b))
  }))
})

test('dictionaries as Python and JSON write them; times; booleans', () => {
  assert.deepEqual(parseDict("{'a': 'b', u'c': 'd'}"), { a: 'b', c: 'd' })
  assert.deepEqual(parseDict('{"a": "b"}'), { a: 'b' })
  assert.equal(parseDict('nonsense'), null)
  const at = Date.parse('2026-01-02T03:04:05Z')
  assert.equal(inTime(at, 'gt:2026-01-01T00:00:00,lt:2026-01-03T00:00:00'), true)
  assert.equal(inTime(at, 'lt:2026-01-01T00:00:00'), false)
  assert.equal(truth('True', 'x'), true)
  assert.throws(() => truth('maybe', 'x'), (error) => isFault(error, 'bad_request'))
})
