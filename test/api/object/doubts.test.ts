/** Encrypted replicas and fragments whose check sums hold though they are not what was written: never served, put aside once another one was read right, and never the last ones. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import type { ObjectDriver } from '../../../agent/drivers/object/driver.ts'
import { tamper } from '../../support/tamper.ts'
import { type ObjectCloud, objectCloud } from './cloud.ts'
import { type ErasureCloud, erasureCloud } from './erasure-cloud.ts'

const BLOCK = 512 * 1024
const SEGMENT = 64 * 1024
/** Text, so that an answer can be compared. */
const text = (length: number): string => randomBytes(Math.ceil(length / 2)).toString('hex').slice(0, length)

const aside = async (drivers: Iterable<{ driver: ObjectDriver }>): Promise<number[]> => await Promise.all([...drivers].map(async ({ driver }) => await driver.replicas.quarantined('d1')))

async function withCopies(work: (cloud: ObjectCloud, drivers: ObjectDriver[]) => Promise<void>): Promise<void> {
  const cloud = await objectCloud({ hosts: 3, drivers: true })
  cloud.env.OPTIONS = JSON.stringify({ swift: { encryption: true } })
  cloud.env.OBJECT_KEYS = Buffer.alloc(32, 1).toString('base64url')
  try {
    await cloud.swift('PUT', '/c')
    await work(cloud, [...cloud.drivers.values()].map(({ driver }) => driver))
  } finally {
    cloud.close()
  }
}

async function withFragments(work: (cloud: ErasureCloud, drivers: ObjectDriver[]) => Promise<void>): Promise<void> {
  const cloud = await erasureCloud({ hosts: 5, data: 3, parity: 2, segment_bytes: SEGMENT, encrypted: true })
  try {
    await cloud.swift('PUT', '/c')
    await work(cloud, [...cloud.hosts.values()].map(({ driver }) => driver))
    await new Promise((resolve) => setTimeout(resolve, 10))
    assert.equal(cloud.open(), 0, 'no body is left open')
  } finally {
    cloud.close()
  }
}

/** The host that gives the body of this object. */
async function readFrom(cloud: ObjectCloud, path: string): Promise<number> {
  cloud.hosts.calls.length = 0
  await cloud.swift('GET', path)
  return Number(cloud.hosts.calls.find(({ op }) => op === 'get')?.host.split('-')[1])
}

for (const what of ['body', 'record'] as const) {
  test(`a copy whose ${what} does not open is put aside when another one was read; a HEAD alone touches nothing`, async () => {
    await withCopies(async (cloud, drivers) => {
      const body = text(10_000)
      await cloud.swift('PUT', '/c/o', { body })
      const host = await readFrom(cloud, '/c/o')
      assert.equal(await tamper((drivers[host] as ObjectDriver).replicas, 'o', what), 1)
      assert.equal((await cloud.swift('HEAD', '/c/o')).status, 200)
      assert.deepEqual(await aside(cloud.drivers.values()), [0, 0, 0])
      for (let tries = 0; tries < 2; tries++) {
        assert.equal((await cloud.swift('GET', '/c/o')).text, body)
        assert.deepEqual(await aside(cloud.drivers.values()), [0, 1, 2].map((n) => (n === host ? 1 : 0)))
      }
    })
  })
}

test('a range that begins in a block that does not open is read elsewhere, and the copy put aside; other ranges say nothing of it', async () => {
  await withCopies(async (cloud, drivers) => {
    const body = text(2 * BLOCK)
    await cloud.swift('PUT', '/c/o', { body })
    const host = await readFrom(cloud, '/c/o')
    assert.equal(await tamper((drivers[host] as ObjectDriver).replicas, 'o', 'body', BLOCK + 5), 1)
    assert.equal((await cloud.swift('GET', '/c/o', { headers: { range: 'bytes=0-9' } })).text, body.slice(0, 10))
    assert.deepEqual(await aside(cloud.drivers.values()), [0, 0, 0])
    assert.equal((await cloud.swift('GET', '/c/o', { headers: { range: `bytes=${BLOCK}-${BLOCK + 99}` } })).text, body.slice(BLOCK, BLOCK + 100))
    assert.equal((await aside(cloud.drivers.values()))[host], 1)
  })
})

