/** Container sync between two clouds: each is the real Worker and objects, and what one sends the other receives. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import * as bundle from '../../../workers/index.ts'
import { syncSignature, syncTarget } from '../../../workers/object/features/sync-realms.ts'
import { quotePath } from '../../../workers/object/names.ts'
import { ACCOUNT, type ObjectCloud, objectCloud, ROOT } from './cloud.ts'

const REALMS = { us: { key: 'realm key', key2: 'older key', clusters: { east: 'https://east.test/object-store/v1', west: 'https://west.test/object-store/v1/' } } }
const SECRET = 'owners secret'
const real = globalThis.fetch
let now = Date.now()
let east: ObjectCloud
let west: ObjectCloud
/** What was sent from cloud to cloud: host, method, status. */
let sent: string[] = []
/** Answers in place of the other cloud. */
let instead: ((request: Request) => Response | null) | null = null

before(() => {
  globalThis.fetch = (async (input: URL | string, init: RequestInit) => {
    const request = new Request(input, init)
    const cloud = { 'east.test': east, 'west.test': west }[new URL(request.url).hostname]
    if (cloud === undefined) return await real(input, init)
    const answer = instead?.(request) ?? (await bundle.default.fetch(request as never, cloud.env, { waitUntil: () => {} }))
    sent.push(`${new URL(request.url).hostname} ${request.method} ${answer.status}`)
    return answer
  }) as typeof fetch
})
after(() => {
  globalThis.fetch = real
})

beforeEach(async () => {
  sent = []
  instead = null
  east = await objectCloud({ clock: { now_ms: () => now } })
  west = await objectCloud({ clock: { now_ms: () => now } })
  for (const [cloud, cluster] of [[east, 'east'], [west, 'west']] as const) {
    cloud.env.SYNC_REALMS = JSON.stringify(REALMS)
    cloud.env.OPTIONS = JSON.stringify({ swift: { container_sync: { realm: 'us', cluster } } })
  }
  await east.swift('PUT', '/c', { headers: { 'x-container-sync-to': `//us/west/${ACCOUNT}/d`, 'x-container-sync-key': SECRET } })
  await west.swift('PUT', '/d', { headers: { 'x-container-sync-key': SECRET } })
})
afterEach(() => {
  east.close()
  west.close()
})

async function settle(...clouds: ObjectCloud[]): Promise<void> {
  for (let turn = 0; turn < 3; turn++) {
    now += 31_000
    for (const cloud of clouds) await cloud.cluster.fireAlarms()
  }
}
const listed = async (cloud: ObjectCloud, container: string) => ((await cloud.swift('GET', `/${container}?format=json`)).body as Record<string, unknown>[]).map(({ name, hash, bytes, content_type, last_modified }) => ({ name, hash, bytes, content_type, last_modified }))

test('writes, metadata, names of any kind and deletions of one cloud are in the other, with their times', async () => {
  const names = ['plain', 'with space', 'a//b', 'ünï/\u{1f600}', 'q?a=b#c', "it's (1)!*", '%41']
  for (const name of names) assert.equal((await east.swift('PUT', `/c/${encodeURIComponent(name)}`, { body: `bytes of ${name}`, headers: { 'x-object-meta-a-b': 'v', 'content-type': 'text/x', 'content-disposition': 'inline' } })).status, 201)
  await east.swift('PUT', '/c/empty', { headers: { 'content-length': '0' } })
  await east.swift('PUT', '/c/large', { body: new Uint8Array(1_500_000).fill(7) })
  await settle(east)
  assert.deepEqual(await listed(west, 'd'), await listed(east, 'c'))
  for (const name of names) {
    const got = await west.swift('GET', `/d/${encodeURIComponent(name)}`)
    assert.deepEqual([got.text, got.headers.get('x-object-meta-a-b'), got.headers.get('content-disposition')], [`bytes of ${name}`, 'v', 'inline'])
  }
  await east.swift('DELETE', '/c/plain')
  await east.swift('PUT', '/c/empty', { body: 'not any more' })
  await settle(east)
  assert.equal((await west.swift('GET', '/d/plain')).status, 404)
  assert.deepEqual(await listed(west, 'd'), await listed(east, 'c'))
  const before = sent.length
  await settle(east)
  assert.equal(sent.length, before, 'what is there is not sent again')
})

