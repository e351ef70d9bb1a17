/** What the consistency services rely on, the same for every object driver: two devices of two hosts are brought to the same state by versions alone. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { ObjectArgs } from '../../../schema/agent/protocol.ts'
import type { PartitionAt, VersionKind } from '../../../schema/agent/replication.ts'
import { openRecord } from '../../../schema/agent/sealing.ts'
import { at, bodyOf, md5, type ObjectLab, textOf } from './conformance.ts'
import type { ObjectDriver } from './driver.ts'

const PARTITION = 17
const none = async function* () {}

/** Copies what `to` lacks, as the replicator does. */
export async function copyAll(from: ObjectDriver, fromAt: PartitionAt, to: ObjectDriver, toAt: PartitionAt): Promise<number> {
  let count = 0
  for (const set of await from.replicas.versions({ ...fromAt, suffixes: Object.keys(await from.replicas.suffixes(fromAt)) })) {
    for (const [kind, timestamp] of [['data', set.data], ['ts', set.ts], ['meta', set.meta]] as [VersionKind, string | null][]) {
      if (timestamp === null) continue
      const { stored, body } = await from.replicas.read({ ...fromAt, hash: set.hash, kind, timestamp })
      if (await to.replicas.receive({ ...toAt, hash: set.hash, kind, timestamp, stored }, kind === 'data' ? body : none())) count++
    }
  }
  return count
}

