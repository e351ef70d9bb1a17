import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PASSWORD_CHARS_MAX, decoyHash } from './hash.ts'
import { PROOF_HEADER, readProof, writeProof } from './proof.ts'

const HASH = decoyHash({ ln: 14, r: 8, p: 2 })
const overTheWire = (line: string): string => new Request('http://hasher/verify', { headers: { [PROOF_HEADER]: line } }).headers.get(PROOF_HEADER) ?? ''

test('any password comes out of the header as it went in', () => {
  fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('', ' ', '|', 'a|b ', '\r\nhost: x', 'ü☂🦊')), (password) => {
    assert.deepEqual(readProof(overTheWire(writeProof({ password, hash: HASH }))), { password, hash: HASH })
  }))
})

test('what is no text is replaced as the hash replaces it', () => {
  assert.equal(readProof(writeProof({ password: 'a\ud800b', hash: HASH }))?.password, new TextDecoder().decode(new TextEncoder().encode('a\ud800b')))
})

test('the longest password fits into a header', () => {
  const line = writeProof({ password: '☂'.repeat(PASSWORD_CHARS_MAX), hash: HASH })
  assert.ok(line.length < 64 * 1024, `${line.length} bytes`)
})

test('a line that is no proof is told', () => {
  for (const line of ['', HASH, `${HASH}|%`, `${HASH}|%ff`]) assert.equal(readProof(line), null)
})
