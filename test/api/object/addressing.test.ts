/** What stands around the object store where the operator switched it on: Etags in quotes, and hosts that name accounts and containers. */
import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import * as bundle from '../../../workers/index.ts'
import { ACCOUNT, type ObjectCloud, ROOT, objectCloud } from './cloud.ts'

let cloud: ObjectCloud
let given = ''
let now = Date.now()
before(async () => {
  cloud = await objectCloud({ clock: { now_ms: () => now } })
  given = cloud.env.OPTIONS ?? ''
})
after(() => cloud.close())
afterEach(() => {
  cloud.env.OPTIONS = given
})

/** Adds to what the cloud is set to anyway. */
function set(swift: object): void {
  const options = JSON.parse(given || '{}') as { swift?: object }
  cloud.env.OPTIONS = JSON.stringify({ ...options, swift: { ...options.swift, ...swift } })
}

const MD5 = createHash('md5').update('abc').digest('hex')

test('Etags are quoted where the container asks for it, else where the account does, else as the operator says', async () => {
  const etag = async (method = 'GET', path = '/etags/o', options = {}) => (await cloud.swift(method, path, options)).headers.get('etag')
  const post = async (path: string, value: string) => {
    const kind = path === '' ? 'account' : 'container'
    assert.equal((await cloud.swift('POST', path, { headers: { [`x-${kind}-rfc-compliant-etags`]: value } })).status, 204)
    now += 2_000
    return (await cloud.swift('HEAD', path)).headers.get(`x-${kind}-rfc-compliant-etags`)
  }
  await cloud.swift('PUT', '/etags')
  await cloud.swift('PUT', '/etags/o', { body: 'abc' })
  assert.equal(await post('/etags', 'true'), null, 'not there unless it is switched on')
  assert.equal(await etag(), MD5)
  set({ etag_quoter: {} })
  assert.deepEqual((await cloud.call('GET', '/object-store/info')).body.etag_quoter, { enable_by_default: false })
  assert.equal(await etag(), MD5)
  assert.equal(await post('', 'yes'), 'True')
  assert.deepEqual([await etag(), await etag('HEAD')], [`"${MD5}"`, `"${MD5}"`])
  assert.equal(await post('/etags', 'no'), 'False')
  assert.equal(await etag(), MD5)
  assert.equal(await post('/etags', 'on'), 'True')
  assert.equal(await post('', ''), null)
  assert.equal(await etag('PUT', '/etags/o', { body: 'abc' }), `"${MD5}"`)
  assert.equal((await cloud.swift('GET', '/etags/o', { headers: { 'if-none-match': `"${MD5}"` } })).status, 304)
  await cloud.swift('PUT', '/etags/big?multipart-manifest=put', { body: JSON.stringify([{ path: 'etags/o' }]) })
  assert.match(String(await etag('GET', '/etags/big')), /^"[^"]+"$/, 'what is quoted is not quoted twice')
  assert.equal((await cloud.swift('POST', '/etags', { headers: { 'x-remove-container-rfc-compliant-etags': 'x' } })).status, 204)
  now += 2_000
  assert.equal(await etag(), MD5)
  set({ etag_quoter: { enable_by_default: true } })
  assert.equal(await etag(), `"${MD5}"`)
})

test('a host below the storage domain names account and container; its signatures are those of the whole path', async () => {
  const token = await cloud.token({ role: 'member' })
  const ask = async (host: string, path: string, method = 'GET', headers: Record<string, string> = { 'x-auth-token': token }, body?: string) => {
    const answer = await bundle.default.fetch(new Request(`http://${host}${path}`, { method, headers, ...(body === undefined ? {} : { body }) }) as never, cloud.env, { waitUntil: () => {} })
    return { status: answer.status, text: await answer.text() }
  }
  await cloud.swift('PUT', '/web')
  await cloud.swift('PUT', '/web/a/b.txt', { body: 'x' })
  await cloud.swift('PUT', '/web/v1/c', { body: 'v' })
  const label = ACCOUNT.replace('_', '-').toLowerCase()
  assert.equal((await ask(`web.${label}.store.test`, '/a/b.txt')).status, 404, 'not there unless it is switched on')
  set({ domain_remap: { storage_domain: ['store.test', '.other.test'] } })
  assert.deepEqual((await cloud.call('GET', '/object-store/info')).body.domain_remap, { default_reseller_prefix: null })
  assert.deepEqual(await ask(`web.${label}.store.test`, '/a/b.txt'), { status: 200, text: 'x' })
  assert.deepEqual(await ask(`web.${label}.OTHER.test:8080`, '/v1/c'), { status: 200, text: 'v' })
  assert.deepEqual(await ask(`${ACCOUNT}.store.test`, '/web/a/b.txt'), { status: 200, text: 'x' })
  assert.match((await ask(`${label}.store.test`, '/')).text, /^web$/m)
  assert.equal((await ask(`web.${label}.store.test`, '/new', 'PUT', { 'x-auth-token': token }, 'body')).status, 201)
  assert.equal((await cloud.swift('GET', '/web/new')).text, 'body')
  assert.equal((await ask(`web.${label}.store.test`, '/a/b.txt', 'GET', {})).status, 401)
  const many = await ask(`a.b.${label}.store.test`, '/o')
  assert.deepEqual([many.status, many.text.includes('Bad domain in host header')], [400, true])
  assert.equal((await ask('someone.store.test', '/web/a/b.txt')).status, 404, 'no account of ours')
  const sign = (path: string) => createHmac('sha256', 'k').update(`GET\n${Math.floor(now / 1000) + 60}\n${path}`).digest('hex')
  await cloud.swift('POST', '/web', { headers: { 'x-container-meta-temp-url-key': 'k' } })
  now += 2_000
  const query = `?temp_url_expires=${Math.floor(now / 1000) + 60}&temp_url_sig=`
  assert.equal((await ask(`web.${label}.store.test`, `/a/b.txt${query}${sign(`${ROOT.replace('/object-store', '')}/web/a/b.txt`)}`, 'GET', {})).status, 200)
  assert.equal((await ask(`web.${label}.store.test`, `/a/b.txt${query}${sign('/a/b.txt')}`, 'GET', {})).status, 401)
  set({ domain_remap: { storage_domain: 'store.test', mangle_client_paths: true, default_reseller_prefix: 'AUTH' } })
  assert.deepEqual(await ask(`${ACCOUNT.slice('AUTH_'.length)}.store.test`, '/v1/web/a/b.txt'), { status: 200, text: 'x' })
})
