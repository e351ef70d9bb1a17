/** What every object driver must do with the records of encrypted objects: shown as they lie, another in their place, the body and all else as it was. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { ObjectArgs } from '../../../schema/agent/protocol.ts'
import type { PartitionAt, SealedAt } from '../../../schema/agent/replication.ts'
import { boundTo, openText, type ResealedEntry, type Sealing, sealText } from '../../../schema/agent/sealing.ts'
import { systemRandom } from '../../../schema/values/random.ts'
import { at, bodyOf, md5, type ObjectLab, textOf } from './conformance.ts'
import type { ObjectDriver } from './driver.ts'
import { footer, fragmentOfText, sealedOf } from './fragment-conformance.ts'

const keyOf = (byte: number): Sealing['keys'][number] => ({ root: String(byte).repeat(16), key: Buffer.alloc(32, byte).toString('base64url') })
export const under = (...bytes: number[]): Sealing => ({ seal: true, keys: bytes.map(keyOf) })

/** As the plane does it. */
export function anew({ entry }: SealedAt, from: Sealing, to: Sealing): ResealedEntry {
  const bound = boundTo(entry.kind, entry)
  const sealed = sealText(openText(entry.sealed, from.keys, bound), to.keys, bound, systemRandom)
  return { sealed, ...(entry.segments === undefined ? {} : { key: { root: to.keys[0]?.root ?? '', text: `${entry.segments.key.text}anew` } }) }
}

export async function resealAll(driver: ObjectDriver, place: PartitionAt & { hash: string }, from: Sealing, to: Sealing): Promise<number> {
  let count = 0
  for (const found of await driver.replicas.sealed(place)) if (found.entry.sealed.root !== to.keys[0]?.root && (await driver.replicas.reseal(found.at, found.entry.sealed.text, anew(found, from, to)))) count++
  return count
}

export function resealConformance(name: string, make: () => Promise<ObjectLab>): void {
  describe(`records of object driver ${name}`, () => {
    let lab: ObjectLab
    let driver: ObjectDriver
    const where = (object: string) => ({ device: lab.device, policy: 2, partition: 3, hash: md5(object) })
    const args = (object: string, n: number, extra: Partial<ObjectArgs> = {}): ObjectArgs => ({ ...where(object), name: `/AUTH_a/c/${object}`, timestamp: at(n), ...extra })
    before(async () => {
      lab = await make()
      driver = lab.driver()
    })
    after(() => lab.end())

    it('seals an object and what was posted over it anew: the new key opens them and the old one does not; hashes and bytes are as before', async () => {
      const text = 'a body of some length. '.repeat(60_000)
      await driver.put(args('a', 1, { sealing: under(1), metadata: { 'Content-Type': 'a/b', long: 'x'.repeat(9_000) } }), bodyOf(text))
      await driver.post(args('a', 2, { sealing: under(1), metadata: { 'X-Object-Meta-A': 'posted' } }))
      const [hashes, head] = [await driver.replicas.suffixes(where('a')), await driver.head(args('a', 9, { sealing: under(1) }))]
      const raw = async () => await textOf((await driver.replicas.read({ ...where('a'), kind: 'data', timestamp: at(1) })).body)
      const before = md5(await raw())
      assert.equal((await driver.replicas.sealed(where('a'))).length, 2)
      assert.equal(await resealAll(driver, where('a'), under(1), under(2)), 2)
      assert.equal(await resealAll(driver, where('a'), under(1), under(2)), 0)
      const fresh = lab.driver()
      assert.deepEqual(await fresh.head(args('a', 9, { sealing: under(2) })), head)
      assert.equal(await textOf((await fresh.get(args('a', 9, { sealing: under(2) }))).body), text)
      await assert.rejects(fresh.head(args('a', 9, { sealing: under(1) })), { kind: 'internal', details: { root: keyOf(2).root } })
      assert.deepEqual([await fresh.replicas.suffixes(where('a')), md5(await raw())], [hashes, before])
      assert.deepEqual(await fresh.replicas.audit(where('a'), md5('a'), async () => {}).then(({ damage }) => damage), null)
    })

    it('leaves what has another record by now, is gone, or lies there plainly', async () => {
      await driver.put(args('b', 1, { sealing: under(1) }), bodyOf('first'))
      const [found] = await driver.replicas.sealed(where('b'))
      assert.ok(found !== undefined)
      assert.equal(await driver.replicas.reseal(found.at, 'another text', anew(found, under(1), under(2))), false)
      await driver.put(args('b', 2, { sealing: under(1) }), bodyOf('second'))
      assert.equal(await driver.replicas.reseal(found.at, found.entry.sealed.text, anew(found, under(1), under(2))), false)
      assert.equal(await textOf((await driver.get(args('b', 9, { sealing: under(1) }))).body), 'second')
      await driver.put(args('plain', 1), bodyOf('plain'))
      assert.deepEqual(await driver.replicas.sealed(where('plain')), [])
      await driver.delete(args('b', 3))
      assert.deepEqual(await driver.replicas.sealed(where('b')), [])
    })

    it('seals fragments anew, acknowledged or not, with the key of their segments', async () => {
      const put = (n: number, text: string) => driver.put(args('f', n, { sealing: under(1), fragment: { index: 1, scheme: { data: 2, parity: 1, segment_bytes: 1024 * 1024 } } }), bodyOf(fragmentOfText(text, 1), footer(text, { sealed: sealedOf(text) })))
      await put(1, 'some text of it')
      await driver.commit(args('f', 1))
      await put(2, 'a write that is not over')
      assert.equal(await resealAll(driver, where('f'), under(1), under(2)), 2)
      const { fragments } = await driver.fragments(args('f', 9, { sealing: under(2) }))
      assert.deepEqual(fragments.map(({ at: time, durable, head, sealed }) => [time, durable, head.etag, sealed?.key]).sort(), [
        [at(1), true, md5('some text of it'), { root: keyOf(2).root, text: `${sealedOf('').key.text}anew` }],
        [at(2), false, md5('a write that is not over'), { root: keyOf(2).root, text: `${sealedOf('').key.text}anew` }],
      ])
      await put(3, 'another that is not over')
      assert.deepEqual((await driver.fragments(args('f', 9, { sealing: under(2) }))).fragments.map(({ at: time }) => time).sort(), [at(1), at(2)], 'what is not over and does not open hides nothing')
      await driver.commit(args('f', 3))
      await assert.rejects(driver.fragments(args('f', 9, { sealing: under(2) })), { kind: 'internal', details: { root: keyOf(1).root } })
      assert.equal((await driver.head(args('f', 9, { sealing: under(2, 1) }))).etag, md5('another that is not over'))
    })
  })
}
