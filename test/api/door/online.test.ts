/** The door with its plane: the same results as through the plane, rights judged by both, replicas by disk, LAN and plane. */
import assert from 'node:assert/strict'
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import type { Door } from '../../../agent/door/index.ts'
import { ACCOUNT, ROOT, type Site, exchange, site } from '../../support/door.ts'

const md5 = (text: string | Uint8Array) => createHash('md5').update(text).digest('hex')
let place: Site
let door: Door
let port = 0
let member = ''
const swift = (method: string, path: string, options: Parameters<typeof exchange>[3] = {}) => exchange(port, method, `${ROOT}${path}`, { token: member, ...options })

before(async () => {
  place = await site(3)
  door = await place.door(0)
  port = door.port
  member = await place.cloud.token({ role: 'member' })
  assert.equal(door.status().online, true)
})
after(() => place.close())

/** What may differ between two answers to the same request. */
const plain = (headers: Record<string, string> | Headers) => {
  const kept = Object.fromEntries(headers instanceof Headers ? headers : Object.entries(headers))
  for (const name of ['date', 'x-trans-id', 'x-openstack-request-id', 'connection', 'keep-alive', 'transfer-encoding']) delete kept[name]
  return kept
}

test('an object written through the door is the same through door and plane, and so is one written through the plane', async () => {
  assert.equal((await swift('PUT', '/c1')).status, 201)
  const put = await swift('PUT', '/c1/dir/a', { body: 'hello', headers: { 'content-type': 'text/plain', 'x-object-meta-colour': 'red' } })
  assert.equal(put.status, 201, put.text)
  assert.equal(put.headers.etag, md5('hello'))
  assert.equal((await place.cloud.call('PUT', `${ROOT}/c1/dir/b`, { token: member, body: 'there', headers: { 'content-type': 'text/plain' } })).status, 201)
  for (const name of ['/c1/dir/a', '/c1/dir/b']) {
    const [here, there] = [await swift('GET', name), await place.cloud.call('GET', `${ROOT}${name}`, { token: member })]
    assert.equal(here.status, 200)
    assert.equal(here.text, there.text)
    assert.deepEqual(plain(here.headers), plain(there.headers))
  }
  const list = await swift('GET', '/c1?format=json')
  assert.deepEqual(list.body.map((row: { name: string; hash: string }) => [row.name, row.hash]), [['dir/a', md5('hello')], ['dir/b', md5('there')]])
  assert.equal((await swift('POST', '/c1/dir/a', { headers: { 'x-object-meta-size': 'big' } })).status, 202)
  const head = await place.cloud.call('HEAD', `${ROOT}/c1/dir/a`, { token: member })
  assert.equal(head.headers.get('x-object-meta-size'), 'big')
  assert.equal((await swift('COPY', '/c1/dir/a', { headers: { destination: 'c1/copy' } })).status, 201)
  assert.equal((await swift('GET', '/c1/copy')).text, 'hello')
  assert.equal((await swift('GET', '/c1/dir/a', { headers: { range: 'bytes=1-3' } })).text, 'ell')
  assert.equal((await swift('GET', '/c1/dir/a', { headers: { 'if-none-match': md5('hello') } })).status, 304)
  assert.equal((await swift('PUT', '/c1/dir/a', { body: 'x', headers: { 'if-none-match': '*' } })).status, 412)
  assert.equal((await swift('PUT', '/c1/dir/a', { body: 'x', headers: { etag: md5('y') } })).status, 422)
  assert.equal((await swift('DELETE', '/c1/copy')).status, 204)
  assert.equal((await swift('GET', '/c1/copy')).status, 404)
  assert.equal((await place.cloud.call('GET', `${ROOT}/c1/copy`, { token: member })).status, 404)
})

test('names are as the client wrote them, and what is not an object goes to the plane', async () => {
  await swift('PUT', '/names')
  assert.equal((await swift('PUT', '/names/a/../b%2Fc//', { body: 'odd' })).status, 201)
  assert.deepEqual((await swift('GET', '/names?format=json')).body.map((row: { name: string }) => row.name), ['a/../b/c//'])
  assert.equal((await swift('GET', '/names/a/../b%2Fc//')).text, 'odd')
  assert.equal((await exchange(port, 'GET', '/object-store/info')).status, 200)
  assert.equal((await exchange(port, 'GET', '/identity/v3')).status, 404)
  assert.equal((await swift('HEAD', '')).status, 204)
  assert.equal((await swift('GET', '/nosuch/o')).status, 404)
  assert.equal((await swift('PUT', '/nosuch/o', { body: 'x' })).status, 404)
})

