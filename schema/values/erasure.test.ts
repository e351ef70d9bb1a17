/** Reed-Solomon by properties: whatever m fragments are lost, the rest give them back; the field is a field; sizes come out even. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { archiveBytes, checkScheme, codeOf, decodeSegment, encodeSegment, type ErasureScheme, fragmentBytes, invert, multiply, segmentLength, stretchOf } from './erasure.ts'

const scheme = (data: number, parity: number, segment_bytes = 64): ErasureScheme => ({ data, parity, segment_bytes })

/** Every choice of `count` numbers below `total`. */
function* choices(total: number, count: number, from = 0): Generator<number[]> {
  if (count === 0) return yield []
  for (let first = from; first <= total - count; first++) for (const rest of choices(total, count - 1, first + 1)) yield [first, ...rest]
}

const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, n) => (n * 73 + (n >> 3) * 29 + 11) & 255)

test('the field: every number but zero has an inverse, and products distribute over sums', () => {
  for (let a = 1; a < 256; a++) assert.equal(multiply(a, invert(a)), 1)
  const byte = fc.integer({ min: 0, max: 255 })
  fc.assert(fc.property(byte, byte, byte, (a, b, c) => multiply(a, b ^ c) === (multiply(a, b) ^ multiply(a, c)) && multiply(multiply(a, b), c) === multiply(a, multiply(b, c))))
})

test('every loss of m fragments is made good, for each of many schemes', () => {
  for (const [data, parity] of [[1, 1], [2, 1], [2, 2], [3, 2], [4, 2], [2, 4], [5, 3], [8, 3], [6, 6]] as const) {
    const code = scheme(data, parity, 10_000)
    const segment = bytes(data * 40 + 3)
    const all = encodeSegment(code, segment)
    assert.equal(all.length, data + parity)
    for (const kept of choices(data + parity, data)) {
      const some = kept.map((n) => all[n] as Uint8Array)
      assert.deepEqual(decodeSegment(code, kept, some, segment.byteLength), segment, `${data}+${parity} from ${kept}`)
      for (let wanted = 0; wanted < data + parity; wanted++) assert.deepEqual(codeOf(code).rebuild(wanted, kept, some), all[wanted])
    }
  }
})

test('the widest schemes hold as well, by samples', () => {
  for (const [data, parity] of [[10, 4], [20, 20], [200, 55], [128, 127]] as const) {
    const code = scheme(data, parity, 100_000)
    const segment = bytes(data * 5)
    const all = encodeSegment(code, segment)
    fc.assert(fc.property(fc.shuffledSubarray(Array.from(all.keys()), { minLength: data, maxLength: data }), (kept) => {
      assert.deepEqual(decodeSegment(code, kept, kept.map((n) => all[n] as Uint8Array), segment.byteLength), segment)
    }), { numRuns: data > 50 ? 1 : 20 })
  }
})

test('any bytes of any length come back, at any alignment', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 5 }), fc.uint8Array({ maxLength: 300 }), fc.nat({ max: 3 }), fc.nat(), (data, parity, content, shift, seed) => {
    const held = new Uint8Array(content.length + shift)
    held.set(content, shift)
    const code = scheme(data, parity, 1_000)
    const all = encodeSegment(code, held.subarray(shift))
    const order = Array.from(all.keys()).sort((a, b) => ((a * 31 + seed) % 17) - ((b * 31 + seed) % 17)).slice(0, data)
    assert.deepEqual(decodeSegment(code, order, order.map((n) => all[n] as Uint8Array), content.length), Uint8Array.from(content))
    for (const fragment of all) assert.equal(fragment.byteLength, fragmentBytes(code, content.length))
  }))
})

test('nothing is lost of zero bytes, and parity is no copy of data', () => {
  const code = scheme(4, 2)
  assert.deepEqual(encodeSegment(code, new Uint8Array()).map((fragment) => fragment.byteLength), [0, 0, 0, 0, 0, 0])
  assert.equal(archiveBytes(code, 0), 0)
  const all = encodeSegment(code, bytes(64))
  assert.equal(new Set(all.map((fragment) => Buffer.from(fragment).toString('hex'))).size, 6)
  assert.deepEqual(all[4], Uint8Array.from(all[0] as Uint8Array, (byte, n) => byte ^ (all[1]?.[n] ?? 0) ^ (all[2]?.[n] ?? 0) ^ (all[3]?.[n] ?? 0)), 'the first parity is plain XOR')
})

test('a stretch of an object is found in its fragments, with and without tags', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 6, max: 50 }), fc.integer({ min: 1, max: 400 }), fc.nat(), fc.nat(), fc.constantFrom(0, 16), (data, segment_bytes, size, a, b, tag_bytes) => {
    const code = { ...scheme(data, 2, segment_bytes), tag_bytes }
    const [first = 0, last = 0] = [a % size, b % size].sort((x, y) => x - y)
    const content = bytes(size)
    const archives = Array.from({ length: data + 2 }, () => [] as number[])
    for (let at = 0; at < size; at += segment_bytes) for (const [n, fragment] of encodeSegment(code, Uint8Array.from([...content.subarray(at, at + segment_bytes), ...bytes(tag_bytes)])).entries()) archives[n]?.push(...fragment)
    for (const archive of archives) assert.equal(archive.length, archiveBytes(code, size))
    const { first_segment, last_segment, archive: [from, to] } = stretchOf(code, size, [first, last])
    const from_ = Array.from({ length: data }, (_, n) => n + 2)
    const parts = from_.map((n) => Uint8Array.from(archives[n] ?? []).subarray(from, to + 1))
    const out: number[] = []
    let at = 0
    for (let segment = first_segment; segment <= last_segment; segment++) {
      const length = segmentLength(code, size, segment)
      const take = fragmentBytes(code, length)
      const decoded = decodeSegment(code, from_, parts.map((part) => part.slice(at, at + take)), length + tag_bytes)
      assert.deepEqual(decoded.subarray(length), bytes(tag_bytes))
      out.push(...decoded.subarray(0, length))
      at += take
    }
    assert.equal(at, to - from + 1)
    const skip = first - first_segment * segment_bytes
    assert.deepEqual(out.slice(skip, skip + last - first + 1), [...content.subarray(first, last + 1)])
  }))
})

test('schemes that can not be are refused', () => {
  for (const wrong of [{ ...scheme(4, 2), tag_bytes: -1 }, { ...scheme(4, 2), tag_bytes: 65 }, scheme(0, 1), scheme(1, 0), scheme(200, 56), scheme(2.5, 1), scheme(4, 2, 3), scheme(4, 2, 0)]) assert.throws(() => checkScheme(wrong), { kind: 'bad_request' })
  checkScheme(scheme(4, 2, 4))
})
