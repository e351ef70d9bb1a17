/** S39: what a host with object disks says of listings is worth what it can know, and what the other replicas say too. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import type { ListingEntry, ListingUpdate } from '../../../schema/agent/replication.ts'
import { hostListings, hostRelay, hostUpdates } from '../../../workers/agents/objects/serve.ts'
import type { ObjectRow } from '../../../workers/object/container/rows.ts'
import { objectPath } from '../../../workers/object/names.ts'
import { type Located, locate, nearHandoffs } from '../../../workers/object/placement.ts'
import { markedText } from '../../../workers/object/mark.ts'
import { ACCOUNT, type ObjectCloud, type Replica, objectCloud } from './cloud.ts'

const HOSTS = 8
const now_ms = Date.now()
const time = (offset_s: number): string => `${Math.floor(now_ms / 1000) + offset_s}.00000`
const nameOf = (object: string) => ({ account: ACCOUNT, container: 'c', object })

let cloud: ObjectCloud
beforeEach(async () => {
  cloud = await objectCloud({ hosts: HOSTS })
  await cloud.swift('PUT', '/c')
  assert.equal((await cloud.swift('PUT', '/c/o', { body: 'theirs' })).status, 201)
})
afterEach(() => cloud.close())

const at = (object = 'o'): Promise<Located> => locate(cloud.env, nameOf(object), 0, now_ms)
const key = (where: Located) => `d1/${where.hash}`
const container = () => cloud.cluster.instance('CONTAINER', `${ACCOUNT}/c`)
const names = async () => (await cloud.swift('GET', '/c')).text
const row = async (object = 'o'): Promise<ObjectRow> => await container().object(object)
const entry = (object: string, given: Partial<ListingEntry>): ListingEntry => ({ name: objectPath(nameOf(object)), policy: 0, kind: 'data', timestamp: time(-120), posted: null, size_bytes: 1, etag: 'e'.repeat(32), metadata: {}, ...given })
const update = (object: string, given: Partial<ListingUpdate>): ListingUpdate => ({ account: ACCOUNT, container: 'c', object, op: 'put', timestamp: time(-120), ...given })
const list = async (host: string, one: ListingEntry) => (await hostListings(cloud.env, host, [one], now_ms)).changed
const tell = async (host: string, one: ListingUpdate) => (await hostUpdates(cloud.env, host, [one], now_ms)).done[0]
/** A host that the ring gives nothing of this object to. */
const stranger = (where: Located) => [...cloud.hosts.disks.keys()].find((id) => ![...where.primaries, ...nearHandoffs(where)].some((device) => device.host_id === id)) ?? ''
const primary = (where: Located, n = 0) => where.primaries[n]?.host_id ?? ''
const lay = (where: Located, host: string, replica: Replica) => void cloud.hosts.disks.get(host)?.set(key(where), replica)
const version = (timestamp: string, text: string, metadata: Record<string, string> = {}): Replica => ({ data: new TextEncoder().encode(text), head: { timestamp, size_bytes: text.length, etag: 'f'.repeat(32), metadata: { 'Content-Type': 'text/x', ...metadata } } })
const tombstone = (timestamp: string): Replica => ({ data: null, head: { timestamp, size_bytes: 0, etag: '', metadata: {} } })

test('S39: a host lists and unlists nothing alone, whether the partition is its own or not', async () => {
  const where = await at()
  const fake = await at('fake')
  for (const host of [stranger(where), primary(where), nearHandoffs(where)[0]?.host_id ?? '']) {
    assert.equal(await list(host, entry('o', { kind: 'ts', timestamp: time(60) })), 0, 'a deletion that nobody else has')
    assert.equal(await tell(host, update('o', { op: 'delete', timestamp: time(60) })), false)
    assert.equal(await list(host, entry('o', { timestamp: time(60), size_bytes: 1_000_000 })), 0, 'a newer version that nobody else has')
    assert.equal(await tell(host, update('o', { timestamp: time(60), row: { ...(await row()), at: time(60), size: 5 } })), false)
    assert.equal(await tell(host, update('o', { op: 'post', timestamp: time(60), row: { content_type: 'text/evil', delete_at: 1 } })), false)
  }
  for (const host of [stranger(fake), primary(fake)]) {
    assert.equal(await list(host, entry('fake', {})), 0, 'an object that is nowhere')
    assert.equal(await tell(host, update('fake', { row: { ...(await row()), name: 'fake', at: time(-120) } })), false)
  }
  assert.equal(await names(), 'o\n')
  assert.deepEqual([(await row()).size, (await row()).content_type], [6, 'text/plain;charset=UTF-8'])
  assert.equal((await cloud.swift('GET', '/c/o')).text, 'theirs')
})

