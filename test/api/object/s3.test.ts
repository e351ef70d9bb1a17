/** S3 over the same containers as Swift: signatures, buckets, objects, listings. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { digestOf } from '../../../schema/values/digests.ts'
import { sha256Hex } from '../../../workers/http/sigv4.ts'
import { ENCRYPTED } from './cloud.ts'
import { MEMBER, OTHER, READER, type S3Cloud, s3Cloud, signedChunks, xmlText, xmlTexts } from './s3-cloud.ts'

const md5 = (data: string | Uint8Array) => createHash('md5').update(data).digest('hex')
const bytes = (text: string) => new TextEncoder().encode(text)
let cloud: S3Cloud
let now = Date.UTC(2026, 10, 22, 12)
before(async () => {
  cloud = await s3Cloud({ hosts: 3, clock: { now_ms: () => now } })
  assert.equal((await cloud.s3('PUT', '/basic')).status, 200)
})
after(() => cloud.close())

test('a bucket is made, listed, looked at and deleted; a container is the same thing', async () => {
  assert.equal((await cloud.s3('PUT', '/made')).headers.get('location'), '/made')
  assert.equal((await cloud.swift('HEAD', '/made')).status, 204)
  assert.equal(xmlText((await cloud.s3('PUT', '/made')).text, 'Code'), 'BucketAlreadyOwnedByYou')
  const list = await cloud.s3('GET', '/')
  assert.ok(xmlTexts(list.text, 'Name').includes('made'))
  assert.equal(xmlText(list.text, 'ID'), 'project-a')
  assert.equal((await cloud.s3('HEAD', '/made')).status, 200)
  assert.match((await cloud.s3('GET', '/made', { query: { location: '' } })).text, /<LocationConstraint xmlns="[^"]+"\/>/)
  await cloud.s3('PUT', '/made/x', { body: 'x' })
  assert.equal(xmlText((await cloud.s3('DELETE', '/made')).text, 'Code'), 'BucketNotEmpty')
  assert.equal((await cloud.s3('DELETE', '/made/x')).status, 204)
  assert.equal((await cloud.s3('DELETE', '/made')).status, 204)
  assert.equal((await cloud.s3('HEAD', '/made')).status, 404)
  assert.equal(xmlText((await cloud.s3('GET', '/made')).text, 'Code'), 'NoSuchBucket')
  for (const bad of ['/ab', '/UPPER', '/a..b', '/10.0.0.1']) assert.equal(xmlText((await cloud.s3('PUT', bad)).text, 'Code'), 'InvalidBucketName', bad)
})

test('an object is written, read, ranged, described and deleted; Swift sees it', async () => {
  const put = await cloud.s3('PUT', '/basic/dir/a%20b%2Bc', { body: 'hello world', headers: { 'content-type': 'text/plain', 'x-amz-meta-color': 'blue', 'cache-control': 'no-store', 'x-amz-tagging': 'k=v&n=1' } })
  assert.deepEqual([put.status, put.headers.get('etag')], [200, `"${md5('hello world')}"`])
  const got = await cloud.s3('GET', '/basic/dir/a%20b%2Bc')
  assert.deepEqual([got.text, got.headers.get('content-type'), got.headers.get('x-amz-meta-color'), got.headers.get('cache-control')], ['hello world', 'text/plain', 'blue', 'no-store'])
  assert.ok(got.headers.get('x-amz-request-id'))
  const part = await cloud.s3('GET', '/basic/dir/a%20b%2Bc', { headers: { range: 'bytes=6-' } })
  assert.deepEqual([part.status, part.text, part.headers.get('content-range')], [206, 'world', 'bytes 6-10/11'])
  assert.equal(xmlText((await cloud.s3('GET', '/basic/dir/a%20b%2Bc', { headers: { range: 'bytes=11-' } })).text, 'Code'), 'InvalidRange')
  const head = await cloud.s3('HEAD', '/basic/dir/a%20b%2Bc')
  assert.deepEqual([head.status, head.headers.get('content-length'), head.text], [200, '11', ''])
  const swift = await cloud.swift('GET', '/basic/dir/a%20b%2Bc')
  assert.deepEqual([swift.text, swift.headers.get('x-object-meta-color')], ['hello world', 'blue'])
  const as = await cloud.s3('GET', '/basic/dir/a%20b%2Bc', { query: { 'response-content-type': 'image/png', 'response-content-disposition': 'attachment' } })
  assert.deepEqual([as.headers.get('content-type'), as.headers.get('content-disposition')], ['image/png', 'attachment'])
  assert.equal((await cloud.s3('DELETE', '/basic/dir/a%20b%2Bc')).status, 204)
  assert.equal((await cloud.s3('DELETE', '/basic/dir/a%20b%2Bc')).status, 204)
  assert.equal(xmlText((await cloud.s3('GET', '/basic/dir/a%20b%2Bc')).text, 'Code'), 'NoSuchKey')
  assert.equal((await cloud.s3('HEAD', '/basic/nothing')).status, 404)
  assert.equal((await cloud.s3('PUT', '/basic/empty', { body: '' })).headers.get('etag'), `"${md5('')}"`)
  assert.equal((await cloud.s3('GET', '/basic/empty')).text, '')
})

test('keys hold anything, as they are: slashes, quotes, XML, other scripts (S38)', async () => {
  await cloud.s3('PUT', '/names')
  const keys = ['//double', 'tr/', '<&>"\'', 'ключ/🗝', 'a+b c%d', 'line\nbreak', 'semi;colon?x=1#f']
  const path = (key: string) => `/names/${encodeURIComponent(key).replace(/%2F/g, '/').replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)}`
  for (const key of keys) assert.equal((await cloud.s3('PUT', path(key), { body: key })).status, 200, key)
  for (const key of keys) assert.equal((await cloud.s3('GET', path(key))).text, key, key)
  const listed = await cloud.s3('GET', '/names', { query: { 'list-type': '2', 'encoding-type': 'url' } })
  assert.deepEqual(xmlTexts(listed.text, 'Key').map(decodeURIComponent).sort(), [...keys].sort())
  const plain = await cloud.s3('GET', '/names', { query: { prefix: '<' } })
  assert.equal(xmlText(plain.text, 'Key'), '&lt;&amp;&gt;&quot;\'')
})

test('listings: both versions, prefixes, delimiters, pages', async () => {
  await cloud.s3('PUT', '/list')
  for (const key of ['a', 'b/1', 'b/2', 'c/d/e', 'f']) await cloud.s3('PUT', `/list/${key}`, { body: key })
  const v1 = await cloud.s3('GET', '/list', { query: { delimiter: '/' } })
  assert.deepEqual([xmlTexts(v1.text, 'Key'), xmlTexts(v1.text, 'Prefix')], [['a', 'f'], ['', 'b/', 'c/']])
  const first = await cloud.s3('GET', '/list', { query: { delimiter: '/', 'max-keys': '2' } })
  assert.deepEqual([xmlText(first.text, 'IsTruncated'), xmlText(first.text, 'NextMarker')], ['true', 'b/'])
  const second = await cloud.s3('GET', '/list', { query: { delimiter: '/', 'max-keys': '2', marker: 'b/' } })
  assert.deepEqual([xmlText(second.text, 'IsTruncated'), xmlTexts(second.text, 'Key'), xmlTexts(second.text, 'Prefix')], ['false', ['f'], ['', 'c/']])
  const keys: string[] = []
  let token: string | undefined
  do {
    const page = await cloud.s3('GET', '/list', { query: { 'list-type': '2', 'max-keys': '2', ...(token === undefined ? {} : { 'continuation-token': token }) } })
    keys.push(...xmlTexts(page.text, 'Key'))
    token = xmlText(page.text, 'NextContinuationToken')
  } while (token !== undefined)
  assert.deepEqual(keys, ['a', 'b/1', 'b/2', 'c/d/e', 'f'])
  const after = await cloud.s3('GET', '/list', { query: { 'list-type': '2', 'start-after': 'b/1', 'fetch-owner': 'true' } })
  assert.deepEqual([xmlTexts(after.text, 'Key'), xmlText(after.text, 'KeyCount'), xmlText(after.text, 'DisplayName')], [['b/2', 'c/d/e', 'f'], '3', 'project-a'])
  assert.deepEqual(xmlTexts((await cloud.s3('GET', '/list', { query: { 'max-keys': '0' } })).text, 'IsTruncated'), ['false'])
  assert.equal(xmlText((await cloud.s3('GET', '/list', { query: { 'max-keys': 'x' } })).text, 'Code'), 'InvalidArgument')
  assert.equal(xmlText(v1.text, 'ETag'), `&quot;${md5('a')}&quot;`)
})

test('conditions of reads and writes; two writers that ask for the same, one gets it', async () => {
  const etag = (await cloud.s3('PUT', '/basic/cond', { body: 'one' })).headers.get('etag') ?? ''
  const status = async (method: string, headers: Record<string, string>, body?: string) => (await cloud.s3(method, '/basic/cond', { headers, ...(body === undefined ? {} : { body }) })).status
  assert.equal(await status('GET', { 'if-match': etag }), 200)
  assert.equal(await status('GET', { 'if-match': '"other"' }), 412)
  assert.equal(await status('GET', { 'if-none-match': etag }), 304)
  assert.equal(await status('GET', { 'if-modified-since': new Date(now + 60_000).toUTCString() }), 304)
  assert.equal(await status('GET', { 'if-unmodified-since': new Date(now - 60_000).toUTCString() }), 412)
  assert.equal(await status('PUT', { 'if-none-match': '*' }, 'two'), 412)
  assert.equal(await status('PUT', { 'if-match': '"other"' }, 'two'), 412)
  assert.equal(await status('PUT', { 'if-match': etag }, 'two'), 200)
  assert.equal((await cloud.s3('PUT', '/basic/absent', { headers: { 'if-match': '"x"' }, body: 'x' })).status, 404)
  const both = await Promise.all([1, 2, 3, 4].map((n) => cloud.s3('PUT', '/basic/race', { headers: { 'if-none-match': '*' }, body: `writer ${n}` })))
  assert.deepEqual(both.map((answer) => answer.status).sort(), [200, 409, 409, 409])
  assert.equal((await cloud.s3('PUT', '/basic/race', { headers: { 'if-none-match': '*' }, body: 'late' })).status, 412)
})

test('hashes of the body are held to: signed, Content-MD5, and every checksum', async () => {
  const code = async (headers: Record<string, string>, payload?: string) => xmlText((await cloud.s3('PUT', '/basic/hash', { body: 'body', headers, ...(payload === undefined ? {} : { payload }) })).text, 'Code')
  assert.equal(await code({}, sha256Hex('another body')), 'XAmzContentSHA256Mismatch')
  assert.equal(await code({ 'content-md5': Buffer.from(md5('other'), 'hex').toString('base64') }), 'BadDigest')
  assert.equal(await code({ 'content-md5': 'nonsense' }), 'InvalidDigest')
  assert.equal((await cloud.s3('HEAD', '/basic/hash')).status, 404)
  for (const algorithm of ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'] as const) {
    const value = digestOf(algorithm, bytes('body'))
    assert.equal(await code({ [`x-amz-checksum-${algorithm}`]: digestOf(algorithm, bytes('other')) }), 'BadDigest', algorithm)
    const put = await cloud.s3('PUT', '/basic/hash', { body: 'body', headers: { [`x-amz-checksum-${algorithm}`]: value }, payload: 'UNSIGNED-PAYLOAD' })
    assert.deepEqual([put.status, put.headers.get(`x-amz-checksum-${algorithm}`)], [200, value])
    const got = await cloud.s3('GET', '/basic/hash', { headers: { 'x-amz-checksum-mode': 'ENABLED' } })
    assert.deepEqual([got.headers.get(`x-amz-checksum-${algorithm}`), got.headers.get('x-amz-checksum-type')], [value, 'FULL_OBJECT'])
    const attributes = await cloud.s3('GET', '/basic/hash', { query: { attributes: '' }, headers: { 'x-amz-object-attributes': 'ETag,Checksum,ObjectSize' } })
    assert.deepEqual([xmlText(attributes.text, `Checksum${algorithm.toUpperCase()}`), xmlText(attributes.text, 'ObjectSize'), xmlText(attributes.text, 'ETag')], [value, '4', md5('body')])
  }
  assert.equal(await code({ 'x-amz-checksum-crc32': 'AAAA' }), 'InvalidRequest')
})

test('bodies in chunks: signed, with a trailer, and unsigned with a trailer; a spoilt one leaves nothing', async () => {
  const data = bytes('0123456789'.repeat(30_000))
  const put = async (path: string, options: Parameters<typeof signedChunks>[3]) => {
    const { headers, body } = signedChunks('PUT', path, data, options)
    return await cloud.call('PUT', path, { headers: { ...headers, 'content-length': String(body.byteLength) }, body: body as never })
  }
  assert.equal((await put('/basic/chunked', { chunk: 65_536, at_ms: now })).headers.get('etag'), `"${md5(data)}"`)
  const got = await cloud.s3('GET', '/basic/chunked')
  assert.deepEqual([md5(got.text), got.headers.get('content-encoding')], [md5(data), null])
  assert.equal(xmlText((await put('/basic/spoilt', { chunk: 65_536, at_ms: now, spoil: true })).text, 'Code'), 'SignatureDoesNotMatch')
  assert.equal((await cloud.s3('HEAD', '/basic/spoilt')).status, 404)
  const right = digestOf('crc32c', data)
  const signed = await put('/basic/trailed', { chunk: 70_000, at_ms: now, trailer: ['x-amz-checksum-crc32c', right] })
  assert.deepEqual([signed.status, signed.headers.get('x-amz-checksum-crc32c')], [200, right])
  assert.equal(xmlText((await put('/basic/wrong', { chunk: 70_000, at_ms: now, trailer: ['x-amz-checksum-crc32c', digestOf('crc32c', bytes('x'))] })).text, 'Code'), 'BadDigest')
  const unsigned = (sum: string, cut = false) => Buffer.from(`5\r\nhello\r\n6\r\n world\r\n${cut ? '' : `0\r\nx-amz-checksum-crc64nvme:${sum}\r\n\r\n`}`)
  const send = async (body: Buffer) => await cloud.s3('PUT', '/basic/unsigned', { body: new Uint8Array(body), payload: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', headers: { 'content-encoding': 'aws-chunked', 'x-amz-decoded-content-length': '11', 'x-amz-trailer': 'x-amz-checksum-crc64nvme' } })
  assert.equal(xmlText((await send(unsigned(digestOf('crc64nvme', bytes('other'))))).text, 'Code'), 'BadDigest')
  assert.equal(xmlText((await send(unsigned('', true))).text, 'Code'), 'IncompleteBody')
  assert.equal((await send(unsigned(digestOf('crc64nvme', bytes('hello world'))))).status, 200)
  assert.equal((await cloud.s3('GET', '/basic/unsigned')).text, 'hello world')
})

test('S17: old requests, clocks that are off, expired and overlong URLs, and changed ones are refused', async () => {
  await cloud.s3('PUT', '/basic/s17', { body: 'x' })
  const code = async (path: string, options: Parameters<S3Cloud['s3']>[2]) => xmlText((await cloud.s3('GET', path, options)).text, 'Code')
  assert.equal(await code('/basic/s17', { at_ms: now - 16 * 60_000 }), 'RequestTimeTooSkewed')
  assert.equal(await code('/basic/s17', { at_ms: now + 16 * 60_000 }), 'RequestTimeTooSkewed')
  assert.equal(await code('/basic/s17', { at_ms: now - 16 * 60_000, v2: true }), 'RequestTimeTooSkewed')
  const url = cloud.presign('GET', '/basic/s17', { expires_s: 60 })
  assert.equal((await cloud.raw('GET', url)).text, 'x')
  assert.equal((await cloud.raw('PUT', url, { body: 'y' })).status, 403)
  assert.equal(xmlText((await cloud.raw('GET', url.replace('/s17', '/chunked'))).text, 'Code'), 'SignatureDoesNotMatch')
  assert.equal(xmlText((await cloud.raw('GET', url, { headers: { 'x-amz-acl': 'public-read' } })).text, 'Code'), 'AccessDenied')
  now += 61_000
  assert.equal(xmlText((await cloud.raw('GET', url)).text, 'Message'), 'Request has expired')
  assert.equal(xmlText((await cloud.raw('GET', cloud.presign('GET', '/basic/s17', { expires_s: 604_801 }))).text, 'Code'), 'AuthorizationQueryParametersError')
})

test('S16: only signatures let in, never tokens: version 2, unknown keys, wrong secrets, other services, missing hashes', async () => {
  assert.equal((await cloud.s3('PUT', '/basic/v2', { v2: true, body: 'two', headers: { 'content-type': 'text/plain' } })).status, 200)
  assert.equal((await cloud.s3('GET', '/basic/v2', { v2: true })).text, 'two')
  assert.equal(xmlText((await cloud.s3('GET', '/basic', { v2: true, query: { acl: '' } })).text, 'Permission'), 'FULL_CONTROL')
  const code = async (options: Parameters<S3Cloud['s3']>[2]) => xmlText((await cloud.s3('GET', '/basic/v2', options)).text, 'Code')
  assert.equal(await code({ key: { ...MEMBER, access: 'UNKNOWN' } }), 'InvalidAccessKeyId')
  assert.equal(await code({ key: { ...MEMBER, secret: 'wrong' } }), 'SignatureDoesNotMatch')
  assert.equal(await code({ key: { ...MEMBER, secret: 'wrong' }, v2: true }), 'SignatureDoesNotMatch')
  assert.equal((await cloud.s3('GET', '/basic/v2', { key: null })).status, 404, 'without a signature the root is no S3')
  assert.equal(xmlText((await cloud.s3('GET', '/s3/basic/v2', { key: null })).text, 'Code'), 'AccessDenied')
  assert.equal((await cloud.s3('GET', '/s3/basic/v2')).text, 'two')
  assert.equal((await cloud.call('GET', '/s3/basic/v2', { token: await cloud.token({ role: 'member' }) })).status, 403, 'tokens are not for S3')
})

test('roles and projects: readers read, strangers get nothing', async () => {
  await cloud.s3('PUT', '/basic/mine', { body: 'mine' })
  assert.equal((await cloud.s3('GET', '/basic/mine', { key: READER })).text, 'mine')
  assert.equal((await cloud.s3('PUT', '/basic/theirs', { key: READER, body: 'x' })).status, 403)
  assert.equal((await cloud.s3('DELETE', '/basic/mine', { key: READER })).status, 403)
  assert.equal((await cloud.s3('PUT', '/readers-own', { key: READER })).status, 403)
  for (const [method, path] of [['GET', '/basic'], ['GET', '/basic/mine'], ['PUT', '/basic/theirs'], ['DELETE', '/basic/mine'], ['DELETE', '/basic']] as const) assert.equal((await cloud.s3(method, path, { key: OTHER, ...(method === 'PUT' ? { body: 'x' } : {}) })).status, 403, `${method} ${path}`)
  assert.equal((await cloud.s3('PUT', '/basic', { key: OTHER })).status, 200, 'another project has its own bucket of the name')
  assert.deepEqual(xmlTexts((await cloud.s3('GET', '/basic', { key: OTHER })).text, 'Key'), [])
  assert.equal((await cloud.s3('GET', '/project-a:basic/mine', { key: OTHER })).status, 403)
  assert.equal((await cloud.s3('HEAD', '/basic', { headers: { 'x-amz-expected-bucket-owner': 'project-b' } })).status, 403)
})

test('copies: with the metadata or without, on conditions, onto itself only with a change', async () => {
  await cloud.s3('PUT', '/basic/src%20x', { body: 'source', headers: { 'content-type': 'text/x', 'x-amz-meta-a': '1', 'x-amz-tagging': 't=1' } })
  const copied = await cloud.s3('PUT', '/basic/dst', { headers: { 'x-amz-copy-source': '/basic/src%20x', 'x-amz-checksum-algorithm': 'SHA256' } })
  assert.deepEqual([copied.status, xmlText(copied.text, 'ETag'), xmlText(copied.text, 'ChecksumSHA256')], [200, `&quot;${md5('source')}&quot;`, digestOf('sha256', bytes('source'))])
  const got = await cloud.s3('GET', '/basic/dst')
  assert.deepEqual([got.text, got.headers.get('content-type'), got.headers.get('x-amz-meta-a')], ['source', 'text/x', '1'])
  assert.equal(xmlText((await cloud.s3('GET', '/basic/dst', { query: { tagging: '' } })).text, 'Value'), '1')
  await cloud.s3('PUT', '/basic/dst', { headers: { 'x-amz-copy-source': 'basic/src%20x', 'x-amz-metadata-directive': 'REPLACE', 'x-amz-meta-b': '2' } })
  const replaced = await cloud.s3('HEAD', '/basic/dst')
  assert.deepEqual([replaced.headers.get('x-amz-meta-a'), replaced.headers.get('x-amz-meta-b')], [null, '2'])
  const code = async (headers: Record<string, string>, path = '/basic/dst') => xmlText((await cloud.s3('PUT', path, { headers })).text, 'Code')
  assert.equal(await code({ 'x-amz-copy-source': '/basic/dst' }), 'InvalidRequest')
  assert.equal(await code({ 'x-amz-copy-source': '/basic/none' }), 'NoSuchKey')
  assert.equal(await code({ 'x-amz-copy-source': 'nonsense' }), 'InvalidArgument')
  assert.equal(await code({ 'x-amz-copy-source': '/basic/dst', 'x-amz-copy-source-if-match': '"no"' }, '/basic/d2'), 'PreconditionFailed')
  assert.equal(await code({ 'x-amz-copy-source': '/basic/dst' }, '/list/copy'), undefined)
})

test('many are deleted at once, and what was wrong is said of each', async () => {
  await cloud.s3('PUT', '/many')
  for (let n = 0; n < 12; n++) await cloud.s3('PUT', `/many/k${n}`, { body: String(n) })
  const body = `<Delete>${Array.from({ length: 12 }, (_, n) => `<Object><Key>k${n}</Key></Object>`).join('')}<Object><Key>missing</Key></Object></Delete>`
  assert.equal(xmlText((await cloud.s3('POST', '/many', { query: { delete: '' }, body })).text, 'Code'), 'InvalidRequest')
  const headers = { 'content-md5': createHash('md5').update(body).digest('base64') }
  const refused = await cloud.s3('POST', '/many', { query: { delete: '' }, body, headers, key: READER })
  assert.deepEqual([refused.status, new Set(xmlTexts(refused.text, 'Code'))], [200, new Set(['AccessDenied'])])
  const done = await cloud.s3('POST', '/many', { query: { delete: '' }, body, headers })
  assert.equal(xmlTexts(done.text, 'Key').length, 13)
  assert.deepEqual(xmlTexts((await cloud.s3('GET', '/many')).text, 'Key'), [])
  assert.equal(xmlText((await cloud.s3('POST', '/many', { query: { delete: '' }, body: body.replace('k1', 'k2'), headers })).text, 'Code'), 'BadDigest')
})

test('what is not there is refused by its name', async () => {
  const code = async (method: string, path: string, query: Record<string, string>, headers: Record<string, string> = {}) => {
    const answer = await cloud.s3(method, path, { query, headers })
    return [answer.status, xmlText(answer.text, 'Code'), xmlText(answer.text, 'Message')?.includes(Object.keys(query)[0] ?? Object.keys(headers)[0] ?? '')]
  }
  for (const name of ['replication', 'website', 'logging', 'notification', ...(ENCRYPTED ? [] : ['encryption']), 'publicAccessBlock']) assert.deepEqual(await code('PUT', '/basic', { [name]: '' }), [501, 'NotImplemented', true], name)
  assert.deepEqual(await code('GET', '/basic', { inventory: '', id: 'x' }), [501, 'NotImplemented', true])
  assert.deepEqual(await code('PUT', '/basic/sse', {}, { 'x-amz-server-side-encryption': ENCRYPTED ? 'aws:kms' : 'AES256' }), [501, 'NotImplemented', true])
  assert.deepEqual((await code('PUT', '/basic/sc', {}, { 'x-amz-storage-class': 'GLACIER' }))[1], 'InvalidStorageClass')
  if (!ENCRYPTED) assert.deepEqual((await code('GET', '/basic', { encryption: '' })).slice(0, 2), [404, 'ServerSideEncryptionConfigurationNotFoundError'])
  assert.equal((await cloud.s3('PATCH', '/basic/x')).status, 405)
})

test('hosts name buckets where OPTIONS say so; a region is held to where it is named', async () => {
  const before = cloud.env.OPTIONS
  const other = await s3Cloud({ hosts: 1, clock: { now_ms: () => now } })
  try {
    other.env.OPTIONS = JSON.stringify({ s3: { domains: ['s3.test'], region: 'RegionOne' } })
    const host = (name: string) => ({ origin: `http://${name}`, headers: { host: name }, region: 'RegionOne' })
    assert.equal((await other.s3('PUT', '/', { ...host('vhost.s3.test'), headers: { host: 'vhost.s3.test', 'x-amz-acl': 'public-read' } })).status, 200)
    assert.equal((await other.s3('PUT', '/identity/key', { ...host('vhost.s3.test'), body: 'by host' })).status, 200)
    assert.equal((await other.s3('GET', '/vhost/identity/key', host('s3.test'))).text, 'by host')
    assert.equal((await other.raw('GET', '/identity/key', { headers: { host: 'vhost.s3.test' } })).text, 'by host', 'a public object, without a signature')
    assert.equal((await other.s3('GET', '/vhost', { ...host('s3.test'), query: { location: '' } })).text.includes('RegionOne'), true)
    const wrong = await other.s3('GET', '/vhost', { ...host('s3.test'), region: 'us-east-1' })
    assert.deepEqual([xmlText(wrong.text, 'Code'), xmlText(wrong.text, 'Region')], ['AuthorizationHeaderMalformed', 'RegionOne'])
  } finally {
    other.close()
  }
  assert.equal(cloud.env.OPTIONS, before)
})

test('quotas hold for both dialects, and for parts', async () => {
  await cloud.s3('PUT', '/quota')
  await cloud.swift('POST', '/quota', { headers: { 'x-container-meta-quota-bytes': '10' }, token: await cloud.token({ role: 'member' }) })
  now += 2_000
  assert.equal((await cloud.s3('PUT', '/quota/a', { body: '12345' })).status, 200)
  assert.equal(xmlText((await cloud.s3('PUT', '/quota/b', { body: '1234567' })).text, 'Code'), 'QuotaExceeded')
  const id = xmlText((await cloud.s3('POST', '/quota/c', { query: { uploads: '' } })).text, 'UploadId') ?? ''
  const part = await cloud.s3('PUT', '/quota/c', { query: { partNumber: '1', uploadId: id }, body: '1234567' })
  assert.equal(part.status, 200)
  const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${md5('1234567')}</ETag></Part></CompleteMultipartUpload>`
  assert.equal(xmlText((await cloud.s3('POST', '/quota/c', { query: { uploadId: id }, body })).text, 'Code'), 'QuotaExceeded')
})

test('S37: readers that go away in the middle of an object in parts leave no stream open', async () => {
  await cloud.s3('PUT', '/leaks')
  const id = xmlText((await cloud.s3('POST', '/leaks/big', { query: { uploads: '' } })).text, 'UploadId') ?? ''
  const piece = new Uint8Array(5 * 1024 * 1024).fill(65)
  for (const n of ['1', '2']) await cloud.s3('PUT', '/leaks/big', { query: { partNumber: n, uploadId: id }, body: piece, payload: 'UNSIGNED-PAYLOAD' })
  const etag = md5(piece)
  assert.equal((await cloud.s3('POST', '/leaks/big', { query: { uploadId: id }, body: `<CompleteMultipartUpload>${['1', '2'].map((n) => `<Part><PartNumber>${n}</PartNumber><ETag>${etag}</ETag></Part>`).join('')}</CompleteMultipartUpload>` })).status, 200)
  const host = cloud.cluster.instance('HOST', 'host-0')
  const proto = Object.getPrototypeOf(host) as { objectGet(args: unknown): { head: unknown; body: ReadableStream } }
  const plain = proto.objectGet
  let [open, served] = [0, 0]
  proto.objectGet = async function (this: unknown, args: unknown) {
    const { head, body } = (await plain.call(this, args)) as { head: unknown; body: ReadableStream<Uint8Array> }
    open++
    served++
    const reader = body.getReader()
    const counted = new ReadableStream({
      type: 'bytes',
      async pull(controller) {
        const { done, value } = await reader.read()
        if (done) {
          open--
          controller.close()
        } else controller.enqueue(value.slice() as never)
      },
      async cancel(why) {
        open--
        await reader.cancel(why)
      },
    })
    return { head, body: counted }
  } as never
  try {
    const { default: worker } = await import('../../../workers/index.ts')
    for (let n = 0; n < 60; n++) {
      const response = await worker.fetch(new Request(`http://cloud.test${cloud.presign('GET', '/leaks/big')}`) as never, cloud.env, { waitUntil: () => {} })
      const reader = response.body?.getReader()
      await reader?.read()
      await reader?.cancel()
    }
    for (let wait = 0; open > 0 && wait < 100; wait++) await new Promise((resolve) => setTimeout(resolve, 20))
    assert.ok(served >= 60)
    assert.equal(open, 0)
  } finally {
    proto.objectGet = plain
  }
})
