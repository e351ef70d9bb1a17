/** Large objects and archives in their finer points: parts by number, heartbeats, reports, bzip2, reserved headers. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type ObjectCloud, objectCloud } from './cloud.ts'

const md5 = (text: string) => createHash('md5').update(text).digest('hex')
/** a.txt (hello) and dir/big.txt ('skyhook ' 50,000 times), in blocks of 100 kB: made by Python's tarfile and bz2. */
const ARCHIVE = 'QlpoMTFBWSZTWcC6IX0AGKLbgMmAQAH/gAIIduyeYAhIMAC6gaFMIBoaHqAADDIwJpgTIYmjAKVSm1GjagAMjNRmUzdpryxDLHNteTB545MLaMKwciqQFrlNAOETIg8RQAgmKoRQMMDTSFaskDlGCPDWdRx+W/XZnprgVSCz/eJVILpKpBc+jYVSC7iqQX43fZVILLRq3NGr1c5VIL3P8xQVkmU1mToPv1AHoMEYBAAABIiCAgAHAwAKVI3qfIlBaEoLqJQWhKC4iUFzQlBZEoLQlBeMUFZJlNZrRKTlgBJOhGAQAAASIggIABwMAClUZ6n8JQWRKC6iUFoSgvkSgsiUFoSgsiUF4xQVkmU1nvzr5AADDRkYBAAABIiCAgAHAwAKVRnqfolBZEoLsJQWRKC+hKC0JQWRKCyJQXjFBWSZTWZlntVkAAF7RoMAAQAAASIggAAgACCAAUIMmIE1VNB5TQ5yqngZDcDYdBoZD6GVV+LuSKcKEgyCqf5A'
let cloud: ObjectCloud
before(async () => {
  cloud = await objectCloud()
  await cloud.swift('PUT', '/s')
  await cloud.swift('PUT', '/s/1', { body: 'aaaaa' })
  await cloud.swift('PUT', '/s/2', { body: 'bbb' })
  await cloud.swift('PUT', '/s/empty', { body: '' })
})
after(() => cloud.close())

const manifest = (path: string, entries: unknown[], query = '', headers: Record<string, string> = {}) => cloud.swift('PUT', `${path}?multipart-manifest=put${query}`, { body: JSON.stringify(entries), headers })

test('a static large object is read part by part', async () => {
  assert.equal((await manifest('/s/all', [{ path: 's/1' }, { data: 'ISE=' }, { path: 's/2', range: '1-' }, { path: 's/empty' }])).status, 201)
  assert.equal((await cloud.swift('GET', '/s/all')).text, 'aaaaa!!bb')
  const parts: string[] = []
  for (const part of [1, 2, 3, 4]) {
    const got = await cloud.swift('GET', `/s/all?part-number=${part}`)
    assert.deepEqual([got.status, got.headers.get('x-parts-count'), got.headers.get('content-length')], [206, '4', String(got.text.length)])
    parts.push(got.text)
  }
  assert.deepEqual(parts, ['aaaaa', '!!', 'bb', ''])
  const head = await cloud.swift('HEAD', '/s/all?part-number=3')
  assert.deepEqual([head.status, head.headers.get('content-length'), head.headers.get('content-range')], [206, '2', 'bytes 7-8/9'])
  const beyond = await cloud.swift('GET', '/s/all?part-number=5')
  assert.deepEqual([beyond.status, beyond.headers.get('content-range'), beyond.headers.get('x-parts-count')], [416, 'bytes */9', '4'])
  for (const bad of ['0', '-1', 'x']) assert.equal((await cloud.swift('GET', `/s/all?part-number=${bad}`)).status, 400, bad)
  assert.equal((await cloud.swift('GET', '/s/all?part-number=1', { headers: { range: 'bytes=0-1' } })).status, 400)
  assert.equal((await cloud.swift('GET', '/s/1?part-number=9')).text, 'aaaaa', 'a plain object has no parts')
  assert.equal((await manifest('/s/none', [{ path: 's/empty' }, { path: 's/1' }])).status, 400, 'only the last segment may be empty')
})

