/** What is kept holds until something is written or its time is over, and there is never too much of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KEY_CHARACTERS_MAX, Shelf } from './shelf.ts'

const lab = (most: number) => {
  const deps = { writes: 1, clock: { now_ms: () => state.now_ms } }
  const state = { now_ms: 1_000 }
  return { deps, state, shelf: new Shelf<string>(deps, most) }
}

test('kept until the next write', () => {
  const { deps, shelf } = lab(10)
  shelf.put('a', 'one')
  assert.equal(shelf.get('a'), 'one')
  deps.writes++
  assert.equal(shelf.get('a'), undefined)
  shelf.put('a', 'two')
  assert.deepEqual([shelf.get('a'), shelf.get('b')], ['two', undefined])
})

test('and no longer than its time', () => {
  const { state, shelf } = lab(10)
  shelf.put('a', 'one', 2_000)
  shelf.put('b', 'two')
  state.now_ms = 1_999
  assert.equal(shelf.get('a'), 'one')
  state.now_ms = 2_000
  assert.deepEqual([shelf.get('a'), shelf.get('b')], [undefined, 'two'])
})

test('a key of any length is asked for, a long one never kept', () => {
  const { shelf } = lab(10)
  const [longest, tooLong] = ['k'.repeat(KEY_CHARACTERS_MAX), 'k'.repeat(KEY_CHARACTERS_MAX + 1)]
  shelf.put(longest, 'one')
  shelf.put(tooLong, 'two')
  assert.deepEqual([shelf.get(longest), shelf.get(tooLong)], ['one', undefined])
})

test('the oldest goes first where there is no room', () => {
  const { shelf } = lab(2)
  for (const key of ['a', 'b', 'a', 'c']) shelf.put(key, key)
  assert.deepEqual(['a', 'b', 'c'].map((key) => shelf.get(key)), ['a', undefined, 'c'])
})

test('what is read without asking the object is there once all before it is on disk, and never where that failed', async () => {
  const waiting: { done(): void; failed(error: Error): void }[] = []
  const shelf = new Shelf<string>({ writes: 1, clock: { now_ms: () => 0 } }, 10, () => new Promise((done, failed) => waiting.push({ done, failed })))
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  shelf.put('a', 'one')
  shelf.put('b', 'two')
  assert.equal(shelf.get('a'), undefined)
  waiting[0]?.done()
  waiting[1]?.failed(new Error('the disk is full'))
  await turn()
  assert.deepEqual([shelf.get('a'), shelf.get('b')], ['one', undefined])
})
