/** Glance v2 through the Worker: records, patches, listings, bytes, sharing, refusals. Hosts are recorded, the objects are real. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { eq } from 'drizzle-orm'
import { images } from '../../../schema/project/image.ts'
import { putBytes } from '../../../workers/image/bytes.ts'
import { imageTasks } from '../../../workers/image/tasks.ts'
import { recordingCloud, until } from '../volume/recording-host.ts'

type Cloud = Awaited<ReturnType<typeof recordingCloud>>
let at: Cloud
let token: string
let other: string
let admin: string
let reader: string
const OCTET = { 'content-type': 'application/octet-stream' }
const PATCH = { 'content-type': 'application/openstack-images-v2.1-json-patch' }

before(async () => {
  at = await recordingCloud()
  token = await at.cloud.token()
  other = await at.cloud.token({ project_id: 'project-b', user_id: 'user-b' })
  admin = await at.cloud.token({ role: 'admin', project_id: 'project-adm', user_id: 'root' })
  reader = await at.cloud.token({ role: 'reader' })
})
after(() => at.cloud.close())

const call = (method: string, path: string, options: Parameters<Cloud['cloud']['call']>[2] = {}) => at.cloud.call(method, `/image${path}`, { token, ...options })
const create = async (body: object = {}, as = token) => {
  const answer = await call('POST', '/v2/images', { token: as, json: { name: 'x', disk_format: 'raw', container_format: 'bare', ...body } })
  assert.equal(answer.status, 201, answer.text)
  return answer.body
}
const upload = (id: string, bytes: Uint8Array, headers: Record<string, string> = {}) => call('PUT', `/v2/images/${id}/file`, { body: bytes as never, headers: { ...OCTET, ...headers } })

test('versions are listed with 300 at the root and 200 below', async () => {
  const root = await at.cloud.call('GET', '/image')
  assert.equal(root.status, 300)
  assert.equal(root.body.versions[0].status, 'CURRENT')
  assert.equal((await at.cloud.call('GET', '/image/versions')).status, 200)
})

test('an uploaded image has its hashes, and gives its bytes back whole and in ranges', async () => {
  const image = await create({ name: 'bytes', os_distro: 'debian', tags: ['t1'] })
  assert.equal(image.status, 'queued')
  assert.equal(image.os_distro, 'debian')
  assert.equal((await call('GET', `/v2/images/${image.id}/file`)).status, 204)
  const bytes = randomBytes(100_000)
  assert.equal((await upload(image.id, bytes)).status, 204)
  const { body } = await call('GET', `/v2/images/${image.id}`)
  assert.equal(body.status, 'active')
  assert.equal(body.size, bytes.length)
  assert.equal(body.checksum, createHash('md5').update(bytes).digest('hex'))
  assert.equal(body.os_hash_algo, 'sha512')
  assert.equal(body.os_hash_value, createHash('sha512').update(bytes).digest('hex'))
  assert.equal(body.stores, 'file')
  const whole = await call('GET', `/v2/images/${image.id}/file`)
  assert.equal(whole.status, 200)
  assert.equal(whole.headers.get('content-md5'), body.checksum)
  assert.equal(whole.headers.get('content-length'), String(bytes.length))
  const part = await call('GET', `/v2/images/${image.id}/file`, { headers: { range: 'bytes=10-19' } })
  assert.equal(part.status, 206)
  assert.equal(part.headers.get('content-range'), `bytes 10-19/${bytes.length}`)
  assert.equal(part.headers.get('content-length'), '10')
  const outside = await call('GET', `/v2/images/${image.id}/file`, { headers: { range: `bytes=${bytes.length}-` } })
  assert.equal(outside.status, 416)
  assert.equal((await upload(image.id, bytes)).status, 409)
})

test('an upload needs octets, formats, and content that is what it claims', async () => {
  const image = await create()
  assert.equal((await call('PUT', `/v2/images/${image.id}/file`, { json: {} })).status, 415)
  const bare = await call('POST', '/v2/images', { json: { name: 'no formats' } })
  assert.equal((await upload(bare.body.id, randomBytes(10))).status, 400)
  const liar = await create({ disk_format: 'qcow2' })
  const refused = await upload(liar.id, randomBytes(1000))
  assert.equal(refused.status, 415)
  assert.match(refused.body.message, /does not match/)
  assert.equal((await call('GET', `/v2/images/${liar.id}`)).body.status, 'queued')
  assert.equal([...at.record.objects.keys()].some((key) => key.includes(liar.id)), false, 'the bytes were deleted')
  const hidden = await create({ disk_format: 'raw' })
  const qcow2 = new Uint8Array(1024)
  qcow2.set([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3])
  assert.equal((await upload(hidden.id, qcow2)).status, 415)
  const root = await create({ disk_format: 'root-tar' })
  assert.equal((await upload(root.id, randomBytes(1000))).status, 204)
})

test('bytes of an upload that nobody ended are deleted by its watch; those of an image that has them are not', async () => {
  const { deps } = at.cloud.cluster.instance('PROJECT', 'project-a')
  const image = await create()
  const name = `${image.id}-lost`
  const key = (of: string) => [...at.record.objects.keys()].some((known) => known.includes(of))
  const host_id = at.hosts.alpha ?? ''
  await putBytes(at.cloud.env, { store: 'file', host_id, name }, new Response(randomBytes(100) as never).body as never, 100, 0)
  assert.ok(key(name))
  const entry = { id: 1, attempts: 0, request_id: 'r', deadline_ms: 0 }
  const watch = async (location: object) => await imageTasks['image.upload_watch']?.run(deps, { id: image.id, upload_id: 'over', location }, entry)
  await watch({ store: 'file', host_id, name })
  await watch({ store: 'file', host_id, name })
  assert.equal(key(name), false)
  assert.equal((await upload(image.id, randomBytes(100))).status, 204)
  const [kept] = deps.db.select().from(images).where(eq(images.id, image.id)).all()[0].locations
  await watch(kept)
  assert.equal((await call('GET', `/v2/images/${image.id}/file`)).status, 200)
})

test('bad input names the field; reserved and read-only attributes are 403', async () => {
  const format = await call('POST', '/v2/images', { json: { disk_format: 'wrong' } })
  assert.equal(format.status, 400)
  assert.match(format.body.message, /disk_format/)
  assert.equal((await call('POST', '/v2/images', { json: { id: 'not-a-uuid' } })).status, 400)
  assert.equal((await call('POST', '/v2/images', { json: { os_glance_x: 'y' } })).status, 403)
  assert.equal((await call('POST', '/v2/images', { json: { status: 'active' } })).status, 403)
  assert.equal((await call('POST', '/v2/images', { json: { custom: 5 } })).status, 400)
  assert.equal((await call('POST', '/v2/images', { token: reader, json: { name: 'x' } })).status, 403)
  assert.equal((await call('POST', '/v2/images', { json: { visibility: 'public' } })).status, 403)
  assert.equal((await call('GET', '/v2/images?limit=abc')).status, 400)
  assert.equal((await call('GET', '/v2/images?sort_key=nothing')).status, 400)
})

test('patches of both media types change attributes, properties and tags', async () => {
  const image = await create({ name: 'before', keep: '1', drop: '2' })
  const path = `/v2/images/${image.id}`
  const v21 = await call('PATCH', path, { headers: PATCH, body: JSON.stringify([{ op: 'replace', path: '/name', value: 'after' }, { op: 'remove', path: '/drop' }, { op: 'add', path: '/a~1b', value: 'slash' }, { op: 'add', path: '/tags/0', value: 'tag0' }]) })
  assert.equal(v21.status, 200, v21.text)
  assert.equal(v21.body.name, 'after')
  assert.equal(v21.body.drop, undefined)
  assert.equal(v21.body['a/b'], 'slash')
  assert.deepEqual(v21.body.tags, ['tag0'])
  const v20 = await call('PATCH', path, { headers: { 'content-type': 'application/openstack-images-v2.0-json-patch' }, body: JSON.stringify([{ replace: '/min_disk', value: 3 }, { add: '/new', value: 'x' }]) })
  assert.equal(v20.body.min_disk, 3)
  assert.equal(v20.body.new, 'x')
  const send = (ops: unknown, headers = PATCH) => call('PATCH', path, { headers, body: JSON.stringify(ops) })
  assert.equal((await send([{ op: 'replace', path: '/nothing', value: 'x' }])).status, 409)
  assert.equal((await send([{ op: 'remove', path: '/name' }])).status, 403)
  assert.equal((await send([{ op: 'add', path: '/os_glance_foo', value: 'x' }])).status, 403)
  assert.equal((await send([{ op: 'replace', path: '/status', value: 'active' }])).status, 403)
  assert.equal((await send([{ op: 'replace', path: '/visibility', value: 'public' }])).status, 403)
  assert.equal((await send([], { 'content-type': 'application/json' })).status, 415)
  assert.equal((await call('PUT', `${path}/tags/one`)).status, 204)
  assert.equal((await call('DELETE', `${path}/tags/none`)).status, 404)
})

test('listings filter, sort and page', async () => {
  const mine = await at.cloud.token({ project_id: 'project-list' })
  const ids: string[] = []
  for (const name of ['a', 'b', 'c']) ids.push((await create({ name, walk: name === 'a' ? 'no' : 'yes', tags: [`tag-${name}`] }, mine)).id)
  const list = async (query: string) => (await call('GET', `/v2/images${query}`, { token: mine })).body
  const names = (body: { images: { name: string; visibility: string }[] }) => body.images.filter((image) => image.visibility !== 'public').map((image) => image.name)
  assert.deepEqual(names(await list('?sort=name:asc')), ['a', 'b', 'c'])
  assert.deepEqual(names(await list('?walk=yes&sort_key=name&sort_dir=desc')), ['c', 'b'])
  assert.deepEqual(names(await list('?name=in:a,c&sort=name:asc')), ['a', 'c'])
  assert.deepEqual(names(await list('?tag=tag-b')), ['b'])
  assert.deepEqual(names(await list('?status=active')), [])
  const first = await list('?limit=2&sort=name:asc&visibility=shared')
  assert.equal(first.images.length, 2)
  assert.match(first.next, /^\/v2\/images\?/)
  const second = await call('GET', first.next, { token: mine })
  assert.deepEqual(names(second.body), ['c'])
  assert.equal((await call('GET', '/v2/images?marker=nothing', { token: mine })).status, 400)
})

test('others see an image only when it is shared with them, public or community', async () => {
  const image = await create({ name: 'sharing' })
  const show = async (as: string) => (await call('GET', `/v2/images/${image.id}`, { token: as })).status
  const listed = async (as: string, query = '') => (await call('GET', `/v2/images${query}`, { token: as })).body.images.some((entry: { id: string }) => entry.id === image.id)
  assert.equal(await show(other), 404)
  assert.equal(await show(admin), 200)
  assert.equal(await listed(admin), true)
  const added = await call('POST', `/v2/images/${image.id}/members`, { json: { member: 'project-b' } })
  assert.equal(added.body.status, 'pending')
  assert.equal((await call('POST', `/v2/images/${image.id}/members`, { json: { member: 'project-b' } })).status, 409)
  assert.equal(await show(other), 200)
  assert.equal(await listed(other), false)
  assert.equal(await listed(other, '?visibility=shared&member_status=pending'), true)
  assert.equal((await call('PUT', `/v2/images/${image.id}/members/project-b`, { json: { status: 'accepted' } })).status, 403)
  assert.equal((await call('PUT', `/v2/images/${image.id}/members/project-b`, { token: other, json: { status: 'nonsense' } })).status, 400)
  assert.equal((await call('PUT', `/v2/images/${image.id}/members/project-b`, { token: other, json: { status: 'accepted' } })).status, 200)
  assert.equal(await listed(other), true)
  assert.equal((await call('GET', `/v2/images/${image.id}/members`)).body.members[0].status, 'accepted')
  assert.equal((await call('DELETE', `/v2/images/${image.id}`, { token: other })).status, 403)
  assert.equal((await call('DELETE', `/v2/images/${image.id}/members/project-b`)).status, 204)
  assert.equal(await show(other), 404)
  const patch = (value: string, as = token) => call('PATCH', `/v2/images/${image.id}`, { token: as, headers: PATCH, body: JSON.stringify([{ op: 'replace', path: '/visibility', value }]) })
  assert.equal((await patch('community')).status, 200)
  assert.equal(await show(other), 200)
  assert.equal(await listed(other), false)
  assert.equal((await patch('public', admin)).status, 200)
  assert.equal(await listed(other), true)
  assert.equal((await patch('private')).status, 200)
  assert.equal(await show(other), 404)
})

test('protected, deactivated and deleted', async () => {
  const image = await create({ protected: true })
  assert.equal((await call('DELETE', `/v2/images/${image.id}`)).status, 403)
  await call('PATCH', `/v2/images/${image.id}`, { headers: PATCH, body: JSON.stringify([{ op: 'replace', path: '/protected', value: false }]) })
  await upload(image.id, randomBytes(100))
  assert.equal((await call('POST', `/v2/images/${image.id}/actions/deactivate`)).status, 204)
  assert.equal((await call('GET', `/v2/images/${image.id}/file`)).status, 403)
  assert.equal((await call('POST', `/v2/images/${image.id}/actions/reactivate`)).status, 204)
  assert.equal((await call('DELETE', `/v2/images/${image.id}`)).status, 204)
  assert.equal((await call('GET', `/v2/images/${image.id}`)).status, 404)
  await until(async () => [...at.record.objects.keys()].some((key) => key.includes(image.id)), (left) => !left, 'the bytes are deleted')
})

test('an image with an id of the client is found by admins, and the id is taken once', async () => {
  const id = '12345678-1111-4222-8333-444455556666'
  await create({ id })
  assert.equal((await call('POST', '/v2/images', { token: other, json: { id } })).status, 409)
  assert.equal((await call('POST', '/v2/images', { json: { id } })).status, 409)
  assert.equal((await call('GET', `/v2/images/${id}`, { token: admin })).status, 200)
  assert.equal((await call('GET', `/v2/images/${id}`, { token: other })).status, 404)
})

test('an admin creates for another owner and moves an image', async () => {
  const image = await create({ owner: 'project-x' }, admin)
  assert.equal(image.owner, 'project-x')
  const moved = await call('PATCH', `/v2/images/${image.id}`, { token: admin, headers: PATCH, body: JSON.stringify([{ op: 'replace', path: '/owner', value: 'project-y' }]) })
  assert.equal(moved.body.owner, 'project-y')
  assert.equal((await call('GET', `/v2/images/${image.id}`, { token: admin })).body.owner, 'project-y')
  assert.equal((await call('GET', `/v2/images/${image.id}`, { token: await at.cloud.token({ project_id: 'project-y' }) })).status, 200)
  assert.equal((await call('GET', `/v2/images/${image.id}`, { token: await at.cloud.token({ project_id: 'project-x' }) })).status, 404)
  assert.equal((await call('POST', '/v2/images', { json: { owner: 'project-x' } })).status, 403)
})

test('what is staged is imported, and the import is a task', async () => {
  const image = await create()
  const early = await call('POST', `/v2/images/${image.id}/import`, { json: { method: { name: 'glance-direct' } } })
  assert.equal(early.status, 409)
  assert.equal((await call('PUT', `/v2/images/${image.id}/stage`, { headers: OCTET, body: randomBytes(2000) as never })).status, 204)
  assert.equal((await call('GET', `/v2/images/${image.id}`)).body.status, 'uploading')
  const started = await call('POST', `/v2/images/${image.id}/import`, { json: { method: { name: 'glance-direct' }, stores: ['file'] } })
  assert.equal(started.status, 202)
  const active = await until(async () => (await call('GET', `/v2/images/${image.id}`)).body, (body) => body.status === 'active', 'active')
  assert.equal(active.size, 2000)
  assert.equal(active.stores, 'file')
  const { tasks } = (await call('GET', `/v2/images/${image.id}/tasks`)).body
  assert.equal(tasks[0].status, 'success')
  assert.equal(tasks[0].request_id, started.headers.get('x-openstack-request-id'))
  assert.equal((await call('POST', `/v2/images/${image.id}/import`, { json: { method: { name: 'web-download' } } })).status, 400)
})

test('schemas have the enums that clients and Tempest read', async () => {
  for (const name of ['image', 'images', 'member', 'members']) assert.equal((await call('GET', `/v2/schemas/${name}`)).body.name, name)
  assert.equal((await call('GET', '/v2/schemas/nothing')).status, 404)
  assert.ok((await call('GET', '/v2/info/stores')).body.stores.length === 2)
})

test('the same Idempotency-Key makes one image', async () => {
  const send = () => call('POST', '/v2/images', { json: { name: 'once' }, headers: { 'idempotency-key': 'k1' } })
  const [one, two] = [await send(), await send()]
  assert.equal(one.body.id, two.body.id)
})
