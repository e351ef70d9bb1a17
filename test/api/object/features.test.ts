/** Large objects, versions, signatures, quotas, expiry, archives, sites: what stands on top of plain objects. */
import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { ACCOUNT, type ObjectCloud, ROOT, objectCloud } from './cloud.ts'

const md5 = (text: string) => createHash('md5').update(text).digest('hex')
let cloud: ObjectCloud
let now = Date.now()
before(async () => {
  cloud = await objectCloud({ clock: { now_ms: () => now } })
})
after(() => cloud.close())

test('a dynamic large object is its segments in order', async () => {
  await cloud.swift('PUT', '/dlo')
  for (const n of [1, 2, 3]) await cloud.swift('PUT', `/dlo/seg/${n}`, { body: `part${n}` })
  assert.equal((await cloud.swift('PUT', '/dlo/all', { headers: { 'x-object-manifest': 'dlo/seg/', 'content-length': '0' } })).status, 201)
  const got = await cloud.swift('GET', '/dlo/all')
  assert.equal(got.text, 'part1part2part3')
  assert.equal(got.headers.get('content-length'), '15')
  assert.equal(got.headers.get('etag'), `"${md5(['part1', 'part2', 'part3'].map(md5).join(''))}"`)
  assert.equal((await cloud.swift('GET', '/dlo/all', { headers: { range: 'bytes=3-11' } })).text, 't1part2pa')
  assert.equal((await cloud.swift('GET', '/dlo/all?multipart-manifest=get')).text, '')
  assert.equal((await cloud.swift('PUT', '/dlo/bad', { headers: { 'x-object-manifest': 'nonsense', 'content-length': '0' } })).status, 400)
})

test('a static large object is checked, read, ranged, nested, copied and deleted with its segments', async () => {
  await cloud.swift('PUT', '/slo')
  await cloud.swift('PUT', '/slo/a', { body: 'aaaaa' })
  await cloud.swift('PUT', '/slo/b', { body: 'bbbbb' })
  const manifest = [{ path: '/slo/a', etag: md5('aaaaa'), size_bytes: 5 }, { path: 'slo/b', range: '1-3' }, { data: Buffer.from('!').toString('base64') }]
  const put = await cloud.swift('PUT', '/slo/all?multipart-manifest=put', { body: JSON.stringify(manifest), headers: { 'content-type': 'text/plain' } })
  assert.equal(put.status, 201)
  const etag = md5(`${md5('aaaaa')}${md5('bbbbb')}:1-3;${md5('!')}`)
  assert.equal(put.headers.get('etag'), `"${etag}"`)
  const got = await cloud.swift('GET', '/slo/all')
  assert.deepEqual([got.text, got.headers.get('x-static-large-object'), got.headers.get('etag')], ['aaaaabbb!', 'True', `"${etag}"`])
  assert.equal((await cloud.swift('HEAD', '/slo/all')).headers.get('content-length'), '9')
  assert.equal((await cloud.swift('GET', '/slo/all', { headers: { range: 'bytes=4-6' } })).text, 'abb')
  assert.match((await cloud.swift('GET', '/slo/all', { headers: { range: 'bytes=0-0,8-8' } })).text, /\r\n\r\na\r\n--.*\r\n\r\n!\r\n--/s)
  const list = (await cloud.swift('GET', '/slo?format=json&prefix=all')).body[0]
  assert.deepEqual([list.bytes, list.slo_etag], [9, `"${etag}"`])
  assert.equal((await cloud.swift('PUT', '/slo/nest?multipart-manifest=put', { body: JSON.stringify([{ path: 'slo/all' }, { path: 'slo/a' }]) })).status, 201)
  assert.equal((await cloud.swift('GET', '/slo/nest')).text, 'aaaaabbb!aaaaa')
  await cloud.swift('COPY', '/slo/all', { headers: { destination: 'slo/flat' } })
  const flat = await cloud.swift('GET', '/slo/flat')
  assert.deepEqual([flat.text, flat.headers.get('x-static-large-object')], ['aaaaabbb!', null])
  assert.equal((await cloud.swift('GET', '/slo/all?multipart-manifest=get')).body[0].name, '/slo/a')
  assert.equal((await cloud.swift('GET', '/slo/all?multipart-manifest=get&format=raw')).body[0].path, '/slo/a')
  const wrong = await cloud.swift('PUT', '/slo/x?multipart-manifest=put', { body: JSON.stringify([{ path: 'slo/a', etag: md5('z') }, { path: 'slo/none' }]) })
  assert.equal(wrong.status, 400)
  assert.match(wrong.text, /slo\/a, Etag Mismatch\nslo\/none, 404 Not Found/)
  for (const body of ['{', '{}', '[]', '[{"path":"x"}]', '[{"path":"a/b","colour":1}]']) assert.equal((await cloud.swift('PUT', '/slo/x?multipart-manifest=put', { body })).status, 400, body)
  await cloud.swift('PUT', '/slo/a', { body: 'other' })
  assert.equal((await cloud.swift('GET', '/slo/all')).status, 409, 'a segment that changed is never served')
  const deleted = await cloud.swift('DELETE', '/slo/all?multipart-manifest=delete', { headers: { accept: 'application/json' } })
  assert.deepEqual([deleted.status, deleted.body['Number Deleted']], [200, 3])
})

