import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decoyHash, hashPassword, parseHash, sameParams, verifyPassword } from './hash.ts'

const cheap = { ln: 2, r: 8, p: 1 }

test('property: a hash verifies its own password and no other, whatever the characters', async () => {
  await fc.assert(fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 80 }), fc.string({ maxLength: 80 }), async (password, other) => {
    const hash = await hashPassword(password, cheap)
    assert.ok(await verifyPassword(password, hash))
    assert.equal(await verifyPassword(other, hash), other === password)
  }), { numRuns: 30 })
})

test('parameters travel with the hash; two hashes of one password differ', async () => {
  const [a, b] = [await hashPassword('pw', cheap), await hashPassword('pw', cheap)]
  assert.notEqual(a, b)
  assert.ok(sameParams(a, cheap))
  assert.ok(!sameParams(a, { ...cheap, p: 2 }))
})

test('a decoy, a foreign kind and absurd parameters match nothing and cost nothing absurd', async () => {
  assert.equal(await verifyPassword('', decoyHash(cheap)), false)
  for (const bad of ['', '$2b$12$abc', 'plain', '$scrypt$ln=40,r=8,p=1$AAAA$AAAA', '$scrypt$ln=2,r=8,p=1$$']) {
    assert.equal(parseHash(bad), null)
    assert.equal(await verifyPassword('pw', bad), false)
  }
})
