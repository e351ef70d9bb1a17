/** Root secrets are changed under real agents: what the older one sealed is sealed anew by one pass, on hosts that were away too, and then the older one may go. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { DeviceRecon } from '../../schema/agent/replication.ts'
import { rootIds } from '../../workers/object/encryption/keymaster.ts'
import { lyingOn } from '../support/tamper.ts'
import { ErasureStorm } from './erasure.ts'
import { ObjectStorm } from './objects.ts'

const secret = (byte: number) => Buffer.alloc(32, byte).toString('base64url')
/** What storms begin with. */
const FIRST = 7
const textOf = (n: number): string => `text ${n} ${'abcdefg'.repeat(n * 20)}`

function setKeys(storm: ObjectStorm, ...bytes: number[]): string[] {
  const env = storm.sim.cluster.env as unknown as Env
  env.OBJECT_KEYS = bytes.map(secret).join(',')
  return rootIds(env)
}

/** Root secrets that anything on any disk is sealed under. */
async function rootsOn(storm: ObjectStorm): Promise<string[]> {
  const found = new Set<string>()
  for (const n of storm.sim.hosts.keys()) {
    for await (const { place, set } of lyingOn(storm.replicas(n))) {
      for (const { entry } of await storm.replicas(n).sealed({ ...place, hash: set.hash })) for (const root of [entry.sealed.root, entry.segments?.key.root]) if (root !== undefined) found.add(root)
    }
  }
  return [...found].sort()
}

async function resealerSum(storm: ObjectStorm, of: (figures: NonNullable<DeviceRecon['resealer']>) => number): Promise<number> {
  return (await storm.recon()).reduce((sum, { devices }) => sum + devices.reduce((some, { resealer }) => some + (resealer === undefined ? 0 : of(resealer)), 0), 0)
}

const storms: [string, () => Promise<ObjectStorm>][] = [['copies', () => ObjectStorm.start(2, 5)], ['fragments', () => ErasureStorm.code(4, 6, { data: 3, parity: 2 })]]
for (const [what, start] of storms) {
  test(`${what}: all is sealed under the new root secret, and read without the old one`, async () => {
    const storm = await start()
    for (let n = 0; n < 10; n++) assert.equal((await storm.put(`o${n}`, textOf(n))).status, 201)
    for (let n = 0; n < 10; n += 2) await storm.post(`o${n}`, `m${n}`)
    await storm.delete('o9')
    await storm.pass()
    assert.equal(await resealerSum(storm, ({ files }) => files), 0, 'with one root secret there is nothing to look for')
    const away = (await storm.holdersOf('o0'))[0] ?? 0
    storm.sever(away)
    const [fresh = '', old = ''] = setKeys(storm, 8, FIRST)
    await storm.put('o1', textOf(30))
    assert.deepEqual(await rootsOn(storm), [fresh, old].sort())
    await storm.pass()
    assert.ok((await resealerSum(storm, ({ sealed }) => sealed)) > 0)
    assert.deepEqual(await rootsOn(storm), [fresh, old].sort(), 'the host that is away has what it had')
    for (let n = 0; n < 9; n++) assert.equal((await storm.get(`o${n}`)).text, textOf(n === 1 ? 30 : n))
    storm.mend(away)
    for (let pass = 0; pass < 3; pass++) await storm.pass()
    assert.deepEqual(await rootsOn(storm), [fresh])
    assert.equal(await resealerSum(storm, ({ left, failures }) => left + failures), 0)
    setKeys(storm, 8)
    for (let n = 0; n < 9; n++) {
      const got = await storm.get(`o${n}`)
      assert.deepEqual([got.text, got.headers.get('x-object-meta-mark')], [textOf(n === 1 ? 30 : n), n % 2 === 0 ? `m${n}` : null])
    }
    assert.deepEqual(await storm.differences().then((found) => (what === 'copies' ? found : [])), [])
    await storm.pass()
    assert.equal(await resealerSum(storm, ({ left }) => left), 0)
    storm.close()
  })
}

test('what can not be opened stays as it is, and is told as left: nobody takes the old root secret away unwarned', async () => {
  const storm = await ObjectStorm.start(6, 3)
  for (let n = 0; n < 4; n++) await storm.put(`o${n}`, textOf(n))
  const [, old = ''] = setKeys(storm, 8, FIRST)
  setKeys(storm, 8, 9)
  await storm.pass()
  assert.deepEqual(await rootsOn(storm), [old])
  assert.equal(await resealerSum(storm, ({ left }) => left), (await storm.placed()).length)
  setKeys(storm, 8, FIRST)
  await storm.pass()
  assert.equal(await resealerSum(storm, ({ left }) => left), 0)
  storm.close()
})
