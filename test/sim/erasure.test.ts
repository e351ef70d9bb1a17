/** Erasure-coded objects on real agents with disks in memory, under virtual time: lost fragments are computed anew, strays go home, nothing acknowledged is lost while at most m hosts are away. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeviceRecon } from '../../schema/agent/replication.ts'
import { tamper } from '../support/tamper.ts'
import { ErasureStorm } from './erasure.ts'

const sumOf = async (storm: ErasureStorm, of: (device: Required<DeviceRecon>) => number) => (await storm.recon()).reduce((sum, recon) => sum + recon.devices.reduce((some, device) => some + of(device as Required<DeviceRecon>), 0), 0)
const textOf = (n: number): string => `text ${n} ${'abcdefg'.repeat(n * 11)}`

test('a host that missed writes, overwrites and deletions has its fragments after a pass, and handoffs are drained', async () => {
  const storm = await ErasureStorm.code(1, 7, { data: 3, parity: 2 })
  for (let n = 0; n < 9; n++) assert.equal((await storm.put(`o${n}`, textOf(n))).status, 201)
  assert.deepEqual(await storm.wrong(), [])
  storm.sever(0)
  for (let n = 0; n < 9; n++) {
    if (n % 3 === 0) assert.equal((await storm.delete(`o${n}`)).status, 204)
    else if (n % 3 === 1) assert.equal((await storm.put(`o${n}`, textOf(n + 20))).status, 201)
    else assert.equal((await storm.post(`o${n}`, 'posted')).status, 202)
  }
  assert.notDeepEqual(await storm.wrong(), [], 'the host that was away lacks something')
  storm.mend(0)
  for (let pass = 0; pass < 2; pass++) await storm.pass()
  assert.deepEqual(await storm.wrong(), [])
  for (let n = 0; n < 9; n++) {
    const got = await storm.get(`o${n}`)
    if (n % 3 === 0) assert.equal(got.status, 404)
    else assert.equal(got.text, n % 3 === 1 ? textOf(n + 20) : textOf(n))
    if (n % 3 === 2) assert.equal(got.headers.get('x-object-meta-mark'), 'posted')
  }
  assert.ok((await sumOf(storm, (device) => device.reconstructor.pushed)) > 0)
  assert.equal(await sumOf(storm, (device) => device.replicator.pushed), 0, 'fragments are none of the replicator')
  storm.close()
})

test('m disks that come back empty are filled again by computing, each fragment once', async () => {
  const storm = await ErasureStorm.code(2, 5, { data: 3, parity: 2 })
  const count = 8
  for (let n = 0; n < count; n++) await storm.put(`o${n}`, textOf(n + 1))
  await storm.put('empty', '')
  for (const host of [1, 3]) await storm.wipe(host)
  assert.equal((await storm.wrong()).length, (count + 1) * 2)
  for (let n = 0; n < count; n++) assert.equal((await storm.get(`o${n}`)).text, textOf(n + 1))
  for (let pass = 0; pass < 2; pass++) await storm.pass()
  assert.deepEqual(await storm.wrong(), [])
  assert.equal(await sumOf(storm, (device) => device.reconstructor.rebuilt), (count + 1) * 2)
  storm.sever(0)
  storm.sever(2)
  for (let n = 0; n < count; n++) assert.equal((await storm.get(`o${n}`)).text, textOf(n + 1), 'from what was computed')
  storm.close()
})

test('a flipped bit in any fragment is found and healed, and reads meanwhile are right', async () => {
  const storm = await ErasureStorm.code(3, 5, { data: 3, parity: 2 })
  const text = 'bits '.repeat(300)
  await storm.put('o', text)
  for (let host = 0; host < 5; host++) {
    assert.equal(storm.flipBit(host), true)
    assert.equal((await storm.get('o')).text, text)
    for (let pass = 0; pass < 2; pass++) await storm.pass()
    assert.deepEqual(await storm.wrong(), [])
    assert.equal((await storm.get('o')).text, text)
  }
  assert.equal(await sumOf(storm, (device) => device.quarantined), 5)
  storm.close()
})

test('an encrypted fragment that is not what was written, though its check sums hold, is found by readers and computed anew', async () => {
  const storm = await ErasureStorm.code(4, 6, { data: 3, parity: 2 })
  const text = 'bits '.repeat(300)
  await storm.put('o', text)
  const holders = await storm.holdersOf('o')
  assert.equal(holders.length, 5)
  for (const host of holders) {
    const before = await sumOf(storm, (device) => device.quarantined)
    assert.equal(await tamper(storm.replicas(host), '/o', 'body', 80), 1)
    for (let reads = 0; reads < 2; reads++) assert.equal((await storm.get('o')).text, text)
    const found = (await sumOf(storm, (device) => device.quarantined)) - before
    for (let pass = 0; pass < 2; pass++) await storm.pass()
    assert.deepEqual(await storm.wrong(), [])
    // Parity that no reader needed was not looked at: it is still wrong.
    if (found === 0) await storm.put('o', text)
    for (const away of holders.filter((one) => one !== host).slice(0, 2)) storm.sever(away)
    assert.equal((await storm.get('o')).text, text, 'from what was computed')
    for (const away of holders) storm.mend(away)
    await storm.reconnected()
  }
  assert.equal(await sumOf(storm, (device) => device.quarantined), 3, 'each of the data fragments')
  storm.close()
})

test('fragments that were not told of their acknowledgement learn it; those of writes that failed go in the end', async () => {
  const storm = await ErasureStorm.code(4, 5, { data: 3, parity: 2 }, { limits: { reclaim_age_s: 600 } })
  await storm.put('told', 'old')
  await storm.put('failed', 'old')
  storm.failCommits = (host) => host !== 0
  assert.equal((await storm.put('told', 'new')).status, 503)
  await storm.reconnected()
  storm.failCommits = () => true
  assert.equal((await storm.put('failed', 'new')).status, 503)
  storm.failCommits = () => false
  await storm.reconnected()
  assert.equal((await storm.get('told')).text, 'new', 'one host knows it, and it can be read')
  assert.equal((await storm.get('failed')).text, 'old')
  await storm.pass()
  assert.deepEqual((await storm.wrong()).length, 5, 'of the failed write there is a fragment everywhere that does not count')
  storm.sever(0)
  assert.equal((await storm.get('told')).text, 'new')
  storm.mend(0)
  await storm.sim.run(1_200_000)
  for (let pass = 0; pass < 2; pass++) await storm.pass()
  assert.deepEqual(await storm.wrong(), [])
  assert.equal((await storm.get('failed')).text, 'old')
  storm.close()
})

test('partitions move to a new host, no read fails, and old places are emptied', async () => {
  const storm = await ErasureStorm.code(5, 6, { data: 2, parity: 2 }, { away: [5] })
  for (let n = 0; n < 12; n++) assert.equal((await storm.put(`o${n}`, textOf(n))).status, 201)
  await storm.sim.hosts[5]?.start()
  await storm.sim.run(20_000)
  for (let n = 0; n < 12; n++) assert.equal((await storm.get(`o${n}`)).text, textOf(n))
  storm.drain(0)
  await storm.sim.run(5_000)
  assert.ok(storm.ringStatus().moving > 0)
  for (let n = 0; n < 12; n++) assert.equal((await storm.get(`o${n}`)).text, textOf(n))
  for (let pass = 0; pass < 3; pass++) await storm.pass()
  assert.equal(storm.ringStatus().moving, 0)
  assert.deepEqual(await storm.wrong(), [])
  for (let n = 0; n < 12; n++) assert.equal((await storm.get(`o${n}`)).text, textOf(n))
  storm.close()
})

test('what broken devices held is computed for handoffs by one pass, more than m of them one after another; when they are back all is at home', async () => {
  for (const seed of [9, 10]) {
    const storm = await ErasureStorm.code(seed, 8, { data: 3, parity: 2 })
    for (let n = 0; n < 12; n++) assert.equal((await storm.put(`o${n}`, textOf(n))).status, 201)
    await storm.pass()
    const filled = () => sumOf(storm, (device) => device.reconstructor.filled ?? 0)
    let before = 0
    for (const host of [0, 1, 2]) {
      storm.unmount(host)
      if (host === 0) assert.notDeepEqual(await storm.thinCode(), [])
      await storm.pass()
      assert.deepEqual(await storm.thinCode(), [], `all five fragments of each object without ${host + 1} disks`)
      before = await filled()
      assert.ok(before > 0)
      await storm.pass()
      assert.equal(await filled(), before, 'once is enough')
      for (let n = 0; n < 12; n++) assert.equal((await storm.get(`o${n}`)).text, textOf(n))
    }
    for (let n = 0; n < 12; n++) {
      if (n % 3 === 0) assert.equal((await storm.delete(`o${n}`)).status, 204)
      else if (n % 3 === 1) assert.equal((await storm.put(`o${n}`, textOf(n + 1))).status, 201)
    }
    await storm.pass()
    assert.deepEqual(await storm.thinCode(), [])
    for (const host of [0, 1, 2]) storm.mount(host)
    for (let pass = 0; pass < 3; pass++) await storm.pass()
    assert.deepEqual(await storm.wrong(), [], 'each fragment at home, no handoff holds anything')
    for (let n = 0; n < 12; n++) assert.equal((await storm.get(`o${n}`)).text.startsWith(n % 3 === 0 ? '<html>' : textOf(n % 3 === 1 ? n + 1 : n)), true, `o${n}`)
    storm.close()
  }
})

test('fewer handoffs than lost devices: they take several fragments each, and give them home again', async () => {
  const storm = await ErasureStorm.code(12, 6, { data: 3, parity: 2 })
  for (let n = 0; n < 8; n++) await storm.put(`o${n}`, textOf(n))
  for (const host of [2, 5]) storm.unmount(host)
  for (let pass = 0; pass < 2; pass++) await storm.pass()
  assert.deepEqual(await storm.thinCode(), [])
  for (const host of [2, 5]) storm.mount(host)
  for (let pass = 0; pass < 3; pass++) await storm.pass()
  assert.deepEqual(await storm.wrong(), [])
  storm.close()
})

test('a host that is silent is waited for; one that is silent for too long is lost, and its fragments are computed for others', async () => {
  const storm = await ErasureStorm.code(11, 7, { data: 3, parity: 2 }, { limits: { host_lost_s: 600, reconstructor_interval_s: 60 } })
  for (let n = 0; n < 10; n++) await storm.put(`o${n}`, textOf(n))
  const others = [1, 2, 3, 4, 5, 6]
  storm.sever(0)
  await storm.sim.run(300_000)
  await storm.pass()
  assert.notDeepEqual(await storm.thinCode(others), [], 'a restart moves nothing')
  await storm.sim.run(600_000)
  await storm.pass()
  assert.deepEqual(await storm.thinCode(others), [])
  storm.mend(0)
  await storm.sim.run(60_000)
  for (let pass = 0; pass < 3; pass++) await storm.pass()
  assert.deepEqual(await storm.wrong(), [])
  storm.close()
})

test('tombstones are reclaimed when they are old and everywhere, never while a host is away', async () => {
  const storm = await ErasureStorm.code(6, 5, { data: 3, parity: 2 }, { limits: { reclaim_age_s: 600 } })
  await storm.put('o', 'x')
  storm.sever(0)
  await storm.delete('o')
  await storm.sim.run(900_000)
  assert.ok((await storm.tombstones()) >= 4)
  storm.mend(0)
  await storm.sim.run(120_000)
  for (let pass = 0; pass < 2; pass++) await storm.pass()
  assert.equal(await storm.tombstones(), 0)
  assert.equal((await storm.get('o')).status, 404)
  storm.close()
})