test('large objects, static and dynamic, are followed', async () => {
  await swift('PUT', '/seg')
  for (const part of ['1', '2']) await swift('PUT', `/seg/p/${part}`, { body: `part${part}` })
  const manifest = JSON.stringify(['1', '2'].map((part) => ({ path: `/seg/p/${part}`, etag: md5(`part${part}`), size_bytes: 5 })))
  assert.equal((await swift('PUT', '/seg/slo?multipart-manifest=put', { body: manifest })).status, 201)
  assert.equal((await swift('PUT', '/seg/dlo', { body: '', headers: { 'x-object-manifest': 'seg/p/' } })).status, 201)
  assert.equal((await swift('GET', '/seg/slo')).text, 'part1part2')
  assert.equal((await swift('GET', '/seg/dlo', { headers: { range: 'bytes=3-6' } })).text, 't1pa')
  assert.equal((await swift('DELETE', '/seg/slo?multipart-manifest=delete&async=on')).status, 204)
  assert.equal((await swift('HEAD', '/seg/slo')).status, 404)
  await place.cloud.cluster.fireAlarms()
  for (const part of ['1', '2']) assert.equal((await swift('HEAD', `/seg/p/${part}`)).status, 404, 'by the container itself, a moment later')
})

test('a body that is streamed, with or without its length, has its replicas on all hosts', async () => {
  await swift('PUT', '/big')
  const data = randomBytes(3 * 1024 * 1024 + 17)
  for (const [name, headers] of [['sized', { 'content-length': String(data.byteLength) }], ['chunked', {}]] as const) {
    const put = await swift('PUT', `/big/${name}`, { body: Readable.from([data.subarray(0, 1_000_000), data.subarray(1_000_000)], { objectMode: false }), headers })
    assert.equal(put.status, 201, put.text)
    assert.equal(put.headers.etag, md5(data))
    for (const host of place.hosts) {
      host.away = true
      const got = await place.cloud.call('GET', `${ROOT}/big/${name}`, { token: member })
      assert.equal(got.status, 200, `without one host: ${got.text.slice(0, 200)}`)
      host.away = false
    }
  }
})

test('S16: who has no right has none at a door either', async () => {
  await swift('PUT', '/private')
  await swift('PUT', '/private/o', { body: 'secret' })
  const stranger = await place.cloud.token({ role: 'member', project_id: 'project-b', user_id: 'user-b' })
  const path = `${ROOT}/private/o`
  for (const method of ['GET', 'PUT', 'POST', 'DELETE']) {
    assert.equal((await exchange(port, method, path, { token: stranger, body: '' })).status, 403, method)
    assert.equal((await exchange(port, method, path, { body: '' })).status, 401, method)
    assert.equal((await exchange(port, method, path, { token: `${member}x`, body: '' })).status, 401, method)
  }
  assert.equal((await exchange(port, 'GET', path, { token: stranger })).status, 403)
  await swift('POST', '/private', { headers: { 'x-container-read': '.r:*', 'x-container-write': 'project-b:user-b' } })
  assert.equal((await exchange(port, 'GET', path)).text, 'secret')
  assert.equal((await exchange(port, 'PUT', `${ROOT}/private/new`, { token: stranger, body: 'theirs' })).status, 201)
  assert.equal((await exchange(port, 'DELETE', `${ROOT}/private/new`, { token: stranger })).status, 204)
  const reader = await place.cloud.token({ role: 'reader' })
  assert.equal((await exchange(port, 'PUT', path, { token: reader, body: 'x' })).status, 403)
})

test('temporary URLs hold at the door', async () => {
  assert.equal((await swift('POST', '', { headers: { 'x-account-meta-temp-url-key': 'k3y' } })).status, 204)
  await swift('PUT', '/tmp')
  const expires = Math.floor(Date.now() / 1000) + 600
  const sign = (method: string, path: string) => createHmac('sha256', 'k3y').update(`${method}\n${expires}\n${path}`).digest('hex')
  const url = (method: string) => `${ROOT}/tmp/o?temp_url_sig=${sign(method, `${ROOT}/tmp/o`)}&temp_url_expires=${expires}`
  const put = await exchange(port, 'PUT', url('PUT'), { body: 'signed' })
  assert.equal(put.status, 201, put.text)
  assert.equal((await exchange(port, 'GET', url('GET'))).text, 'signed')
  assert.equal((await exchange(port, 'DELETE', url('GET'))).status, 401)
})

