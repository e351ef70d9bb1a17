/** What a crash leaves, at every step; and newest wins against a model. Both on the disk in memory, which knows what was synced. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { ObjectArgs } from '../../../../schema/agent/protocol.ts'
import { isFault } from '../../../../schema/values/fault.ts'
import { at, bodyOf, md5, textOf } from '../conformance.ts'
import type { ObjectDriver } from '../driver.ts'
import { MemoryFs } from '../memory-fs.ts'
import { driverOn, dying } from './dying.ts'
import { footer, fragmentOfText } from '../fragment-conformance.ts'
import { parseVersion, resolve } from './paths.ts'

const args = (n: number, extra: Partial<ObjectArgs> = {}): ObjectArgs => ({ device: 'd', policy: 0, partition: 3, hash: md5('o'), name: '/a/c/o', timestamp: at(n), ...extra })

/** What is there: body and metadata, or null. */
async function stateOf(fs: MemoryFs): Promise<string | null> {
  try {
    const { head, body } = await driverOn(fs).get(args(99))
    return `${await textOf(body)} ${head.metadata.v ?? ''}`
  } catch (error) {
    if (isFault(error, 'not_found')) return null
    throw error
  }
}

type Deed = (driver: ObjectDriver) => Promise<unknown>
const big = 'x'.repeat(5000)
const deeds: [name: string, deed: Deed, before: string | null, after: string | null][] = [
  ['PUT over another', (driver) => driver.put(args(2, { metadata: { v: '2' } }), bodyOf('new ', 'body')), 'old 1', 'new body 2'],
  ['PUT with metadata too large for attributes', (driver) => driver.put(args(2, { metadata: { v: big } }), bodyOf('new')), 'old 1', `new ${big}`],
  ['POST', (driver) => driver.post(args(2, { metadata: { v: '2' } })), 'old 1', 'old 2'],
  ['DELETE', (driver) => driver.delete(args(2)), 'old 1', null],
  ['first PUT', (driver) => driver.put(args(2, { metadata: { v: '2' } }), bodyOf('first')), null, 'first 2'],
]

describe('a commit cut off at any call', () => {
  for (const [name, deed, before, after] of deeds) {
    for (const effect of [false, true]) {
      for (const power of [false, true]) {
        it(`${name}: old or new, never half${effect ? ', the last call done' : ''}${power ? ', power cut' : ''}`, async () => {
          const seen = new Set<string | null>()
          for (let calls = 1; ; calls++) {
            const fs = new MemoryFs({ xattr_bytes: 4096 })
            await fs.makeDevice('/dev/d')
            if (before !== null) await driverOn(fs).put(args(1, { metadata: { v: '1' } }), bodyOf('old'))
            const cut = dying(fs, calls, effect)
            const done = await deed(driverOn(cut.fs)).then(() => true, () => false)
            if (power) fs.cutPower()
            const state = await stateOf(fs)
            assert.ok(state === before || state === after, `after ${calls} calls: ${state}`)
            if (done) assert.equal(state, after, `acknowledged after ${calls} calls`)
            seen.add(state)
            assert.deepEqual(await fs.readdir('/dev/d/tmp'), [], 'the next process tidies up')
            // Whatever was left, the same again succeeds and is for good.
            await deed(driverOn(fs))
            fs.cutPower()
            assert.equal(await stateOf(fs), after)
            if (!cut.died()) break
          }
          assert.deepEqual(seen, new Set([before, after]))
        })
      }
    }
  }
})