test('a static large object is deleted at once and its segments later, by the container itself', async () => {
  await cloud.swift('PUT', '/later')
  for (const name of ['a', 'b', 'kept']) await cloud.swift('PUT', `/slo/${name}`, { body: name })
  const put = async (name: string, entries: object[]) => assert.equal((await cloud.swift('PUT', `/later/${name}?multipart-manifest=put`, { body: JSON.stringify(entries) })).status, 201)
  const remove = (name: string, options = {}) => cloud.swift('DELETE', `/later/${name}?multipart-manifest=delete&async=on`, options)
  const status = async (path: string) => (await cloud.swift('HEAD', path)).status
  await put('all', [{ path: 'slo/a' }, { path: 'slo/b' }, { data: Buffer.from('!').toString('base64') }])
  await put('nested', [{ path: 'later/all' }, { path: 'later/all' }])
  await cloud.swift('PUT', '/later/plain', { body: 'x' })
  await put('two', [{ path: 'slo/kept' }, { path: 'later/plain' }])
  assert.deepEqual([(await remove('two')).status, (await remove('two')).text], [400, 'All segments must be in one container. Found segments in "slo", "later"'])
  assert.deepEqual([(await remove('nested')).status, (await remove('nested')).text], [400, 'No segments may be large objects.'])
  assert.deepEqual([(await remove('plain')).status, (await remove('none')).status], [400, 404])
  assert.equal((await remove('all', { token: await cloud.token({ role: 'reader' }) })).status, 403)
  assert.equal(await status('/slo/a'), 200)
  assert.equal((await remove('all')).status, 204)
  assert.equal(await status('/later/all'), 404)
  // Written again meanwhile: another object, that was not asked to go.
  await cloud.swift('PUT', '/slo/b', { body: 'new' })
  now += 1_000
  await cloud.cluster.fireAlarms()
  assert.deepEqual([await status('/slo/a'), await status('/slo/b'), await status('/slo/kept')], [404, 200, 200])
  assert.equal([...cloud.hosts.disks.values()].some((disk) => [...disk.values()].some(({ data }) => data !== null && Buffer.from(data).toString() === 'a')), false)
})

