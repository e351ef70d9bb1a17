import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseMicros, showMicros } from './time.ts'

test('what is shown parses to the same microsecond', () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 4_000_000_000_000_000 }), (micros) => parseMicros(showMicros(micros)) === micros))
})

test('zones are honoured, nonsense is a bad request', () => {
  assert.equal(showMicros(parseMicros('2026-01-02T03:04:05+0200')), '2026-01-02T01:04:05.000000')
  assert.equal(showMicros(parseMicros('2026-01-02T03:04:05.5Z')), '2026-01-02T03:04:05.500000')
  for (const text of ['bad.123Z', '', '2026-13-45T00:00:00Z', 'tomorrow']) assert.throws(() => parseMicros(text), { kind: 'bad_request' })
})
