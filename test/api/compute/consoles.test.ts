/**
 * Remote consoles from the API's URL to the machine, over the real Worker, Host object and agent: a viewer's WebSocket is let in once, by its token and from the
 * own pages only, and carries bytes both ways until either end is gone.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { CONSOLE_TOKEN_LIFE_MS } from '../../../workers/compute/consoles/store.ts'
import worker from '../../../workers/index.ts'
import { RIGHTS_EVERY_MS } from '../../../durable-objects/host/consoles.ts'
import { SimCloud } from '../../sim/simcloud.ts'
import { ORIGIN } from '../../support/cloud.ts'
import { installSockets, type PairedSocket } from '../../support/platform/sockets.ts'
import { Compute } from './client.ts'

let sim: SimCloud
let api: Compute
before(async () => {
  installSockets()
  sim = await SimCloud.start(7, 2)
  api = new Compute(sim, 'project-a')
  api.minor = 96
  await api.prepare()
})
after(() => sim.close())

/** Also the logs of the platform, which must know no token. */
async function knock(url: string, headers: Record<string, string> = {}): Promise<{ status: number; text: string; viewer: Viewer | null; protocol: string | null }> {
  const request = new Request(url.replace(/^ws/, 'http'), { headers: { upgrade: 'websocket', ...headers } })
  const response = (await sim.finish(worker.fetch(request as never, sim.cluster.env as unknown as Env, { waitUntil: () => {} }))) as unknown as { status: number; headers: Headers; text(): Promise<string>; webSocket?: PairedSocket }
  const viewer = response.webSocket ? new Viewer(response.webSocket) : null
  return { status: response.status, text: viewer ? '' : await response.text(), viewer, protocol: response.headers.get('sec-websocket-protocol') }
}

class Viewer {
  socket: PairedSocket
  got: Buffer = Buffer.alloc(0)
  constructor(socket: PairedSocket) {
    this.socket = socket
    socket.addEventListener('message', ({ data }) => {
      this.got = Buffer.concat([this.got, Buffer.from(data as ArrayBuffer)])
    })
  }
  /** Takes what has come once there are so many bytes. */
  async read(size: number): Promise<Buffer> {
    await sim.run(10_000, () => this.got.byteLength >= size || this.socket.closed !== null)
    const taken = this.got.subarray(0, size)
    this.got = this.got.subarray(size)
    return taken
  }
  async closed(): Promise<{ code: number; reason: string } | null> {
    await sim.run(30_000, () => this.socket.closed !== null)
    return this.socket.closed
  }
}

const ask = async (id: string, protocol = 'vnc', type = 'novnc'): Promise<string> => (await api.ok('POST', `/compute/v2.1/servers/${id}/remote-consoles`, { remote_console: { protocol, type } })).remote_console.url
/** The WebSocket that a page opens, from the page's address. */
const socketUrl = (page: string): string => (page.startsWith('ws') ? page : `${ORIGIN}/${new URL(page).searchParams.get('path')}`)
const open = async (id: string): Promise<string> => socketUrl(await ask(id))

async function greet(viewer: Viewer): Promise<string> {
  assert.equal((await viewer.read(12)).toString(), 'RFB 003.008\n')
  viewer.socket.send('RFB 003.008\n')
  assert.deepEqual([...(await viewer.read(2))], [1, 1])
  viewer.socket.send(Uint8Array.of(1))
  assert.deepEqual([...(await viewer.read(4))], [0, 0, 0, 0])
  viewer.socket.send(Uint8Array.of(1))
  const head = await viewer.read(24)
  return (await viewer.read(head.readUInt32BE(20))).toString()
}