test('versioned writes: stack mode brings the version before back, history mode keeps it', async () => {
  await cloud.swift('PUT', '/vers')
  await cloud.swift('PUT', '/stack', { headers: { 'x-versions-location': 'vers' } })
  for (const body of ['one', 'two', 'three']) await cloud.swift('PUT', '/stack/o', { body })
  assert.equal((await cloud.swift('GET', '/vers?format=json')).body.length, 2)
  for (const want of ['two', 'one']) {
    assert.equal((await cloud.swift('DELETE', '/stack/o')).status, 204)
    assert.equal((await cloud.swift('GET', '/stack/o')).text, want)
  }
  assert.equal((await cloud.swift('DELETE', '/stack/o')).status, 204)
  assert.equal((await cloud.swift('GET', '/stack/o')).status, 404)
  assert.equal((await cloud.swift('GET', '/vers')).status, 204)
  await cloud.swift('PUT', '/hist', { headers: { 'x-history-location': 'vers' } })
  await cloud.swift('PUT', '/hist/o', { body: 'kept' })
  assert.equal((await cloud.swift('DELETE', '/hist/o')).status, 204)
  assert.equal((await cloud.swift('GET', '/hist/o')).status, 404)
  assert.deepEqual((await cloud.swift('GET', '/vers?format=json')).body.map((row: { content_type: string }) => row.content_type).at(-1), 'application/x-deleted;swift_versions_deleted=1')
  await cloud.swift('PUT', '/lost', { headers: { 'x-versions-location': 'nowhere' } })
  await cloud.swift('PUT', '/lost/o', { body: '1' })
  assert.equal((await cloud.swift('PUT', '/lost/o', { body: '2' })).status, 412)
  assert.equal((await cloud.swift('GET', '/lost/o')).text, '1')
})

const sign = (method: string, path: string, key: string, digest = 'sha256', expires = Math.floor(now / 1000) + 600) => `temp_url_sig=${createHmac(digest, key).update(`${method}\n${expires}\n${path}`).digest('hex')}&temp_url_expires=${expires}`

test('temporary URLs: keys of account and container, methods, prefixes, expiry', async () => {
  await cloud.swift('PUT', '/tmp', { headers: { 'x-container-meta-temp-url-key': 'ckey' } })
  await cloud.swift('PUT', '/tmp/o', { body: 'secret', headers: { 'x-object-meta-x': '1' } })
  await cloud.swift('POST', '', { headers: { 'x-account-meta-temp-url-key': 'akey', 'x-account-meta-temp-url-key-2': 'akey2' } })
  const path = `${ROOT}/tmp/o`
  const get = async (query: string, method = 'GET', at = '/tmp/o', options = {}) => await cloud.swift(method, `${at}?${query}`, { token: '', ...options })
  for (const key of ['akey', 'akey2', 'ckey']) assert.equal((await get(sign('GET', path, key))).text, 'secret')
  const got = await get(sign('GET', path, 'akey', 'sha512'))
  assert.equal(got.headers.get('content-disposition'), `attachment; filename="o"; filename*=UTF-8''o`)
  assert.equal(got.headers.get('x-object-meta-x'), null)
  assert.equal((await get(`${sign('GET', path, 'akey')}&inline`)).headers.get('content-disposition'), 'inline')
  assert.equal((await get(sign('GET', `/v1/${ACCOUNT}/tmp/o`, 'akey'))).status, 200, 'signed without the mount point')
  assert.equal((await get(sign('GET', path, 'akey'), 'HEAD')).status, 200)
  assert.equal((await get(sign('GET', path, 'akey'), 'PUT', '/tmp/o', { body: 'x' })).status, 401)
  assert.equal((await get(sign('PUT', path, 'akey'), 'PUT', '/tmp/o', { body: 'new' })).status, 201)
  assert.equal((await get(sign('GET', path, 'wrong'))).status, 401)
  assert.equal((await get(sign('GET', `${ROOT}/tmp/p`, 'akey'))).status, 401)
  assert.equal((await get(sign('GET', path, 'akey', 'sha256', Math.floor(now / 1000) - 1))).status, 401)
  const prefixed = `${sign('GET', `prefix:${ROOT}/tmp/o`, 'akey')}&temp_url_prefix=o`
  assert.equal((await get(prefixed)).text, 'new')
  assert.equal((await get(prefixed, 'GET', '/tmp/x')).status, 401)
  await cloud.swift('PUT', '/tmp2')
  await cloud.swift('PUT', '/tmp2/o', { body: 'x' })
  assert.equal((await get(sign('GET', `${ROOT}/tmp2/o`, 'ckey'), 'GET', '/tmp2/o')).status, 401, "a container's key is for that container")
  const ranged = (ip: string) => {
    const expires = Math.floor(now / 1000) + 60
    return `temp_url_sig=${createHmac('sha256', 'akey').update(`ip=10.0.0.0/8\nGET\n${expires}\n${path}`).digest('hex')}&temp_url_expires=${expires}&temp_url_ip_range=10.0.0.0/8${ip}`
  }
  assert.equal((await get(ranged(''), 'GET', '/tmp/o', { headers: { 'cf-connecting-ip': '10.1.2.3' } })).status, 200)
  assert.equal((await get(ranged(''), 'GET', '/tmp/o', { headers: { 'cf-connecting-ip': '11.1.2.3' } })).status, 401)
})