test('manifests and links go as they are, their segments by the container that has them', async () => {
  await east.swift('PUT', '/seg')
  for (const n of [1, 2]) await east.swift('PUT', `/seg/p${n}`, { body: String(n).repeat(10) })
  assert.equal((await east.swift('PUT', '/c/slo?multipart-manifest=put', { body: JSON.stringify([{ path: 'seg/p1' }, { path: 'seg/p2' }]) })).status, 201)
  await east.swift('PUT', '/c/dlo', { headers: { 'x-object-manifest': 'seg/p', 'content-length': '0' } })
  await east.swift('PUT', '/c/link', { headers: { 'x-symlink-target': 'seg/p1', 'content-length': '0' } })
  await settle(east)
  await west.swift('PUT', '/seg')
  for (const n of [1, 2]) await west.swift('PUT', `/seg/p${n}`, { body: String(n).repeat(10) })
  assert.equal((await west.swift('GET', '/d/slo')).text, '11111111112222222222')
  assert.equal((await west.swift('HEAD', '/d/slo')).headers.get('etag'), (await east.swift('HEAD', '/c/slo')).headers.get('etag'))
  assert.equal((await west.swift('GET', '/d/dlo')).text, '11111111112222222222')
  assert.equal((await west.swift('GET', '/d/link')).text, '1111111111')
})

test('both ways at once: the newer write wins on both sides, and nothing goes round', async () => {
  await west.swift('POST', '/d', { headers: { 'x-container-sync-to': `//US/EAST/${ACCOUNT}/c` } })
  await east.swift('PUT', '/c/o', { body: 'older, of the east' })
  now += 1_000
  await west.swift('PUT', '/d/o', { body: 'newer, of the west' })
  await settle(east, west)
  for (const got of [await east.swift('GET', '/c/o'), await west.swift('GET', '/d/o')]) assert.equal(got.text, 'newer, of the west')
  assert.deepEqual(await listed(west, 'd'), await listed(east, 'c'))
  const before = sent.length
  await settle(east, west)
  assert.equal(sent.length, before)
})

test('progress is kept: a cloud that is away is sent to again from where it stopped, and what it never takes holds up nothing', async () => {
  for (const name of ['a', 'b', 'c', 'd']) await east.swift('PUT', `/c/${name}`, { body: name })
  let left = 2
  instead = () => (left-- > 0 ? null : new Response(null, { status: 503 }))
  await settle(east)
  assert.deepEqual((await listed(west, 'd')).map(({ name }) => name), ['a', 'b'])
  east.cluster.crash('CONTAINER', `${ACCOUNT}/c`)
  instead = (request) => (request.url.endsWith('/c') ? new Response(null, { status: 413 }) : null)
  sent = []
  await settle(east)
  assert.deepEqual((await listed(west, 'd')).map(({ name }) => name), ['a', 'b', 'd'])
  assert.deepEqual(sent, ['west.test PUT 413', 'west.test PUT 201'], 'neither a nor b again')
  await east.swift('PUT', '/c/..', { body: 'no URL says this' })
  await east.swift('PUT', '/c/e', { body: 'e' })
  await settle(east)
  assert.deepEqual((await listed(west, 'd')).map(({ name }) => name), ['a', 'b', 'd', 'e'])
})