test('with heartbeat the answer comes at once and the outcome in its body', async () => {
  const good = await manifest('/s/beat', [{ path: 's/1' }], '&heartbeat=on', { accept: 'application/json' })
  assert.equal(good.status, 202)
  const report = JSON.parse(good.text.trim()) as Record<string, unknown>
  assert.deepEqual([report['Response Status'], report.Etag, report.Errors], ['201 Created', `"${md5(md5('aaaaa'))}"`, []])
  assert.ok(/^ +\r\n\r\n\{/.test(good.text))
  assert.equal((await cloud.swift('GET', '/s/beat')).text, 'aaaaa')
  const bad = await manifest('/s/beat2', [{ path: 's/1', etag: md5('x') }], '&heartbeat=on')
  assert.equal(bad.status, 202)
  assert.match(bad.text, /Response Status: 400 Bad Request\nErrors:\ns\/1, Etag Mismatch\n/)
  const wrong = await manifest('/s/beat2', [{ path: 's/1' }], '&heartbeat=on', { etag: md5('x') })
  assert.match(wrong.text, /Response Status: 422 Unprocessable Entity/)
  assert.equal((await cloud.swift('HEAD', '/s/beat2')).status, 404)
  const xml = await manifest('/s/beat2', [{ path: 's/<&', etag: md5('x') }], '', { accept: 'text/xml' })
  assert.deepEqual([xml.status, xml.text.includes('<name>s/&lt;&amp;</name><status>404 Not Found</status>'), xml.text.startsWith('<upload>')], [400, true, true])
})

test('an archive of bzip2 is taken apart, a broken one refused with what was read', async () => {
  const bytes = Buffer.from(ARCHIVE, 'base64')
  const put = await cloud.swift('PUT', '/bz?extract-archive=tar.bz2', { body: bytes, headers: { accept: 'application/json' } })
  await cloud.swift('PUT', '/bz')
  const again = await cloud.swift('PUT', '/bz?extract-archive=tar.bz2', { body: bytes, headers: { accept: 'application/json' } })
  assert.deepEqual([put.body['Response Status'], again.body['Response Status'], again.body['Number Files Created']], ['400 Bad Request', '201 Created', 2])
  assert.equal((await cloud.swift('GET', '/bz/a.txt')).text, 'hello')
  assert.equal((await cloud.swift('HEAD', '/bz/dir/big.txt')).headers.get('etag'), md5('skyhook '.repeat(50_000)))
  const one = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte))
      controller.close()
    },
  })
  assert.equal((await cloud.swift('PUT', '/bz?extract-archive=tar.bz2', { body: one, headers: { accept: 'application/json' } })).body['Number Files Created'], 2, 'byte by byte')
  const flipped = Uint8Array.from(bytes)
  flipped[100] = (flipped[100] ?? 0) ^ 1
  for (const broken of [bytes.subarray(0, bytes.byteLength - 20), bytes.subarray(0, 40), flipped, Buffer.from('BZh9nonsense'), Buffer.alloc(0)]) {
    const answer = await cloud.swift('PUT', '/bz?extract-archive=tar.bz2', { body: broken, headers: { accept: 'application/json' } })
    assert.deepEqual([answer.status, answer.body['Response Status']], [200, '400 Bad Request'], String(broken.byteLength))
  }
})

test('reserved and contradictory headers', async () => {
  assert.equal((await cloud.swift('PUT', '/s/fake', { body: 'x', headers: { 'x-static-large-object': 'true' } })).status, 400)
  assert.equal((await manifest('/s/fake', [{ path: 's/1' }], '', { 'x-copy-from': 's/1' })).status, 405)
  await manifest('/s/deep', [{ path: 's/1' }, { path: 's/2' }])
  await cloud.swift('PUT', '/old', { headers: { 'x-versions-enabled': 'true' } })
  const id = (await manifest('/old/m', [{ path: 's/1' }, { path: 's/2' }])).headers.get('x-object-version-id') ?? ''
  await cloud.swift('PUT', '/old/m', { body: 'newer' })
  const gone = await cloud.swift('DELETE', `/old/m?multipart-manifest=delete&version-id=${id}`, { headers: { accept: 'application/json' } })
  assert.equal(gone.body['Number Deleted'], 3)
  assert.deepEqual([(await cloud.swift('GET', '/old/m')).text, (await cloud.swift('GET', '/s/1')).status], ['newer', 404])
})
