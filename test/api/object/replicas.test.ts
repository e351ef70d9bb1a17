/** Replicas: quorum, handoffs, the freshest wins; and object storage for other services. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deleteInternal, getInternal, putInternal } from '../../../workers/object/internal.ts'
import { applyUpdate, checkListings } from '../../../workers/object/updates.ts'
import { ACCOUNT, ENCRYPTED, type ObjectCloud, objectCloud } from './cloud.ts'

const copies = (cloud: ObjectCloud) => [...cloud.hosts.disks.values()].reduce((sum, disk) => sum + [...disk.values()].filter((one) => one.data !== null).length, 0)

async function withCloud(hosts: number, work: (cloud: ObjectCloud) => Promise<void>): Promise<void> {
  const cloud = await objectCloud({ hosts })
  try {
    await cloud.swift('PUT', '/c')
    await work(cloud)
  } finally {
    cloud.close()
  }
}

/** The first device asked for an object, so that a test can hurt that one. */
const primaries = (cloud: ObjectCloud) => [...new Set(cloud.hosts.calls.filter(({ op }) => op === 'put').map(({ host }) => host))]

test('three replicas on three hosts, bodies known and chunked', async () => {
  await withCloud(3, async (cloud) => {
    assert.equal((await cloud.swift('PUT', '/c/small', { body: 'x', headers: { 'content-length': '1' } })).status, 201)
    assert.equal(copies(cloud), 3)
    assert.equal((await cloud.swift('PUT', '/c/chunked', { body: 'y'.repeat(100_000) })).status, 201)
    assert.equal(copies(cloud), 6)
    assert.equal((await cloud.swift('GET', '/c/chunked')).text.length, 100_000)
  })
})

test('a write with one of three hosts down is acknowledged, with two down it is not', async () => {
  await withCloud(3, async (cloud) => {
    cloud.hosts.down.add('host-0')
    assert.equal((await cloud.swift('PUT', '/c/o', { body: '1', headers: { 'content-length': '1' } })).status, 201)
    assert.equal((await cloud.swift('GET', '/c/o')).text, '1')
    cloud.hosts.down.add('host-1')
    assert.equal((await cloud.swift('PUT', '/c/o', { body: '2', headers: { 'content-length': '1' } })).status, 503)
    assert.equal((await cloud.swift('DELETE', '/c/o')).status, 503)
  })
})

test('the freshest replica wins after a host missed an overwrite, and a missed deletion stays deleted', async () => {
  await withCloud(3, async (cloud) => {
    await cloud.swift('PUT', '/c/o', { body: 'old', headers: { 'content-length': '3' } })
    for (const host of primaries(cloud)) {
      cloud.hosts.down.add(host)
      assert.equal((await cloud.swift('PUT', '/c/o', { body: `new ${host}`, headers: { 'content-length': '10' } })).status, 201)
      cloud.hosts.down.delete(host)
      assert.equal((await cloud.swift('GET', '/c/o')).text, `new ${host}`)
      assert.equal((await cloud.swift('GET', '/c/o', { headers: { range: 'bytes=0-2' } })).text, 'new')
    }
    const [first = ''] = primaries(cloud)
    cloud.hosts.down.add(first)
    assert.equal((await cloud.swift('DELETE', '/c/o')).status, 204)
    cloud.hosts.down.delete(first)
    assert.equal((await cloud.swift('GET', '/c/o')).status, 404)
  })
})

test('a host that is down is replaced by a handoff, which reads find', async () => {
  await withCloud(5, async (cloud) => {
    await cloud.swift('PUT', '/c/o', { body: 'one', headers: { 'content-length': '3' } })
    const lost = primaries(cloud)
    assert.equal(lost.length, 3)
    cloud.hosts.calls.length = 0
    for (const host of lost.slice(0, 2)) cloud.hosts.down.add(host)
    for (const body of ['two', 'two-chunked']) {
      assert.equal((await cloud.swift('PUT', '/c/o', { body, ...(body === 'two' ? { headers: { 'content-length': '3' } } : {}) })).status, 201)
      assert.equal((await cloud.swift('GET', '/c/o')).text, body)
    }
    cloud.hosts.down.add(lost[2] ?? '')
    assert.equal((await cloud.swift('GET', '/c/o')).text, 'two-chunked')
    assert.equal((await cloud.swift('PUT', '/c/o', { body: 'x', headers: { 'content-length': '1' } })).status, 201, 'two handoffs are a quorum of three')
    for (const host of cloud.hosts.disks.keys()) if (!lost.includes(host)) cloud.hosts.down.add(host)
    assert.equal((await cloud.swift('GET', '/c/o')).status, 503)
  })
})

