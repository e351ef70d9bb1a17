/** S3 at a door that is told keys of a day (OPTIONS s3.door_keys): no trip to the plane for a signature, and signed requests go on without it. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { Door } from '../../../agent/door/index.ts'
import { sha256Hex } from '../../../workers/http/sigv4.ts'
import { REVOCATIONS_EVERY_MS } from '../../../workers/object/revoked.ts'
import { type Reply, type Site, exchange, site } from '../../support/door.ts'
import { type Key, MEMBER, OTHER, READER, type S3Options, presigned, queryText, sign2, sign4, signedChunks, teachKeys, xmlText, xmlTexts } from '../object/s3-cloud.ts'

const md5 = (data: string | Uint8Array) => createHash('md5').update(data).digest('hex')
let place: Site
let door: Door
let ahead_ms = 0
const now = () => Date.now() + ahead_ms
const host = () => `127.0.0.1:${door.port}`

async function s3(method: string, path: string, given: Omit<S3Options, 'body'> & { body?: string | Uint8Array } = {}): Promise<Reply> {
  const key = given.key ?? MEMBER
  const query = queryText(given.query ?? {})
  const headers: Record<string, string> = { ...given.headers }
  if (given.v2 === true) sign2(key, method, path, headers, given.query ?? {}, now())
  else sign4(key, method, path, query, headers, host(), given.payload ?? sha256Hex(given.body ?? ''), given.at_ms ?? now(), 'us-east-1')
  return await exchange(door.port, method, `${path}${query === '' ? '' : `?${query}`}`, { headers, ...(given.body === undefined ? {} : { body: given.body }) })
}
const code = (reply: Reply) => xmlText(reply.text, 'Code')
const wrong: Key = { ...MEMBER, secret: 'wrong' }

before(async () => {
  place = await site(1, { s3: { door_keys: true, domains: ['s3.test'] } })
  teachKeys(place.cloud.cluster)
  door = await place.door(0, { clock: { now_ms: now } })
  assert.equal((await s3('PUT', '/bkt')).status, 200)
})
after(() => place.close())

test('signatures are checked here: right ones pass, wrong ones, old ones and spoilt chunks do not', async () => {
  assert.equal(code(await s3('PUT', '/bkt/o', { key: wrong, body: 'x' })), 'SignatureDoesNotMatch')
  assert.equal((await s3('PUT', '/bkt/o', { body: 'hello' })).status, 200)
  assert.equal(code(await s3('PUT', '/bkt/o', { key: wrong, body: 'x' })), 'SignatureDoesNotMatch')
  assert.equal(code(await s3('GET', '/bkt/o', { key: { ...MEMBER, access: 'AKNOBODY' } })), 'InvalidAccessKeyId')
  assert.equal(code(await s3('GET', '/bkt/o', { at_ms: now() - 3_600_000 })), 'RequestTimeTooSkewed')
  assert.equal((await s3('GET', '/bkt/o')).text, 'hello')
  assert.equal((await s3('GET', '/bkt/o', { v2: true })).text, 'hello')
  assert.equal((await exchange(door.port, 'GET', presigned('GET', '/bkt/o', host(), { at_ms: now() }))).text, 'hello')
  assert.equal(code(await s3('PUT', '/bkt/o', { key: READER, body: 'x' })), 'AccessDenied')
  const data = randomBytes(300_000)
  for (const [path, spoil, found] of [['/bkt/good', false, 200], ['/bkt/spoilt', true, 403]] as const) {
    const { headers, body } = signedChunks('PUT', path, data, { chunk: 16_384, at_ms: now(), host: host(), spoil })
    assert.equal((await exchange(door.port, 'PUT', path, { headers, body })).status, found, path)
  }
  assert.equal((await s3('GET', '/bkt/good')).headers.etag, `"${md5(data)}"`)
  assert.equal((await s3('GET', '/bkt/spoilt')).status, 404)
})

test('the plane judges all the same: a door with a key writes nothing in its name', async () => {
  const own = (place.hosts[0] as Site['hosts'][0]).identity
  const ask = async (key: Key, method: string) => {
    const headers: Record<string, string> = {}
    sign4(key, 'PUT', '/bkt/o', '', headers, host(), 'UNSIGNED-PAYLOAD', now(), 'us-east-1')
    const evidence = { dialect: 's3', method: 'PUT', path: '/bkt/o', headers: { ...headers, host: host() }, begun_ms: now() }
    const text = JSON.stringify({ evidence: [evidence], calls: [{ evidence: 0, on: 'identity', account: '', container: null, method, args: [] }] })
    const path = `/agents/v1/door/calls?digest=${createHash('sha256').update(text).digest('base64url')}`
    const [result] = (await place.cloud.call('POST', path, { headers: { authorization: own.authorization('POST', path) }, body: text })).body.results
    return result.ok ? result.value : (result.error.type ?? result.error.kind)
  }
  assert.equal(await ask(wrong, 's3Key'), 'SignatureDoesNotMatch', 'a key is told to who shows what was signed with it')
  assert.equal((await ask(MEMBER, 's3Key')).caller.user_id, 'user-a')
  assert.equal(JSON.stringify(await ask(MEMBER, 's3Key')).includes(MEMBER.secret), false)
})

test('a bucket may be the host\'s name here too: objects by the door, the rest by the plane', async () => {
  const at = async (method: string, path: string, body?: string) => {
    const headers: Record<string, string> = {}
    sign4(MEMBER, method, path.replace(/\?.*/, ''), path.replace(/^[^?]*\??/, ''), headers, 'bkt.s3.test', sha256Hex(body ?? ''), now(), 'us-east-1')
    return await exchange(door.port, method, path, { headers: { ...headers, host: 'bkt.s3.test' }, ...(body === undefined ? {} : { body }) })
  }
  assert.equal((await at('PUT', '/by/host', 'named')).status, 200)
  assert.equal((await at('GET', '/by/host')).text, 'named')
  assert.deepEqual(xmlTexts((await at('GET', '/?prefix=by%2F')).text, 'Key'), ['by/host'])
  assert.equal((await at('DELETE', '/by/host')).status, 204)
  assert.equal(code(await exchange(door.port, 'GET', '/by/host', { headers: { host: 'bkt.s3.test' } })), 'AccessDenied')
})