test('forms upload within their signed limits', async () => {
  await cloud.swift('PUT', '/form')
  await cloud.swift('POST', '', { headers: { 'x-account-meta-temp-url-key': 'akey' } })
  const post = async (over: Record<string, string> = {}, key = 'akey') => {
    const fields: Record<string, string> = { redirect: '', max_file_size: '100', max_file_count: '1', expires: String(Math.floor(now / 1000) + 60), ...over }
    const signature = createHmac('sha1', key).update([`${ROOT}/form/up-`, fields.redirect, fields.max_file_size, fields.max_file_count, fields.expires].join('\n')).digest('hex')
    const lines = Object.entries({ ...fields, signature }).map(([name, value]) => `--B\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`)
    const body = `${lines.join('')}--B\r\nContent-Disposition: form-data; name="file1"; filename="f.txt"\r\nContent-Type: text/plain\r\n\r\nhello form\r\n--B--\r\n`
    return await cloud.swift('POST', '/form/up-', { token: '', body, headers: { 'content-type': 'multipart/form-data; boundary=B' } })
  }
  assert.equal((await post()).status, 201)
  assert.equal((await cloud.swift('GET', '/form/up-f.txt')).text, 'hello form')
  assert.equal((await post({ redirect: 'https://example.test/done' })).headers.get('location'), 'https://example.test/done?status=201&message=')
  assert.equal((await post({ max_file_size: '3' })).status, 413)
  assert.match((await post({ expires: '1' })).text, /FormPost: Form Expired/)
  assert.match((await post({}, 'wrong')).text, /FormPost: Invalid Signature/)
})

test('quotas of containers and accounts', async () => {
  await cloud.swift('PUT', '/quota', { headers: { 'x-container-meta-quota-bytes': '10', 'x-container-meta-quota-count': '2' } })
  assert.equal((await cloud.swift('PUT', '/quota/a', { body: 'x'.repeat(11), headers: { 'content-length': '11' } })).status, 413)
  assert.equal((await cloud.swift('PUT', '/quota/a', { body: 'x', headers: { 'content-length': '1' } })).status, 201)
  assert.equal((await cloud.swift('PUT', '/quota/b', { body: 'x', headers: { 'content-length': '1' } })).status, 201)
  assert.equal((await cloud.swift('PUT', '/quota/c', { body: 'x', headers: { 'content-length': '1' } })).status, 413)
  assert.equal((await cloud.swift('PUT', '/quota', { headers: { 'x-container-meta-quota-bytes': 'many' } })).status, 400)
  assert.equal((await cloud.swift('POST', '', { headers: { 'x-account-meta-quota-bytes': '5' } })).status, 403)
  const reseller = await cloud.token({ project_id: 'other', roles: ['ResellerAdmin'] } as never)
  assert.equal((await cloud.swift('POST', '', { token: reseller, headers: { 'x-account-meta-quota-bytes': '1' } })).status, 204)
  await cloud.swift('PUT', '/free')
  assert.equal((await cloud.swift('PUT', '/free/o', { body: 'xxxxxxxx', headers: { 'content-length': '8' } })).status, 413)
  assert.equal((await cloud.swift('POST', '', { token: reseller, headers: { 'x-remove-account-meta-quota-bytes': 'x' } })).status, 204)
})

