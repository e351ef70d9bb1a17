import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { ObjectArgs } from '../../../schema/agent/protocol.ts'
import { boundTo, openText, type Sealing, sealText } from '../../../schema/agent/sealing.ts'
import { seededRandom, systemRandom } from '../../../schema/values/random.ts'
import { BLOCK_BYTES, parseSums, sumOf } from './blocks.ts'
import { at, bodyOf, md5 } from './conformance.ts'
import { createFakeObjectDisk, createFakeObjectDriver } from './fake.ts'
import { BodySealer, openBlock, openVersion, sealVersion, shareSealer } from './sealer.ts'

const keyOf = (byte: number) => Buffer.alloc(32, byte).toString('base64url')
const rootOf = (byte: number) => byte.toString(16).padStart(16, '0')
const keys = (...bytes: number[]): Sealing => ({ seal: true, keys: bytes.map((byte) => ({ root: rootOf(byte), key: keyOf(byte) })) })
const pieces = (body: Uint8Array, cuts: readonly number[]): Uint8Array[] => {
  const ends = [...new Set(cuts.map((cut) => cut % (body.length + 1)))].sort((a, b) => a - b)
  return [0, ...ends].map((start, n) => body.subarray(start, ends[n] ?? body.length))
}
const joined = async (body: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const parts: Uint8Array[] = []
  for await (const part of body) parts.push(part)
  return Buffer.concat(parts)
}

describe('bodies that are encrypted as they pass', () => {
  it('property: in whatever pieces they come, each block opens by itself with its own number, and with no other', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 2 * BLOCK_BYTES + 77 }), fc.array(fc.nat(), { maxLength: 5 }), fc.integer(), (size, cuts, seed) => {
      const body = seededRandom(seed).bytes(size)
      const sealer = new BodySealer(systemRandom)
      const file = Buffer.concat(pieces(body, cuts).flatMap((piece) => [...sealer.push(piece)]))
      const { key, tags, blocks } = sealer.finish()
      assert.equal(file.length, body.length)
      const opener = { key: Buffer.from(key, 'base64'), tags: Buffer.from(tags, 'base64') }
      const sums = parseSums(blocks, size)
      for (let n = 0; n * BLOCK_BYTES < size; n++) {
        const block = file.subarray(n * BLOCK_BYTES, (n + 1) * BLOCK_BYTES)
        assert.equal(sumOf(block), sums?.[n], 'sums are of what is written')
        assert.ok(Buffer.from(openBlock(opener, n, block)).equals(body.subarray(n * BLOCK_BYTES, (n + 1) * BLOCK_BYTES)))
        assert.throws(() => openBlock(opener, n + 1, block), { kind: 'internal' })
        if (block.length > 16) assert.ok(!block.equals(body.subarray(n * BLOCK_BYTES, (n + 1) * BLOCK_BYTES)))
      }
    }), { numRuns: 25 })
  })

  it('property: a range begins and ends anywhere', async () => {
    const size = 2 * BLOCK_BYTES + 4_321
    const body = seededRandom(7).bytes(size)
    const driver = createFakeObjectDriver()
    const args: ObjectArgs = { device: 'd1', policy: 0, partition: 1, hash: md5('/a/c/o'), name: '/a/c/o', timestamp: at(1), sealing: keys(1) }
    await driver.put(args, bodyOf(...pieces(body, [1, 700_001, 65_536])))
    const edge = fc.oneof(fc.nat(size - 1), fc.constantFrom(0, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES - 1, 2 * BLOCK_BYTES, size - 1))
    await fc.assert(fc.asyncProperty(edge, edge, async (a, b) => {
      const range: [number, number] = [Math.min(a, b), Math.max(a, b)]
      assert.ok((await joined((await driver.get({ ...args, range })).body)).equals(body.subarray(range[0], range[1] + 1)))
    }), { numRuns: 40 })
  })

  it('property: replicas that share one encryption write the same, however far behind one is, and whatever pieces it gets', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: BLOCK_BYTES + 4_097 }), fc.array(fc.nat(), { maxLength: 24 }), fc.array(fc.nat(), { maxLength: 4 }), fc.integer(), fc.nat(30), (size, cuts, others, seed, ahead) => {
      const body = seededRandom(seed).bytes(size)
      const share = shareSealer(systemRandom)
      const [leader, follower, late] = [share(), share(), share()]
      const chunks = pieces(body, cuts)
      const written: [Uint8Array[], Uint8Array[], Uint8Array[]] = [[], [], []]
      // The follower is some chunks behind the leader, the third one comes last of all and gets other pieces.
      for (let n = 0; n < chunks.length + ahead; n++) {
        const [first, second] = [chunks[n], chunks[n - ahead]]
        if (first !== undefined) written[0].push(...leader.push(first))
        if (second !== undefined) written[1].push(...follower.push(second))
      }
      for (const piece of pieces(body, others)) written[2].push(...late.push(piece))
      const [one, two, three] = written.map((parts) => Buffer.concat(parts))
      assert.ok(one !== undefined && two !== undefined && three !== undefined && one.length === size && one.equals(two) && one.equals(three))
      assert.deepEqual(follower.finish(), leader.finish())
      assert.deepEqual(late.finish(), leader.finish())
      const { key, tags } = leader.finish()
      const opener = { key: Buffer.from(key, 'base64'), tags: Buffer.from(tags, 'base64') }
      for (let n = 0; n * BLOCK_BYTES < size; n++) assert.ok(Buffer.from(openBlock(opener, n, one.subarray(n * BLOCK_BYTES, (n + 1) * BLOCK_BYTES))).equals(body.subarray(n * BLOCK_BYTES, (n + 1) * BLOCK_BYTES)))
    }), { numRuns: 25 })
    const share = shareSealer(systemRandom)
    const [whole, cut] = [share(), share()]
    assert.equal([...whole.push(Buffer.from('abc'))].length, 1)
    assert.throws(() => cut.finish(), { kind: 'client_closed' })
  })
})

