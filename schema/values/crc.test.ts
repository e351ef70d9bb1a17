/** CRCs against published check values, against a bit by bit reference, and joined ones against those of the whole. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type CrcKind, createCrc, joinCrcs } from './crc.ts'
import { digestOf } from './digests.ts'

const crcOf = (kind: CrcKind, ...parts: Uint8Array[]) => {
  const crc = createCrc(kind)
  for (const part of parts) crc.update(part)
  return crc.digest()
}
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const kinds: CrcKind[] = ['crc32', 'crc32c', 'crc64nvme']

test('the check values of the catalogue of CRCs', () => {
  const check = new TextEncoder().encode('123456789')
  assert.deepEqual(kinds.map((kind) => hex(crcOf(kind, check))), ['cbf43926', 'e3069283', 'ae8b14860a799888'])
  assert.equal(digestOf('crc32', new TextEncoder().encode('hello world')), 'DUoRhQ==')
  assert.equal(digestOf('sha256', new Uint8Array()), '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=')
})

test('a CRC does not depend on how the bytes come, and joined parts have the CRC of the whole', () => {
  fc.assert(fc.property(fc.constantFrom(...kinds), fc.array(fc.uint8Array({ maxLength: 70 }), { maxLength: 6 }), (kind, parts) => {
    const whole = Uint8Array.from(parts.flatMap((part) => [...part]))
    assert.equal(hex(crcOf(kind, ...parts)), hex(crcOf(kind, whole)))
    assert.equal(hex(joinCrcs(kind, parts.map((part) => ({ crc: crcOf(kind, part), length: part.length })))), hex(crcOf(kind, whole)))
  }), { numRuns: 300 })
})
