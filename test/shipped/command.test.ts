/** The contract of the command, on simulated hosts: detach, twice, status, verify, refusals, stop, and state that outlives all of it. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { getPriority } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { PASSWORD_CHARS_MAX } from '../../workers/identity/passwords/hash.ts'
import { type Shipped, freePort, readLog, shipped } from '../support/shipped.ts'

let cloud: Shipped
before(async () => {
  cloud = await shipped('sim:3', { SKYHOOK_BODY_BYTES_MAX: String(100 * 1024 * 1024) })
}, { timeout: 120_000 })
after(() => cloud.remove())

test('start --detach answers with its hosts up, in private files, with a generated password', async () => {
  assert.equal((await cloud.api.healthy())?.version, '0.1.0')
  assert.equal(cloud.state().hosts.length, 3)
  assert.ok((cloud.state().answering_ms ?? 1e9) < 30_000, `answering after ${cloud.state().answering_ms} ms`)
  assert.match(cloud.password, /^[\w-]{20,}$/)
  for (const name of ['clouds.yaml', 'openrc', 'secrets.json']) assert.equal(statSync(join(cloud.home, name)).mode & 0o077, 0, `${name} is readable by others`)
  assert.ok(readFileSync(join(cloud.home, 'clouds.yaml'), 'utf8').includes('skyhook:'))
})

test('the plane goes before the hashes of passwords, where the system lets it', { skip: process.getuid?.() === 0 ? false : 'needs root' }, () => {
  const { workerd = 0, hasher = 0 } = cloud.state().processes
  assert.ok(getPriority(workerd) < getPriority(hasher), `${getPriority(workerd)} and ${getPriority(hasher)}`)
})

test('starting it twice is harmless', () => {
  const pid = cloud.state().pid
  const again = cloud.start()
  assert.equal(again.status, 0)
  assert.match(again.stdout, /is running already/)
  assert.equal(cloud.state().pid, pid)
})

test('status shows processes, hosts and services; verify finds nothing', () => {
  const status = cloud.cli(['status'])
  assert.equal(status.status, 0, status.stderr)
  for (const word of ['workerd', 'hasher', 'sim-', 'compute', 'object-store', 'network']) assert.ok(status.stdout.includes(word), `${word} is not in: ${status.stdout}`)
  const verify = cloud.cli(['verify'])
  assert.equal(verify.status, 0, verify.stdout)
  assert.match(verify.stdout, /all invariants hold/)
})

test('a port in use, a wrong flag and a wrong host word are one sentence and a non-zero exit', async () => {
  const port = await freePort()
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const other = { SKYHOOK_HOME: join(cloud.home, 'other') }
  const busy = cloud.cli(['start', '--detach', '--hosts', 'sim:1', '--listen', `127.0.0.1:${port}`], other)
  assert.equal(busy.status, 1)
  assert.match(busy.stderr, /^skyhook: 127\.0\.0\.1:\d+ is in use by another program\..*\n$/)
  server.close()
  assert.match(cloud.cli(['start', '--hosts', 'moon'], other).stderr, /^skyhook: --hosts takes .*\n$/)
  assert.match(cloud.cli(['start', '--listen', 'nonsense'], other).stderr, /^skyhook: --listen takes .*\n$/)
  assert.equal(existsSync(join(cloud.home, 'other', 'run')), false, 'a refused start leaves nothing behind')
})

test('bad input: password, tokens, bodies, join tokens', async () => {
  const auth = (password: string) => ({ auth: { identity: { methods: ['password'], password: { user: { name: 'admin', domain: { id: 'default' }, password } } }, scope: { project: { name: 'admin', domain: { id: 'default' } } } } })
  assert.equal((await cloud.call('POST', '/identity/v3/auth/tokens', { json: auth('wrong') })).status, 401)
  const login = await cloud.call('POST', '/identity/v3/auth/tokens', { json: auth(cloud.password) })
  assert.equal(login.status, 201)
  const token = login.headers.get('x-subject-token') ?? ''
  const [head = '', payload = '', signature = ''] = token.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
  const forged = [head, Buffer.from(JSON.stringify({ ...claims, rl: ['admin'], exp: claims.exp + 1 })).toString('base64url'), signature].join('.')
  for (const bad of [forged, 'nonsense', `${token}x`]) assert.equal((await cloud.call('GET', '/compute/v2.1/servers', { token: bad })).status, 401, bad.slice(0, 20))
  assert.equal((await cloud.call('GET', '/compute/v2.1/servers')).status, 401)
  assert.equal((await cloud.call('DELETE', '/identity/v3/auth/tokens', { token, headers: { 'x-subject-token': token } })).status, 204)
  assert.equal((await cloud.call('GET', '/compute/v2.1/servers', { token })).status, 401, 'a revoked token is refused at once')

  const key = (n: number) => Buffer.alloc(32, n).toString('base64url')
  assert.equal((await cloud.call('POST', '/agents/v1/join', { json: { token: 'join-unknown', public_key: key(1), hostname: 'evil' } })).status, 401)
  const { join_token } = (await cloud.api.call('POST', '/agents/v1/join-tokens', {})) as { join_token: { token: string } }
  assert.equal((await cloud.call('POST', '/agents/v1/join', { json: { token: join_token.token, public_key: key(2), hostname: 'one' } })).status, 201)
  const second = await cloud.call('POST', '/agents/v1/join', { json: { token: join_token.token, public_key: key(3), hostname: 'two' } })
  assert.equal(second.status, 401)
  assert.match(second.text, /was used already/)
  assert.equal(await upgrade('/agents/v1/link?host=00000000-0000-4000-8000-000000000000'), 401)
})

test('a password of any letters, and the longest, reaches the hashing process as it is', async () => {
  const auth = (name: string, password: string) => ({ auth: { identity: { methods: ['password'], password: { user: { name, domain: { id: 'default' }, password } } } } })
  for (const [at, password] of [' |%\t☂🦊 ', '☂'.repeat(PASSWORD_CHARS_MAX)].entries()) {
    await cloud.api.call('POST', '/identity/v3/users', { user: { name: `letters-${at}`, password } })
    assert.equal((await cloud.call('POST', '/identity/v3/auth/tokens', { json: auth(`letters-${at}`, password) })).status, 201)
    for (const wrong of [`${password.slice(0, -1)}x`, '☂'.repeat(30_000)]) assert.equal((await cloud.call('POST', '/identity/v3/auth/tokens', { json: auth(`letters-${at}`, wrong) })).status, 401)
  }
})

test('a client that asks before it sends a body is told to go on at once', async () => {
  const { token } = await admin()
  const account = `/object-store/v1/AUTH_${cloud.api.projectId}`
  assert.ok((await cloud.call('PUT', `${account}/expecting`, { token })).status < 300)
  const { port } = new URL(cloud.url)
  const started = Date.now()
  const status = await new Promise<number>((resolve, reject) => {
    const put = request({ port, method: 'PUT', path: `${account}/expecting/o`, headers: { 'x-auth-token': token, expect: '100-continue', 'content-length': 5 } }, (answer) => resolve(answer.resume().statusCode ?? 0))
    // curl waits a second for this word before each upload, other clients longer.
    put.on('continue', () => put.end('hello')).on('error', reject).setTimeout(10_000, () => put.destroy(new Error('nobody said to go on'))).flushHeaders()
  })
  assert.equal(status, 201)
  assert.ok(Date.now() - started < 900, `${Date.now() - started} ms`)
  for (const path of ['/expecting/o', '/expecting']) assert.equal((await cloud.call('DELETE', `${account}${path}`, { token })).status, 204)
})

test('a body of 101 MB at a 100 MB limit is 413 and says where to send it', async () => {
  const { token } = await admin()
  const image = (await cloud.api.call('POST', '/image/v2/images', { name: 'big', disk_format: 'raw', container_format: 'bare' })) as { id: string }
  const answer = await announce(`/image/v2/images/${image.id}/file`, token, 101 * 1024 * 1024)
  assert.equal(answer.status, 413)
  assert.match(answer.text, /segments|door/)
  assert.equal(((await cloud.api.call('GET', `/image/v2/images/${image.id}`)) as { status: string }).status, 'queued')
  await cloud.api.call('DELETE', `/image/v2/images/${image.id}`)
})

test('a body of 101 MB that does not announce its length is broken off at the limit: 413, and nothing of it is kept', async () => {
  const { token } = await admin()
  const { projectId } = cloud.api
  const root = `${cloud.url}/object-store/v1/AUTH_${projectId}/big`
  assert.equal((await fetch(root, { method: 'PUT', headers: { 'x-auth-token': token } })).status, 201)
  const mib = new Uint8Array(1024 * 1024)
  const chunks = (count: number) => new ReadableStream<Uint8Array>({ pull: (controller) => (count-- > 0 ? controller.enqueue(mib) : controller.close()) })
  const put = (name: string, count: number) => fetch(`${root}/${name}`, { method: 'PUT', headers: { 'x-auth-token': token }, body: chunks(count), duplex: 'half' } as RequestInit)
  assert.equal((await put('small', 2)).status, 201)
  const refused = await put('large', 101)
  assert.equal(refused.status, 413)
  assert.match(await refused.text(), /segments|door/)
  assert.equal(await (await fetch(root, { headers: { 'x-auth-token': token } })).text(), 'small\n')
  await fetch(`${root}/small`, { method: 'DELETE', headers: { 'x-auth-token': token } })
  assert.equal((await fetch(root, { method: 'DELETE', headers: { 'x-auth-token': token } })).status, 204)
})

test('stop ends every process; what was made is there after the next start', async () => {
  const { processes } = cloud.state()
  await cloud.api.call('POST', '/identity/v3/projects', { project: { name: 'kept', domain_id: 'default' } })
  cloud.stop()
  for (const pid of Object.values(processes)) assert.equal(existsSync(`/proc/${pid}`), false, `process ${pid} outlived stop`)
  assert.equal(cloud.cli(['status']).status, 3)
  assert.equal(cloud.start().status, 0)
  const { projects } = (await cloud.api.call('GET', '/identity/v3/projects?name=kept')) as { projects: unknown[] }
  assert.equal(projects.length, 1)
})

test('secrets never reach the logs', () => {
  for (const name of ['workerd', 'hasher', 'sim-agents', 'supervisor']) assert.ok(!readLog(cloud, name).includes(cloud.password), `${name}.log has the admin password`)
})

/** A PUT that announces `size` bytes and sends the first of them: the refusal comes before the body is out. */
function announce(path: string, token: string, size: number): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(`${cloud.url}${path}`, { method: 'PUT', headers: { 'x-auth-token': token, 'content-type': 'application/octet-stream', 'content-length': size } })
    asked.on('response', (response) => {
      let text = ''
      response.on('data', (chunk) => (text += chunk))
      response.on('end', () => {
        asked.destroy()
        resolve({ status: response.statusCode ?? 0, text })
      })
    })
    asked.on('error', reject)
    asked.write(new Uint8Array(64 * 1024))
  })
}

/** Status of a WebSocket upgrade without a signature. */
function upgrade(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(`${cloud.url}${path}`, { headers: { upgrade: 'websocket', connection: 'upgrade', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==', 'sec-websocket-version': '13' } })
    asked.on('response', (response) => resolve(response.resume().statusCode ?? 0))
    asked.on('upgrade', () => resolve(101))
    asked.on('error', reject)
    asked.end()
  })
}

async function admin(): Promise<{ token: string }> {
  const json = { auth: { identity: { methods: ['password'], password: { user: { name: 'admin', domain: { id: 'default' }, password: cloud.password } } }, scope: { project: { name: 'admin', domain: { id: 'default' } } } } }
  return { token: (await cloud.call('POST', '/identity/v3/auth/tokens', { json })).headers.get('x-subject-token') ?? '' }
}