test('the screen: RFB from the greeting to a picture, and a key that changes it', async () => {
  const id = await api.boot('screen')
  const page = await ask(id)
  assert.match(page, new RegExp(`^${ORIGIN}/dashboard/vnc\\.html\\?path=compute%2Fconsoles%2F%3Ftoken%3D`))
  const { status, viewer, protocol } = await knock(socketUrl(page), { origin: ORIGIN, 'sec-websocket-protocol': 'binary, base64' })
  assert.equal(status, 101)
  assert.equal(protocol, 'binary')
  assert.ok(viewer)
  assert.equal(await greet(viewer), 'simulated screen')
  const size = 16 + 640 * 400 * 4
  viewer.socket.send(Uint8Array.of(3, 0, 0, 0, 0, 0, 640 >> 8, 640 & 255, 400 >> 8, 400 & 255))
  const first = await viewer.read(size)
  assert.equal(first.byteLength, size)
  viewer.socket.send(Uint8Array.of(3, 1, 0, 0, 0, 0, 640 >> 8, 640 & 255, 400 >> 8, 400 & 255))
  viewer.socket.send(Uint8Array.of(4, 1, 0, 0, 0, 0, 0, 0x61))
  const second = await viewer.read(size)
  assert.equal(second.byteLength, size)
  assert.notDeepEqual(first.subarray(16, 20), second.subarray(16, 20))
  viewer.socket.close()
})

test('the serial line: the boot log, then what is typed; the newest viewer has it', async () => {
  const id = await api.boot('serial')
  const url = await ask(id, 'serial', 'serial')
  assert.match(url, /^ws:\/\/cloud\.test\/compute\/consoles\/\?token=/)
  const { viewer } = await knock(url)
  assert.ok(viewer)
  await sim.run(5_000, () => /login: $/.test(viewer.got.toString()))
  assert.match(viewer.got.toString(), /Linux version .*serial login: $/s)
  viewer.got = Buffer.alloc(0)
  viewer.socket.send('root')
  viewer.socket.send('')
  assert.equal((await viewer.read(4)).toString(), 'root')
  const { viewer: second } = await knock(await ask(id, 'serial', 'serial'))
  assert.equal((await viewer.closed())?.code, 1000)
  second?.socket.close()
})

test('a token works once, and not after its time; a wrong one never', async () => {
  const id = await api.boot('once')
  const url = await open(id)
  const first = await knock(url)
  assert.equal(first.status, 101)
  const again = await knock(url)
  assert.equal(again.status, 403)
  assert.match(again.text, /wrong, used up or expired/)
  first.viewer?.socket.close()
  const late = await open(id)
  await sim.run(CONSOLE_TOKEN_LIFE_MS + 1_000)
  assert.equal((await knock(late)).status, 403)
  const good = await open(id)
  const before = sim.cluster.objects().length
  for (const token of ['', 'x', 'project-a', 'project-a.', `project-a.${'A'.repeat(32)}`, `project-zzz.${'A'.repeat(32)}`, `region.${'A'.repeat(32)}`, `${good.split('token=')[1]}x`]) assert.equal((await knock(`${ORIGIN}/compute/consoles/?token=${encodeURIComponent(token)}`)).status, 403, token)
  assert.equal(sim.cluster.objects().length, before, 'a made-up project brings no object into being')
  assert.equal((await knock(good)).status, 101)
})

test('OSSA-2015-005: a page of another origin cannot open a console, nor use the token up', async () => {
  const url = await open(await api.boot('hijack'))
  for (const origin of ['http://evil.test', 'null', `${ORIGIN}.evil.test`, 'https://cloud.test']) assert.equal((await knock(url, { origin })).status, 403, origin)
  assert.equal((await knock(url, { origin: ORIGIN })).status, 101)
})

test('OSSA-2021-002: a path that begins with two slashes is not followed anywhere', async () => {
  for (const path of ['//evil.test/%2F..', '//evil.test', '/dashboard//evil.test', '/compute/consoles//evil.test']) {
    const answer = await sim.finish(sim.call('project-a', 'GET', path))
    assert.equal(answer.status, 404, path)
    assert.equal(answer.headers.get('location'), null)
  }
})

