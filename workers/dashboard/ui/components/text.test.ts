import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytesText, nameOr, routeOf } from './text.ts'

test('figures and names', () => {
  assert.deepEqual([0, 1023, 1024, 1536, 5 * 2 ** 30, 200 * 2 ** 30].map(bytesText), ['0 B', '1023 B', '1.0 KiB', '1.5 KiB', '5.0 GiB', '200 GiB'])
  assert.equal(nameOr('', '12345678-abc'), '12345678')
})

test('hash routes, also of odd names', () => {
  assert.deepEqual(routeOf('#/servers/abc'), ['servers', 'abc'])
  assert.deepEqual(routeOf(''), [])
  assert.deepEqual(routeOf('#/containers/a%2Fb%20c'), ['containers', 'a/b c'])
  assert.deepEqual(routeOf('#/containers/%E0%A4%A'), ['containers', '%E0%A4%A'])
})