test('a deletion that only one primary and handoffs saw is not undone when the others come back', async () => {
  await withCloud(5, async (cloud) => {
    await cloud.swift('PUT', '/c/o', { body: 'one', headers: { 'content-length': '3' } })
    const lost = primaries(cloud).slice(0, 2)
    for (const host of lost) cloud.hosts.down.add(host)
    assert.equal((await cloud.swift('DELETE', '/c/o')).status, 204)
    for (const host of lost) cloud.hosts.down.delete(host)
    assert.equal((await cloud.swift('GET', '/c/o')).status, 404)
  })
})

test('an older write loses against a newer one', { skip: ENCRYPTED && 'the replica is changed in memory' }, async () => {
  await withCloud(1, async (cloud) => {
    await cloud.swift('PUT', '/c/o', { body: 'x' })
    for (const replica of cloud.hosts.disks.get('host-0')?.values() ?? []) replica.head.timestamp = '9999999999.00000'
    assert.equal((await cloud.swift('PUT', '/c/o', { body: 'y' })).status, 202)
    assert.equal((await cloud.swift('GET', '/c/o')).text, 'x')
  })
})

test('what a host says of listings counts by its time, and a time of the future not at all', async () => {
  await withCloud(1, async (cloud) => {
    await cloud.swift('PUT', '/c/o', { body: 'x' })
    const row = await cloud.cluster.instance('CONTAINER', `${ACCOUNT}/c`).object('o')
    const now_ms = Date.now()
    const future = `${Math.floor(now_ms / 1000) + 3_600}.00000`
    const update = { account: ACCOUNT, container: 'c', object: 'o' }
    assert.equal(await applyUpdate(cloud.env, 'host-0', { ...update, op: 'delete', timestamp: future }, now_ms), false)
    assert.equal(await applyUpdate(cloud.env, 'host-0', { ...update, op: 'put', timestamp: row.at, row: { ...row, at: future } }, now_ms), false)
    assert.equal(await applyUpdate(cloud.env, 'host-0', { ...update, op: 'delete', timestamp: 'later' }, now_ms), false)
    const entry = { name: `/${ACCOUNT}/c/o`, policy: 0, kind: 'ts' as const, timestamp: future, posted: null, size_bytes: 0, etag: '', metadata: {} }
    assert.deepEqual(await checkListings(cloud.env, 'host-0', [entry], now_ms), { changed: 0, orphans: 0 })
    assert.equal((await cloud.swift('GET', '/c')).text, 'o\n')
    assert.equal((await cloud.swift('DELETE', '/c/o')).status, 204)
    assert.equal(await applyUpdate(cloud.env, 'host-0', { ...update, op: 'put', timestamp: row.at, row }, now_ms), true, 'old news needs not be told again')
    assert.equal((await cloud.swift('GET', '/c')).text, '')
  })
})

test('no object device is a 503, and the first device is found without a restart', async () => {
  const cloud = await objectCloud({ hosts: 0 })
  await cloud.swift('PUT', '/c')
  assert.equal((await cloud.swift('PUT', '/c/o', { body: 'x' })).status, 503)
  cloud.close()
})

test('other services write, read, find and delete without a token', async () => {
  await withCloud(1, async (cloud) => {
    const { env } = cloud
    const head = await putInternal(env, 'AUTH_service', 'glance', 'image-1', new Response('bytes').body as never, { size: 5, want: { sha512: true }, metadata: { kind: 'image' } })
    assert.equal(head.size_bytes, 5)
    assert.equal(head.sha512?.length, 128)
    const got = await getInternal(env, 'AUTH_service', 'glance', 'image-1', [1, 3])
    assert.equal(await new Response(got.body as never).text(), 'yte')
    assert.equal(got.head.metadata['X-Object-Meta-kind'] ?? got.head.metadata['X-Object-Meta-Kind'], 'image')
    assert.equal(got.head.etag, head.etag)
    assert.equal(await deleteInternal(env, 'AUTH_service', 'glance', 'image-1'), true)
    assert.equal(await deleteInternal(env, 'AUTH_service', 'glance', 'image-1'), false)
    await assert.rejects(getInternal(env, 'AUTH_service', 'glance', 'image-1'), { name: 'Fault', kind: 'not_found' })
  })
})
