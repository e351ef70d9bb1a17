/** Listings against a naive model: the same entries, in the same order, however they are asked for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ListQuery, type Listed, type Read, compareNames, listNames, meets, successor } from './list.ts'

type Row = { name: string }
const byCodePoint = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** SQLite's part: conditions over sorted names, as the store's SQL states them. */
const reader = (names: string[]) => ({ where, order, limit }: Read): Row[] => {
  const holds = (name: string) => where.every(({ op, text }) => {
    const side = byCodePoint(name, text)
    return op === '>=' ? side >= 0 : op === '>' ? side > 0 : op === '<' ? side < 0 : side <= 0
  })
  const sorted = names.filter(holds).sort(byCodePoint)
  return (order === 'ASC' ? sorted : sorted.reverse()).slice(0, limit).map((name) => ({ name }))
}

function model(names: string[], query: ListQuery): Listed<Row>[] {
  const sorted = [...names].sort(byCodePoint)
  if (query.reverse) sorted.reverse()
  const [low, high] = query.reverse ? [query.end_marker, query.marker] : [query.marker, query.end_marker]
  const entries: Listed<Row>[] = []
  const seen = new Set<string>()
  for (const name of sorted) {
    if (!name.startsWith(query.prefix)) continue
    if (low !== '' && byCodePoint(name, low) <= 0) continue
    if (high !== '' && byCodePoint(name, high) >= 0) continue
    const at = query.delimiter === '' ? -1 : name.indexOf(query.delimiter, query.prefix.length)
    if (at < 0) entries.push({ name })
    else {
      const subdir = name.slice(0, at + query.delimiter.length)
      if (!seen.has(subdir) && subdir !== query.marker) entries.push({ subdir })
      seen.add(subdir)
    }
  }
  return entries.slice(0, query.limit)
}

test('any listing is what the model gives', () => {
  const name = fc.array(fc.constantFrom('a', 'b', '/', '//', 'é', '\u{1f600}', '~'), { minLength: 1, maxLength: 5 }).map((parts) => parts.join(''))
  const query = fc.record({ limit: fc.integer({ min: 1, max: 8 }), marker: fc.oneof(fc.constant(''), name), end_marker: fc.oneof(fc.constant(''), name), prefix: fc.constantFrom('', 'a', 'a/', 'é'), delimiter: fc.constantFrom('', '/', '//', 'a'), reverse: fc.boolean(), path: fc.constant(null) })
  fc.assert(fc.property(fc.uniqueArray(name, { maxLength: 30 }), query, (names, asked) => {
    assert.deepEqual(listNames(asked, reader(names)), model(names, asked))
  }), { numRuns: 2_000 })
})

test('pages put together are the whole listing', () => {
  const name = fc.array(fc.constantFrom('a', 'b', '/'), { minLength: 1, maxLength: 5 }).map((parts) => parts.join(''))
  fc.assert(fc.property(fc.uniqueArray(name, { maxLength: 30 }), fc.integer({ min: 1, max: 4 }), fc.constantFrom('', '/'), (names, limit, delimiter) => {
    const asked: ListQuery = { limit, marker: '', end_marker: '', prefix: '', delimiter, reverse: false, path: null }
    const all: Listed<Row>[] = []
    for (let marker = ''; ; ) {
      const page = listNames({ ...asked, marker }, reader(names))
      all.push(...page)
      const last = page.at(-1)
      if (last === undefined || page.length < limit) break
      marker = 'subdir' in last ? last.subdir : last.name
    }
    assert.deepEqual(all, model(names, { ...asked, limit: 1_000 }))
  }), { numRuns: 500 })
})

test('what follows a prefix is above all names under it, and nothing lies between', () => {
  assert.equal(successor('a/'), 'a0')
  assert.equal(successor('\u{d7ff}'), '\u{e000}')
  assert.equal(successor('a\u{10ffff}'), 'b')
  assert.equal(successor(''), null)
})

test('names compare as SQLite orders them, whatever they hold', () => {
  const name = fc.string({ unit: fc.oneof(fc.constantFrom('a', '\uffff', '\ue000', '\ud7ff', '\u{10000}', '\u{10ffff}', '\0'), fc.string({ unit: 'binary', minLength: 1, maxLength: 1 })) })
  fc.assert(fc.property(name, name, (a, b) => {
    assert.equal(Math.sign(compareNames(a, b)), Math.sign(byCodePoint(a, b)))
    assert.equal(meets(a, [{ op: '>=', text: b }]), byCodePoint(a, b) >= 0)
  }), { numRuns: 1_000 })
})
