/** Uploads in parts: the whole way, what is refused, checksums, copies, listings, what is left behind. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { digestOf } from '../../../schema/values/digests.ts'
import { READER, type S3Cloud, s3Cloud, xmlText, xmlTexts } from './s3-cloud.ts'

const MIB = 1024 * 1024
const md5 = (data: string | Uint8Array) => createHash('md5').update(data).digest('hex')
let cloud: S3Cloud
let now = Date.UTC(2026, 10, 22, 12)
before(async () => {
  cloud = await s3Cloud({ hosts: 3, clock: { now_ms: () => now } })
  await cloud.s3('PUT', '/bucket')
})
after(() => cloud.close())

const part = (n: number, size = 5 * MIB) => new Uint8Array(size).fill(n)
const begin = async (path: string, headers: Record<string, string> = {}) => xmlText((await cloud.s3('POST', path, { query: { uploads: '' }, headers })).text, 'UploadId') ?? ''
const send = async (path: string, id: string, n: number, body: Uint8Array, headers: Record<string, string> = {}) => await cloud.s3('PUT', path, { query: { partNumber: String(n), uploadId: id }, body, headers, payload: 'UNSIGNED-PAYLOAD' })
const completeXml = (parts: [number, string][]) => `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${parts.map(([n, etag]) => `<Part><PartNumber>${n}</PartNumber><ETag>"${etag}"</ETag></Part>`).join('')}</CompleteMultipartUpload>`
const complete = async (path: string, id: string, parts: [number, string][], headers: Record<string, string> = {}) => await cloud.s3('POST', path, { query: { uploadId: id }, body: completeXml(parts), headers })
const segmentsThere = async () => (await cloud.swift('GET', '/bucket%2Bsegments', { token: await cloud.token({ role: 'member' }) })).text.split('\n').filter((line) => line !== '')

test('three parts become one object: S3 and Swift read it, ranges cross its seams', async () => {
  const id = await begin('/bucket/big', { 'content-type': 'text/big', 'x-amz-meta-a': 'b' })
  const parts = [part(1), part(2), new TextEncoder().encode('the end')]
  const etags: [number, string][] = []
  for (const [at, body] of parts.entries()) {
    const answer = await send('/bucket/big', id, at + 1, body)
    assert.equal(answer.headers.get('etag'), `"${md5(body)}"`)
    etags.push([at + 1, md5(body)])
  }
  const listed = await cloud.s3('GET', '/bucket/big', { query: { uploadId: id, 'max-parts': '2' } })
  assert.deepEqual([xmlTexts(listed.text, 'PartNumber'), xmlText(listed.text, 'IsTruncated'), xmlText(listed.text, 'NextPartNumberMarker')], [['1', '2'], 'true', '2'])
  const etag = `${md5(Buffer.from(etags.map(([, one]) => one).join(''), 'hex'))}-3`
  const done = await complete('/bucket/big', id, etags)
  assert.deepEqual([done.status, xmlText(done.text, 'ETag')], [200, `&quot;${etag}&quot;`])
  assert.equal((await complete('/bucket/big', id, etags)).status, 200, 'the same again is answered the same')
  const head = await cloud.s3('HEAD', '/bucket/big')
  assert.deepEqual([head.headers.get('etag'), head.headers.get('content-length'), head.headers.get('content-type'), head.headers.get('x-amz-meta-a')], [`"${etag}"`, String(10 * MIB + 7), 'text/big', 'b'])
  const seam = await cloud.s3('GET', '/bucket/big', { headers: { range: `bytes=${10 * MIB - 2}-${10 * MIB + 2}` } })
  assert.equal(seam.text, '\x02\x02the')
  const second = await cloud.s3('GET', '/bucket/big', { query: { partNumber: '3' } })
  assert.deepEqual([second.status, second.text, second.headers.get('x-amz-mp-parts-count')], [206, 'the end', '3'])
  const row = await cloud.s3('GET', '/bucket', { query: { prefix: 'big' } })
  assert.deepEqual([xmlText(row.text, 'ETag'), xmlText(row.text, 'Size')], [`&quot;${etag}&quot;`, String(10 * MIB + 7)])
  const swift = await cloud.swift('GET', '/bucket/big', { headers: { range: 'bytes=-7' } })
  assert.deepEqual([swift.text, swift.headers.get('x-static-large-object')], ['the end', 'True'])
  assert.equal((await cloud.s3('GET', '/bucket/big', { key: READER, headers: { range: 'bytes=0-0' } })).text, '\x01')
})

test('what does not fit is refused: small, missing, unordered, wrong parts, unknown uploads', async () => {
  const id = await begin('/bucket/refused')
  const [a, b] = [md5(part(1, 10)), md5(part(2, 10))]
  await send('/bucket/refused', id, 1, part(1, 10))
  await send('/bucket/refused', id, 2, part(2, 10))
  const code = async (parts: [number, string][], upload = id) => xmlText((await complete('/bucket/refused', upload, parts)).text, 'Code')
  assert.equal(await code([[1, a], [2, b]]), 'EntityTooSmall')
  assert.equal(await code([[2, b], [1, a]]), 'InvalidPartOrder')
  assert.equal(await code([[1, b]]), 'InvalidPart')
  assert.equal(await code([[3, a]]), 'InvalidPart')
  assert.equal(await code([[1, a]], '0'.repeat(40)), 'NoSuchUpload')
  assert.equal(xmlText((await send('/bucket/refused', 'nonsense', 1, part(1, 1))).text, 'Code'), 'NoSuchUpload')
  assert.equal(xmlText((await send('/bucket/refused', id, 10_001, part(1, 1))).text, 'Code'), 'InvalidArgument')
  assert.equal(xmlText((await cloud.s3('POST', '/bucket/refused', { query: { uploadId: id }, body: '<CompleteMultipartUpload/>' })).text, 'Code'), 'MalformedXML')
  assert.equal((await cloud.s3('DELETE', '/bucket/refused', { query: { uploadId: id } })).status, 204)
  assert.equal(xmlText((await cloud.s3('DELETE', '/bucket/refused', { query: { uploadId: id } })).text, 'Code'), 'NoSuchUpload')
  assert.equal((await segmentsThere()).filter((name) => name.startsWith('refused/')).length, 0)
})

test('checksums of the parts make that of the whole: composite and full', async () => {
  const bodies = [part(7), part(9, 100)]
  const whole = new Uint8Array(Buffer.concat(bodies))
  for (const [algorithm, type] of [['crc32', 'FULL_OBJECT'], ['crc64nvme', 'FULL_OBJECT'], ['crc32c', 'COMPOSITE'], ['sha256', 'COMPOSITE']] as const) {
    const path = `/bucket/sum-${algorithm}`
    const id = await begin(path, { 'x-amz-checksum-algorithm': algorithm.toUpperCase(), 'x-amz-checksum-type': type })
    const etags: [number, string][] = []
    for (const [at, body] of bodies.entries()) {
      const value = digestOf(algorithm, body)
      const answer = await send(path, id, at + 1, body, at === 0 ? { [`x-amz-checksum-${algorithm}`]: value } : {})
      assert.equal(answer.headers.get(`x-amz-checksum-${algorithm}`), value)
      etags.push([at + 1, md5(body)])
    }
    const right = type === 'FULL_OBJECT' ? digestOf(algorithm, whole) : `${digestOf(algorithm, new Uint8Array(Buffer.concat(bodies.map((body) => Buffer.from(digestOf(algorithm, body), 'base64')))))}-2`
    assert.equal(xmlText((await complete(path, id, etags, { [`x-amz-checksum-${algorithm}`]: digestOf(algorithm, part(1, 3)) })).text, 'Code'), 'BadDigest')
    const done = await complete(path, id, etags)
    assert.deepEqual([xmlText(done.text, `Checksum${algorithm.toUpperCase()}`), xmlText(done.text, 'ChecksumType')], [right, type])
    assert.equal((await cloud.s3('HEAD', path, { headers: { 'x-amz-checksum-mode': 'ENABLED' } })).headers.get(`x-amz-checksum-${algorithm}`), right)
  }
  assert.equal(xmlText((await cloud.s3('POST', '/bucket/x', { query: { uploads: '' }, headers: { 'x-amz-checksum-algorithm': 'SHA1', 'x-amz-checksum-type': 'FULL_OBJECT' } })).text, 'Code'), 'InvalidRequest')
})

test('parts may be copied, whole and in ranges', async () => {
  await cloud.s3('PUT', '/bucket/source', { body: part(3, 6 * MIB), payload: 'UNSIGNED-PAYLOAD' })
  const id = await begin('/bucket/copied')
  const copy = async (n: number, headers: Record<string, string>) => xmlText((await cloud.s3('PUT', '/bucket/copied', { query: { partNumber: String(n), uploadId: id }, headers })).text, 'ETag')?.replaceAll('&quot;', '') ?? ''
  const first = await copy(1, { 'x-amz-copy-source': '/bucket/source' })
  const second = await copy(2, { 'x-amz-copy-source': '/bucket/big', 'x-amz-copy-source-range': `bytes=${10 * MIB}-${10 * MIB + 6}` })
  assert.deepEqual([first, second], [md5(part(3, 6 * MIB)), md5('the end')])
  assert.equal((await complete('/bucket/copied', id, [[1, first], [2, second]])).status, 200)
  assert.equal((await cloud.s3('GET', '/bucket/copied', { headers: { range: 'bytes=-8' } })).text, '\x03the end')
  const flat = await cloud.s3('PUT', '/bucket/flat', { headers: { 'x-amz-copy-source': '/bucket/copied' } })
  assert.equal(xmlText(flat.text, 'ETag'), `&quot;${md5(Buffer.concat([part(3, 6 * MIB), Buffer.from('the end')]))}&quot;`)
})

test('uploads that go on are listed by key and beginning, with prefixes folded', async () => {
  await cloud.s3('PUT', '/going')
  for (const key of ['a', 'b/1', 'b/2', 'c']) await begin(`/going/${key}`)
  now += 1_000
  await begin('/going/a')
  const all = await cloud.s3('GET', '/going', { query: { uploads: '' } })
  assert.deepEqual(xmlTexts(all.text, 'Key'), ['a', 'a', 'b/1', 'b/2', 'c'])
  const folded = await cloud.s3('GET', '/going', { query: { uploads: '', delimiter: '/' } })
  assert.deepEqual([xmlTexts(folded.text, 'Key'), xmlTexts(folded.text, 'Prefix')], [['a', 'a', 'c'], ['b/', '']].map((list, at) => (at === 0 ? list : ['', 'b/'])))
  const page = await cloud.s3('GET', '/going', { query: { uploads: '', 'max-uploads': '1' } })
  const [key, id] = [xmlText(page.text, 'NextKeyMarker') ?? '', xmlText(page.text, 'NextUploadIdMarker') ?? '']
  const next = await cloud.s3('GET', '/going', { query: { uploads: '', 'key-marker': key, 'upload-id-marker': id } })
  assert.deepEqual(xmlTexts(next.text, 'Key'), ['a', 'b/1', 'b/2', 'c'])
})

test('segments go an hour after the last row that stands for them: overwritten, deleted, aborted', async () => {
  const upload = async (key: string) => {
    const id = await begin(`/bucket/${key}`)
    await send(`/bucket/${key}`, id, 1, part(5, 1000))
    await complete(`/bucket/${key}`, id, [[1, md5(part(5, 1000))]])
  }
  await upload('over')
  await upload('gone')
  await upload('kept')
  await cloud.s3('PUT', '/bucket/over', { body: 'small' })
  await cloud.s3('DELETE', '/bucket/gone')
  const of = async (key: string) => (await segmentsThere()).filter((name) => name.startsWith(`${key}/`)).length
  assert.deepEqual([await of('over'), await of('gone'), await of('kept')], [1, 1, 1], 'readers in the middle can end')
  now += 3_600_000 + 1
  await cloud.cluster.instance('CONTAINER', 'AUTH_project-a/bucket').alarm()
  assert.deepEqual([await of('over'), await of('gone'), await of('kept')], [0, 0, 1])
  assert.equal((await cloud.s3('GET', '/bucket/kept')).text.length, 1000)
  assert.equal((await cloud.s3('GET', '/bucket/over')).text, 'small')
})

test('a bucket whose listing lies in several objects works the same, and its segments are swept', async () => {
  const large = await s3Cloud({ hosts: 1, clock: { now_ms: () => now } })
  const before = cloud
  cloud = large
  try {
    large.env.OPTIONS = JSON.stringify({ swift: { shard_container_threshold: 10 } })
    await cloud.s3('PUT', '/bucket')
    for (let n = 0; n < 40; n++) await cloud.s3('PUT', `/bucket/k${String(n).padStart(2, '0')}`, { body: 'x' })
    const pieces = () => large.cluster.objects().filter(({ kind, id }) => kind === 'CONTAINER' && id.startsWith('AUTH_project-a/bucket\0'))
    for (let n = 0; n < 50 && pieces().length < 2; n++) {
      now += 5_000
      await cloud.cluster.instance('CONTAINER', 'AUTH_project-a/bucket').alarm()
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    assert.ok(pieces().length >= 2, 'it has parts')
    assert.equal(xmlTexts((await cloud.s3('GET', '/bucket')).text, 'Key').length, 40)
    const id = await begin('/bucket/k20')
    await send('/bucket/k20', id, 1, part(5, 1000))
    assert.equal((await complete('/bucket/k20', id, [[1, md5(part(5, 1000))]], { 'if-none-match': '*' })).status, 412)
    assert.equal((await complete('/bucket/k20', id, [[1, md5(part(5, 1000))]])).status, 200)
    assert.equal((await cloud.s3('PUT', '/bucket/k20', { query: { tagging: '' }, body: '<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>' })).status, 200)
    assert.equal(xmlText((await cloud.s3('GET', '/bucket/k20', { query: { tagging: '' } })).text, 'Value'), 'b')
    assert.equal((await segmentsThere()).length, 1)
    await cloud.s3('PUT', '/bucket/k20', { body: 'small' })
    now += 3_600_000 + 1
    for (const { kind, id: name } of large.cluster.objects()) if (kind === 'CONTAINER' && name.startsWith('AUTH_project-a/bucket')) await large.cluster.instance('CONTAINER', name).alarm()
    assert.equal((await segmentsThere()).length, 0)
  } finally {
    cloud = before
    large.close()
  }
})
