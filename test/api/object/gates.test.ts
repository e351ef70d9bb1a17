/** What the operator sets: rates, read-only, storage policies, the proxy whose word counts. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { afterEach, test } from 'node:test'
import { ACCOUNT, type ObjectCloud, ROOT, objectCloud } from './cloud.ts'

let cloud: ObjectCloud
afterEach(() => cloud.close())

async function start(swift: unknown): Promise<void> {
  cloud = await objectCloud()
  cloud.env.OPTIONS = JSON.stringify({ swift })
}
const reseller = async () => ({ token: await cloud.token({ role: 'none', roles: ['ResellerAdmin'], project_id: 'operator', user_id: 'op' }) })
const status = async (method: string, path: string, options: Parameters<ObjectCloud['swift']>[2] = {}) => (await cloud.swift(method, path, options)).status

test('container writes of an account, object writes and listings of a container each have a rate: a wait, then 498', async () => {
  await start({ ratelimit: { account_ratelimit: 20, max_sleep_time_seconds: 0.12, rate_buffer_seconds: 0, container_ratelimit_0: 20, container_listing_ratelimit_0: 20, account_whitelist: ['AUTH_project-b'], account_blacklist: ['AUTH_project-c'] } })
  const began = performance.now()
  const made = await Promise.all(Array.from({ length: 8 }, (_, n) => status('PUT', `/c${n}`)))
  assert.ok(performance.now() - began >= 50, 'some waited')
  assert.ok(made.includes(201) && made.includes(498), String(made))
  const at = made.indexOf(201)
  const wrote = await Promise.all(Array.from({ length: 8 }, (_, n) => status('PUT', `/c${at}/o${n}`, { body: 'x' })))
  assert.ok(wrote.includes(201) && wrote.includes(498), String(wrote))
  const listed = await Promise.all(Array.from({ length: 8 }, () => status('GET', `/c${at}`)))
  assert.ok(listed.some((one) => one < 300) && listed.includes(498), String(listed))
  assert.deepEqual(await Promise.all(Array.from({ length: 8 }, () => status('HEAD', `/c${at}`))), Array(8).fill(204), 'reads of metadata have none')
  const other = await cloud.token({ project_id: 'project-b' })
  assert.deepEqual(await Promise.all(Array.from({ length: 8 }, async (_, n) => (await cloud.call('PUT', `/object-store/v1/AUTH_project-b/c${n}`, { token: other })).status)), Array(8).fill(201))
  const third = await cloud.token({ project_id: 'project-c' })
  const refused = await cloud.call('PUT', '/object-store/v1/AUTH_project-c/c', { token: third })
  assert.deepEqual([refused.status, refused.text], [497, 'Your account has been blacklisted'])
  assert.deepEqual((await cloud.call('GET', '/object-store/info')).body.ratelimit.container_ratelimits, [[0, 20]])
})

test('the operator gives one account a rate for all its writes, and nobody else may', async () => {
  await start({ ratelimit: { max_sleep_time_seconds: 0.1, rate_buffer_seconds: 0 } })
  await cloud.swift('PUT', '/c')
  assert.equal(await status('POST', '', { headers: { 'x-account-sysmeta-global-write-ratelimit': '5' } }), 204)
  assert.equal((await cloud.swift('HEAD', '', await reseller())).headers.get('x-account-sysmeta-global-write-ratelimit'), null, 'an owner cannot set it')
  assert.equal(await status('POST', '', { ...(await reseller()), headers: { 'x-account-sysmeta-global-write-ratelimit': '5' } }), 204)
  assert.equal((await cloud.swift('HEAD', '')).headers.get('x-account-sysmeta-global-write-ratelimit'), null, 'nor see it')
  const wrote = await Promise.all(Array.from({ length: 6 }, (_, n) => status('PUT', `/c/o${n}`, { body: 'x' })))
  assert.ok(wrote.includes(498) && wrote.includes(201), String(wrote))
})

test('read-only: the whole store, one account, one container; deletions where they are allowed', async () => {
  await start({})
  const operator = await reseller()
  await cloud.swift('PUT', '/c')
  await cloud.swift('PUT', '/c/o', { body: 'x' })
  const writes = async () => [await status('PUT', '/c/n', { body: 'x' }), await status('POST', '/c/o'), await status('COPY', '/c/o', { headers: { destination: 'c/copy' } }), await status('POST', '', { headers: { 'x-account-meta-a': 'b' } }), await status('DELETE', '/c/none')]
  assert.deepEqual(await writes(), [201, 202, 201, 204, 404])
  cloud.env.OPTIONS = JSON.stringify({ swift: { read_only: true } })
  assert.deepEqual(await writes(), [405, 405, 405, 405, 405])
  assert.equal((await cloud.swift('GET', '/c/o')).text, 'x')
  cloud.env.OPTIONS = JSON.stringify({ swift: { read_only: true, allow_deletes: true } })
  assert.deepEqual(await writes(), [405, 405, 405, 405, 404])
  assert.equal(await status('POST', '', { ...operator, headers: { 'x-account-sysmeta-read-only': 'false' } }), 204)
  assert.deepEqual(await writes(), [201, 202, 201, 204, 404], 'the account says otherwise')
  cloud.env.OPTIONS = ''
  await cloud.swift('POST', '', { ...operator, headers: { 'x-account-sysmeta-read-only': 'true' } })
  assert.deepEqual(await writes(), [405, 405, 405, 405, 405])
  await cloud.swift('POST', '', { ...operator, headers: { 'x-account-sysmeta-read-only': '' } })
  await cloud.swift('POST', '/c', { ...operator, headers: { 'x-container-sysmeta-read-only': 'true' } })
  assert.deepEqual(await writes(), [405, 405, 405, 204, 405])
  await cloud.swift('PUT', '/d')
  assert.equal(await status('COPY', '/c/o', { headers: { destination: 'd/copy' } }), 201)
  assert.equal(await status('POST', '/c', { headers: { 'x-container-sysmeta-read-only': 'false' } }), 405)
})

test('storage policies: each its own ring, chosen by the container, counted apart in the account', async () => {
  await start({ storage_policies: [{ index: 0, name: 'gold', aliases: ['yellow'] }, { index: 3, name: 'silver', default: true, replicas: 1 }, { index: 4, name: 'old', deprecated: true }] })
  assert.deepEqual((await cloud.call('GET', '/object-store/info')).body.swift.policies, [{ name: 'gold', aliases: 'gold, yellow' }, { name: 'silver', aliases: 'silver', default: true }])
  assert.equal(await status('PUT', '/plain'), 201)
  assert.equal(await status('PUT', '/gold', { headers: { 'x-storage-policy': 'Yellow' } }), 201)
  for (const bad of ['old', 'bronze']) assert.equal(await status('PUT', '/bad', { headers: { 'x-storage-policy': bad } }), 400)
  assert.equal(await status('PUT', '/gold', { headers: { 'x-storage-policy': 'silver' } }), 409)
  assert.deepEqual([(await cloud.swift('HEAD', '/plain')).headers.get('x-storage-policy'), (await cloud.swift('HEAD', '/gold')).headers.get('x-storage-policy')], ['silver', 'gold'])
  await cloud.swift('PUT', '/plain/o', { body: 'silver' })
  await cloud.swift('PUT', '/gold/o', { body: 'gold!' })
  assert.deepEqual([(await cloud.swift('GET', '/plain/o')).text, (await cloud.swift('GET', '/gold/o')).text], ['silver', 'gold!'])
  const puts = cloud.hosts.calls.filter((call) => call.op === 'put').map((call) => call.args.policy)
  assert.deepEqual(puts, [3, 0])
  assert.equal((await cloud.env.RING.getByName('3').status()).replicas, 1)
  const head = (await cloud.swift('HEAD', '')).headers
  assert.deepEqual(['gold', 'silver'].map((name) => [head.get(`x-account-storage-policy-${name}-container-count`), head.get(`x-account-storage-policy-${name}-bytes-used`)]), [['1', '5'], ['1', '6']])
  await cloud.swift('COPY', '/gold/o', { headers: { destination: 'plain/copied' } })
  assert.equal((await cloud.swift('GET', '/plain/copied')).text, 'gold!')
  assert.equal(await status('POST', '/gold/o', { headers: { 'x-object-meta-a': 'b' } }), 202)
  assert.equal(await status('DELETE', '/gold/o'), 204)
})

test('temp_url_ip_range goes by the peer, and by a header only where the operator trusts the proxy before it', async () => {
  await start({})
  await cloud.swift('PUT', '/c')
  await cloud.swift('PUT', '/c/o', { body: 'x' })
  await cloud.swift('POST', '', { headers: { 'x-account-meta-temp-url-key': 'k' } })
  const expires = Math.floor(Date.now() / 1000) + 600
  const sig = createHmac('sha256', 'k').update(`ip=10.0.0.0/8\nGET\n${expires}\n/v1/${ACCOUNT}/c/o`).digest('hex')
  const read = async (headers: Record<string, string>) => (await cloud.call('GET', `${ROOT}/c/o?temp_url_sig=${sig}&temp_url_expires=${expires}&temp_url_ip_range=10.0.0.0/8`, { headers })).status
  assert.deepEqual([await read({ 'x-forwarded-for': '10.1.1.1' }), await read({ 'cf-connecting-ip': '10.1.1.1' }), await read({})], [401, 200, 401])
  cloud.env.OPTIONS = JSON.stringify({ swift: { client_ip_header: 'x-forwarded-for' } })
  assert.deepEqual([await read({ 'x-forwarded-for': '10.1.1.1' }), await read({ 'x-forwarded-for': '10.1.1.1, 11.1.1.1' }), await read({ 'cf-connecting-ip': '10.1.1.1' })], [200, 401, 401])
})