test('S40: without the realm\'s key and the container\'s secret nothing is taken, nor for another method, name or time', async () => {
  const timestamp = `${Math.floor(now / 1000) - 10}.00000`
  const path = `${ROOT}/d/o`
  const put = async (auth: string, given: { at?: string; path?: string } = {}) => (await west.call('PUT', given.path ?? path, { body: 'x', headers: { 'x-container-sync-auth': auth, 'x-timestamp': given.at ?? timestamp } })).status
  const auth = (key = 'realm key', secret = SECRET, method = 'PUT', at = timestamp) => `US nonce ${syncSignature(method, path, at, 'nonce', key, secret)}`
  assert.equal(await put(auth('wrong')), 401)
  assert.equal(await put(auth('realm key', 'wrong')), 401)
  assert.equal(await put(auth('realm key', SECRET, 'DELETE')), 401)
  assert.equal(await put(auth(), { at: `${Math.floor(now / 1000)}.00000` }), 401)
  assert.equal(await put(auth(), { path: `${path}x` }), 401)
  assert.equal(await put(`${auth()} more`), 401)
  assert.equal(await put('EU nonce 00'), 401)
  assert.equal(await put(''), 401)
  const later = `${Math.floor(now / 1000) + 86_400}.00000`
  assert.equal(await put(auth('realm key', SECRET, 'PUT', later), { at: later }), 400)
  await west.swift('PUT', '/secretless')
  assert.equal(await put(`US nonce ${syncSignature('PUT', `${ROOT}/secretless/o`, timestamp, 'nonce', 'realm key', '')}`, { path: `${ROOT}/secretless/o` }), 401)
  assert.deepEqual(await listed(west, 'd'), [])
  assert.equal(await put(auth()), 201)
  assert.equal(await put(auth('older key')), 202, 'the second key is taken too, and the same write twice is once')
  await west.swift('POST', '/d', { headers: { 'x-container-sync-key': 'changed' } })
  assert.equal(await put(auth()), 401)
  for (const to of ['http://10.0.0.1/v1/a/c', '//us/north/a/c', '//eu/east/a/c', '//us/west/a']) assert.equal((await east.swift('POST', '/c', { headers: { 'x-container-sync-to': to } })).status, 400, to)
})

test('realms are told without their keys, and are checked when they are read', async () => {
  const info = await east.call('GET', '/object-store/info')
  assert.deepEqual(info.body.container_sync.realms, { US: { clusters: { EAST: { current: true }, WEST: {} } } })
  assert.ok(!info.text.includes('realm key') && !info.text.includes('older key'))
  assert.equal(syncTarget(east.env, '//us/east/a/c').far, null)
  assert.throws(() => syncTarget({ SYNC_REALMS: '{"x":{"clusters":{}}}' }, '//x/y/a/c'), /no key/)
  assert.throws(() => syncTarget({ SYNC_REALMS: '{"x":{"key":"k","clusters":{"y":"ftp://h/"}}}' }, '//x/y/a/c'), /no http/)
})