describe('records', () => {
  it('property: open under every root secret whose key is there, bound to their version, and show nothing', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme', minLength: 8 }), (text) => {
      const kept = sealText(text, keys(1).keys, 'here', systemRandom)
      assert.ok(!Buffer.from(kept.text, 'base64').includes(text))
      assert.equal(openText(kept, keys(2, 1).keys, 'here'), text)
      assert.throws(() => openText(kept, keys(1).keys, 'there'), { kind: 'internal' })
      assert.throws(() => openText(kept, keys(2).keys, 'here'), { kind: 'internal', details: { root: rootOf(1) } })
      assert.throws(() => openText(kept, [{ root: rootOf(1), key: keyOf(2) }], 'here'), { kind: 'internal' })
    }), { numRuns: 50 })
  })

  it('of a version hold everything but name, time and size, and open for that version alone', () => {
    const plain = { name: '/a/c/o', timestamp: at(1), size_bytes: 3, etag: md5('abc'), metadata: { 'X-Object-Meta-A': 'secret value' }, sha512: 'x' }
    const sealer = new BodySealer(systemRandom)
    const file = Buffer.concat([...sealer.push(Buffer.from('abc'))])
    const stored = sealVersion('data', plain, keys(3), systemRandom, sealer.finish())
    assert.deepEqual(Object.keys(stored).sort(), ['blocks', 'name', 'sealed', 'size_bytes', 'timestamp'])
    for (const text of ['secret', plain.etag, keyOf(3)]) assert.ok(!JSON.stringify(stored).includes(text))
    const { stored: opened, opener } = openVersion('data', stored, keys(4, 3))
    assert.deepEqual([opened.etag, opened.metadata, opened.sha512], [plain.etag, plain.metadata, 'x'])
    assert.ok(opener !== null && Buffer.from(openBlock(opener, 0, file)).toString() === 'abc')
    for (const other of [{ name: '/a/c/p' }, { timestamp: at(2) }, { size_bytes: 4 }]) assert.throws(() => openVersion('data', { ...stored, ...other }, keys(3)), { kind: 'internal' })
    assert.throws(() => openVersion('meta', stored, keys(3)), { kind: 'internal' })
    assert.equal(boundTo('ts', { name: 'n', timestamp: 't' }), boundTo('ts', { name: 'n', timestamp: 't', size_bytes: undefined }))
  })
})

describe('encrypted objects on a disk', () => {
  const args: ObjectArgs = { device: 'd1', policy: 0, partition: 1, hash: md5('/a/c/o'), name: '/a/c/o', timestamp: at(1) }

  it('are told by whom they cannot be opened, and stay where they are', async () => {
    const driver = createFakeObjectDriver()
    await driver.put({ ...args, sealing: keys(1) }, bodyOf('body'))
    for (const sealing of [undefined, keys(2), { seal: false, keys: [] }]) await assert.rejects(driver.head({ ...args, timestamp: at(9), ...(sealing === undefined ? {} : { sealing }) }), { kind: 'internal', details: { root: rootOf(1) } })
    await assert.rejects(driver.get({ ...args, sealing: { seal: false, keys: [{ root: rootOf(1), key: keyOf(2) }] } }), { kind: 'internal', message: /does not open/ })
    assert.equal((await joined((await driver.get({ ...args, sealing: keys(2, 1) })).body)).toString(), 'body')
    assert.equal(await driver.replicas.quarantined('d1'), 0)
  })

  it('are refused without a key, before anything is written', async () => {
    const driver = createFakeObjectDriver()
    await assert.rejects(driver.put({ ...args, sealing: { seal: true, keys: [] } }, bodyOf('body')), { kind: 'bad_request' })
    for (const bad of [{ root: 'x', key: keyOf(1) }, { root: rootOf(1), key: 'short' }]) await assert.rejects(async () => driver.put({ ...args, sealing: { seal: true, keys: [bad] } }, bodyOf('body')), { kind: 'bad_request' })
    await assert.rejects(driver.head({ ...args, timestamp: at(9) }), { kind: 'not_found' })
  })

  it('keep what a POST says encrypted too, also where new ones are not', async () => {
    const driver = createFakeObjectDriver()
    const off = { ...keys(1), seal: false }
    await driver.put({ ...args, sealing: keys(1), metadata: { 'Content-Type': 'a/b' } }, bodyOf('body'))
    await driver.post({ ...args, timestamp: at(2), sealing: off, metadata: { 'X-Object-Meta-A': 'posted' } })
    const { stored } = await driver.replicas.read({ device: 'd1', policy: 0, partition: 1, hash: args.hash, kind: 'meta', timestamp: at(2) })
    assert.ok(stored.sealed !== undefined && !JSON.stringify(stored).includes('posted'))
    assert.deepEqual((await driver.head({ ...args, timestamp: at(9), sealing: off })).metadata, { 'Content-Type': 'a/b', 'X-Object-Meta-A': 'posted' })
  })

  it('are put aside where their bytes went bad, without their key', async () => {
    const disk = createFakeObjectDisk()
    const driver = createFakeObjectDriver({ disk })
    await driver.put({ ...args, sealing: keys(1) }, bodyOf('some bytes of a body'))
    assert.ok(disk.flipBit('d1', () => 0))
    const { damage } = await driver.replicas.audit({ device: 'd1', policy: 0, partition: 1 }, args.hash, async () => {})
    assert.match(damage ?? '', /check sum/)
    assert.equal(await driver.replicas.quarantined('d1'), 1)
  })
})