test('a token is for one machine as it is: rebuilt or deleted meanwhile, it opens nothing; of another project, nobody gets one', async () => {
  const id = await api.boot('bound')
  const before = await open(id)
  await api.action(id, { rebuild: { imageRef: api.imageId } })
  await api.status(id, 'ACTIVE')
  assert.equal((await knock(before)).status, 403)
  const deleted = await open(id)
  await api.ok('DELETE', `/compute/v2.1/servers/${id}`)
  await api.gone(id)
  assert.equal((await knock(deleted)).status, 403)
  const mine = await api.boot('mine')
  await api.fails(404, /could not be found/, 'POST', `/compute/v2.1/servers/${mine}/remote-consoles`, { remote_console: { protocol: 'vnc', type: 'novnc' } }, { tenant: 'project-b', minor: 96 })
})

test('a user who lost the right after asking does not get in', async () => {
  const url = await open(await api.boot('revoked'))
  const now = sim.world.clock.now_ms()
  sim.cluster.instance('REGION', 'region').revoke([{ scope: 'user_project', subject: 'user-of-project-a:project-a', before_ms: now, expires_ms: now + 1 }])
  assert.equal((await knock(url)).status, 403)
  await sim.run(10)
})

test('S20: an open screen is closed within five seconds of the revocation of tokens of its user; that of another stays', async () => {
  const look = async (projectId: string): Promise<Viewer> => {
    const tenant = new Compute(sim, projectId)
    tenant.minor = 96
    await tenant.prepare()
    const id = await tenant.boot('watched')
    const { viewer } = await knock(socketUrl((await tenant.ok('POST', `/compute/v2.1/servers/${id}/remote-consoles`, { remote_console: { protocol: 'vnc', type: 'novnc' } })).remote_console.url))
    assert.ok(viewer, projectId)
    return viewer
  }
  const closedIn = async (viewer: Viewer, ms: number): Promise<number | undefined> => {
    await sim.run(ms, () => viewer.socket.closed !== null)
    return viewer.socket.closed?.code
  }
  const [one, other] = [await look('project-b'), await look('project-c')]
  assert.equal(await closedIn(one, RIGHTS_EVERY_MS * 3), undefined)
  const now = sim.world.clock.now_ms()
  sim.cluster.instance('REGION', 'region').revoke([{ scope: 'user', subject: 'user-of-project-c', before_ms: now, expires_ms: now + 60_000 }])
  assert.equal(await closedIn(other, 5_000), 1008)
  assert.equal(await closedIn(one, RIGHTS_EVERY_MS * 3), undefined)
  one.socket.close()
})

test('stop, delete and the loss of the host end what is open; a stopped server has no console', async () => {
  const tenant = new Compute(sim, 'project-b')
  tenant.minor = 96
  await tenant.prepare()
  const ask = async (id: string) => socketUrl((await tenant.ok('POST', `/compute/v2.1/servers/${id}/remote-consoles`, { remote_console: { protocol: 'vnc', type: 'novnc' } })).remote_console.url)
  const id = await tenant.boot('ends')
  const { viewer } = await knock(await ask(id))
  const unused = await ask(id)
  await tenant.action(id, { 'os-stop': null })
  assert.deepEqual(await viewer?.closed(), { code: 1000, reason: 'the console was closed by the machine' })
  await tenant.status(id, 'SHUTOFF')
  await tenant.fails(409, /not in a state with a console/, 'POST', `/compute/v2.1/servers/${id}/remote-consoles`, { remote_console: { protocol: 'vnc', type: 'novnc' } })
  const refused = await knock(unused)
  assert.equal(refused.status, 409, `${refused.text} ${sim.log.slice(-5).join('\n')}`)
  await tenant.action(id, { 'os-start': null })
  await tenant.status(id, 'ACTIVE')
  const { viewer: third } = await knock(await ask(id))
  for (const host of sim.hostIds) sim.net.sever(host)
  assert.equal((await third?.closed())?.code, 1011)
  assert.equal((await knock(await ask(id))).status, 503)
  await sim.heal()
})

test('a request that is no WebSocket is told so; no log and no answer knows a token', async () => {
  const answer = await sim.finish(sim.call('project-a', 'GET', '/compute/consoles/?token=project-a.secretsecretsecret'))
  assert.equal(answer.status, 400)
  assert.doesNotMatch(answer.text, /secretsecret/)
  assert.deepEqual(sim.log.filter((line) => /token=|project-a\.[A-Za-z0-9_-]{32}/.test(line)), [])
})
