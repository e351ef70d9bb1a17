/** S3 through a door: bytes of objects by its own disks, all else by the plane, signatures and rights judged by the plane each time. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import http from 'node:http'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import type { Door } from '../../../agent/door/index.ts'
import { digestOf } from '../../../schema/values/digests.ts'
import { REVOCATIONS_EVERY_MS } from '../../../workers/object/revoked.ts'
import { sha256Hex } from '../../../workers/http/sigv4.ts'
import { type Reply, ROOT, type Site, exchange, site } from '../../support/door.ts'
import { type Key, MEMBER, OTHER, READER, type S3Options, presigned, queryText, sign2, sign4, signedChunks, teachKeys, xmlText, xmlTexts } from '../object/s3-cloud.ts'

const md5 = (data: string | Uint8Array) => createHash('md5').update(data).digest('hex')
let place: Site
let door: Door
let keys: { forget(key: Key): void }
const host = () => `127.0.0.1:${door.port}`

async function s3(method: string, path: string, given: Omit<S3Options, 'body'> & { body?: string | Uint8Array | Readable } = {}): Promise<Reply> {
  const key = given.key === undefined ? MEMBER : given.key
  const query = queryText(given.query ?? {})
  const headers: Record<string, string> = { ...given.headers }
  if (key !== null && given.v2 === true) sign2(key, method, path, headers, given.query ?? {}, given.at_ms ?? Date.now())
  else if (key !== null) sign4(key, method, path, query, headers, host(), given.payload ?? (given.body instanceof Readable ? 'UNSIGNED-PAYLOAD' : sha256Hex(given.body ?? '')), given.at_ms ?? Date.now(), 'us-east-1')
  return await exchange(door.port, method, `${path}${query === '' ? '' : `?${query}`}`, { headers, ...(given.body === undefined ? {} : { body: given.body }) })
}
const code = (reply: Reply) => xmlText(reply.text, 'Code')

before(async () => {
  place = await site(3)
  keys = teachKeys(place.cloud.cluster)
  door = await place.door(0)
  assert.equal((await s3('PUT', '/basic')).status, 200)
})
after(() => place.close())

test('an object is written, read, ranged, copied and deleted through the door; the plane and Swift have the same', async () => {
  const put = await s3('PUT', '/basic/dir/a%20b%2Bc', { body: 'hello world', headers: { 'content-type': 'text/plain', 'x-amz-meta-color': 'blue' } })
  assert.equal(put.status, 200, put.text)
  assert.equal(put.headers.etag, `"${md5('hello world')}"`)
  const got = await s3('GET', '/basic/dir/a%20b%2Bc')
  assert.deepEqual([got.text, got.headers['content-type'], got.headers['x-amz-meta-color']], ['hello world', 'text/plain', 'blue'])
  const part = await s3('GET', '/basic/dir/a%20b%2Bc', { headers: { range: 'bytes=6-' } })
  assert.deepEqual([part.status, part.text, part.headers['content-range']], [206, 'world', 'bytes 6-10/11'])
  const head = await s3('HEAD', '/basic/dir/a%20b%2Bc')
  assert.deepEqual([head.status, head.headers['content-length'], head.text], [200, '11', ''])
  assert.equal((await s3('GET', '/basic/dir/a%20b%2Bc', { headers: { 'if-none-match': `"${md5('hello world')}"` } })).status, 304)
  assert.equal(code(await s3('PUT', '/basic/dir/a%20b%2Bc', { body: 'x', headers: { 'if-none-match': '*' } })), 'PreconditionFailed')
  assert.equal(xmlText((await s3('PUT', '/basic/copy', { headers: { 'x-amz-copy-source': '/basic/dir/a%20b%2Bc' } })).text, 'ETag'), `&quot;${md5('hello world')}&quot;`)
  assert.equal((await s3('GET', '/basic/copy', { v2: true })).text, 'hello world')
  const token = await place.cloud.token({ role: 'member' })
  const swift = await exchange(door.port, 'GET', `${ROOT}/basic/copy`, { token })
  assert.deepEqual([swift.text, swift.headers['x-object-meta-color']], ['hello world', 'blue'])
  assert.deepEqual(xmlTexts((await s3('GET', '/basic', { query: { 'list-type': '2', prefix: '' } })).text, 'Key'), ['copy', 'dir/a b+c'])
  assert.equal((await s3('DELETE', '/basic/copy')).status, 204)
  assert.equal(code(await s3('GET', '/basic/copy')), 'NoSuchKey')
  assert.equal(code(await s3('GET', '/nosuch/key')), 'NoSuchBucket')
  assert.equal(code(await s3('PUT', '/nosuch/key', { body: 'x' })), 'NoSuchBucket')
  assert.equal((await s3('HEAD', '/basic')).status, 200)
})

test('a long body is on all three hosts: any one of them may be away', async () => {
  const data = randomBytes(3 * 1024 * 1024 + 5)
  const put = await s3('PUT', '/basic/big', { body: Readable.from([data.subarray(0, 2_000_000), data.subarray(2_000_000)], { objectMode: false }), headers: { 'content-length': String(data.byteLength), 'x-amz-checksum-crc32': digestOf('crc32', data) } })
  assert.equal(put.status, 200, put.text)
  assert.deepEqual([put.headers.etag, put.headers['x-amz-checksum-crc32']], [`"${md5(data)}"`, digestOf('crc32', data)])
  for (const one of place.hosts) {
    one.away = true
    const got = await s3('GET', '/basic/big', { headers: { range: 'bytes=2999990-3000009' } })
    assert.equal(got.status, 206, got.text.slice(0, 200))
    one.away = false
  }
})

test('hashes of a body are held to, also by hosts that are reached through the plane', async () => {
  const put = async (headers: Record<string, string>, payload?: string) => code(await s3('PUT', '/basic/hash', { body: 'body', headers, ...(payload === undefined ? {} : { payload }) }))
  assert.equal(await put({}, sha256Hex('another body')), 'XAmzContentSHA256Mismatch')
  assert.equal(await put({ 'content-md5': Buffer.from(md5('other'), 'hex').toString('base64') }), 'BadDigest')
  for (const algorithm of ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'] as const) assert.equal(await put({ [`x-amz-checksum-${algorithm}`]: digestOf(algorithm, Buffer.from('other')) }), 'BadDigest', algorithm)
  assert.equal((await s3('HEAD', '/basic/hash')).status, 404)
})

test('bodies in signed chunks: each signature is checked by the plane, and a spoilt one leaves nothing', async () => {
  const small = randomBytes(700_000)
  const put = async (path: string, options: Omit<Parameters<typeof signedChunks>[3], 'at_ms'>, data = small) => {
    const { headers, body } = signedChunks('PUT', path, data, { at_ms: Date.now(), host: host(), ...options })
    return await exchange(door.port, 'PUT', path, { headers, body })
  }
  const good = await put('/basic/chunked', { chunk: 1_024 })
  assert.deepEqual([good.status, good.headers.etag], [200, `"${md5(small)}"`], good.text)
  const large = randomBytes(9_000_000)
  assert.equal((await put('/basic/large', { chunk: 65_536 }, large)).headers.etag, `"${md5(large)}"`)
  assert.equal(code(await put('/basic/spoilt', { chunk: 8_192, spoil: true }, large)), 'SignatureDoesNotMatch')
  const trailed = await put('/basic/trailed', { chunk: 65_536, trailer: ['x-amz-checksum-crc32c', digestOf('crc32c', small)] })
  assert.deepEqual([trailed.status, trailed.headers['x-amz-checksum-crc32c']], [200, digestOf('crc32c', small)], trailed.text)
  assert.equal(code(await put('/basic/spoilt', { chunk: 65_536, spoil: true })), 'SignatureDoesNotMatch')
  assert.equal(code(await put('/basic/spoilt', { chunk: 1_024, spoil: true })), 'SignatureDoesNotMatch')
  assert.equal(code(await put('/basic/spoilt', { chunk: 65_536, trailer: ['x-amz-checksum-crc32c', 'AAAAAA=='] })), 'BadDigest')
  assert.equal((await s3('HEAD', '/basic/spoilt')).status, 404)
})

test('S37: clients that go away in the middle of a body, in chunks or plain, leave nothing open and nothing written', async () => {
  const data = randomBytes(3_000_000)
  const { headers, body } = signedChunks('PUT', '/basic/broken', data, { chunk: 65_536, at_ms: Date.now(), host: host() })
  const plain: Record<string, string> = {}
  sign4(MEMBER, 'PUT', '/basic/broken', '', plain, host(), sha256Hex(data), Date.now(), 'us-east-1')
  const broken = (given: Record<string, string>, bytes: Uint8Array, sent: number) =>
    new Promise<void>((resolve) => {
      const request = http.request({ host: '127.0.0.1', port: door.port, method: 'PUT', path: '/basic/broken', headers: { ...given, 'content-length': String(bytes.byteLength) }, agent: false })
      request.on('error', () => {}).on('close', resolve)
      request.write(bytes.subarray(0, sent), () => setTimeout(() => request.destroy(), 20))
    })
  for (let n = 0; n < 20; n++) await Promise.all([broken(headers, body, 1 + n * 140_000), broken(plain, data, 1 + n * 140_000)])
  for (let tries = 0; tries < 100 && door.status().requests > 0; tries++) await new Promise((resolve) => setTimeout(resolve, 100))
  assert.equal(door.status().requests, 0)
  assert.equal((await s3('HEAD', '/basic/broken')).status, 404)
  assert.equal((await exchange(door.port, 'PUT', '/basic/broken', { headers, body })).status, 200, 'and the same request goes through whole')
})

test('presigned URLs read and write here, for as long as they say', async () => {
  const at_ms = Date.now()
  assert.equal((await exchange(door.port, 'PUT', presigned('PUT', '/basic/pre', host(), { at_ms }), { body: 'signed' })).status, 200)
  assert.equal((await exchange(door.port, 'GET', presigned('GET', '/basic/pre', host(), { at_ms }))).text, 'signed')
  assert.equal(code(await exchange(door.port, 'GET', presigned('GET', '/basic/pre', host(), { at_ms: at_ms - 400_000 }))), 'AccessDenied')
  assert.equal(code(await exchange(door.port, 'GET', presigned('GET', '/basic/pre', 'elsewhere:1', { at_ms }))), 'SignatureDoesNotMatch')
  assert.equal(code(await exchange(door.port, 'DELETE', presigned('GET', '/basic/pre', host(), { at_ms }))), 'SignatureDoesNotMatch')
})

test('uploads in parts: begun and ended by the plane, their bytes written here', async () => {
  const id = xmlText((await s3('POST', '/basic/parts', { query: { uploads: '' }, headers: { 'x-amz-meta-a': 'b' } })).text, 'UploadId') ?? ''
  const parts = [randomBytes(5 * 1024 * 1024), randomBytes(1_000)]
  const etags: string[] = []
  for (const [n, body] of parts.entries()) {
    const put = await s3('PUT', '/basic/parts', { query: { partNumber: String(n + 1), uploadId: id }, body })
    assert.equal(put.status, 200, put.text)
    etags.push(put.headers.etag ?? '')
  }
  const copied = await s3('PUT', '/basic/parts', { query: { partNumber: '2', uploadId: id }, headers: { 'x-amz-copy-source': '/basic/dir/a%20b%2Bc', 'x-amz-copy-source-range': 'bytes=0-4' } })
  assert.equal(copied.status, 200, copied.text)
  assert.equal(code(await s3('PUT', '/basic/parts', { query: { partNumber: '1', uploadId: '0'.repeat(40) }, body: 'x' })), 'NoSuchUpload')
  assert.deepEqual(xmlTexts((await s3('GET', '/basic/parts', { query: { uploadId: id } })).text, 'PartNumber'), ['1', '2'])
  const body = `<CompleteMultipartUpload>${[etags[0], `"${md5('hello')}"`].map((etag, n) => `<Part><PartNumber>${n + 1}</PartNumber><ETag>${etag}</ETag></Part>`).join('')}</CompleteMultipartUpload>`
  const done = await s3('POST', '/basic/parts', { query: { uploadId: id }, body })
  assert.equal(done.status, 200, done.text)
  const got = await s3('GET', '/basic/parts', { headers: { range: 'bytes=5242878-' } })
  assert.deepEqual([got.status, got.headers['content-range']], [206, 'bytes 5242878-5242884/5242885'], got.text)
  assert.equal(got.text.slice(-5), 'hello')
  assert.equal((await s3('GET', '/basic/parts', { query: { partNumber: '2' } })).text, 'hello')
})

test('S16: who has no right has none here: other projects, readers that write, unknown keys, changed requests; policies and lists are held to', async () => {
  await s3('PUT', '/basic/o', { body: 'secret' })
  for (const method of ['GET', 'PUT', 'DELETE']) {
    assert.equal(code(await s3(method, '/project-a:basic/o', { key: OTHER })), 'AccessDenied', method)
    assert.equal(code(await exchange(door.port, method, '/s3/basic/o')), 'AccessDenied', method)
    assert.equal(code(await s3(method, '/basic/o', { key: { ...MEMBER, secret: 'wrong' } })), 'SignatureDoesNotMatch', method)
    assert.equal(code(await s3(method, '/basic/o', { key: { ...MEMBER, access: 'AKNOBODY' } })), 'InvalidAccessKeyId', method)
  }
  assert.equal((await s3('GET', '/basic/o', { key: READER })).text, 'secret')
  assert.equal(code(await s3('PUT', '/basic/o', { key: READER, body: 'x' })), 'AccessDenied')
  assert.equal(code(await s3('PUT', '/basic/new', { headers: { 'x-amz-copy-source': '/project-a:basic/o' }, key: OTHER })), 'AccessDenied')
  assert.equal((await s3('PUT', '/open')).status, 200)
  const policy = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: 'arn:aws:s3:::open/pub/*' }, { Effect: 'Deny', Principal: '*', Action: 's3:PutObject', Resource: 'arn:aws:s3:::open/never' }] }
  assert.equal((await s3('PUT', '/open', { query: { policy: '' }, body: JSON.stringify(policy) })).status, 204)
  await s3('PUT', '/open/pub/x', { body: 'all may read' })
  await s3('PUT', '/open/priv', { body: 'not this' })
  assert.equal((await exchange(door.port, 'GET', '/s3/open/pub/x')).text, 'all may read')
  assert.equal(code(await exchange(door.port, 'GET', '/s3/open/priv')), 'AccessDenied')
  assert.equal(code(await s3('PUT', '/open/never', { body: 'x' })), 'AccessDenied')
})

test('versions and locks: written here, deleted by the plane, and held to', async () => {
  assert.equal((await s3('PUT', '/kept', { headers: { 'x-amz-bucket-object-lock-enabled': 'true' } })).status, 200)
  const first = await s3('PUT', '/kept/v', { body: 'one', headers: { 'x-amz-object-lock-mode': 'COMPLIANCE', 'x-amz-object-lock-retain-until-date': new Date(Date.now() + 3_600_000).toISOString() } })
  const second = await s3('PUT', '/kept/v', { body: 'two' })
  const [one, two] = [first.headers['x-amz-version-id'] ?? '', second.headers['x-amz-version-id'] ?? '']
  assert.ok(one !== '' && two > one, first.text)
  assert.equal((await s3('GET', '/kept/v')).text, 'two')
  const old = await s3('GET', '/kept/v', { query: { versionId: one } })
  assert.deepEqual([old.text, old.headers['x-amz-object-lock-mode']], ['one', 'COMPLIANCE'])
  assert.equal(code(await s3('DELETE', '/kept/v', { query: { versionId: one } })), 'AccessDenied')
  const gone = await s3('DELETE', '/kept/v')
  assert.deepEqual([gone.status, gone.headers['x-amz-delete-marker']], [204, 'true'])
  assert.equal(code(await s3('GET', '/kept/v')), 'NoSuchKey')
  assert.equal((await s3('GET', '/kept/v', { query: { versionId: two } })).text, 'two')
})

test('what is set through the door holds at once, and what was set elsewhere is found out before anything is done', async () => {
  const versioning = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
  const versionsOf = async (bucket: string) => xmlTexts((await s3('GET', `/${bucket}`, { query: { versions: '' } })).text, 'VersionId').length
  await s3('PUT', '/turned')
  await s3('PUT', '/turned/o', { body: 'one' })
  assert.equal((await s3('PUT', '/turned', { query: { versioning: '' }, body: versioning, headers: { 'content-length': String(versioning.length) } })).status, 200)
  assert.equal((await s3('DELETE', '/turned/o')).headers['x-amz-delete-marker'], 'true')
  assert.equal(await versionsOf('turned'), 2)
  await s3('PUT', '/elsewhere')
  await s3('PUT', '/elsewhere/o', { body: 'one' })
  await place.cloud.env.CONTAINER.getByName('AUTH_project-a/elsewhere').post({ 'x-versions-enabled': 'True' })
  const gone = await s3('DELETE', '/elsewhere/o')
  assert.deepEqual([gone.status, gone.headers['x-amz-delete-marker']], [204, 'true'], gone.text)
  assert.equal(await versionsOf('elsewhere'), 2)
  assert.equal((await s3('GET', '/', { headers: { 'content-length': '0' } })).status, 200)
})

test('tags, lists, quotas, encryption asked for in vain, conditions, redirects: as at the plane', async () => {
  await s3('PUT', '/more')
  assert.equal((await s3('PUT', '/more/tagged', { body: 'x', headers: { 'x-amz-tagging': 'k=v&n=1', 'x-amz-website-redirect-location': '/there', 'cache-control': 'no-store' } })).status, 200)
  const tagged = await s3('GET', '/more/tagged')
  assert.deepEqual([tagged.headers['x-amz-tagging-count'], tagged.headers['x-amz-website-redirect-location'], tagged.headers['cache-control']], ['2', '/there', 'no-store'])
  assert.deepEqual(xmlTexts((await s3('GET', '/more/tagged', { query: { tagging: '' } })).text, 'Key'), ['k', 'n'])
  const copied = await s3('PUT', '/more/copied', { headers: { 'x-amz-copy-source': '/more/tagged', 'x-amz-metadata-directive': 'COPY' } })
  assert.equal(copied.status, 200, copied.text)
  assert.equal((await s3('HEAD', '/more/copied')).headers['x-amz-tagging-count'], '2')
  assert.equal((await s3('PUT', '/more/public', { body: 'for all', headers: { 'x-amz-acl': 'public-read' } })).status, 200)
  assert.equal((await exchange(door.port, 'GET', '/s3/more/public')).text, 'for all')
  assert.equal(code(await exchange(door.port, 'GET', '/s3/more/tagged')), 'AccessDenied')
  assert.equal(code(await s3('PUT', '/more/x', { body: 'x', headers: { 'x-amz-storage-class': 'GLACIER' } })), 'InvalidStorageClass')
  assert.equal(code(await s3('GET', '/more/tagged', { query: { torrent: '' } })), 'NotImplemented')
  assert.equal(code(await s3('PUT', '/more/x', { body: 'x', headers: { 'x-amz-server-side-encryption': 'aws:kms' } })), 'NotImplemented')
  const both = await Promise.all([1, 2, 3, 4].map((n) => s3('PUT', '/more/race', { headers: { 'if-none-match': '*' }, body: `writer ${n}` })))
  assert.deepEqual(both.map((answer) => answer.status).sort(), [200, 409, 409, 409])
  const etag = both.find(({ status }) => status === 200)?.headers.etag ?? ''
  assert.equal((await s3('PUT', '/more/race', { headers: { 'if-match': etag }, body: 'second' })).status, 200)
  assert.equal(code(await s3('PUT', '/more/race', { headers: { 'if-match': etag }, body: 'third' })), 'PreconditionFailed')
  const token = await place.cloud.token({ role: 'member' })
  assert.equal((await exchange(door.port, 'POST', `${ROOT}/more`, { token, headers: { 'x-container-meta-quota-bytes': '100' } })).status, 204)
  assert.equal(code(await s3('PUT', '/more/large', { body: 'x'.repeat(200) })), 'QuotaExceeded')
})

test('a head that is too large is refused for itself, and spoils nothing for others', async () => {
  const long = 'x'.repeat(30_000)
  const asked = [...Array.from({ length: 20 }, () => s3('PUT', '/more/huge', { headers: { 'x-amz-meta-a': long }, body: 'x' })), ...Array.from({ length: 20 }, () => s3('GET', '/more/public')), s3('GET', `/more/${long}`), s3('GET', '/more/public', { query: { a: long } })]
  const statuses = (await Promise.all(asked)).map(({ status }) => status)
  assert.deepEqual([...new Set(statuses.slice(0, 20))], [400])
  assert.deepEqual([...new Set(statuses.slice(20, 40))], [200])
  assert.ok(statuses.slice(40).every((status) => status >= 400 && status < 500))
  assert.equal(door.status().online, true)
  const token = await place.cloud.token({ role: 'member' })
  const swift = await Promise.all([...Array.from({ length: 10 }, () => exchange(door.port, 'GET', `/object-store/v1/AUTH_${long}/c/o`, { token })), ...Array.from({ length: 10 }, () => exchange(door.port, 'GET', `${ROOT}/more/public`, { token }))])
  assert.deepEqual([...new Set(swift.slice(10).map(({ status }) => status))], [200])
  assert.ok(swift.slice(0, 10).every(({ status }) => status >= 400 && status < 500))
})

test('other projects, where a policy or a list lets them; manifests and links of Swift\'s are followed for those who may', async () => {
  await s3('PUT', '/shared')
  const policy = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { AWS: ['arn:aws:iam::project-b:root'] }, Action: ['s3:PutObject', 's3:GetObject', 's3:DeleteObject'], Resource: 'arn:aws:s3:::shared/*' }] }
  assert.equal((await s3('PUT', '/shared', { query: { policy: '' }, body: JSON.stringify(policy) })).status, 204)
  assert.equal((await s3('PUT', '/project-a:shared/theirs', { key: OTHER, body: 'written by another' })).status, 200)
  assert.equal((await s3('GET', '/shared/theirs', { key: OTHER })).text, 'written by another')
  await s3('PUT', '/mine', { key: OTHER })
  assert.equal((await s3('PUT', '/mine/copy', { key: OTHER, headers: { 'x-amz-copy-source': '/shared/theirs' } })).status, 200)
  assert.equal((await s3('GET', '/mine/copy', { key: OTHER })).text, 'written by another')
  const token = await place.cloud.token({ role: 'member' })
  const swift = (method: string, path: string, body: string, headers: Record<string, string> = {}) => exchange(door.port, method, `${ROOT}${path}`, { token, body, headers })
  await swift('PUT', '/parts', '')
  for (const n of [1, 2]) assert.equal((await swift('PUT', `/parts/p${n}`, `part ${n}. `)).status, 201)
  assert.equal((await swift('PUT', '/shared/slo?multipart-manifest=put', JSON.stringify([{ path: 'parts/p1' }, { path: 'parts/p2' }]))).status, 201)
  assert.equal((await swift('PUT', '/shared/link', '', { 'x-symlink-target': 'parts/p1' })).status, 201)
  assert.equal((await s3('GET', '/shared/slo')).text, 'part 1. part 2. ')
  assert.equal((await s3('GET', '/shared/link', { key: READER })).text, 'part 1. ')
  for (const key of ['slo', 'link']) assert.equal(code(await s3('GET', `/project-a:shared/${key}`, { key: OTHER })), 'AccessDenied', `${key}: its parts are not theirs`)
  assert.equal((await s3('DELETE', '/project-a:shared/theirs', { key: OTHER })).status, 204)
  assert.equal(code(await s3('GET', '/shared/theirs')), 'NoSuchKey')
})

test('a door that lies gets no further than the request it shows: other keys, other calls, rows of its own, old signatures', async () => {
  const own = (place.hosts[0] as Site['hosts'][0]).identity
  const evidenceOf = (method: string, path: string, options: { query?: Record<string, string>; headers?: Record<string, string>; at_ms?: number; begun_ms?: number } = {}) => {
    const query = queryText(options.query ?? {})
    const headers: Record<string, string> = { ...options.headers }
    sign4(MEMBER, method, path, query, headers, host(), 'UNSIGNED-PAYLOAD', options.at_ms ?? Date.now(), 'us-east-1')
    return { dialect: 's3', method, path: `${path}${query === '' ? '' : `?${query}`}`, headers: { ...headers, host: host() }, begun_ms: options.begun_ms ?? Date.now() }
  }
  const ask = async (evidence: unknown, method: string, args: unknown[], container = 'basic', account = 'AUTH_project-a') => {
    const text = JSON.stringify({ evidence: [evidence], calls: [{ evidence: 0, on: 'container', account, container, method, args }] })
    const path = `/agents/v1/door/calls?digest=${createHash('sha256').update(text).digest('base64url')}`
    const { body } = await place.cloud.call('POST', path, { headers: { authorization: own.authorization('POST', path) }, body: text })
    const [result] = body.results as { ok: boolean; value?: { timestamp: string }; error?: { kind: string; type?: string } }[]
    return result?.ok === true ? result.value : (result?.error?.type ?? result?.error?.kind)
  }
  const put = evidenceOf('PUT', '/basic/mine')
  const { timestamp: at } = (await ask(put, 'begin', ['mine'])) as { timestamp: string }
  assert.equal(await ask(put, 'begin', ['another']), 'AccessDenied')
  assert.equal(await ask(put, 'begin', ['mine'], 'open'), 'AccessDenied')
  assert.equal(await ask(put, 'deleteObject', ['mine', at]), 'forbidden')
  assert.equal(await ask(put, 's3Configure', [{ policy: '{}' }]), 'forbidden')
  assert.equal(await ask(put, 'removeVersion', ['mine', at, true]), 'not_implemented')
  assert.equal(await ask(put, 'list', [{ prefix: '' }]), 'not_implemented')
  assert.equal(await ask(evidenceOf('GET', '/basic/mine'), 'begin', ['mine']), 'AccessDenied')
  assert.equal(await ask(evidenceOf('DELETE', '/kept/v'), 'begin', ['v'], 'kept'), 'PlaneOnly', 'what keeps versions is deleted by the plane')
  assert.equal(await ask(evidenceOf('PUT', '/basic/mine', { query: { acl: '' } }), 'begin', ['mine']), 'forbidden')
  assert.equal(await ask({ ...put, path: '/basic/another' }, 'begin', ['another']), 'SignatureDoesNotMatch')
  assert.equal(await ask(evidenceOf('PUT', '/basic/mine', { at_ms: Date.now() - 1_000_000 }), 'begin', ['mine']), 'RequestTimeTooSkewed')
  const long = Date.now() - 7 * 3_600_000
  assert.equal(await ask(evidenceOf('PUT', '/basic/mine', { at_ms: long, begun_ms: long }), 'begin', ['mine']), 'forbidden', 'six hours are enough for a body')
  const slow = Date.now() - 3_600_000
  assert.equal(typeof (await ask(evidenceOf('PUT', '/basic/mine', { at_ms: slow, begun_ms: slow }), 'begin', ['mine'])), 'object')
  const days = Date.now() - 3 * 86_400_000
  assert.equal(typeof (await ask({ ...evidenceOf('PUT', '/basic/mine', { at_ms: days, begun_ms: days }), at_ms: days + 60_000 }, 'begin', ['mine'])), 'object', 'acknowledged while the plane was away')
  const row = { name: 'mine', at, modified_at: at, size: 1, etag: md5('x'), content_type: 'text/plain', delete_at: null, slo_etag: 'x', slo_size: 9, version: '', extra: { 's3-upload': 'parts/of-another', 's3-hold': 'ON', 's3-checksum': 'crc32 AAAA FULL_OBJECT' } }
  assert.equal(await ask(put, 'putObject', [{ ...row, version: at }]), 'forbidden')
  assert.equal(await ask(put, 'putObject', [row]), true)
  const kept = await place.cloud.env.CONTAINER.getByName('AUTH_project-a/basic').object('mine')
  assert.deepEqual([kept?.extra, kept?.slo_size], [{ 's3-checksum': 'crc32 AAAA FULL_OBJECT' }, null])
  const locking = evidenceOf('PUT', '/kept/w', { headers: { 'x-amz-object-lock-legal-hold': 'ON' } })
  const { timestamp: later } = (await ask(locking, 'begin', ['w'], 'kept')) as { timestamp: string }
  assert.equal(await ask(locking, 'putObject', [{ ...row, name: 'w', at: later, modified_at: later, version: later, extra: null }], 'kept'), true)
  assert.equal((await place.cloud.env.CONTAINER.getByName('AUTH_project-a/kept').object('w'))?.extra?.['s3-hold'], 'ON')
  const anybody = { dialect: 's3', method: 'GET', path: '/s3/open/pub/x', headers: { host: host() }, begun_ms: Date.now() }
  assert.ok(Array.isArray(await ask(anybody, 'keys', ['pub/x/0/1'], 'open+segments')))
  assert.equal(await ask(anybody, 'keys', ['priv/0/1'], 'open+segments'), 'AccessDenied', 'parts of another key')
  assert.equal(await ask(anybody, 'keys', ['priv'], 'open'), 'AccessDenied')
  assert.equal(await ask(anybody, 'keys', ['mine'], 'basic'), 'AccessDenied')
})

test('a key that is deleted lets nobody in five seconds later', async () => {
  assert.equal((await s3('GET', '/basic/o', { key: READER })).status, 200)
  keys.forget(READER)
  await new Promise((resolve) => setTimeout(resolve, REVOCATIONS_EVERY_MS + 100))
  assert.equal(code(await s3('GET', '/basic/o', { key: READER })), 'InvalidAccessKeyId')
})

test('without the plane what is signed is refused as S3 refuses, and what is public goes on', async () => {
  assert.equal((await exchange(door.port, 'GET', '/s3/open/pub/x')).status, 200)
  await place.cut()
  await door.poll()
  const refused = await s3('GET', '/basic/o')
  assert.deepEqual([refused.status, code(refused), refused.headers['content-type']], [503, 'ServiceUnavailable', 'application/xml'])
  assert.equal((await s3('PUT', '/basic/o', { body: 'x' })).status, 503)
  assert.equal((await s3('GET', '/basic')).status, 503)
  assert.equal((await exchange(door.port, 'GET', '/s3/open/pub/x')).text, 'all may read')
  assert.equal(code(await exchange(door.port, 'GET', '/s3/open/priv')), 'AccessDenied')
  await place.restore()
  await door.poll()
  assert.equal((await s3('GET', '/basic/o')).text, 'secret')
})

test('a write that was signed while the plane was there holds though it goes away before the end: listed afterwards, with what came with it', async () => {
  for (const n of [1, 2]) await place.door(n)
  await door.poll()
  const { driver } = place.hosts[0] as Site['hosts'][0]
  const put = driver.put.bind(driver)
  let cut: Promise<void> | null = null
  driver.put = async (...args) => {
    cut ??= place.cut()
    await cut
    return await put(...args)
  }
  try {
    const made = await s3('PUT', '/basic/late', { body: 'in time', headers: { 'x-amz-meta-a': 'b', 'x-amz-checksum-crc32': digestOf('crc32', Buffer.from('in time')) } })
    assert.equal(made.status, 200, made.text)
  } finally {
    driver.put = put
  }
  assert.deepEqual([door.status().online, door.status().pending], [false, 1])
  await place.restore()
  for (let tries = 0; tries < 50 && !door.status().online; tries++) await door.poll()
  assert.deepEqual([door.status().pending, door.status().refused], [0, 0])
  const got = await s3('GET', '/basic/late', { headers: { 'x-amz-checksum-mode': 'ENABLED' } })
  assert.deepEqual([got.text, got.headers['x-amz-meta-a'], got.headers['x-amz-checksum-crc32']], ['in time', 'b', digestOf('crc32', Buffer.from('in time'))])
  assert.ok(xmlTexts((await s3('GET', '/basic', { query: { prefix: 'late' } })).text, 'Key').includes('late'))
})