test('S39: what is true is not believed from a host that can\'t know it, and is from one that can', async () => {
  const where = await at('lost')
  for (const device of where.primaries) lay(where, device.host_id, version(time(-120), 'lost row', { 'X-Object-Meta-A': 'b' }))
  const told = entry('lost', { size_bytes: 999, etag: 'a'.repeat(32), metadata: { 'Content-Type': 'text/evil' } })
  assert.equal(await list(stranger(where), told), 0)
  assert.equal(await tell(stranger(where), update('lost', { row: { ...(await row()), name: 'lost' } })), false)
  assert.equal(await names(), 'o\n')
  assert.equal(await list(primary(where), told), 1)
  const { size, etag, content_type } = await row('lost')
  assert.deepEqual([size, etag, content_type], [8, 'f'.repeat(32), 'text/x'], 'the row is made of what the others have, not of what was said')
  for (const device of where.primaries) lay(where, device.host_id, tombstone(time(-60)))
  assert.equal(await list(stranger(where), entry('lost', { kind: 'ts', timestamp: time(-60) })), 0)
  assert.equal(await list(primary(where), entry('lost', { kind: 'ts', timestamp: time(-60) })), 1)
  assert.equal(await names(), 'o\n')
})

test('S39: a quorum is asked: one replica that agrees is enough beside the host\'s own, none is not, and one that knows better is heard', async () => {
  const where = await at('half')
  const [a, b, c] = [primary(where, 0), primary(where, 1), primary(where, 2)]
  lay(where, a, version(time(-120), 'half'))
  assert.equal(await list(a, entry('half', {})), 0)
  cloud.hosts.down.add(b).add(c)
  assert.equal(await list(a, entry('half', {})), 0, 'nobody is there to ask')
  cloud.hosts.down.clear()
  lay(where, b, version(time(-120), 'half'))
  lay(where, c, tombstone(time(-100)))
  assert.equal(await list(a, entry('half', {})), 0, 'it was deleted since')
  assert.equal(await tell(a, update('half', { row: { ...(await row()), name: 'half', at: time(-120) } })), true, 'and needs not be told again')
  cloud.hosts.disks.get(c)?.delete(key(where))
  assert.equal(await list(a, entry('half', {})), 1)
  lay(where, a, tombstone(time(-50)))
  assert.equal(await list(a, entry('half', { kind: 'ts', timestamp: time(-50) })), 0, 'another replica still has it')
  assert.equal(await names(), 'half\no\n')
})

test('S39: what a dialect keeps with a row counts only as the plane itself said it', async () => {
  const where = await at('kept')
  for (const device of where.primaries) lay(where, device.host_id, version(time(-120), 'kept'))
  const said = update('kept', { row: { ...(await row()), name: 'kept', at: time(-120), modified_at: time(-120), extra: { 's3-acl': 'public-read' } } })
  const ring = cloud.cluster.instance('RING', '0')
  const mark: string = ring.mark(markedText(said))
  const forged = { ...said, row: { ...said.row, extra: { 's3-acl': 'private' } }, mark }
  assert.equal(await tell(primary(where), forged), true)
  assert.equal((await row('kept')).extra, null)
  assert.equal(await tell(primary(where), { ...said, mark: 'x' }), true)
  assert.equal((await row('kept')).extra, null)
  assert.equal(await tell(primary(where), { ...said, mark }), true)
  assert.deepEqual((await row('kept')).extra, { 's3-acl': 'public-read' })
})

test('S39: a version goes through the plane only from a device of the host that says so, as it is, to its own partition, and never from the future', async () => {
  const where = await at()
  const [host, peer] = [primary(where, 0), primary(where, 1)]
  const from = { device: 'd1', policy: 0, partition: where.partition, hash: where.hash, kind: 'ts' as const, timestamp: time(60) }
  const refused = async (bad: Partial<typeof from>, to: Partial<typeof from> = bad) => await assert.rejects(hostRelay(cloud.env, host, peer, { ...from, ...bad }, { ...from, ...to }, now_ms), { kind: 'forbidden' })
  await refused({ device: 'd2' })
  await refused({}, { partition: (where.partition + 1) % 1024 })
  await refused({ partition: (where.partition + 1) % 1024 })
  await refused({}, { hash: '0'.repeat(32) })
  await refused({}, { timestamp: time(-5) })
  await refused({ timestamp: time(86_400) })
})