test('a host that is not a door is refused by the plane, and what a door may not do is too', async () => {
  const { identity } = place.hosts[1] as Site['hosts'][0]
  const ask = async (who: typeof identity, body: unknown, method = 'POST') => {
    const text = JSON.stringify(body)
    const path = `/agents/v1/door/calls?digest=${createHash('sha256').update(text).digest('base64url')}`
    return await place.cloud.call(method, path, { headers: { authorization: who.authorization(method, path) }, body: text })
  }
  const evidence = [{ method: 'PUT', path: `${ROOT}/private/o`, headers: { 'x-auth-token': member } }]
  const call = (method: string, args: unknown[], container = 'private') => ({ evidence: 0, on: 'container', account: ACCOUNT, container, method, args })
  const begin = { evidence, calls: [call('begin', ['o'])] }
  assert.equal((await ask(identity, begin)).status, 403)
  const own = (place.hosts[0] as Site['hosts'][0]).identity
  assert.equal((await ask(own, begin)).body.results[0].ok, true)
  const outcome = async (body: unknown) => (await ask(own, body)).body.results[0].error?.kind
  assert.equal(await outcome({ evidence: [{ ...evidence[0], headers: {} }], calls: [call('begin', ['o'])] }), 'unauthorized')
  assert.equal(await outcome({ evidence: [{ ...evidence[0], method: 'GET' }], calls: [call('begin', ['o'])] }), 'forbidden', 'a read begins no write')
  assert.equal(await outcome({ evidence, calls: [call('remove', [])] }), 'not_implemented', 'containers are not a door\'s to delete')
  assert.equal(await outcome({ evidence, calls: [call('constructor', [])] }), 'not_implemented')
  assert.equal(await outcome({ evidence, calls: [call('deleteObject', ['o', `${Math.floor(Date.now() / 1000) + 86_400}.00000`])] }), 'forbidden', 'a time of the future')
  assert.equal(await outcome({ evidence: [{ ...evidence[0], at_ms: Date.now() + 86_400_000 }], calls: [call('begin', ['o'])] }), 'forbidden')
  assert.equal((await ask(own, { evidence: [{ ...evidence[0], path: '/compute/v2.1' }], calls: [] })).status, 400)
  const path = `/agents/v1/door/calls?digest=${createHash('sha256').update('{}').digest('base64url')}`
  assert.equal((await place.cloud.call('POST', path, { headers: { authorization: own.authorization('POST', path) }, body: JSON.stringify(begin) })).status, 401, 'another body than was signed')
})

test('a door never gives an old object after an overwrite was acknowledged: the container is asked where disks are silent', async () => {
  await swift('PUT', '/fresh')
  assert.equal((await swift('PUT', '/fresh/o', { body: 'old' })).status, 201)
  const [own, ...others] = place.hosts as Site['hosts']
  try {
    if (own !== undefined) own.away = true
    assert.equal((await place.cloud.call('PUT', `${ROOT}/fresh/o`, { token: member, body: 'new' })).status, 201)
    for (const host of others) host.away = true
    const read = await swift('GET', '/fresh/o')
    assert.equal(read.status, 503, read.text)
  } finally {
    for (const host of place.hosts) host.away = false
  }
})

test('between doors replicas go over the LAN, and only doors may call', async () => {
  const second = await place.door(1)
  await door.poll()
  const other = place.hosts[1] as Site['hosts'][0]
  other.away = true
  try {
    await swift('PUT', '/lan')
    for (let n = 0; n < 8; n++) assert.equal((await swift('PUT', `/lan/o${n}`, { body: `over the lan ${n}` })).status, 201)
    const before = second.status()
    assert.equal(before.online, true)
    // The third host's link is lost as well: two of three replicas are there only if the second door took them.
    ;(place.hosts[2] as Site['hosts'][0]).away = true
    assert.equal((await swift('PUT', '/lan/alone', { body: 'two are enough' })).status, 201)
    assert.equal((await exchange(second.port, 'GET', `${ROOT}/lan/alone`, { token: member })).text, 'two are enough')
  } finally {
    for (const host of place.hosts) host.away = false
  }
  const path = `/door/v1/replicas?op=object.head&args=${encodeURIComponent('{}')}`
  const third = (place.hosts[2] as Site['hosts'][0]).identity
  assert.equal((await exchange(second.port, 'POST', path, { headers: { authorization: third.authorization('POST', path) } })).status, 401)
  assert.equal((await exchange(second.port, 'POST', path)).status, 401)
})

test('a write that the door\'s clock put before one of the plane is not lost: it is done again with a time of the container', async () => {
  await swift('PUT', '/hasty')
  const row = { size: 1, etag: md5('x'), content_type: 'text/plain', delete_at: null, slo_etag: null, slo_size: null, version: '', extra: null }
  assert.equal((await swift('PUT', '/hasty/o', { body: '1' })).status, 201)
  // The plane's clock seems to be two seconds ahead: what it writes now is later than the door's now.
  const container = place.cloud.env.CONTAINER.getByName('AUTH_project-a/hasty')
  const ahead = `${Math.floor(Date.now() / 1000) + 2}.00000`
  await container.putObject({ ...row, name: 'o', at: ahead, modified_at: ahead })
  await container.putObject({ ...row, name: 'other', at: ahead, modified_at: ahead })
  const again = await swift('PUT', '/hasty/o', { body: 'later in truth' })
  assert.equal(again.status, 201)
  assert.equal((await swift('GET', '/hasty/o')).text, 'later in truth')
  const rows = (await swift('GET', '/hasty?format=json')).body as { name: string; hash: string }[]
  assert.equal(rows.find(({ name }) => name === 'o')?.hash, md5('later in truth'))
})
