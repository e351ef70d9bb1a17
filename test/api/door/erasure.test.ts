/** Erasure-coded objects through doors: encoded and decoded on site, fragments by disk, by other doors and through the plane; also while the plane is away. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import type { Door } from '../../../agent/door/index.ts'
import { ENCRYPTED, exchange, ROOT, type Site, site } from '../../support/door.ts'
import { onDisks } from '../../support/on-disks.ts'
import { tamper } from '../../support/tamper.ts'

const md5 = (bytes: string | Uint8Array): string => createHash('md5').update(bytes).digest('hex')
const POLICY = { index: 0, name: 'ec', default: true, policy_type: 'erasure_coding', ec_num_data_fragments: 3, ec_num_parity_fragments: 2, ec_object_segment_size: 100_000 }
let place: Site
let doors: Door[] = []
let member = ''
const swift = (door: number, method: string, path: string, options: Parameters<typeof exchange>[3] = {}) => exchange(doors[door]?.port ?? 0, method, `${ROOT}${path}`, { token: member, ...options })
/** Bytes that are text, so that an exchange can show them. */
const text = (length: number): string => randomBytes(Math.ceil(length / 2)).toString('hex').slice(0, length)

for (const isEncrypted of ENCRYPTED ? [true] : [false, true]) describe(isEncrypted ? 'encrypted' : 'plain', () => {
  before(async () => {
    place = await site(5, { policies: [POLICY], encrypted: isEncrypted })
    for (let n = 0; n < 4; n++) doors.push(await place.door(n))
    for (const door of doors) await door.poll()
    member = await place.cloud.token({ role: 'member' })
    assert.equal((await swift(0, 'PUT', '/c')).status, 201)
  })
  after(async () => {
    doors = []
    await place.close()
  })

  test('what one door writes every door and the plane read, of any size, known and chunked', async () => {
    for (const size of [0, 5, 100_000, 1_700_003]) {
      const body = text(size)
      const put = await swift(0, 'PUT', `/c/o${size}`, { body })
      assert.deepEqual([put.status, put.headers.etag], [201, md5(body)], put.text)
      assert.equal((await swift(1, 'GET', `/c/o${size}`)).text, body)
      assert.equal((await place.cloud.call('GET', `${ROOT}/c/o${size}`, { token: member })).text, body)
    }
    const body = text(2_500_000)
    assert.equal((await swift(2, 'PUT', '/c/chunked', { body: Readable.from([body.slice(0, 900_001), body.slice(900_001)], { objectMode: false }), headers: { 'transfer-encoding': 'chunked' } })).status, 201)
    assert.equal(md5((await swift(3, 'GET', '/c/chunked')).text), md5(body))
    assert.equal((await swift(3, 'GET', '/c/chunked', { headers: { range: 'bytes=99990-200010' } })).text, body.slice(99_990, 200_011))
  })

  test('no host has all of an object, and the fifth, which has no door, has its fragment through the plane', async () => {
    const body = text(600_000)
    assert.equal((await swift(0, 'PUT', '/c/spread', { body })).status, 201)
    const ring = place.cloud.cluster.instance('RING', '0').current(-1) as { part_power: number }
    assert.ok(ring.part_power > 0)
    for (const { driver } of place.hosts) {
      let bytes = 0
      for (const { policy, partition } of await driver.replicas.partitions('d1')) {
        const at = { device: 'd1', policy, partition }
        for (const set of await driver.replicas.versions({ ...at, suffixes: Object.keys(await driver.replicas.suffixes(at)) })) {
          for (const { timestamp, index } of set.fragments ?? []) {
            const { stored } = await driver.replicas.read({ ...at, hash: set.hash, kind: 'data', timestamp, fragment: index })
            if (stored.name.endsWith('/spread')) bytes += stored.size_bytes ?? 0
          }
        }
      }
      assert.equal(bytes, 6 * Math.ceil((100_000 + (isEncrypted ? 16 : 0)) / 3))
    }
    assert.equal((await onDisks(place.hosts)).includes(body.slice(100, 200)), !isEncrypted)
  })

  test('POST and DELETE through a door, and a body that is not what it said', async () => {
    const body = text(300_000)
    await swift(0, 'PUT', '/c/p', { body })
    assert.equal((await swift(1, 'POST', '/c/p', { headers: { 'x-object-meta-m': '1' } })).status, 202)
    assert.equal((await swift(2, 'HEAD', '/c/p')).headers['x-object-meta-m'], '1')
    assert.equal((await swift(0, 'PUT', '/c/p', { body: text(1_500_000), headers: { etag: md5('other') } })).status, 422)
    assert.equal((await swift(3, 'GET', '/c/p')).text, body)
    assert.equal((await swift(1, 'DELETE', '/c/p')).status, 204)
    assert.equal((await swift(0, 'GET', '/c/p')).status, 404)
  })

  // Of plain ones nobody can tell.
  if (isEncrypted) test('a fragment that is not what was written is found by a door, and its word for it goes to other doors alone', async () => {
    const body = text(250_000)
    const aside = async () => await Promise.all(place.hosts.map(({ driver }) => driver.replicas.quarantined('d1')))
    for (const [n, host] of place.hosts.entries()) {
      await swift(0, 'PUT', `/c/t${n}`, { body })
      assert.equal(await tamper(host.driver.replicas, `/t${n}`, 'body', 40), 1)
      assert.equal((await swift(1, 'GET', `/c/t${n}`)).text, body)
    }
    const found = await aside()
    assert.equal(found[4], 0, 'the one without a door hears of it from the plane')
    assert.ok(found.reduce((a, b) => a + b) > 0, String(found))
    for (let n = 0; n < 5; n++) assert.equal((await place.cloud.call('GET', `${ROOT}/c/t${n}`, { token: member })).text, body)
    assert.ok((await aside()).every((count) => count <= 1), 'only what was changed')
  })

  test('while the plane is away the doors go on among themselves', async () => {
    const [kept, fresh] = [text(500_000), text(250_000)]
    assert.equal((await swift(0, 'PUT', '/c/kept', { body: kept })).status, 201)
    await place.cut()
    assert.equal((await swift(1, 'GET', '/c/kept')).text, kept, 'four of five hosts have doors, three are enough')
    assert.equal((await swift(0, 'PUT', '/c/fresh', { body: fresh })).status, 201)
    assert.equal((await swift(0, 'GET', '/c/fresh')).text, fresh)
    await place.restore()
    for (let tries = 0; tries < 50 && (doors[0]?.status().pending ?? 0) > 0; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      await doors[0]?.poll()
    }
    assert.equal(doors[0]?.status().pending, 0)
    assert.equal(md5((await place.cloud.call('GET', `${ROOT}/c/fresh`, { token: member })).text), md5(fresh))
    assert.match((await place.cloud.call('GET', `${ROOT}/c`, { token: member })).text, /fresh/)
  })
})