describe('a fragment cut off at any call', () => {
  const scheme = { data: 2, parity: 1, segment_bytes: 1024 }
  const write = async (driver: ObjectDriver, n: number, text: string) => {
    await driver.put(args(n, { fragment: { index: 1, scheme } }), bodyOf(fragmentOfText(text, 1), footer(text)))
    await driver.commit(args(n))
  }
  const counting = async (fs: MemoryFs): Promise<string> => {
    const { fragments } = await driverOn(fs).fragments(args(99))
    const [one, ...more] = fragments.filter(({ durable }) => durable)
    assert.ok(one !== undefined && more.length === 0, 'one of them counts')
    return `${one.at} ${await textOf((await driverOn(fs).get(args(99, { fragment: { index: 1, at: one.at } }))).body)}`
  }
  for (const effect of [false, true]) {
    for (const power of [false, true]) {
      it(`old or new, never neither${effect ? ', the last call done' : ''}${power ? ', power cut' : ''}`, async () => {
        const seen = new Set<string>()
        for (let calls = 1; ; calls++) {
          const fs = new MemoryFs({ xattr_bytes: 4096 })
          await fs.makeDevice('/dev/d')
          await write(driverOn(fs), 1, 'old text')
          const cut = dying(fs, calls, effect)
          const done = await write(driverOn(cut.fs), 2, 'new text').then(() => true, () => false)
          if (power) fs.cutPower()
          const state = await counting(fs)
          if (done) assert.equal(state, `${at(2)} text`, `acknowledged after ${calls} calls`)
          seen.add(state)
          await write(driverOn(fs), 2, 'new text')
          fs.cutPower()
          assert.equal(await counting(fs), `${at(2)} text`)
          if (!cut.died()) break
        }
        assert.deepEqual(seen, new Set([`${at(1)} text`, `${at(2)} text`]))
      })
    }
  }
})

describe('versions', () => {
  it('reads file names, and leaves others alone', () => {
    assert.deepEqual(parseVersion('1700000000.00000.data'), { file: '1700000000.00000.data', timestamp: '1700000000.00000', kind: 'data', trailer: false, fragment: null, durable: false })
    assert.deepEqual(parseVersion('1700000000.00000_00000000000000ff#m.meta'), { file: '1700000000.00000_00000000000000ff#m.meta', timestamp: '1700000000.00000_00000000000000ff', kind: 'meta', trailer: true, fragment: null, durable: false })
    assert.deepEqual(parseVersion('1700000000.00000#12#d#m.data'), { file: '1700000000.00000#12#d#m.data', timestamp: '1700000000.00000', kind: 'data', trailer: true, fragment: 12, durable: true })
    for (const other of ['x.data', '1700000000.00000.durable', '1700000000.00000#1.meta', '1700000000.00000#d.data', '', 'hashes.pkl']) assert.equal(parseVersion(other), null)
    assert.deepEqual(resolve(['notes.txt', `${at(2)}.ts`, `${at(1)}.data`]).obsolete.map(({ file }) => file), [`${at(1)}.data`])
  })

  it('ends the same for every order of arrival: the newest wins', async () => {
    const operation = fc.record({ kind: fc.constantFrom('put', 'post', 'delete'), n: fc.integer({ min: 1, max: 12 }), restart: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 25 }), async (operations) => {
        const fs = new MemoryFs()
        await fs.makeDevice('/dev/d')
        let driver = driverOn(fs)
        // The model: what was accepted, each at its time.
        const base = new Map<string, 'put' | 'delete'>()
        const posts = new Set<string>()
        const newest = (): string => [...base.keys()].sort().at(-1) ?? ''
        for (const { kind, n, restart } of operations) {
          const timestamp = at(n)
          if (restart) driver = driverOn(fs)
          const done = await driver[kind as 'put'](args(n, { metadata: { v: timestamp } }), bodyOf(timestamp)).then(() => true, (error: unknown) => {
            if (isFault(error, 'conflict') || isFault(error, 'not_found')) return false
            throw error
          })
          const last = newest()
          const live = base.get(last) === 'put'
          const newestPost = [...posts].sort().at(-1) ?? ''
          if (kind === 'put') assert.equal(done, timestamp > last || (timestamp === last && live))
          if (kind === 'delete') assert.equal(done, timestamp >= last)
          if (kind === 'post') assert.equal(done, live && timestamp > last && timestamp >= newestPost)
          if (!done) continue
          if (kind === 'post') posts.add(timestamp)
          else if (!(kind === 'put' && base.get(timestamp) === 'delete')) base.set(timestamp, kind as 'put' | 'delete')
          if (kind !== 'post') for (const post of posts) if (post <= timestamp) posts.delete(post)
        }
        const last = newest()
        const post = [...posts].sort().at(-1)
        const expected = base.get(last) === 'put' ? `${last} ${post !== undefined && post > last ? post : last}` : null
        const folder = `/dev/d/objects/3/${md5('o').slice(-3)}/${md5('o')}`
        if (base.size > 0) assert.ok((await fs.readdir(folder)).length <= 2, 'superseded files are gone')
        fs.cutPower()
        assert.equal(await stateOf(fs), expected)
      }),
      { numRuns: 300 },
    )
  })
})
