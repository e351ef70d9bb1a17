/** What every object driver must do, the fake like the real one. Run with node:test by the drivers' own tests. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { ObjectArgs } from '../../../schema/agent/protocol.ts'
import type { Sealing } from '../../../schema/agent/sealing.ts'
import { digestOf } from '../../../schema/values/digests.ts'
import { isFault } from '../../../schema/values/fault.ts'
import type { ObjectDriver } from './driver.ts'

export interface ObjectLab {
  /** A driver on this lab's disks; a second call is the driver of a restarted agent. */
  driver(): ObjectDriver
  /** A device that is there. */
  device: string
  /** Takes the device away, and back. */
  unmount(): Promise<void>
  mount(): Promise<void>
  end(): Promise<void>
  /** Comes with each request. */
  sealing?: Sealing
}

const fault = (kind: Parameters<typeof isFault>[1], details?: unknown) => (error: unknown) => {
  assert.ok(isFault(error, kind), `${kind} expected, not ${error}`)
  if (details !== undefined) assert.deepEqual(error.details, details)
  return true
}

/** Swift's form; `n` orders. */
export const at = (n: number): string => `${1_700_000_000 + n}.00000`
export const md5 = (bytes: Uint8Array | string): string => createHash('md5').update(bytes).digest('hex')

export async function* bodyOf(...chunks: (Uint8Array | string)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk
}

export async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

