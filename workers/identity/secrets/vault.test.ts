import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { systemRandom } from '../../../schema/values/random.ts'
import { isFault } from '../../../schema/values/fault.ts'
import { Vault } from './vault.ts'

const key = (byte: number) => Buffer.alloc(32, byte).toString('base64url')
const vault = (...bytes: number[]) => new Vault(bytes.map(key).join(','), systemRandom)

test('property: what is sealed opens again, in its own row, and shows nothing of itself', () => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme', minLength: 8 }), (text) => {
    const kept = vault(1).seal(text, 'credentials/a')
    assert.equal(vault(1).open(kept, 'credentials/a'), text)
    assert.ok(!kept.text.includes(text))
    assert.notEqual(vault(1).seal(text, 'credentials/a').text, kept.text)
    assert.throws(() => vault(1).open(kept, 'credentials/b'))
  }), { numRuns: 50 })
})

test('an older key opens, the first one seals, a key that is gone is said, a changed text does not open', () => {
  const old = vault(1).seal('secret', 'r')
  assert.equal(vault(2, 1).open(old, 'r'), 'secret')
  assert.equal(vault(2, 1).seal('secret', 'r').sealed, vault(2).current)
  assert.throws(() => vault(2).open(old, 'r'), (error) => isFault(error, 'unavailable'))
  const bytes = Buffer.from(old.text, 'base64url')
  bytes[14] = (bytes[14] ?? 0) ^ 1
  assert.throws(() => vault(1).open({ ...old, text: bytes.toString('base64url') }, 'r'))
})

test('without a key texts stay as they are; a key of another size is refused', () => {
  assert.deepEqual(vault().seal('secret', 'r'), { text: 'secret', sealed: null })
  assert.equal(vault(1).open({ text: 'secret', sealed: null }, 'r'), 'secret')
  assert.throws(() => new Vault('c2hvcnQ', systemRandom), /32 bytes/)
})
