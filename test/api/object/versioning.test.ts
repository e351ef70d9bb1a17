/** Object versioning: versions, markers, the null version, suspension, listings with their markers, and nothing left on the disks. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type ObjectCloud, objectCloud } from './cloud.ts'

let cloud: ObjectCloud
let now = Date.now()
before(async () => {
  cloud = await objectCloud({ clock: { now_ms: () => now } })
})
after(() => cloud.close())

const enable = async (container: string, on = true) => assert.ok([201, 202].includes((await cloud.swift('PUT', `/${container}`, { headers: { 'x-versions-enabled': String(on) } })).status))
const put = async (path: string, body: string) => {
  const answer = await cloud.swift('PUT', path, { body })
  assert.equal(answer.status, 201)
  return answer.headers.get('x-object-version-id') ?? ''
}
const text = async (path: string) => {
  const answer = await cloud.swift('GET', path)
  return answer.status === 200 ? answer.text : answer.status
}
const listed = async (query: string) => (await cloud.swift('GET', query)).body.map((row: { name: string; version_id: string; is_latest: boolean; subdir?: string }) => row.subdir ?? `${row.name} ${row.version_id}${row.is_latest ? ' latest' : ''}`)
const bytesOnDisks = () => [...cloud.hosts.disks.values()].flatMap((disk) => [...disk.values()]).filter((replica) => replica.data !== null).length

test('each write is a version, a deletion a marker; any version reads, comes back and goes', async () => {
  await enable('v')
  assert.equal((await cloud.swift('HEAD', '/v')).headers.get('x-versions-enabled'), 'True')
  const one = await put('/v/o', 'one')
  const two = await put('/v/o', 'two!')
  assert.ok(two > one && /^\d{10}\.\d{5}$/.test(one))
  const current = await cloud.swift('GET', '/v/o')
  assert.deepEqual([current.text, current.headers.get('x-object-version-id')], ['two!', two])
  assert.equal(await text(`/v/o?version-id=${one}`), 'one')
  const head = await cloud.swift('HEAD', '/v')
  assert.deepEqual([head.headers.get('x-container-object-count'), head.headers.get('x-container-bytes-used')], ['1', '7'])
  const gone = await cloud.swift('DELETE', '/v/o')
  const marker = gone.headers.get('x-object-version-id') ?? ''
  assert.deepEqual([gone.status, await text('/v/o')], [204, 404])
  assert.deepEqual(await listed('/v?versions'), [`o ${marker} latest`, `o ${two}`, `o ${one}`])
  const shown = await cloud.swift('GET', `/v/o?version-id=${marker}`)
  assert.deepEqual([shown.status, shown.headers.get('x-object-version-id'), shown.headers.get('content-type')], [404, marker, 'application/x-deleted;swift_versions_deleted=1'])
  assert.equal((await cloud.swift('PUT', `/v/o?version-id=${one}`, { body: 'bytes' })).status, 400)
  assert.equal((await cloud.swift('PUT', `/v/o?version-id=${one}`, { headers: { 'content-length': '0' } })).status, 201)
  assert.equal(await text('/v/o'), 'one')
  assert.deepEqual(await listed('/v?versions'), [`o ${marker}`, `o ${two}`, `o ${one} latest`])
  const removed = await cloud.swift('DELETE', `/v/o?version-id=${two}`)
  assert.deepEqual([removed.status, removed.headers.get('x-object-version-id'), removed.headers.get('x-object-current-version-id')], [204, two, one])
  assert.equal((await cloud.swift('DELETE', '/v')).status, 409)
  assert.equal((await cloud.swift('DELETE', `/v/o?version-id=${one}`)).headers.get('x-object-current-version-id'), 'null')
  assert.equal(await text('/v/o'), 404)
  assert.equal((await cloud.swift('DELETE', `/v/o?version-id=${marker}`)).status, 204)
  assert.deepEqual([bytesOnDisks(), (await cloud.swift('HEAD', '/v')).headers.get('x-container-bytes-used')], [0, '0'])
  assert.equal((await cloud.swift('DELETE', '/v')).status, 204)
})

test('what was there before versioning is the null version; suspended, writes are null versions again', async () => {
  await cloud.swift('PUT', '/n')
  await put('/n/o', 'before')
  await enable('n')
  assert.equal((await cloud.swift('GET', '/n/o')).headers.get('x-object-version-id'), 'null')
  assert.deepEqual(await listed('/n?versions'), ['o null latest'])
  const one = await put('/n/o', 'one')
  assert.deepEqual([await text('/n/o'), await text('/n/o?version-id=null')], ['one', 'before'])
  await cloud.swift('POST', '/n', { headers: { 'x-versions-enabled': 'false' } })
  assert.equal((await cloud.swift('HEAD', '/n')).headers.get('x-versions-enabled'), 'False')
  assert.equal(await put('/n/o', 'after'), '')
  assert.deepEqual([await text('/n/o'), await text('/n/o?version-id=null'), await text(`/n/o?version-id=${one}`)], ['after', 'after', 'one'])
  assert.deepEqual(await listed('/n?versions'), ['o null latest', `o ${one}`])
  assert.equal((await cloud.swift('DELETE', '/n/o')).headers.get('x-object-version-id'), null)
  assert.deepEqual([await text('/n/o'), await listed('/n?versions')], [404, [`o ${one}`]])
  await cloud.swift('POST', '/n/o', { headers: { 'x-object-meta-a': 'b' } })
  await cloud.swift('PUT', `/n/o?version-id=${one}`, { headers: { 'content-length': '0' } })
  assert.equal((await cloud.swift('POST', '/n/o', { headers: { 'x-object-meta-colour': 'red' } })).status, 202)
  assert.equal((await cloud.swift('HEAD', `/n/o?version-id=${one}`)).headers.get('x-object-meta-colour'), 'red')
  assert.equal((await cloud.swift('DELETE', '/n/o')).status, 204)
  assert.deepEqual([await text('/n/o'), await text(`/n/o?version-id=${one}`)], [404, 'one'], 'suspended: the version stays')
})

test('the history is listed in pages, with prefix, delimiter, markers and reverse', async () => {
  await enable('l')
  const ids: string[] = []
  for (const name of ['a', 'a', 'b/1', 'b/1', 'b/2', 'c', 'a']) ids.push(await put(`/l/${name}`, name))
  const all = [`a ${ids[6]} latest`, `a ${ids[1]}`, `a ${ids[0]}`, `b/1 ${ids[3]} latest`, `b/1 ${ids[2]}`, `b/2 ${ids[4]} latest`, `c ${ids[5]} latest`]
  assert.deepEqual(await listed('/l?versions'), all)
  assert.deepEqual(await listed('/l?versions&reverse=true'), [...all].reverse())
  const paged: string[] = []
  for (let at = ''; ; ) {
    const page = (await cloud.swift('GET', `/l?versions&limit=2${at}`)).body as { name: string; version_id: string; is_latest: boolean }[]
    const last = page.at(-1)
    if (last === undefined) break
    paged.push(...page.map((row) => `${row.name} ${row.version_id}${row.is_latest ? ' latest' : ''}`))
    at = `&marker=${encodeURIComponent(last.name)}&version_marker=${last.version_id}`
  }
  assert.deepEqual(paged, all)
  assert.deepEqual(await listed('/l?versions&marker=a'), all.slice(3))
  assert.deepEqual(await listed('/l?versions&prefix=b/&limit=2'), all.slice(3, 5))
  assert.deepEqual(await listed('/l?versions&delimiter=/'), [...all.slice(0, 3), 'b/', all[6]])
  assert.deepEqual(await listed('/l?versions&delimiter=/&marker=b/'), [all[6]])
  assert.deepEqual(await listed('/l?versions&end_marker=b/2'), all.slice(0, 5))
  assert.deepEqual(await listed('/l?versions&reverse=1&end_marker=b/1'), [all[6], all[5]])
  for (const [query, status] of [['version_marker=1.0', 400], ['marker=a&version_marker=x', 400], ['format=xml', 406], ['limit=10001', 412]] as const) assert.equal((await cloud.swift('GET', `/l?versions&${query}`)).status, status, query)
})

test('versioning is refused where it cannot be, and unknown versions are not there', async () => {
  assert.equal((await cloud.swift('PUT', '/x', { headers: { 'x-versions-location': 'l', 'x-versions-enabled': 'true' } })).status, 400)
  await cloud.swift('PUT', '/plain')
  await put('/plain/o', 'x')
  for (const method of ['GET', 'DELETE']) assert.equal((await cloud.swift(method, '/plain/o?version-id=1234567890.00000')).status, 400)
  assert.equal(await text('/plain/o?version-id=null'), 'x')
  await enable('w')
  const one = await put('/w/o', 'x')
  assert.equal((await cloud.swift('POST', '/w', { headers: { 'x-history-location': 'plain' } })).status, 400)
  assert.equal((await cloud.swift('GET', '/w/o?version-id=red')).status, 400)
  for (const method of ['GET', 'HEAD', 'DELETE']) assert.equal((await cloud.swift(method, '/w/o?version-id=1234567890.00000')).status, 404, method)
  assert.equal((await cloud.swift('PUT', '/w/o?version-id=1234567890.00000', { headers: { 'content-length': '0' } })).status, 404)
  assert.equal((await cloud.swift('POST', `/w/o?version-id=${one}`, { headers: { 'x-object-meta-a': 'b' } })).status, 400)
  assert.equal((await cloud.swift('DELETE', '/w/none')).status, 404)
  const stranger = await cloud.token({ project_id: 'project-b', user_id: 'user-b' })
  for (const method of ['GET', 'PUT', 'DELETE']) assert.equal((await cloud.swift(method, `/w/o?version-id=${one}`, { token: stranger, ...(method === 'PUT' ? { body: '' } : {}) })).status, 403)
  assert.equal((await cloud.swift('GET', '/%00versions%00w')).status, 412, 'reserved names are nobody\'s')
})

test('versions of large objects, copies of a version, and expiry of what is not current', async () => {
  await cloud.swift('PUT', '/seg')
  await put('/seg/1', 'first')
  await enable('big')
  const manifest = await cloud.swift('PUT', '/big/o?multipart-manifest=put', { body: JSON.stringify([{ path: 'seg/1' }]) })
  const one = manifest.headers.get('x-object-version-id') ?? ''
  await cloud.swift('PUT', '/big/o', { body: 'soon gone', headers: { 'x-delete-after': '10' } })
  const three = await put('/big/o', 'third')
  assert.equal(await text(`/big/o?version-id=${one}`), 'first')
  assert.equal((await cloud.swift('COPY', `/big/o?version-id=${one}`, { headers: { destination: 'seg/copy' } })).status, 201)
  assert.equal(await text('/seg/copy'), 'first')
  assert.equal((await listed('/big?versions')).length, 3)
  now += 11_000
  await cloud.cluster.instance('CONTAINER', 'AUTH_project-a/big').alarm()
  assert.deepEqual(await listed('/big?versions'), [`o ${three} latest`, `o ${one}`])
})
