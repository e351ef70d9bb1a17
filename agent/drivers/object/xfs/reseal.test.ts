/** A record that is sealed anew, cut off at any call: the version is there, under the old root secret or the new one. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ObjectArgs } from '../../../../schema/agent/protocol.ts'
import { at, bodyOf, md5, textOf } from '../conformance.ts'
import { MemoryFs } from '../memory-fs.ts'
import { resealAll, under } from '../reseal-conformance.ts'
import { dying, driverOn } from './dying.ts'

const place = { device: 'd', policy: 0, partition: 3, hash: md5('o') }
const args = (n: number, extra: Partial<ObjectArgs> = {}): ObjectArgs => ({ ...place, name: '/a/c/o', timestamp: at(n), ...extra })

describe('a record cut off while it is sealed anew', () => {
  // With the metadata in attributes, at the end of the file, and on its way from there to here.
  for (const xattr_bytes of [4_096, 100, 700]) {
    for (const effect of [false, true]) {
      for (const power of [false, true]) {
        it(`old or new, never neither: ${xattr_bytes} bytes of attributes${effect ? ', the last call done' : ''}${power ? ', power cut' : ''}`, async () => {
          const seen = new Set<string>()
          for (let calls = 1; ; calls++) {
            const fs = new MemoryFs({ xattr_bytes })
            await fs.makeDevice('/dev/d')
            await driverOn(fs).put(args(1, { sealing: under(1), metadata: { v: '1' } }), bodyOf('a body'))
            const cut = dying(fs, calls, effect)
            const done = await resealAll(driverOn(cut.fs), place, under(1), under(2)).then((count) => count === 1, () => false)
            if (power) fs.cutPower()
            const [found, ...more] = await driverOn(fs).replicas.sealed(place)
            assert.ok(found !== undefined && more.length === 0)
            const { head, body } = await driverOn(fs).get(args(9, { sealing: under(2, 1) }))
            assert.deepEqual([await textOf(body), head.metadata.v], ['a body', '1'])
            if (done) assert.equal(found.entry.sealed.root, under(2).keys[0]?.root, 'what was answered is for good')
            seen.add(found.entry.sealed.root)
            assert.deepEqual(await fs.readdir('/dev/d/tmp'), [], 'the next process tidies up')
            if (!cut.died()) break
          }
          assert.equal(seen.size, 2)
        })
      }
    }
  }
})
