/** The door without its plane: what goes on, what does not, and that all of it is right afterwards, kills in between included. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import type { Door } from '../../../agent/door/index.ts'
import { ROOT, type Site, doorsOf, exchange, site } from '../../support/door.ts'

const md5 = (text: string) => createHash('md5').update(text).digest('hex')
let place: Site
let door: Door
let member = ''
const swift = (method: string, path: string, options: Parameters<typeof exchange>[3] = {}) => exchange(door.port, method, `${ROOT}${path}`, { token: member, ...options })
const plane = (method: string, path: string, options: { body?: string; headers?: Record<string, string> } = {}) => place.cloud.call(method, `${ROOT}${path}`, { token: member, ...options })

/** Waits until the door and its plane agree again. */
async function back(which: Door = door): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    await which.poll()
    if (which.status().online && which.status().pending === 0) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  assert.fail(`the door did not come back: ${JSON.stringify(which.status())}`)
}

before(async () => {
  place = await site(3)
  door = await doorsOf(place, 3)
  member = await place.cloud.token({ role: 'member' })
  await swift('PUT', '/c')
  await swift('PUT', '/c/kept', { body: 'kept' })
  await swift('PUT', '/c/gone', { body: 'gone' })
})
beforeEach(async () => {
  await place.restore()
  await back()
})
after(() => place.close())

test('without the plane objects are read, written, changed and deleted; listings and what was never seen are 503', async () => {
  await plane('PUT', '/never-seen')
  await place.cut()
  assert.equal((await swift('GET', '/c/kept')).text, 'kept')
  const put = await swift('PUT', '/c/new', { body: 'written alone', headers: { 'x-object-meta-by': 'door' } })
  assert.equal(put.status, 201, put.text)
  assert.equal((await swift('GET', '/c/new')).text, 'written alone')
  assert.equal((await swift('PUT', '/c/kept', { body: 'changed alone' })).status, 201)
  assert.equal((await swift('GET', '/c/kept')).text, 'changed alone')
  assert.equal((await swift('POST', '/c/new', { headers: { 'x-object-meta-by': 'post', 'content-type': 'text/x-changed' } })).status, 202)
  assert.equal((await swift('DELETE', '/c/gone')).status, 204)
  assert.equal((await swift('GET', '/c/gone')).status, 404)
  assert.equal((await swift('DELETE', '/c/gone')).status, 404)
  assert.equal((await swift('PUT', '/c/new', { body: 'x', headers: { 'if-none-match': '*' } })).status, 412)
  assert.equal((await swift('COPY', '/c/kept', { headers: { destination: 'c/copied' } })).status, 201)
  for (const [method, path] of [['GET', '/c'], ['GET', ''], ['PUT', '/made-alone'], ['PUT', '/never-seen/o']] as const) {
    const answer = await swift(method, path, { body: method === 'PUT' ? 'x' : undefined } as never)
    assert.equal(answer.status, 503, `${method} ${path}`)
  }
  const stranger = await place.cloud.token({ role: 'member', project_id: 'project-b', user_id: 'user-b' })
  assert.equal((await exchange(door.port, 'GET', `${ROOT}/c/kept`, { token: stranger })).status, 403)
  assert.equal((await exchange(door.port, 'GET', `${ROOT}/c/kept`)).status, 401)
  assert.equal(door.status().online, false)
  assert.ok(door.status().pending >= 5)
  await place.restore()
  await back()
  const rows = (await plane('GET', '/c?format=json')).body as { name: string; hash: string; content_type: string; bytes: number }[]
  assert.deepEqual(rows.map(({ name, hash }) => [name, hash]), [['copied', md5('changed alone')], ['kept', md5('changed alone')], ['new', md5('written alone')]])
  assert.equal(rows.find(({ name }) => name === 'new')?.content_type, 'text/x-changed')
  assert.equal((await plane('GET', '/c/kept')).text, 'changed alone')
  assert.equal((await plane('GET', '/c/gone')).status, 404)
  assert.equal((await plane('HEAD', '/c/new')).headers.get('x-object-meta-by'), 'post')
  assert.equal((await plane('HEAD', '/c')).headers.get('x-container-object-count'), '3')
})

