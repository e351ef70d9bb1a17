/** What every object driver must do with fragments of erasure-coded objects: two steps, none of which destroys; each fragment found, read, checked, copied and taken away by its number. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { FRAGMENT_FOOTER_BYTES, type FragmentFooter, type ObjectArgs } from '../../../schema/agent/protocol.ts'
import { encodeSegment, type ErasureScheme } from '../../../schema/values/erasure.ts'
import { at, bodyOf, md5, type ObjectLab, textOf } from './conformance.ts'
import type { ObjectDriver } from './driver.ts'

const SCHEME: ErasureScheme = { data: 2, parity: 1, segment_bytes: 1024 * 1024 }

/** Of an encrypted object: what tells its write, and a key that is no concern of the host's. */
export const sealedOf = (text: string): NonNullable<FragmentFooter['sealed']> => ({ mark: md5(`mark of ${text}`), key: { root: '00112233445566aa', text: 'bm90IGZvciBob3N0cw==' } })

export function footer(text: string, extra: Partial<FragmentFooter> = {}): Uint8Array {
  const out = new Uint8Array(FRAGMENT_FOOTER_BYTES).fill(32)
  out.set(new TextEncoder().encode(JSON.stringify({ size_bytes: text.length, etag: md5(text), ...extra })))
  return out
}

export const fragmentOfText = (text: string, index: number): Uint8Array => encodeSegment(SCHEME, new TextEncoder().encode(text))[index] as Uint8Array

