/** The plane's end of the host link: one connection counts, whatever an older one still delivers. Joining, and what hosts may ask for. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { systemCaller } from '../../../schema/values/caller.ts'
import { CONSOLE_CALLER, CONSOLE_PATH } from '../../../durable-objects/host/consoles.ts'
import type { HostObject } from '../../../durable-objects/host/index.ts'
import type { HostFacts } from '../../../schema/agent/observed.ts'
import { PROTOCOL_VERSION } from '../../../schema/agent/protocol.ts'
import { type TestCloud, mintedCloud } from '../../support/cloud.ts'

let cloud: TestCloud
before(async () => {
  cloud = await mintedCloud()
})
after(() => cloud.close())

const FACTS: HostFacts = {
  hostname: 'h', agent_version: '0', roles: ['compute'], drivers: {}, simulated: true, cpu: { cores: 4, model: 'x', arch: 'x86_64' }, ram_mib: 4096, disk_gib: 10, acceleration: 'none', hypervisor_version: 1, tunnel_ip: null, storage_ip: null,
  physical_networks: [], volume_pools: [], object_devices: [], uptime_s: 1,
}

class Socket {
  sent: { type: string; id?: string; name?: string }[] = []
  closed = false
  #attachment: unknown = null
  send(data: string): void {
    this.sent.push(JSON.parse(data))
  }
  close(): void {
    this.closed = true
  }
  serializeAttachment(value: unknown): void {
    this.#attachment = value
  }
  deserializeAttachment(): unknown {
    return this.#attachment
  }
}

type Instance = HostObject & { webSocketMessage(socket: unknown, data: string): Promise<void>; webSocketClose(socket: unknown): Promise<void> }
const host = (name: string): Instance => cloud.cluster.instance('HOST', name)
const hello = JSON.stringify({ type: 'hello', protocol_version: PROTOCOL_VERSION, facts: FACTS, desired_version: 0 })

test('a late message or close of an older connection does not take the link from the newer one', async () => {
  const object = host('late')
  const [old, fresh] = [new Socket(), new Socket()]
  object.accept(old as never)
  await object.webSocketMessage(old, hello)
  object.accept(fresh as never)
  await object.webSocketMessage(fresh, hello)
  assert.equal(old.closed, true)
  await object.webSocketMessage(old, JSON.stringify({ type: 'observed', seq: 1, items: [] }))
  await object.webSocketClose(old)
  const answer = object.command('echo', { nonce: 'n' }, { id: 'c1' })
  assert.equal(fresh.sent.at(-1)?.id, 'c1')
  await object.webSocketMessage(fresh, JSON.stringify({ type: 'result', id: 'c1', ok: true, value: { nonce: 'n' } }))
  assert.deepEqual(await answer, { nonce: 'n' })
})

test('a command in flight fails as unavailable when the connection ends, and one without a connection at once', async () => {
  const object = host('lost')
  const socket = new Socket()
  object.accept(socket as never)
  await object.webSocketMessage(socket, hello)
  const answer = object.command('echo', { nonce: 'n' })
  await object.webSocketClose(socket)
  await assert.rejects(answer, { kind: 'unavailable' })
  await assert.rejects(object.command('echo', { nonce: 'n' }), { kind: 'unavailable' })
})

test('before its welcome an agent hears nothing, so that what is asked of it then is refused at once and not lost', async () => {
  const object = host('early')
  const socket = new Socket()
  object.accept(socket as never)
  await assert.rejects(object.command('echo', { nonce: 'n' }), { kind: 'unavailable' })
  await assert.rejects(object.objectHead({ device: 'd', policy: 0, partition: 0, hash: 'a'.repeat(32), name: '/a/c/o', timestamp: '1700000000.00000' }), { kind: 'unavailable' })
  assert.equal((object as unknown as { status(): { connected: boolean } }).status().connected, false)
  assert.equal(socket.sent.length, 0)
  await object.webSocketMessage(socket, hello)
  assert.equal(socket.sent[0]?.type, 'welcome')
  assert.equal((object as unknown as { status(): { connected: boolean } }).status().connected, true)
})

test('an agent of a too old protocol is refused with what to do', async () => {
  const object = host('old')
  const socket = new Socket()
  object.accept(socket as never)
  await object.webSocketMessage(socket, JSON.stringify({ type: 'hello', protocol_version: 0, facts: FACTS, desired_version: 0 }))
  assert.equal(socket.closed, true)
})

test('desired state: older generations are ignored, a reconnect gets what is missing, only explicit absence removes', async () => {
  const object = host('wish')
  const item = (generation: number, state: 'present' | 'absent' = 'present') => ({ kind: 'volume' as const, id: 'v1', project_id: 'project-a', generation, state, spec: { size_gib: generation, source: null } })
  object.put([item(2)])
  object.put([item(1)])
  assert.deepEqual(object.inspect().desired.map((one) => one.generation), [2])
  const socket = new Socket()
  object.accept(socket as never)
  await object.webSocketMessage(socket, hello)
  const sent = socket.sent.filter((message) => message.type === 'desired').at(-1) as unknown as { to: number; items: { generation: number }[] }
  assert.deepEqual(sent.items.map((one) => one.generation), [2])
  object.put([item(3, 'absent')])
  assert.equal(object.inspect().desired.length, 1, 'it is forgotten only once the host says it is gone')
})

test('joining: a token works once, the same key again is the same host, hosts read only what is theirs', async () => {
  const key = (n: number) => Buffer.alloc(32, n).toString('base64url')
  const join = (token: string, public_key: string) => cloud.call('POST', '/agents/v1/join', { json: { token, public_key, hostname: 'h' } })
  const admin = await cloud.token({ role: 'admin' })
  const { token } = (await cloud.call('POST', '/agents/v1/join-tokens', { token: admin, json: {} })).body.join_token
  const first = await join(token, key(1))
  assert.equal(first.status, 201)
  assert.equal((await join(token, key(1))).body.host_id, first.body.host_id)
  assert.equal((await join(token, key(2))).status, 401)
  assert.equal((await join('join-none', key(3))).status, 401)
  assert.equal((await join(token, 'short')).status, 400)
  assert.equal((await cloud.call('GET', '/agents/v1/images/x/file?owner=project-a', { headers: { authorization: `Skyhook-Host ${first.body.host_id}:${Date.now()}:${'A'.repeat(86)}` } })).status, 401)
  assert.equal((await cloud.call('POST', '/agents/v1/join-tokens', { token: await cloud.token(), json: {} })).status, 403)
})

test('an agent from before consoles is never sent one: it would take it for a broken message', async () => {
  const object = host('before-consoles')
  const socket = new Socket()
  object.accept(socket as never)
  await object.webSocketMessage(socket, JSON.stringify({ type: 'hello', protocol_version: 1, facts: FACTS, desired_version: 0 }))
  const answer = await (object as unknown as { fetch(request: Request): Promise<Response> }).fetch(new Request(`http://host${CONSOLE_PATH}?server_id=s&kind=vnc&incarnation=1`, { headers: { [CONSOLE_CALLER]: encodeURIComponent(JSON.stringify(systemCaller('test'))) } }))
  assert.equal(answer.status, 501)
  assert.match(await answer.text(), /upgrade it/)
  assert.equal(socket.sent.some((message) => message.type === 'open'), false)
})
