/** Real agents with their consistency services on disks in memory, the real plane, virtual time: what was missed is made up for, what is damaged is healed, what moved arrives. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeviceRecon } from '../../schema/agent/replication.ts'
import { tamper } from '../support/tamper.ts'
import { ObjectStorm } from './objects.ts'

const sumOf = async (storm: ObjectStorm, of: (device: DeviceRecon) => number) => (await storm.recon()).reduce((sum, recon) => sum + recon.devices.reduce((some, device) => some + of(device), 0), 0)

test('a host that missed writes and deletions has them after one pass, and handoffs are drained', async () => {
  const storm = await ObjectStorm.start(1, 5)
  for (let n = 0; n < 12; n++) assert.equal((await storm.put(`o${n}`, `first ${n}`)).status, 201)
  storm.sever(0)
  for (let n = 0; n < 12; n++) {
    if (n % 3 === 0) assert.equal((await storm.delete(`o${n}`)).status, 204)
    else if (n % 3 === 1) assert.equal((await storm.put(`o${n}`, `second ${n}`)).status, 201)
    else assert.equal((await storm.post(`o${n}`, 'posted')).status, 202)
  }
  assert.notDeepEqual(await storm.differences(), [], 'the host that was away lacks something')
  storm.mend(0)
  await storm.pass()
  assert.deepEqual(await storm.differences(), [])
  assert.deepEqual(await storm.strays(), [], 'no handoff holds anything')
  for (let n = 0; n < 12; n++) {
    const got = await storm.get(`o${n}`)
    if (n % 3 === 0) assert.equal(got.status, 404)
    else assert.equal(got.text, n % 3 === 1 ? `second ${n}` : `first ${n}`)
    if (n % 3 === 2) assert.equal(got.headers.get('x-object-meta-mark'), 'posted')
  }
  assert.ok((await sumOf(storm, (device) => device.replicator.pushed)) > 0)
  storm.close()
})

test('a flipped bit on any replica is found and healed, and a read meanwhile is right', async () => {
  const storm = await ObjectStorm.start(2, 4)
  const text = 'bits '.repeat(200)
  for (let host = 0; host < 4; host++) {
    await storm.put('o', text)
    if (!storm.flipBit(host)) continue
    assert.equal((await storm.get('o')).text, text)
    await storm.pass()
    await storm.pass()
    assert.deepEqual(await storm.differences(), [])
    assert.equal((await storm.get('o')).text, text)
  }
  assert.equal(await sumOf(storm, (device) => device.quarantined), 3)
  storm.close()
})

test('an encrypted block that does not open though its check sum holds is found by readers, at once or in the middle of a body, and healed', async () => {
  const storm = await ObjectStorm.start(2, 4)
  const text = 'some text that is longer than a block. '.repeat(18_000)
  for (const [n, byte] of [[0, 0], [1, 0], [2, 600_000], [3, 600_000]] as const) {
    await storm.put(`o${n}`, text)
    // Whichever is read first, one that is wrong comes before the one that is right.
    const holders = await storm.holdersOf(`o${n}`)
    for (const host of holders.slice(1)) assert.equal(await tamper(storm.replicas(host), `/o${n}`, 'body', byte), 1)
    for (let reads = 0; reads < 4; reads++) assert.equal((await storm.get(`o${n}`)).text, text)
    await storm.sim.run(1_000)
    const found = await sumOf(storm, (device) => device.quarantined)
    for (let pass = 0; pass < 2; pass++) await storm.pass()
    assert.deepEqual(await storm.differences(), [], `${found} were put aside`)
  }
  assert.ok((await sumOf(storm, (device) => device.quarantined)) >= 3)
  storm.close()
})

test('a listing that could not be told is told later: nothing acknowledged is lost, nothing deleted is listed', async () => {
  const storm = await ObjectStorm.start(3, 3)
  await storm.put('kept', 'one')
  await storm.put('gone', 'one')
  storm.failListings = true
  assert.equal((await storm.put('late', 'bytes')).status, 201, 'the disks have it, and hosts keep word for the listing')
  assert.equal((await storm.delete('gone')).status, 204)
  assert.equal((await storm.post('kept', 'mark', 'text/late')).status, 202)
  storm.failListings = false
  assert.deepEqual(await storm.listing(), ['gone', 'kept'])
  assert.ok((await sumOf(storm, (device) => device.async_pending)) >= 3)
  await storm.pass()
  assert.deepEqual(await storm.listing(), ['kept', 'late'])
  assert.equal(await sumOf(storm, (device) => device.async_pending), 0)
  assert.equal((await storm.row('kept'))?.content_type, 'text/late')
  storm.close()
})

test('the auditor enters what a crash left unlisted, and strikes what a crash left listed', async () => {
  const storm = await ObjectStorm.start(4, 3)
  await storm.put('a', 'one')
  await storm.put('b', 'one')
  const container = storm.container()
  container.deps.storage.sql.exec("DELETE FROM objects WHERE name = 'a'")
  const row = await storm.row('b')
  await storm.delete('b')
  container.deps.storage.sql.exec("DELETE FROM tombstones WHERE name = 'b'")
  assert.ok(row !== null && (await container.putObject(row)))
  assert.deepEqual(await storm.listing(), ['b'])
  await storm.sim.run(120_000)
  await storm.pass()
  assert.deepEqual(await storm.listing(), ['a'])
  storm.close()
})

test('partitions move to a new host in the background, no read fails, and old places are emptied', async () => {
  const storm = await ObjectStorm.start(5, 3, { away: [2] })
  for (let n = 0; n < 20; n++) assert.equal((await storm.put(`o${n}`, `text ${n}`)).status, 201)
  await storm.sim.hosts[2]?.start()
  await storm.sim.run(120_000, () => storm.ringStatus().devices.length === 3)
  assert.equal(storm.ringStatus().devices.length, 3)
  for (let n = 0; n < 20; n++) assert.equal((await storm.get(`o${n}`)).text, `text ${n}`)
  storm.drain(0)
  await storm.sim.run(5_000)
  assert.ok(storm.ringStatus().moving > 0)
  for (let n = 0; n < 20; n++) assert.equal((await storm.get(`o${n}`)).text, `text ${n}`)
  for (let pass = 0; pass < 3; pass++) await storm.pass()
  assert.equal(storm.ringStatus().moving, 0)
  assert.deepEqual(await storm.strays(), [])
  assert.deepEqual(await storm.differences(), [])
  for (let n = 0; n < 20; n++) assert.equal((await storm.get(`o${n}`)).text, `text ${n}`)
  storm.close()
})

test('tombstones are reclaimed when they are old and everywhere, never while a host is away', async () => {
  const storm = await ObjectStorm.start(6, 3, { limits: { reclaim_age_s: 600 } })
  await storm.put('o', 'x')
  storm.sever(0)
  await storm.delete('o')
  await storm.sim.run(900_000)
  assert.ok((await storm.tombstones()) >= 2)
  storm.mend(0)
  await storm.sim.run(120_000)
  await storm.pass()
  await storm.pass()
  assert.equal(await storm.tombstones(), 0)
  assert.equal((await storm.get('o')).status, 404)
  storm.close()
})

test('expired objects leave the disks', async () => {
  const storm = await ObjectStorm.start(7, 3)
  await storm.put('o', 'x', { 'x-delete-after': '60' })
  assert.equal((await storm.get('o')).status, 200)
  storm.sever(1)
  await storm.sim.run(90_000)
  storm.mend(1)
  await storm.sim.run(60_000)
  await storm.pass()
  assert.deepEqual(await storm.listing(), [])
  assert.deepEqual(await storm.holders('o'), [])
  assert.equal((await storm.get('o')).status, 404)
  storm.close()
})

test('what a broken device held is filled up elsewhere by one pass; when it is back it has everything and the handoffs are empty', async () => {
  const storm = await ObjectStorm.start(8, 5)
  for (let n = 0; n < 12; n++) assert.equal((await storm.put(`o${n}`, `first ${n}`)).status, 201)
  await storm.pass()
  assert.deepEqual(await storm.thin(3), [])
  storm.unmount(0)
  assert.notDeepEqual(await storm.thin(3), [])
  await storm.pass()
  assert.deepEqual(await storm.thin(3), [], 'three whole replicas of each object without that disk')
  const filled = await sumOf(storm, (device) => device.replicator.filled ?? 0)
  assert.ok(filled > 0)
  await storm.pass()
  assert.equal(await sumOf(storm, (device) => device.replicator.filled ?? 0), filled, 'once is enough')
  // Another one breaks: of what both held a second handoff takes its part.
  storm.unmount(1)
  await storm.pass()
  assert.deepEqual(await storm.thin(3), [])
  for (let n = 0; n < 12; n++) {
    assert.equal((await storm.get(`o${n}`)).text, `first ${n}`)
    if (n % 3 === 0) assert.equal((await storm.delete(`o${n}`)).status, 204)
    else assert.equal((await storm.put(`o${n}`, `second ${n}`)).status, 201)
  }
  await storm.pass()
  storm.mount(0)
  storm.mount(1)
  await storm.pass()
  await storm.pass()
  assert.deepEqual(await storm.strays(), [], 'no handoff holds anything')
  assert.deepEqual(await storm.differences(), [])
  for (let n = 0; n < 12; n++) assert.equal((await storm.get(`o${n}`)).status, n % 3 === 0 ? 404 : 200)
  storm.close()
})

test('a host that is silent is waited for; one that is silent for too long is lost, and what it held is filled up elsewhere', async () => {
  const storm = await ObjectStorm.start(9, 5, { limits: { host_lost_s: 600, replicator_interval_s: 60 } })
  for (let n = 0; n < 12; n++) assert.equal((await storm.put(`o${n}`, `text ${n}`)).status, 201)
  await storm.pass()
  const without = async () => (await storm.placed()).filter(({ host }) => host !== storm.sim.hostIds[0]).length
  const before = await without()
  storm.sever(0)
  await storm.sim.run(300_000)
  await storm.pass()
  assert.equal(await without(), before, 'a restart moves nothing')
  await storm.sim.run(600_000)
  await storm.pass()
  assert.equal(await without(), 36)
  storm.mend(0)
  await storm.sim.run(60_000)
  await storm.pass()
  await storm.pass()
  assert.deepEqual(await storm.strays(), [])
  assert.deepEqual(await storm.differences(), [])
  storm.close()
})
