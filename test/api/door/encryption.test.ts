/** Encrypted objects at a door: its disks show nothing, it reads and writes as the plane does, knows keys of the containers that are used through it and keeps them in memory alone. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Door } from '../../../agent/door/index.ts'
import { ACCOUNT, ROOT, type Site, doorsOf, exchange, site } from '../../support/door.ts'
import { onDisks } from '../../support/on-disks.ts'

const md5 = (text: string) => createHash('md5').update(text).digest('hex')
let place: Site
let door: Door
let member = ''
const swift = (method: string, path: string, options: Parameters<typeof exchange>[3] = {}) => exchange(door.port, method, `${ROOT}${path}`, { token: member, ...options })
const plane = (method: string, path: string, options: { body?: string; headers?: Record<string, string> } = {}) => place.cloud.call(method, `${ROOT}${path}`, { token: member, ...options })

async function back(): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    await door.poll()
    if (door.status().online && door.status().pending === 0) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  assert.fail(`the door did not come back: ${JSON.stringify(door.status())}`)
}

before(async () => {
  place = await site(3, { encrypted: true })
  door = await doorsOf(place, 2)
  member = await place.cloud.token({ role: 'member' })
  await swift('PUT', '/c')
})
after(() => place.close())

test('what is written through the door or the plane is encrypted on every disk, and the same through both; so over the LAN, and by hosts that have no door', async () => {
  for (let n = 0; n < 4; n++) assert.equal((await swift('PUT', `/c/door${n}`, { body: `through the door ${n}`, headers: { 'x-object-meta-a': 'a-metadata-value' } })).status, 201)
  assert.equal((await plane('PUT', '/c/plane', { body: 'through the plane' })).status, 201)
  await swift('POST', '/c/door0', { headers: { 'x-object-meta-a': 'posted-value' } })
  const shown = await onDisks(place.hosts)
  for (const text of ['through the door', 'through the plane', 'a-metadata-value', 'posted-value', md5('through the door 1')]) assert.ok(!shown.includes(text), text)
  for (let n = 0; n < 4; n++) for (const ask of [swift, plane]) assert.equal((await ask('GET', `/c/door${n}`)).text, `through the door ${n}`)
  assert.equal((await swift('GET', '/c/plane', { headers: { range: 'bytes=8-10' } })).text, 'the')
  assert.equal((await swift('HEAD', '/c/door0')).headers['x-object-meta-a'], 'posted-value')
  for (const { driver } of place.hosts) assert.equal((await driver.replicas.partitions('d1')).length > 0, true)
})

test('a new root secret is known to the door by the next state', async () => {
  const first = Buffer.alloc(32, 7).toString('base64url')
  place.cloud.env.OBJECT_KEYS = `${Buffer.alloc(32, 8).toString('base64url')},${first}`
  await door.poll()
  assert.equal((await swift('PUT', '/c/rotated', { body: 'under the new one' })).status, 201)
  const roots = new Set([...(await onDisks(place.hosts)).matchAll(/"root":"([0-9a-f]{16})"/g)].map(([, root]) => root))
  assert.equal(roots.size, 2)
  for (const ask of [swift, plane]) assert.deepEqual([(await ask('GET', '/c/rotated')).text, (await ask('GET', '/c/door1')).text], ['under the new one', 'through the door 1'])
})

test('without the plane the door goes on in containers whose keys it has; started anew without it, it has none, says so, and loses nothing', async () => {
  await plane('PUT', '/unused')
  await plane('PUT', '/unused/o', { body: 'never through this door' })
  await place.cut()
  assert.equal((await swift('GET', '/c/door2')).text, 'through the door 2')
  assert.equal((await swift('PUT', '/c/alone', { body: 'written alone' })).status, 201)
  assert.equal((await swift('GET', '/c/alone')).text, 'written alone')
  assert.ok(!(await onDisks(place.hosts)).includes('written alone'))
  // What it learned of containers is written down a second later.
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  const heir = await place.door(0, { grant: false })
  door = heir
  const answer = await swift('GET', '/c/door2')
  assert.deepEqual([answer.status, /root secret [0-9a-f]{16}.*a door that did not ask its plane/.test(answer.text)], [503, true])
  assert.equal((await swift('PUT', '/c/more', { body: 'not plainly either' })).status, 503)
  await place.restore()
  await back()
  assert.equal((await swift('GET', '/c/door2')).text, 'through the door 2')
  assert.equal((await plane('GET', '/c/alone')).text, 'written alone')
  const rows = (await plane('GET', '/c?format=json')).body as { name: string; hash: string }[]
  assert.equal(rows.find(({ name }) => name === 'alone')?.hash, md5('written alone'))
  assert.equal(rows.some(({ name }) => name === 'more'), false)
})

test('keys are told to those only who may use the object, and lie in no file of the door', async () => {
  const { identity } = place.hosts[0] as Site['hosts'][0]
  const ask = async (token: string | null, container: string, object: string | null) => {
    const text = JSON.stringify({ evidence: [{ method: 'GET', path: `${ROOT}/${container}/${object ?? ''}`, headers: token === null ? {} : { 'x-auth-token': token } }], calls: [{ evidence: 0, on: 'container', account: ACCOUNT, container, method: 'keys', args: [object] }] })
    const path = `/agents/v1/door/calls?digest=${createHash('sha256').update(text).digest('base64url')}`
    return (await place.cloud.call('POST', path, { headers: { authorization: identity.authorization('POST', path) }, body: text })).body.results[0]
  }
  const told = await ask(member, 'c', 'door1')
  assert.deepEqual([told.ok, told.value.length], [true, 2])
  assert.equal((await ask(null, 'c', 'door1')).error.kind, 'unauthorized')
  const stranger = await place.cloud.token({ role: 'member', project_id: 'project-b', user_id: 'user-b' })
  assert.equal((await ask(stranger, 'c', 'door1')).error.kind, 'forbidden')
  await swift('GET', '/c/door1')
  const folder = join(place.folder, '0')
  for (const file of readdirSync(folder)) for (const { key } of told.value as { key: string }[]) assert.ok(!readFileSync(join(folder, file)).includes(key), file)
})

test('between doors keys are in a header that the signed path vouches for', async () => {
  const path = `/door/v1/replicas?op=object.head&args=${encodeURIComponent(JSON.stringify({ device: 'd1', policy: 0, partition: 1, hash: md5('x'), name: '/a/c/o', timestamp: '1700000000.00000' }))}&sealing=${createHash('sha256').update('other').digest('base64url')}`
  const { identity } = place.hosts[1] as Site['hosts'][0]
  assert.equal((await exchange(door.port, 'POST', path, { headers: { authorization: identity.authorization('POST', path), 'x-skyhook-sealing': 'e30' } })).status, 401)
})

