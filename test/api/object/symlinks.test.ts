/** Symbolic links, dynamic and static: what they read as, whose rights count, and what becomes of loops; account ACLs. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { ACCOUNT, type ObjectCloud, ROOT, objectCloud } from './cloud.ts'

const md5 = (text: string) => createHash('md5').update(text).digest('hex')
let cloud: ObjectCloud
let now = Date.now()
before(async () => {
  cloud = await objectCloud({ clock: { now_ms: () => now } })
  await cloud.swift('PUT', '/t')
  await cloud.swift('PUT', '/l')
  await cloud.swift('PUT', '/t/real', { body: 'content', headers: { 'content-type': 'text/x-real', 'x-object-meta-colour': 'red' } })
})
after(() => cloud.close())

const link = (path: string, target: string, headers: Record<string, string> = {}, body?: string) => cloud.swift('PUT', path, { headers: { 'x-symlink-target': target, ...(body === undefined ? { 'content-length': '0' } : {}), ...headers }, ...(body === undefined ? {} : { body }) })

test('a link reads as its target, and as itself where that is asked', async () => {
  assert.equal((await link('/l/a', 't/real')).status, 201)
  const got = await cloud.swift('GET', '/l/a')
  assert.deepEqual([got.text, got.headers.get('content-type'), got.headers.get('x-object-meta-colour'), got.headers.get('etag'), got.headers.get('content-location')], ['content', 'text/x-real', 'red', md5('content'), `${ROOT}/t/real`])
  assert.equal((await cloud.swift('GET', '/l/a', { headers: { range: 'bytes=1-3' } })).text, 'ont')
  assert.equal((await cloud.swift('GET', '/l/a', { headers: { 'if-none-match': md5('content') } })).status, 304)
  const itself = await cloud.swift('HEAD', '/l/a?symlink=get')
  assert.deepEqual([itself.headers.get('content-length'), itself.headers.get('x-symlink-target'), itself.headers.get('content-type')], ['0', 't/real', 'application/symlink'])
  const [row] = (await cloud.swift('GET', '/l?format=json&prefix=a')).body
  assert.deepEqual([row.bytes, row.symlink_path, row.symlink_etag], [0, `/v1/${ACCOUNT}/t/real`, undefined])
  assert.ok(!(await cloud.swift('GET', '/l?format=xml')).text.includes('symlink_'))
  const post = await cloud.swift('POST', '/l/a', { headers: { 'x-object-meta-b': 'c' } })
  assert.deepEqual([post.status, post.headers.get('location')], [307, `${ROOT}/t/real`])
  assert.equal((await cloud.swift('HEAD', '/l/a?symlink=get')).headers.get('x-object-meta-b'), 'c')
  await cloud.swift('COPY', '/l/a', { headers: { destination: 'l/copy' } })
  await cloud.swift('COPY', '/l/a?symlink=get', { headers: { destination: 'l/again' } })
  assert.deepEqual([(await cloud.swift('HEAD', '/l/copy?symlink=get')).headers.get('x-symlink-target'), (await cloud.swift('HEAD', '/l/again?symlink=get')).headers.get('x-symlink-target')], [null, 't/real'])
  assert.equal((await cloud.swift('GET', '/l?format=json&prefix=again')).body[0].symlink_path, `/v1/${ACCOUNT}/t/real`)
  assert.equal((await cloud.swift('DELETE', '/l/a')).status, 204)
  assert.equal((await cloud.swift('GET', '/t/real')).text, 'content', 'the target stays')
})

test('a static link holds while its target is what it was', async () => {
  assert.equal((await link('/l/s', 't/none', { 'x-symlink-target-etag': md5('content') })).status, 409)
  assert.equal((await link('/l/s', 't/real', { 'x-symlink-target-etag': md5('other') })).status, 409)
  assert.equal((await link('/l/s', 't/real', { 'x-symlink-target-etag': 'a;b' })).status, 400)
  assert.equal((await link('/l/s', 't/real', { 'x-symlink-target-etag': `"${md5('content')}"` })).status, 201)
  const [row] = (await cloud.swift('GET', '/l?format=json&prefix=s')).body
  assert.deepEqual([row.symlink_etag, row.symlink_bytes, row.content_type], [md5('content'), 7, 'text/x-real'])
  assert.equal((await cloud.swift('GET', '/l/s')).text, 'content')
  assert.equal((await cloud.swift('HEAD', '/l/s?symlink=get')).headers.get('x-symlink-target-bytes'), '7')
  assert.equal((await link('/l/s2', 'l/s', { 'x-symlink-target-etag': md5('content') })).status, 201, 'a static link to a static link')
  assert.equal((await cloud.swift('GET', '/l/s2')).text, 'content')
  await cloud.swift('PUT', '/t/real', { body: 'changed' })
  const broken = await cloud.swift('GET', '/l/s')
  assert.deepEqual([broken.status, broken.headers.get('content-location')], [409, `${ROOT}/t/real`])
})

test('loops, chains that are too long, missing targets and bad targets', async () => {
  await link('/l/one', 'l/two')
  await link('/l/two', 'l/one')
  assert.equal((await cloud.swift('GET', '/l/one')).status, 409)
  await link('/l/c1', 't/real')
  await link('/l/c2', 'l/c1')
  await link('/l/c3', 'l/c2')
  assert.deepEqual([(await cloud.swift('GET', '/l/c2')).status, (await cloud.swift('GET', '/l/c3')).status], [200, 409])
  await link('/l/dangling', 't/none')
  const missing = await cloud.swift('GET', '/l/dangling')
  assert.deepEqual([missing.status, missing.headers.get('content-location')], [404, `${ROOT}/t/none`])
  for (const [target, status] of [['nowhere', 412], ['/t/real', 412], ['', 412], ['l/self', 400]] as const) assert.equal((await link('/l/self', target)).status, status, target)
  assert.equal((await link('/l/self', 't/real', {}, 'bytes')).status, 400)
  assert.equal((await cloud.swift('POST', '/t/real', { headers: { 'x-symlink-target': 't/x' } })).status, 400)
})

test('a link gives no right that its reader lacks, in either account', async () => {
  const other = await cloud.token({ project_id: 'project-b', user_id: 'user-b', user_name: 'user-b' })
  await cloud.call('PUT', '/object-store/v1/AUTH_project-b/c', { token: other })
  await cloud.call('PUT', '/object-store/v1/AUTH_project-b/c/o', { token: other, headers: { 'x-symlink-target': 't/real', 'x-symlink-target-account': ACCOUNT, 'content-length': '0' } })
  const read = () => cloud.call('GET', '/object-store/v1/AUTH_project-b/c/o', { token: other })
  assert.equal((await read()).status, 403)
  await cloud.swift('POST', '/t', { headers: { 'x-container-read': 'project-b:*' } })
  assert.equal((await read()).status, 200)
  await cloud.swift('POST', '/t', { headers: { 'x-container-read': '' } })
  assert.equal((await read()).status, 403)
  await cloud.swift('PUT', '/t/seg', { body: 'segment' })
  await link('/l/seg', 't/seg', { 'x-symlink-target-etag': md5('segment') })
  assert.equal((await cloud.swift('PUT', '/t/slo?multipart-manifest=put', { body: JSON.stringify([{ path: 'l/seg' }]) })).status, 201)
  assert.equal((await cloud.swift('GET', '/t/slo')).text, 'segment')
  await cloud.swift('PUT', '/t/dlo', { headers: { 'x-object-manifest': 'l/seg', 'content-length': '0' } })
  assert.equal((await cloud.swift('GET', '/t/dlo')).text, 'segment')
})

test('account ACLs: readers read, writers write below the account, admins are as owners', async () => {
  const caller = async (name: string) => ({ token: await cloud.token({ project_id: 'project-z', user_id: name, user_name: name }) })
  const [reader, writer, admin, nobody] = [await caller('r'), await caller('w'), await caller('a'), await caller('n')]
  const acl = { 'read-only': ['project-z:r'], 'read-write': ['project-z:w'], admin: ['project-z:a'] }
  for (const bad of ['x', '[]', '{"owner":[]}', '{"admin":"a"}', '{"admin":["role"]}']) assert.equal((await cloud.swift('POST', '', { headers: { 'x-account-access-control': bad } })).status, 400, bad)
  assert.equal((await cloud.swift('POST', '', { headers: { 'x-account-access-control': JSON.stringify(acl), 'x-account-meta-temp-url-key': 'secret' } })).status, 204)
  assert.deepEqual(JSON.parse((await cloud.swift('HEAD', '')).headers.get('x-account-access-control') ?? ''), acl)
  const can = async (who: { token: string }) => {
    const statuses: number[] = []
    for (const [method, path] of [['GET', ''], ['GET', '/t'], ['GET', '/t/real'], ['PUT', '/t/new'], ['PUT', '/made'], ['DELETE', '/made'], ['POST', '']] as const) statuses.push((await cloud.swift(method, path, { ...who, ...(path === '/t/new' ? { body: 'x' } : {}) })).status)
    return statuses
  }
  assert.deepEqual(await can(nobody), [403, 403, 403, 403, 403, 403, 403])
  assert.deepEqual(await can(reader), [200, 200, 200, 403, 403, 403, 403])
  assert.deepEqual(await can(writer), [200, 200, 200, 201, 201, 204, 403])
  assert.deepEqual(await can(admin), [200, 200, 200, 201, 201, 204, 204])
  const shown = async (who: { token: string }) => (await cloud.swift('HEAD', '', who)).headers.get('x-account-meta-temp-url-key')
  assert.deepEqual([await shown(writer), await shown(admin)], [null, 'secret'])
  assert.equal((await cloud.swift('POST', '', { headers: { 'x-account-access-control': '' } })).status, 204)
  now += 2_000
  assert.deepEqual(await can(admin), [403, 403, 403, 403, 403, 403, 403])
})