export function objectConformance(name: string, make: () => Promise<ObjectLab>): void {
  describe(`object driver ${name}`, () => {
    let lab: ObjectLab
    let driver: ObjectDriver
    const args = (object: string, n: number, extra: Partial<ObjectArgs> = {}): ObjectArgs => {
      const path = `/AUTH_a/c/${object}`
      return { device: lab.device, policy: 0, partition: 17, hash: md5(path), name: path, timestamp: at(n), ...(lab.sealing === undefined ? {} : { sealing: lab.sealing }), ...extra }
    }
    const sealed = () => (lab.sealing?.seal === true ? { sealed: true as const } : {})
    before(async () => {
      lab = await make()
      driver = lab.driver()
    })
    after(() => lab.end())

    it('keeps a body and its metadata', async () => {
      const metadata = { 'Content-Type': 'text/plain', 'X-Object-Meta-Ünicode': 'wörld ☃' }
      const head = { timestamp: at(1), data_at: at(1), size_bytes: 11, etag: md5('hello world'), metadata, ...sealed() }
      assert.deepEqual(await driver.put(args('a', 1, { metadata, size_bytes: 11, etag: md5('hello world') }), bodyOf('hello ', 'world')), head)
      assert.deepEqual(await driver.head(args('a', 9)), head)
      const got = await driver.get(args('a', 9))
      assert.deepEqual([got.head, await textOf(got.body)], [head, 'hello world'])
      const next = lab.driver()
      assert.deepEqual(await next.head(args('a', 9)), head)
    })

    it('reads ranges, and refuses those outside', async () => {
      const part = async (range: [number, number]) => textOf((await driver.get(args('a', 9, { range }))).body)
      assert.deepEqual([await part([0, 0]), await part([6, 10]), await part([0, 10])], ['h', 'world', 'hello world'])
      for (const range of [[0, 11], [5, 4], [-1, 2], [11, 11]] as [number, number][]) await assert.rejects(part(range), fault('range_not_satisfiable'))
      const unread = await driver.get(args('a', 9))
      await unread.body[Symbol.asyncIterator]().return?.()
    })

    it('keeps an empty body, and a large one with all that is wanted of it', async () => {
      assert.equal((await driver.put(args('empty', 1), bodyOf())).etag, md5(''))
      assert.equal(await textOf((await driver.get(args('empty', 9))).body), '')
      const chunk = new Uint8Array(700_001).fill(7)
      const whole = Buffer.concat([chunk, chunk, chunk])
      const head = await driver.put(args('large', 1, { want: { sha512: true, inspect: true, digests: { crc32c: null, sha256: createHash('sha256').update(whole).digest('base64') } } }), bodyOf(chunk, chunk, chunk))
      assert.equal(head.size_bytes, whole.length)
      assert.equal(head.sha512, createHash('sha512').update(whole).digest('hex'))
      assert.deepEqual(head.digests, { crc32c: digestOf('crc32c', whole), sha256: createHash('sha256').update(whole).digest('base64') })
      await assert.rejects(driver.put(args('large', 2, { want: { digests: { sha1: createHash('sha1').update('other').digest('base64') } } }), bodyOf(chunk)), fault('unprocessable'))
      assert.deepEqual(head.inspection, { format: 'raw', virtual_size_bytes: null, problem: null })
      assert.deepEqual(await driver.head(args('large', 9)), head)
      const body: Uint8Array[] = []
      for await (const piece of (await driver.get(args('large', 9))).body) body.push(piece)
      assert.ok(Buffer.concat(body).equals(whole))
    })

    it('keeps metadata of any size', async () => {
      for (const size of [0, 3000, 5000, 65_400, 65_536, 200_000]) {
        const metadata = { 'Content-Type': 'text/plain', 'X-Object-Meta-Long': 'x'.repeat(size) }
        await driver.put(args(`meta-${size}`, 1, { metadata }), bodyOf('body'))
        assert.deepEqual((await driver.head(args(`meta-${size}`, 9))).metadata, metadata)
        assert.equal(await textOf((await driver.get(args(`meta-${size}`, 9))).body), 'body')
        await driver.post(args(`meta-${size}`, 2, { metadata: { 'X-Object-Meta-Other': 'y'.repeat(size) } }))
        assert.equal((await driver.head(args(`meta-${size}`, 9))).metadata['X-Object-Meta-Other']?.length, size)
      }
      await assert.rejects(async () => driver.put(args('meta-huge', 1, { metadata: { a: 'x'.repeat(2 ** 21) } }), bodyOf('')), fault('bad_request'))
    })

    it('refuses a body that is not what was announced, and leaves the old one', async () => {
      await driver.put(args('kept', 1), bodyOf('old'))
      await assert.rejects(driver.put(args('kept', 2, { size_bytes: 5 }), bodyOf('new')), fault('client_closed'))
      await assert.rejects(driver.put(args('kept', 2, { size_bytes: 2 }), bodyOf('new')), fault('bad_request'))
      await assert.rejects(driver.put(args('kept', 2, { etag: md5('other') }), bodyOf('new')), fault('unprocessable'))
      const broken = async function* () {
        yield new Uint8Array(10)
        throw new Error('the link is gone')
      }
      await assert.rejects(driver.put(args('kept', 2), broken()), /the link is gone/)
      assert.equal(await textOf((await driver.get(args('kept', 9))).body), 'old')
    })

    it('lets the newest win, whatever the order', async () => {
      await driver.put(args('order', 5), bodyOf('five'))
      await assert.rejects(driver.put(args('order', 4), bodyOf('four')), fault('conflict', { timestamp: at(5) }))
      await assert.rejects(driver.delete(args('order', 4)), fault('conflict', { timestamp: at(5) }))
      await driver.put(args('order', 6), bodyOf('six'))
      assert.equal(await textOf((await driver.get(args('order', 9))).body), 'six')
      assert.equal((await driver.put(args('order', 6), bodyOf('six'))).etag, md5('six'), 'the same PUT again')
      await assert.rejects(driver.put(args('order', 6), bodyOf('not six')), fault('conflict'))
    })

    it('deletes with a tombstone', async () => {
      await assert.rejects(driver.head(args('gone', 1)), fault('not_found', { timestamp: null }))
      await driver.put(args('gone', 1), bodyOf('x'))
      assert.deepEqual(await driver.delete(args('gone', 2)), { timestamp: at(2), existed: true })
      assert.deepEqual(await driver.delete(args('gone', 2)), { timestamp: at(2), existed: false })
      for (const look of ['head', 'get', 'post'] as const) await assert.rejects(driver[look](args('gone', 9)), fault('not_found', { timestamp: at(2) }))
      await assert.rejects(driver.put(args('gone', 1), bodyOf('late')), fault('conflict', { timestamp: at(2) }))
      await assert.rejects(driver.put(args('gone', 2), bodyOf('late')), fault('conflict', { timestamp: at(2) }))
      await driver.put(args('gone', 3), bodyOf('back'))
      assert.equal(await textOf((await driver.get(args('gone', 9))).body), 'back')
      assert.deepEqual(await driver.delete(args('never', 1)), { timestamp: at(1), existed: false })
      await assert.rejects(driver.head(args('never', 9)), fault('not_found', { timestamp: at(1) }))
    })

    it('replaces user metadata by POST, keeping what belongs to the data', async () => {
      await driver.put(args('posted', 1, { metadata: { 'Content-Type': 'a/b', 'X-Object-Meta-Old': '1', 'X-Static-Large-Object': 'True', 'X-Object-Sysmeta-S': 's' } }), bodyOf('data'))
      const kept = { 'X-Static-Large-Object': 'True', 'X-Object-Sysmeta-S': 's' }
      const head = await driver.post(args('posted', 3, { metadata: { 'X-Object-Meta-New': '2' } }))
      assert.deepEqual(head, { timestamp: at(3), data_at: at(1), size_bytes: 4, etag: md5('data'), metadata: { 'Content-Type': 'a/b', 'X-Object-Meta-New': '2', ...kept }, ...sealed() })
      assert.deepEqual(await driver.post(args('posted', 3, { metadata: { 'X-Object-Meta-New': '2' } })), head, 'the same POST again')
      await assert.rejects(driver.post(args('posted', 2)), fault('conflict', { timestamp: at(3) }))
      await assert.rejects(driver.post(args('posted', 1)), fault('conflict', { timestamp: at(1) }))
      await driver.post(args('posted', 4, { metadata: { 'content-type': 'c/d' } }))
      assert.deepEqual((await driver.post(args('posted', 5, { metadata: { 'X-Object-Meta-N': '3' } }))).metadata, { 'Content-Type': 'c/d', 'X-Object-Meta-N': '3', ...kept })
      assert.equal(await textOf((await driver.get(args('posted', 9))).body), 'data')
      await driver.put(args('posted', 6, { metadata: { 'Content-Type': 'e/f' } }), bodyOf('anew'))
      assert.deepEqual((await driver.head(args('posted', 9))).metadata, { 'Content-Type': 'e/f' })
    })

    it('gives a reader the version it opened, though a newer one comes', async () => {
      const old = new Uint8Array(1_000_000).fill(1)
      await driver.put(args('shared', 1), bodyOf(old))
      const { body } = await driver.get(args('shared', 9))
      const reader = body[Symbol.asyncIterator]()
      const first = await reader.next()
      await driver.put(args('shared', 2), bodyOf('new'))
      await driver.delete(args('shared', 3))
      let size = (first.value as Uint8Array).length
      for (let next = await reader.next(); !next.done; next = await reader.next()) size += next.value.length
      assert.equal(size, old.length)
    })

    it('takes many writers of one object at once', async () => {
      const answers = await Promise.allSettled(Array.from({ length: 12 }, (_, n) => driver.put(args('raced', n + 1), bodyOf(`${n + 1}`))))
      for (const answer of answers) if (answer.status === 'rejected') fault('conflict')(answer.reason)
      assert.equal(answers[11]?.status, 'fulfilled')
      assert.equal(await textOf((await driver.get(args('raced', 99))).body), '12')
    })

    it('keeps policies apart, and an object from being taken for another', async () => {
      await driver.put(args('policy', 1, { policy: 1 }), bodyOf('one'))
      await assert.rejects(driver.head(args('policy', 9)), fault('not_found'))
      assert.equal((await driver.head(args('policy', 9, { policy: 1 }))).etag, md5('one'))
      await assert.rejects(driver.head(args('policy', 9, { policy: 1, name: '/AUTH_a/c/other' })), fault('internal'))
    })

    it('refuses arguments that are paths or nonsense', async () => {
      const bad: Partial<ObjectArgs>[] = [{ device: '..' }, { device: 'a/b' }, { device: '' }, { hash: '../../etc' }, { partition: -1 }, { partition: 0.5 }, { policy: Number.NaN }, { timestamp: '1' }, { timestamp: '1700000000.00000/..' }]
      for (const extra of bad) await assert.rejects(async () => driver.put(args('bad', 1, extra), bodyOf('')), fault('bad_request'))
    })

    it('calls a missing device unavailable, and works again when it is back', async () => {
      await assert.rejects(driver.put(args('a', 8, { device: 'nowhere' }), bodyOf('')), fault('unavailable'))
      const names = async () => (await driver.devices()).map((device) => device.name)
      assert.deepEqual(await names(), [lab.device])
      await lab.unmount()
      await assert.rejects(driver.head(args('a', 9)), fault('unavailable'))
      assert.deepEqual(await names(), [])
      await lab.mount()
      assert.equal((await driver.head(args('a', 9))).etag, md5('hello world'))
      const [device] = await driver.devices()
      assert.ok(device !== undefined && device.total_bytes > 0 && device.free_bytes > 0 && device.free_bytes <= device.total_bytes)
    })

    it('refuses at once what cannot fit', async () => {
      await assert.rejects(driver.put(args('vast', 1, { size_bytes: 2 ** 52 }), bodyOf('')), fault('insufficient_storage'))
    })
  })
}