test('the newest write wins whichever side it came from, and a write after the return is newer than all', async () => {
  await swift('PUT', '/w')
  await swift('PUT', '/w/first-here', { body: 'before' })
  await swift('PUT', '/w/first-there', { body: 'before' })
  await place.cut()
  await swift('PUT', '/w/first-here', { body: 'door, then plane' })
  // The plane's own clients do not know of the cut: they reach the hosts' disks by their links.
  assert.equal((await plane('PUT', '/w/first-here', { body: 'plane, later' })).status, 201)
  assert.equal((await plane('PUT', '/w/first-there', { body: 'plane, first' })).status, 201)
  await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal((await swift('PUT', '/w/first-there', { body: 'door, later' })).status, 201)
  await place.restore()
  await back()
  const rows = (await plane('GET', '/w?format=json')).body as { name: string; hash: string }[]
  assert.deepEqual(rows.map(({ name, hash }) => [name, hash]), [['first-here', md5('plane, later')], ['first-there', md5('door, later')]])
  for (const [name, text] of [['first-here', 'plane, later'], ['first-there', 'door, later']]) {
    assert.equal((await swift('GET', `/w/${name}`)).text, text)
    assert.equal((await plane('GET', `/w/${name}`)).text, text)
  }
  assert.equal((await plane('PUT', '/w/first-there', { body: 'at last' })).status, 201)
  assert.equal((await swift('GET', '/w/first-there')).text, 'at last')
})

test('a clock that is ahead while alone leaves no write that cannot be overwritten', async () => {
  await swift('PUT', '/fast')
  await new Promise((resolve) => setTimeout(resolve, 100))
  await place.cut()
  assert.equal((await swift('PUT', '/fast/o', { body: '0' })).status, 201, 'a container made through the door is known to it')
  assert.equal(door.status().pending, 1)
  await place.restore()
  await back()
  // A minute ahead: as a door whose clock ran away wrote it.
  const ahead = `${Math.floor(Date.now() / 1000) + 60}.00000`
  const container = place.cloud.env.CONTAINER.getByName('AUTH_project-a/fast')
  await container.putObject({ ...(await container.object('o')), name: 'o', at: ahead, modified_at: ahead } as never)
  const begun = await container.begin('o')
  assert.ok((begun?.timestamp ?? '') > ahead, `${begun?.timestamp} after ${ahead}`)
})

test('a kill between the answer and the return loses nothing; nothing is delivered twice to any effect', async () => {
  await swift('PUT', '/k')
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  await place.cut()
  for (let n = 0; n < 20; n++) assert.equal((await swift('PUT', `/k/o${String(n).padStart(2, '0')}`, { body: `alone ${n}` })).status, 201)
  // As kill -9: nothing is flushed, closed or told; the next process finds the file as it is.
  const heir = await place.door(0, { grant: false })
  assert.equal(heir.status().pending, 20)
  assert.equal(heir.status().online, false)
  door = heir
  // What the first one knew is known: containers too.
  assert.equal((await swift('GET', '/k/o07')).text, 'alone 7')
  await place.restore()
  await back()
  const rows = (await plane('GET', '/k?format=json')).body as { name: string; hash: string }[]
  assert.deepEqual(rows.map(({ hash }) => hash), Array.from({ length: 20 }, (_, n) => md5(`alone ${n}`)))
  assert.equal((await plane('HEAD', '/k')).headers.get('x-container-object-count'), '20')
})

test('S20: what was revoked before the write is refused afterwards, and kept aside for the operator; what was written before holds', async () => {
  await swift('PUT', '/r')
  await new Promise((resolve) => setTimeout(resolve, 100))
  const identity = place.cloud.cluster.instance('IDENTITY', 'identity')
  const [early, late] = [await place.cloud.token({ role: 'member', audit_ids: ['early'] }), await place.cloud.token({ role: 'member', audit_ids: ['late'] })]
  await place.cut()
  assert.equal((await exchange(door.port, 'PUT', `${ROOT}/r/good`, { token: early, body: 'good' })).status, 201)
  await new Promise((resolve) => setTimeout(resolve, 500))
  const before_ms = Date.now()
  identity.revocations = (cursor: number) => ({ cursor: 1, events: cursor === 1 ? [] : ['early', 'late'].map((subject) => ({ scope: 'audit', subject, before_ms, expires_ms: before_ms + 3_600_000 })) })
  await new Promise((resolve) => setTimeout(resolve, 500))
  assert.equal((await exchange(door.port, 'PUT', `${ROOT}/r/bad`, { token: late, body: 'bad' })).status, 201, 'nobody could have told the door')
  // The Worker's list may be five seconds old.
  await new Promise((resolve) => setTimeout(resolve, 5_100))
  await place.restore()
  await back()
  assert.deepEqual(((await plane('GET', '/r?format=json')).body as { name: string }[]).map(({ name }) => name), ['good'])
  assert.equal(door.status().refused, 1)
  assert.equal((await exchange(door.port, 'GET', `${ROOT}/r/good`, { token: early })).status, 401, 'connected again, the door knows')
})