test('where no copy opens none is put aside', async () => {
  await withCopies(async (cloud, drivers) => {
    await cloud.swift('PUT', '/c/o', { body: 'a body' })
    for (const driver of drivers) await tamper(driver.replicas, 'o', 'body')
    assert.equal((await cloud.swift('GET', '/c/o')).status, 503)
    assert.deepEqual(await aside(cloud.drivers.values()), [0, 0, 0])
  })
})

test('a host that is asked to look again puts nothing aside that opens, that is another version, or whose key did not come along', async () => {
  await withCopies(async (cloud, [driver]) => {
    await cloud.swift('PUT', '/c/o', { body: 'a body' })
    assert.ok(driver !== undefined)
    const args = cloud.hosts.calls.find(({ op }) => op === 'put')?.args
    assert.ok(args?.sealing !== undefined)
    const { sealing: _, ...keyless } = args
    assert.deepEqual(await driver.doubt({ ...args, range: [0, 0] }), { put_aside: false })
    await tamper(driver.replicas, 'o', 'record')
    assert.deepEqual(await driver.doubt({ ...args, timestamp: '1000000000.00000', range: [0, 0] }), { put_aside: false })
    assert.deepEqual(await driver.doubt({ ...keyless, range: [0, 0] }), { put_aside: false })
    assert.deepEqual(await driver.doubt({ ...args, range: [0, 0] }), { put_aside: true })
    assert.deepEqual(await driver.doubt({ ...args, range: [0, 0] }), { put_aside: false })
  })
})

test('up to m fragments that are not what was written are found out by those that fit, in the middle of a body too', async () => {
  await withFragments(async (cloud, drivers) => {
    const body = text(4 * SEGMENT + 99)
    for (const [n, pair] of [[0], [1], [4], [0, 1], [2, 4], [3, 4]].entries()) {
      await cloud.swift('PUT', `/c/o${n}`, { body })
      const before = await aside(cloud.hosts.values())
      for (const host of pair) assert.equal(await tamper(drivers[host]?.replicas as never, `o${n}`, 'body', 50_000), 1)
      assert.equal((await cloud.swift('GET', `/c/o${n}`, { headers: { range: 'bytes=0-99' } })).text, body.slice(0, 100))
      assert.deepEqual(await aside(cloud.hosts.values()), before, 'the first segment is right on all')
      assert.equal((await cloud.swift('GET', `/c/o${n}`)).text, body)
      const after = await aside(cloud.hosts.values())
      for (const host of [0, 1, 2, 3, 4]) assert.ok((after[host] ?? 0) - (before[host] ?? 0) <= (pair.includes(host) ? 1 : 0), `o${n}: ${after} after ${before}`)
      assert.equal((await cloud.swift('GET', `/c/o${n}`)).text, body)
    }
    assert.ok((await aside(cloud.hosts.values())).reduce((a, b) => a + b) >= 4)
  })
})

test('a fragment whose record does not open is put aside once the object was read; more than m wrong ones are "not now", and none is put aside', async () => {
  await withFragments(async (cloud, drivers) => {
    const body = text(2 * SEGMENT)
    await cloud.swift('PUT', '/c/o', { body })
    await tamper(drivers[2]?.replicas as never, 'o', 'record')
    assert.equal((await cloud.swift('HEAD', '/c/o')).status, 200)
    assert.deepEqual(await aside(cloud.hosts.values()), [0, 0, 0, 0, 0])
    assert.equal((await cloud.swift('GET', '/c/o')).text, body)
    assert.deepEqual(await aside(cloud.hosts.values()), [0, 0, 1, 0, 0])
    await cloud.swift('PUT', '/c/p', { body })
    for (const n of [0, 1, 2]) await tamper(drivers[n]?.replicas as never, '/p', 'body', 7)
    assert.equal((await cloud.swift('GET', '/c/p')).status, 503)
    assert.deepEqual(await aside(cloud.hosts.values()), [0, 0, 1, 0, 0])
  })
})
