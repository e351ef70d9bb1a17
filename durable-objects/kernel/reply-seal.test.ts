import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NONCE_BYTES, ReplySeal, nameOf } from './reply-seal.ts'

const nonce = new Uint8Array(NONCE_BYTES)

test('property: what was sealed opens again by the same key and secret, by no other, and shows nothing of itself', () => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme', minLength: 8 }), fc.string({ minLength: 1 }), (text, key) => {
    const kept = new ReplySeal(key, 's').seal(text, nonce)
    assert.equal(new ReplySeal(key, 's').open(kept), text)
    assert.ok(!kept.includes(text))
    assert.equal(new ReplySeal(`${key}x`, 's').open(kept), null)
    assert.equal(new ReplySeal(key, 'other').open(kept), null)
  }), { numRuns: 50 })
})

test('names and marks say nothing of keys and requests; a text that was cut does not open', () => {
  assert.match(nameOf('a'), /^[0-9a-f]{64}$/)
  assert.notEqual(nameOf('a'), nameOf('b'))
  const seal = new ReplySeal('a', 's')
  assert.ok(seal.isMark(seal.mark('f'), 'f'))
  assert.ok(!seal.isMark(seal.mark('f'), 'g') && !new ReplySeal('a', 't').isMark(seal.mark('f'), 'f'))
  assert.equal(seal.open('AAAA'), null)
  assert.equal(seal.open(seal.seal('text', nonce).slice(0, -4)), null)
})