test('without the plane keys that were used here go on: reads, writes, deletions; others, and what needs the plane, are refused', async () => {
  assert.equal((await s3('GET', '/bkt/o', { key: READER })).status, 200)
  await s3('PUT', '/bkt/gone', { body: 'x' })
  await place.cut()
  await door.poll()
  ahead_ms += REVOCATIONS_EVERY_MS + 1_000
  assert.equal((await s3('GET', '/bkt/o')).text, 'hello')
  assert.equal((await s3('PUT', '/bkt/late', { body: 'written alone', headers: { 'x-amz-meta-a': 'b' } })).status, 200)
  assert.equal((await s3('GET', '/bkt/late', { key: READER })).text, 'written alone')
  assert.equal((await s3('DELETE', '/bkt/gone')).status, 204)
  assert.equal((await s3('GET', '/bkt/gone')).status, 404)
  assert.equal(code(await s3('PUT', '/bkt/late', { key: READER, body: 'x' })), 'AccessDenied')
  assert.equal(code(await s3('GET', '/bkt/o', { key: wrong })), 'SignatureDoesNotMatch')
  assert.equal(code(await s3('GET', '/bkt/o', { key: OTHER })), 'ServiceUnavailable', 'was not seen here')
  assert.equal((await s3('GET', '/bkt')).status, 503)
  assert.equal((await s3('PUT', '/bkt/late', { body: 'x', headers: { 'if-none-match': '*' } })).status, 503)
  assert.equal(door.status().pending, 2)
  ahead_ms = 0
  await place.restore()
  for (let tries = 0; tries < 50 && !door.status().online; tries++) await door.poll()
  assert.deepEqual([door.status().pending, door.status().refused], [0, 0])
  assert.deepEqual(xmlTexts((await s3('GET', '/bkt')).text, 'Key'), ['good', 'late', 'o'])
})

test('the day after a key is of no use: its requests are refused until the plane is there', async () => {
  assert.equal((await s3('GET', '/bkt/o')).status, 200)
  const url = presigned('GET', '/bkt/o', host(), { at_ms: now(), expires_s: 600_000 })
  await place.cut()
  await door.poll()
  assert.equal((await exchange(door.port, 'GET', url)).text, 'hello')
  ahead_ms = 25 * 3_600_000
  assert.equal(code(await s3('GET', '/bkt/o')), 'ServiceUnavailable')
  ahead_ms = 49 * 3_600_000
  assert.equal(code(await exchange(door.port, 'GET', url)), 'ServiceUnavailable')
  ahead_ms = 0
})

test('what was revoked as far as the door heard is refused without the plane too', async () => {
  await place.restore()
  for (let tries = 0; tries < 50 && !door.status().online; tries++) await door.poll()
  assert.equal((await s3('GET', '/bkt/o', { key: READER })).status, 200)
  const event = { scope: 'user', subject: READER.caller.user_id, before_ms: now(), expires_ms: now() + 3_600_000 }
  Object.assign(place.cloud.cluster.instance('IDENTITY', 'identity'), { revocations: (cursor: number) => ({ cursor: 99, events: cursor === 99 ? [] : [event] }) })
  await door.poll()
  await place.cut()
  await door.poll()
  ahead_ms = 4 * REVOCATIONS_EVERY_MS
  assert.equal(code(await s3('GET', '/bkt/o', { key: READER })), 'InvalidAccessKeyId')
  assert.equal((await s3('GET', '/bkt/o')).text, 'hello')
})
