/** The differ sees what differs, and only that. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compare, judge } from './compare.ts'
import { type Names, json, ownRows, text } from './normalise.ts'

const names: Names = { run: 'r1', words: new Map([['http://a/v3', '<v3>'], ['u1', '<user>']]) }
const answer = (body: unknown, status = 200, headers: Record<string, string> = {}) => ({ status, headers, body })

test('ids, moments, secrets and addresses become words; names and formats stay', () => {
  assert.equal(text('http://a/v3/users/u1', names), '<v3>/users/<user>')
  assert.equal(text('bob-r1 0123456789abcdef0123456789abcdef', names), 'bob <id>')
  assert.equal(text('2026-01-02T03:04:05.000000Z', names), '<moment .6Z>')
  assert.equal(text('2026-01-02T03:04:05Z', names), '<momentZ>')
  assert.equal(text('first\nFailed validating', names), 'first')
  assert.deepEqual(json({ secret: 'abc', audit_ids: ['x', 'y'], list: ['b', 'a'] }, names), { audit_ids: ['<audit>', '<audit>'], list: ['a', 'b'], secret: '<secret>' })
})

test('rows that the script did not make are left out of lists', () => {
  assert.deepEqual(ownRows({ users: [{ id: 'u1' }, { id: 'stranger' }, { id: 'default' }], links: {} }, names), { users: [{ id: 'u1' }, { id: 'default' }], links: {} })
})

test('status, headers, fields that are missing, more or other, and rows of lists are differences', () => {
  const theirs = { a: answer({ user: { id: 1, name: 'x', only: true }, list: [1, 2] }, 200, { vary: 'X' }), b: answer(null), gone: answer(null) }
  const ours = { a: answer({ user: { id: 1, name: 'y', more: 1 }, list: [1, 3, 4] }, 201), b: answer(null) }
  assert.deepEqual(compare(theirs, ours).map(({ step, field }) => `${step} ${field}`), ['a status', 'a header vary', 'a body.user.name', 'a body.user.only', 'a body.user.more', 'a body.list', 'gone step'])
  assert.deepEqual(compare(theirs, theirs), [])
})

test('a peer that broke off says nothing', () => {
  assert.deepEqual(compare({ a: answer(null, 0) }, { a: answer({ error: 1 }, 400) }), [])
})

test('explanations cover what they name, and idle ones are told', () => {
  const found = compare({ 'x: GET /a (bad 1)': answer({ m: 1, n: 1 }) }, { 'x: GET /a (bad 1)': answer({ m: 2, n: 2 }) })
  const { unexplained, idle } = judge(found, [{ step: 'x: * (bad *)', field: 'body.m', reason: 'r' }, { step: 'y', field: '*', reason: 'r' }])
  assert.deepEqual(unexplained.map(({ field }) => field), ['body.n'])
  assert.deepEqual(idle.map(({ step }) => step), ['y'])
})