test('Swift 2.30 signs the same requests the same way, and asks by HEAD before it sends', async () => {
  // Made by swift.common.container_sync_realms.ContainerSyncRealms.get_sig.
  const [at, nonce, key, secret] = ['1795420267.93200', '0123456789abcdef0123456789abcdef', 'realm-key-one', 'the owners secret']
  const path = (name: string) => `/object-store/v1/AUTH_a/${quotePath('cönt')}/${quotePath(name)}`
  assert.equal(path('a b/ü(1)*~!\'.txt'), '/object-store/v1/AUTH_a/c%C3%B6nt/a%20b/%C3%BC%281%29%2A~%21%27.txt')
  assert.equal(syncSignature('PUT', path('a b/ü(1)*~!\'.txt'), at, nonce, key, secret), '722330e47fa674dbf4005a17c8c14d93ded3961d')
  assert.equal(syncSignature('DELETE', path('plain'), at, nonce, key, secret), '6affa63ad0ffa276ad20648f2f74296b91ff8508')
  assert.equal(syncSignature('HEAD', path('q?a=b#c&%41'), at, nonce, key, secret), '10b506711d602aebe1279431565c835e34194299')
  const signed = (method: string, name: string, time: string) => ({ 'x-timestamp': time, 'x-container-sync-auth': `US ${nonce} ${syncSignature(method, `${ROOT}/d/${name}`, time, nonce, 'realm key', SECRET)}` })
  const time = `${Math.floor(now / 1000) - 10}.00000`
  const call = (method: string, name: string, headers: Record<string, string>, body?: string) => west.call(method, `${ROOT}/d/${name}`, { headers, ...(body === undefined ? {} : { body }) })
  assert.equal((await call('HEAD', 'slo', signed('HEAD', 'slo', time))).status, 404)
  assert.equal((await call('HEAD', 'slo', signed('PUT', 'slo', time))).status, 401)
  // A manifest of Swift's: by a header, without a query, before its segments are there.
  const segments = [1, 2].map((n) => ({ name: `/seg/p${n}`, bytes: 10, hash: createHash('md5').update(String(n).repeat(10)).digest('hex'), content_type: 'application/octet-stream', last_modified: '2026-11-23T07:51:08.000000' }))
  assert.equal((await call('PUT', 'slo', { ...signed('PUT', 'slo', time), 'x-static-large-object': 'True', 'content-type': 'text/x' }, JSON.stringify(segments))).status, 201)
  const head = await call('HEAD', 'slo', signed('HEAD', 'slo', time))
  assert.deepEqual([head.status, head.headers.get('x-timestamp'), head.headers.get('content-length')], [200, time, String(JSON.stringify(segments).length)])
  assert.equal((await west.swift('HEAD', '/d/slo')).headers.get('x-static-large-object'), 'True')
  await west.swift('PUT', '/seg')
  for (const n of [1, 2]) await west.swift('PUT', `/seg/p${n}`, { body: String(n).repeat(10) })
  assert.equal((await west.swift('GET', '/d/slo')).text, '11111111112222222222')
  // And Swift takes ours by the same header.
  const headers: Record<string, string>[] = []
  instead = (request) => {
    headers.push(Object.fromEntries(request.headers))
    return null
  }
  await east.swift('PUT', '/seg')
  await east.swift('PUT', '/seg/p1', { body: 'part' })
  await east.swift('PUT', '/c/mine?multipart-manifest=put', { body: JSON.stringify([{ path: 'seg/p1' }]) })
  await settle(east)
  assert.equal(headers.at(-1)?.['x-static-large-object'], 'True')
})

test('a change of metadata alone is copied, and so is a write that is told later than newer ones', async () => {
  await east.swift('PUT', '/c/o', { body: 'bytes', headers: { 'x-object-meta-a': 'first' } })
  await settle(east)
  now += 1_000
  assert.equal((await east.swift('POST', '/c/o', { headers: { 'x-object-meta-a': 'second' } })).status, 202)
  await settle(east)
  assert.equal((await west.swift('HEAD', '/d/o')).headers.get('x-object-meta-a'), 'second')
  // From a third cloud, or a door that was alone: older than what was copied already.
  const older = `${Math.floor(now / 1000) - 3_600}.00000`
  const auth = (method: string, at: string) => ({ 'x-timestamp': at, 'x-container-sync-auth': `US nonce ${syncSignature(method, `${ROOT}/c/late`, at, 'nonce', 'realm key', SECRET)}` })
  assert.equal((await east.call('PUT', `${ROOT}/c/late`, { body: 'of an hour ago', headers: auth('PUT', older) })).status, 201)
  await settle(east)
  assert.equal((await west.swift('GET', '/d/late')).text, 'of an hour ago')
  const gone = `${Math.floor(now / 1000) - 3_000}.00000`
  assert.equal((await east.call('DELETE', `${ROOT}/c/late`, { headers: auth('DELETE', gone) })).status, 204)
  await settle(east)
  assert.equal((await west.swift('GET', '/d/late')).status, 404)
  assert.deepEqual(await listed(west, 'd'), await listed(east, 'c'))
  sent = []
  await settle(east, west)
  assert.deepEqual(sent, [])
})

test('what came from the other side is not sent back to it', async () => {
  await west.swift('POST', '/d', { headers: { 'x-container-sync-to': `//us/east/${ACCOUNT}/c` } })
  await east.swift('PUT', '/c/large', { body: 'x'.repeat(2 * 1024 * 1024) })
  await settle(east, west)
  assert.deepEqual(sent, ['west.test HEAD 404', 'west.test PUT 201', 'east.test HEAD 200'])
})