test('an object expires at its second, for readers and in the listing', async () => {
  await cloud.swift('PUT', '/exp')
  await cloud.swift('PUT', '/exp/o', { body: 'x' })
  assert.equal((await cloud.swift('POST', '/exp/o', { headers: { 'x-delete-after': '10' } })).status, 202)
  const at = Number((await cloud.swift('HEAD', '/exp/o')).headers.get('x-delete-at'))
  assert.equal(at, Math.floor(now / 1000) + 10)
  now += 11_000
  assert.equal((await cloud.swift('GET', '/exp/o')).status, 404)
  assert.equal((await cloud.swift('DELETE', '/exp/o')).status, 404)
  await cloud.swift('PUT', '/exp/p', { body: 'x', headers: { 'x-delete-after': '5' } })
  now += 6_000
  await cloud.cluster.fireAlarms()
  assert.equal((await cloud.swift('GET', '/exp')).status, 204)
  assert.equal((await cloud.swift('HEAD', '/exp')).headers.get('x-container-object-count'), '0')
  await cloud.swift('PUT', '/exp/q', { body: 'x', headers: { 'x-delete-after': '5' } })
  await cloud.swift('PUT', '/exp/q', { body: 'kept' })
  now += 6_000
  await cloud.cluster.fireAlarms()
  assert.equal((await cloud.swift('GET', '/exp/q')).text, 'kept')
})