export function replicaConformance(name: string, make: () => Promise<ObjectLab>): void {
  describe(`replicas of object driver ${name}`, () => {
    let labs: [ObjectLab, ObjectLab]
    let drivers: [ObjectDriver, ObjectDriver]
    const where = (n: 0 | 1): PartitionAt => ({ device: labs[n].device, policy: 0, partition: PARTITION })
    const args = (n: 0 | 1, object: string, time: number, extra: Partial<ObjectArgs> = {}): ObjectArgs => ({ ...where(n), hash: md5(`/AUTH_a/c/${object}`), name: `/AUTH_a/c/${object}`, timestamp: at(time), ...(labs[n].sealing === undefined ? {} : { sealing: labs[n].sealing }), ...extra })
    const suffixes = (n: 0 | 1) => drivers[n].replicas.suffixes(where(n))
    before(async () => {
      labs = [await make(), await make()]
      drivers = [labs[0].driver(), labs[1].driver()]
    })
    after(async () => {
      for (const lab of labs) await lab.end()
    })

    it('copies data, metadata and tombstones so that both hash alike', async () => {
      const [a, b] = drivers
      assert.deepEqual(await suffixes(0), {})
      const large = new Uint8Array(1_300_000).map((_, n) => n % 251)
      await a.put(args(0, 'plain', 1, { metadata: { 'Content-Type': 'text/plain', 'X-Object-Meta-A': 'b' }, want: { sha512: true } }), bodyOf('hello'))
      await a.put(args(0, 'large', 1), bodyOf(large))
      await a.put(args(0, 'posted', 1, { metadata: { 'Content-Type': 'a/b' } }), bodyOf('data'))
      await a.post(args(0, 'posted', 2, { metadata: { 'X-Object-Meta-P': 'q' } }))
      await a.put(args(0, 'gone', 1), bodyOf('x'))
      await a.delete(args(0, 'gone', 2))
      await b.put(args(1, 'gone', 1), bodyOf('x'))
      assert.equal(await copyAll(a, where(0), b, where(1)), 5)
      assert.deepEqual(await suffixes(1), await suffixes(0))
      assert.equal(await copyAll(a, where(0), b, where(1)), 0, 'a second time there is nothing to take')
      for (const object of ['plain', 'large', 'posted']) assert.deepEqual(await b.head(args(1, object, 9)), await a.head(args(0, object, 9)))
      const got = await b.get(args(1, 'large', 9, { range: [524_280, 524_300] }))
      assert.equal(await textOf(got.body), Buffer.from(large.subarray(524_280, 524_301)).toString())
      await assert.rejects(b.head(args(1, 'gone', 9)), { kind: 'not_found', details: { timestamp: at(2) } })
    })

    it('keeps hashes until something changes, over a restart too', async () => {
      const before = await suffixes(0)
      drivers[0] = labs[0].driver()
      assert.deepEqual(await suffixes(0), before)
      await drivers[0].put(args(0, 'plain', 5), bodyOf('newer'))
      const changed = await suffixes(0)
      const suffix = md5('/AUTH_a/c/plain').slice(-3)
      assert.deepEqual(Object.keys(before).filter((one) => before[one] !== changed[one]), [suffix])
      drivers[0] = labs[0].driver()
      assert.deepEqual(await suffixes(0), changed)
    })

    it('takes in nothing older than what it has, and no body that is not the one announced', async () => {
      const [a, b] = drivers
      await b.put(args(1, 'plain', 7), bodyOf('newest'))
      const version = { ...where(0), hash: md5('/AUTH_a/c/plain'), kind: 'data' as const, timestamp: at(5) }
      const { stored, body } = await a.replicas.read(version)
      assert.equal(await b.replicas.receive({ ...version, ...where(1), stored }, body), false)
      assert.equal(await textOf((await b.get(args(1, 'plain', 9))).body), 'newest')
      const other = { ...version, ...where(1), hash: md5('/AUTH_a/c/other'), stored: { ...stored, name: '/AUTH_a/c/other' } }
      await assert.rejects(b.replicas.receive(other, bodyOf('wrong')), { kind: 'unprocessable' })
      await assert.rejects(b.replicas.receive(other, bodyOf('ne')), { kind: 'client_closed' })
      await assert.rejects(b.head(args(1, 'other', 9)), { kind: 'not_found' })
    })

    it('drops what was seen, and nothing that came since', async () => {
      const [a] = drivers
      await a.put(args(0, 'drop', 1), bodyOf('one'))
      const hash = md5('/AUTH_a/c/drop')
      const seen = (await a.replicas.versions({ ...where(0), suffixes: [hash.slice(-3)] })).find((set) => set.hash === hash)
      assert.ok(seen !== undefined)
      await a.put(args(0, 'drop', 2), bodyOf('two'))
      await a.replicas.drop(where(0), seen)
      assert.equal(await textOf((await a.get(args(0, 'drop', 9))).body), 'two')
      await a.replicas.drop(where(0), { ...seen, data: at(2) })
      await assert.rejects(a.head(args(0, 'drop', 9)), { kind: 'not_found', details: { timestamp: null } })
    })

    it('reclaims old tombstones only, and audits what is left', async () => {
      const [a] = drivers
      await a.delete(args(0, 'old', 1))
      await a.delete(args(0, 'young', 100))
      assert.equal(await a.replicas.reclaim(where(0), at(50)), 2, 'this one, and the one of an earlier test')
      assert.equal(await a.replicas.reclaim(where(0), at(50)), 0)
      await assert.rejects(a.head(args(0, 'young', 900)), { kind: 'not_found', details: { timestamp: at(100) } })
      const audited = await a.replicas.audit(where(0), md5('/AUTH_a/c/posted'), async () => {})
      const { entry } = audited
      const keys = labs[0].sealing?.keys ?? []
      const etag = entry?.sealed === undefined ? entry?.etag : openRecord('data', { ...entry, sealed: { ...entry.sealed, sum: 0 } }, keys)?.etag
      assert.deepEqual([audited.damage, audited.bytes, audited.entry?.name, audited.entry?.timestamp, audited.entry?.posted, etag], [null, 4, '/AUTH_a/c/posted', at(1), at(2), createHash('md5').update('data').digest('hex')])
      assert.deepEqual(await a.replicas.partitions(labs[0].device), [{ policy: 0, partition: PARTITION }])
      assert.equal(await a.replicas.quarantined(labs[0].device), 0)
    })

    it('keeps word for a container until it was told', async () => {
      const [a] = drivers
      const update = { account: 'AUTH_a', container: 'c', object: 'o', op: 'delete' as const, timestamp: at(3) }
      await a.replicas.defer({ device: labs[0].device, policy: 0, hash: md5('o') }, update)
      await a.replicas.defer({ device: labs[0].device, policy: 0, hash: md5('o') }, update)
      const again = labs[0].driver()
      const [pending, ...rest] = await again.replicas.pending(labs[0].device)
      assert.deepEqual([pending?.update, rest], [update, []])
      await again.replicas.settled(labs[0].device, pending?.file ?? '')
      assert.equal(await again.replicas.pendingCount(labs[0].device), 0)
    })
  })
}