export function fragmentConformance(name: string, make: () => Promise<ObjectLab>): void {
  describe(`fragments of object driver ${name}`, () => {
    let lab: ObjectLab
    let driver: ObjectDriver
    const where = () => ({ device: lab.device, policy: 1, partition: 5 })
    const args = (object: string, n: number, extra: Partial<ObjectArgs> = {}): ObjectArgs => ({ ...where(), hash: md5(object), name: `/AUTH_a/c/${object}`, timestamp: at(n), ...(lab.sealing === undefined ? {} : { sealing: lab.sealing }), ...extra })
    const seals = () => lab.sealing?.seal === true
    const ending = (text: string) => footer(text, seals() ? { sealed: sealedOf(text) } : {})
    const put = (object: string, n: number, text: string, index = 0) => driver.put(args(object, n, { fragment: { index, scheme: SCHEME }, metadata: { 'Content-Type': 'a/b' } }), bodyOf(fragmentOfText(text, index), ending(text)))
    const found = async (object: string) => (await driver.fragments(args(object, 99))).fragments.map(({ at: time, index, durable, head }) => [time, index, durable, head.etag])
    const read = async (object: string, n: number, index = 0) => textOf((await driver.get(args(object, 99, { fragment: { index, at: at(n) } }))).body)
    before(async () => {
      lab = await make()
      driver = lab.driver()
    })
    after(() => lab.end())

    it('counts from its commit on, as the object that it is of', async () => {
      const head = await put('a', 1, 'hello world')
      assert.deepEqual([head.size_bytes, head.etag], [11, md5('hello world')])
      await assert.rejects(driver.head(args('a', 9)), { kind: 'not_found' })
      assert.deepEqual(await found('a'), [[at(1), 0, false, md5('hello world')]])
      assert.equal(await read('a', 1), 'hello ')
      await driver.commit(args('a', 1))
      await driver.commit(args('a', 1))
      assert.deepEqual(await lab.driver().head(args('a', 9)), { timestamp: at(1), data_at: at(1), size_bytes: 11, etag: md5('hello world'), metadata: { 'Content-Type': 'a/b' }, ...(seals() ? { sealed: true } : {}) })
      assert.deepEqual(await found('a'), [[at(1), 0, true, md5('hello world')]])
      await assert.rejects(driver.get(args('a', 9)), { kind: 'bad_request' })
      await assert.rejects(read('a', 1, 1), { kind: 'not_found' })
      await assert.rejects(driver.commit(args('never', 1)), { kind: 'not_found' })
    })

    it('leaves what it is to replace until then, and removes it then', async () => {
      await put('b', 1, 'old old old')
      await driver.commit(args('b', 1))
      await put('b', 2, 'new new new!')
      assert.equal((await driver.head(args('b', 9))).etag, md5('old old old'))
      assert.deepEqual((await found('b')).map(([time, , durable]) => [time, durable]).sort(), [[at(1), true], [at(2), false]])
      await driver.commit(args('b', 2))
      assert.deepEqual(await found('b'), [[at(2), 0, true, md5('new new new!')]])
      await assert.rejects(put('b', 1, 'late'), { kind: 'conflict' })
      await assert.rejects(driver.commit(args('b', 1)), { kind: 'conflict' })
      assert.equal((await put('b', 2, 'new new new!')).etag, md5('new new new!'), 'the same PUT again')
      await assert.rejects(put('b', 2, 'another one'), { kind: 'conflict' })
    })

    it('is deleted and posted over like any object; a deletion ends writes before it', async () => {
      await put('c', 1, 'text')
      await driver.commit(args('c', 1))
      const posted = await driver.post(args('c', 2, { metadata: { 'X-Object-Meta-M': '1' } }))
      assert.deepEqual([posted.timestamp, posted.size_bytes, posted.metadata['X-Object-Meta-M']], [at(2), 4, '1'])
      assert.equal((await driver.fragments(args('c', 9))).fragments[0]?.head.metadata['X-Object-Meta-M'], '1')
      await put('c', 3, 'pending')
      assert.deepEqual(await driver.delete(args('c', 4)), { timestamp: at(4), existed: true })
      assert.deepEqual(await driver.fragments(args('c', 9)), { fragments: [], gone: at(4) })
      await assert.rejects(driver.commit(args('c', 3)), { kind: 'conflict' })
      await put('c', 5, 'after')
      assert.deepEqual((await driver.fragments(args('c', 9))).gone, at(4))
    })

    it('refuses a body without its footer, of another length than the object asks for, or with a number that there is not', async () => {
      const wrong = (body: AsyncIterable<Uint8Array>, index = 0) => driver.put(args('bad', 1, { fragment: { index, scheme: SCHEME } }), body)
      await assert.rejects(wrong(bodyOf('short')), { kind: 'client_closed' })
      await assert.rejects(wrong(bodyOf('abc', ending('hello world'))), { kind: 'bad_request' })
      await assert.rejects(wrong(bodyOf('abc', ending('abcdef')), 3), { kind: 'bad_request' })
      assert.deepEqual(await driver.fragments(args('bad', 9)), { fragments: [], gone: null })
      await driver.put(args('empty', 1, { fragment: { index: 2, scheme: SCHEME } }), bodyOf(ending('')))
      const pieces = ending('abcdef')
      await driver.put(args('cut', 1, { fragment: { index: 1, scheme: SCHEME }, size_bytes: 3 + FRAGMENT_FOOTER_BYTES }), bodyOf('d', 'e', 'f', pieces.subarray(0, 4_000), pieces.subarray(4_000)))
      assert.equal(await read('cut', 1, 1), 'def')
      await assert.rejects(wrong(bodyOf('abc', footer('abcdef', seals() ? {} : { sealed: sealedOf('abcdef') }))), { kind: 'bad_request' }, 'encrypted, and says nothing of its key; or the other way about')
    })

    it('goes from disk to disk by its number, with and without a check sum of its own, and is removed by it', async () => {
      const { replicas } = driver
      await put('d', 1, 'some text here', 0)
      await driver.commit(args('d', 1))
      const version = { ...where(), hash: md5('d'), kind: 'data' as const, timestamp: at(1) }
      const { stored, body } = await replicas.read({ ...version, fragment: 0 })
      assert.equal(await textOf(body), 'some te')
      const { etag: _, ...unsummed } = stored
      assert.ok(stored.fragment !== undefined)
      const other = { ...unsummed, fragment: { ...stored.fragment, index: 1 } }
      assert.equal(await replicas.receive({ ...version, fragment: 1, stored: other }, bodyOf(fragmentOfText('some text here', 1))), true)
      assert.equal(await replicas.receive({ ...version, fragment: 1, stored: other }, bodyOf(fragmentOfText('some text here', 1))), false, 'it is there already')
      assert.equal((await replicas.read({ ...version, fragment: 1 })).stored.etag, md5(fragmentOfText('some text here', 1)))
      const set = async () => (await replicas.versions({ ...where(), suffixes: [md5('d').slice(-3)] })).find(({ hash }) => hash === md5('d'))
      assert.deepEqual((await set())?.fragments, [{ timestamp: at(1), index: 0, durable: true }, { timestamp: at(1), index: 1, durable: true }])
      const before = await replicas.suffixes(where())
      await replicas.dropFragment(version, { timestamp: at(1), index: 0 })
      assert.deepEqual((await set())?.fragments, [{ timestamp: at(1), index: 1, durable: true }])
      assert.deepEqual(await replicas.suffixes(where()), before, 'which fragment it is makes no difference to the hash')
      assert.ok((await replicas.fragments(where())).numbers.includes(1))
    })

    it('tells of fragments that do not count, and they change no hash', async () => {
      const { replicas } = driver
      const before = await replicas.suffixes(where())
      await put('pending', 3, 'x y z')
      const suffix = md5('pending').slice(-3)
      assert.deepEqual(await replicas.suffixes(where()), before)
      assert.equal((await replicas.fragments(where())).pending[suffix], at(3))
      assert.equal(await replicas.commit({ ...where(), hash: md5('pending'), timestamp: at(3) }), true)
      assert.equal(await replicas.commit({ ...where(), hash: md5('pending'), timestamp: at(2) }), false)
      assert.equal((await replicas.fragments(where())).pending[suffix], undefined)
      const audited = await replicas.audit(where(), md5('pending'), async () => {})
      assert.deepEqual([audited.damage, audited.bytes, audited.entry?.size_bytes, audited.entry?.etag], [null, 3, 5, seals() ? '' : md5('x y z')])
    })

    it('shows nothing of an encrypted object in what it stores, and reads its own bytes without a key', async () => {
      const { replicas } = driver
      await put('hidden', 1, 'private!', 1)
      await driver.commit(args('hidden', 1))
      await driver.post(args('hidden', 2, { metadata: { 'X-Object-Meta-M': 'posted' } }))
      const version = { ...where(), hash: md5('hidden'), timestamp: at(1) }
      const shown = [await replicas.read({ ...version, kind: 'data', fragment: 1 }), await replicas.read({ ...version, kind: 'meta', timestamp: at(2) })]
      for (const { body } of shown) await textOf(body)
      const text = JSON.stringify(shown.map(({ stored }) => stored))
      for (const word of [md5('private!'), 'a/b', 'posted']) assert.equal(text.includes(word), !seals(), word)
      const { sealing: _, ...keyless } = args('hidden', 99, { fragment: { index: 1, at: at(1) } })
      const { head, body } = await driver.get(keyless)
      assert.equal(await textOf(body), 'ate!')
      assert.equal(head.etag, seals() ? sealedOf('private!').mark : md5('private!'))
      const { fragments: [one] } = await driver.fragments(args('hidden', 99))
      assert.deepEqual([one?.sealed, one?.head.etag, one?.head.metadata], [seals() ? sealedOf('private!') : undefined, md5('private!'), { 'Content-Type': 'a/b', 'X-Object-Meta-M': 'posted' }])
    })
  })
}