/** A ustar archive of these files. */
function tar(files: Record<string, string>): Buffer {
  const blocks: Buffer[] = []
  for (const [name, text] of Object.entries(files)) {
    const header = Buffer.alloc(512)
    header.write(name, 0)
    header.write('0000644\0', 100)
    header.write(`${Buffer.byteLength(text).toString(8).padStart(11, '0')}\0`, 124)
    header.write('00000000000\0', 136)
    header.write('        ', 148)
    header.write('0', 156)
    header.write('ustar\x0000', 257)
    header.write(`${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148)
    blocks.push(header, Buffer.concat([Buffer.from(text), Buffer.alloc((512 - (Buffer.byteLength(text) % 512)) % 512)]))
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)])
}

test('archives are extracted, and many things deleted at once', async () => {
  const archive = tar({ 'bulk/a.txt': 'A', 'bulk/dir/b.html': 'B'.repeat(600), 'bulk2/c': '' })
  const put = await cloud.swift('PUT', '?extract-archive=tar.gz', { body: gzipSync(archive) as never, headers: { accept: 'application/json' } })
  assert.deepEqual([put.status, put.body['Number Files Created'], put.body['Response Status'], put.body.Errors], [200, 3, '201 Created', []])
  assert.equal((await cloud.swift('GET', '/bulk/dir/b.html')).headers.get('content-type'), 'text/html')
  await cloud.swift('PUT', '/into')
  assert.equal((await cloud.swift('PUT', '/into?extract-archive=tar', { body: archive as never })).status, 200)
  assert.equal((await cloud.swift('GET', '/into/bulk/a.txt')).text, 'A')
  const broken = await cloud.swift('PUT', '?extract-archive=tar', { body: 'x'.repeat(1024), headers: { accept: 'application/json' } })
  assert.match(broken.body['Response Body'], /Invalid Tar File/)
  const gone = await cloud.swift('POST', '?bulk-delete', { body: 'bulk/a.txt\nbulk/dir/b.html\nbulk2/c\n/bulk\nbulk2\nbulk2/none\ninto', headers: { accept: 'application/json' } })
  assert.deepEqual([gone.body['Number Deleted'], gone.body['Number Not Found'], gone.body.Errors], [5, 1, [['into', '409 Conflict']]])
})

test('a container as a web site', async () => {
  await cloud.swift('PUT', '/web', { headers: { 'x-container-read': '.r:*,.rlistings', 'x-container-meta-web-index': 'index.html', 'x-container-meta-web-error': 'error.html' } })
  await cloud.swift('PUT', '/web/index.html', { body: 'home' })
  await cloud.swift('PUT', '/web/sub/index.html', { body: 'sub home' })
  await cloud.swift('PUT', '/web/404error.html', { body: 'not here' })
  const visit = async (path: string) => await cloud.swift('GET', path, { token: '' })
  const moved = await visit('/web')
  assert.deepEqual([moved.status, moved.headers.get('location')?.endsWith('/web/')], [301, true])
  assert.equal((await visit('/web/')).text, 'home')
  assert.equal((await visit('/web/sub')).status, 301)
  assert.equal((await visit('/web/sub/')).text, 'sub home')
  const lost = await visit('/web/none')
  assert.deepEqual([lost.status, lost.text], [404, 'not here'])
  await cloud.swift('POST', '/web', { headers: { 'x-remove-container-meta-web-index': 'x', 'x-container-meta-web-listings': 'true' } })
  assert.match((await visit('/web/')).text, /<a href="sub\/">sub\/<\/a>/)
  assert.equal((await cloud.swift('GET', '/web?format=json')).body.length, 3, 'an owner sees the plain listing')
})

test('CORS as the container says', async () => {
  await cloud.swift('PUT', '/cors', { headers: { 'x-container-read': '.r:*', 'x-container-meta-access-control-allow-origin': 'https://a.test https://b.test' } })
  await cloud.swift('PUT', '/cors/o', { body: 'x', headers: { 'x-object-meta-y': '1' } })
  const ok = await cloud.swift('OPTIONS', '/cors/o', { token: '', headers: { origin: 'https://b.test', 'access-control-request-method': 'PUT', 'access-control-request-headers': 'x-auth-token' } })
  assert.deepEqual([ok.status, ok.headers.get('access-control-allow-origin'), ok.headers.get('access-control-allow-headers')], [200, 'https://b.test', 'x-auth-token'])
  assert.equal((await cloud.swift('OPTIONS', '/cors/o', { token: '', headers: { origin: 'https://c.test', 'access-control-request-method': 'GET' } })).status, 401)
  const got = await cloud.swift('GET', '/cors/o', { token: '', headers: { origin: 'https://a.test' } })
  assert.match(got.headers.get('access-control-expose-headers') ?? '', /x-object-meta-y/)
})

test('container sync copies writes and deletions between containers that share a secret', async () => {
  const headers = (to: string, key = 'secret') => ({ 'x-container-sync-to': `//realm1/name1/${ACCOUNT}/${to}`, 'x-container-sync-key': key })
  await cloud.swift('PUT', '/left', { headers: headers('right') })
  await cloud.swift('PUT', '/right', { headers: headers('left') })
  await cloud.swift('PUT', '/left/a', { body: 'from left', headers: { 'x-object-meta-m': '1' } })
  await cloud.swift('PUT', '/right/b', { body: 'from right' })
  const settle = async () => {
    for (let turn = 0; turn < 3; turn++) {
      now += 31_000
      await cloud.cluster.fireAlarms()
    }
  }
  await settle()
  assert.equal((await cloud.swift('GET', '/right/a')).text, 'from left')
  assert.equal((await cloud.swift('HEAD', '/right/a')).headers.get('x-object-meta-m'), '1')
  const lists = await Promise.all(['left', 'right'].map(async (name) => (await cloud.swift('GET', `/${name}?format=json`)).body))
  assert.deepEqual(lists[0], lists[1])
  await cloud.swift('DELETE', '/left/b')
  await settle()
  assert.equal((await cloud.swift('GET', '/right/b')).status, 404)
  await cloud.swift('POST', '/right', { headers: { 'x-container-sync-key': 'another' } })
  await cloud.swift('PUT', '/left/c', { body: 'x' })
  await settle()
  assert.equal((await cloud.swift('GET', '/right/c')).status, 404, 'without the secret nothing is copied')
  for (const to of ['http://10.0.0.1/v1/a/c', '//realm1/elsewhere/a/c', '//x']) assert.equal((await cloud.swift('POST', '/left', { headers: { 'x-container-sync-to': to } })).status, 400)
})

test('a revoked token is refused within five seconds', async () => {
  await cloud.swift('PUT', '/rev')
  const token = await cloud.token({ user_id: 'user-gone' })
  assert.equal((await cloud.swift('HEAD', '/rev', { token })).status, 204)
  const identity = cloud.cluster.instance('IDENTITY', 'identity')
  const event = { scope: 'user', subject: 'user-gone', before_ms: now + 1, expires_ms: now + 3_600_000 }
  identity.revocations = (cursor: number) => (cursor < 1 ? { cursor: 1, events: [event] } : { cursor: 1, events: [] })
  now += 5_000
  assert.equal((await cloud.swift('HEAD', '/rev', { token })).status, 401)
  assert.equal((await cloud.swift('HEAD', '/rev')).status, 204)
})
