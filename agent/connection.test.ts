import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AgentMessage, PlaneMessage } from '../schema/agent/protocol.ts'
import { Connection, RECONNECT_NEAR } from './connection.ts'
import { type LinkEvents, webSocketTransport } from './link.ts'
import type { Log } from './log.ts'
import { replicaCall } from './messages.ts'
import { backoff } from './timers.ts'

/** Time that passes only when told. */
class Hand {
  now = 0
  private due: { at: number; run: () => void }[] = []
  after = (delay_ms: number, run: () => void) => {
    const entry = { at: this.now + delay_ms, run }
    this.due.push(entry)
    return () => {
      this.due = this.due.filter((one) => one !== entry)
    }
  }
  async pass(ms: number): Promise<void> {
    const end = this.now + ms
    for (;;) {
      const next = this.due.filter((one) => one.at <= end).sort((a, b) => a.at - b.at)[0]
      if (!next) break
      this.due = this.due.filter((one) => one !== next)
      this.now = next.at
      next.run()
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.now = end
  }
}

function lab() {
  const hand = new Hand()
  const links: { events: LinkEvents; sent: string[]; closed: string | null }[] = []
  const heard: PlaneMessage[] = []
  const log: string[] = []
  let downs = 0
  const note: Log = (event) => log.push(event)
  const connection = new Connection({
    timers: hand, random: { bytes: (count) => new Uint8Array(count), below: (bound) => bound - 1 }, log: note,
    transport: {
      connect(events) {
        const link = { events, sent: [] as string[], closed: null as string | null }
        links.push(link)
        return { send: (data) => link.sent.push(String(data)), close: (_code, reason) => { link.closed = reason } }
      },
    },
    handlers: {
      hello: async () => ({ type: 'hello', protocol_version: 1, facts: {} as never, desired_version: 7 }) satisfies AgentMessage,
      welcome: () => {},
      message: (message) => heard.push(message),
      frame: () => {},
      down: () => downs++,
    },
  })
  const last = () => {
    const link = links.at(-1)
    assert.ok(link)
    return link
  }
  const welcome = (protocol_version = 1) => last().events.message(JSON.stringify({ type: 'welcome', protocol_version, host_id: 'h', now_ms: 0 }))
  return { hand, links, heard, log, connection, last, welcome, downs: () => downs }
}

const settle = () => new Promise((resolve) => setImmediate(resolve))

test('says hello with its version, and hears nothing before the welcome', async () => {
  const { connection, last, welcome, heard } = lab()
  connection.start()
  last().events.opened()
  await settle()
  assert.equal(JSON.parse(last().sent[0] ?? '').desired_version, 7)
  last().events.message(JSON.stringify({ type: 'echo', nonce: 'early' }))
  assert.equal(connection.up, false)
  welcome()
  last().events.message(JSON.stringify({ type: 'echo', nonce: 'a' }))
  assert.equal(connection.up, true)
  assert.deepEqual(heard.map((message) => message.type), ['echo'])
})

test('comes back after a loss, later each time, and at once again after a welcome', async () => {
  const { connection, hand, links, last, welcome, downs } = lab()
  connection.start()
  const waits: number[] = []
  for (let n = 0; n < 9; n++) {
    const before = hand.now
    const count = links.length
    last().events.closed(1006, 'refused')
    while (links.length === count) await hand.pass(50)
    waits.push(hand.now - before)
  }
  assert.ok(waits.every((wait, index) => index === 0 || wait >= (waits[index - 1] ?? 0)), String(waits))
  assert.ok((waits.at(-1) ?? 0) <= 30_050)
  assert.equal(downs(), 0)
  last().events.opened()
  welcome()
  const before = hand.now
  last().events.closed(1006, 'cut')
  assert.equal(downs(), 1)
  await hand.pass(600)
  assert.ok(hand.now - before <= 600)
  assert.equal(links.length, 11)
})

test('a plane that does not answer, or is too old, or talks nonsense, is left and tried again', async () => {
  const { connection, hand, links, last, welcome, log } = lab()
  connection.start()
  last().events.opened()
  await hand.pass(21_000)
  assert.ok(links.length >= 2)
  last().events.opened()
  welcome(0)
  assert.ok(log.includes('plane_too_old'))
  await hand.pass(60_000)
  last().events.opened()
  welcome()
  last().events.message('{"type":"desired","from":"x"}')
  assert.ok(log.includes('message_bad'))
  assert.equal(connection.up, false)
})

test('a message of a type it does not know is passed over', () => {
  const { connection, last, welcome, heard, log } = lab()
  connection.start()
  last().events.opened()
  welcome()
  last().events.message('{"type":"from_the_future","x":1}')
  assert.equal(connection.up, true)
  assert.deepEqual(heard, [])
  assert.ok(log.includes('message_unknown'))
})

test('ids that could be paths are refused', () => {
  const { connection, last, welcome, heard } = lab()
  connection.start()
  last().events.opened()
  welcome()
  last().events.message(JSON.stringify({ type: 'desired', from: 0, to: 1, items: [{ kind: 'volume', id: '../../etc', project_id: 'p', generation: 1, state: 'present', spec: {} }] }))
  assert.deepEqual(heard, [])
  assert.equal(connection.up, false)
})

test('nothing of an old connection is heard on a new one', async () => {
  const { connection, hand, links, last, welcome, heard } = lab()
  connection.start()
  const old = last()
  old.events.opened()
  welcome()
  connection.restart('a gap')
  await hand.pass(2_000)
  assert.equal(links.length, 2)
  old.events.message(JSON.stringify({ type: 'echo', nonce: 'late' }))
  old.events.closed(1006, 'late')
  assert.deepEqual(heard, [])
  assert.equal(links.length, 2)
})

test('what another door asks of a replica names a device and a place on it, never a path', () => {
  const args = { device: 'd1', policy: 0, partition: 1, hash: 'a'.repeat(32), name: '/a/c/o', timestamp: '1700000000.00000' }
  assert.equal(replicaCall('object.head', args).args.device, 'd1')
  for (const bad of [{ ...args, device: '../d1' }, { ...args, hash: '../../etc' }, { ...args, policy: '0/..' }, { ...args, partition: -1 }, { ...args, timestamp: 'x' }, {}, null]) assert.throws(() => replicaCall('object.head', bad), /bad arguments/, JSON.stringify(bad))
  for (const op of ['object.receive', 'object.defer', 'console', '', undefined]) assert.throws(() => replicaCall(op, args), /bad arguments/, String(op))
})

test('a plane on the same machine is never waited for long', () => {
  for (let attempt = 0; attempt < 40; attempt++) assert.ok(backoff(attempt, { below: (bound) => bound - 1 }, RECONNECT_NEAR) <= 2_000)
  const identity = { host_id: 'h' } as never
  for (const [url, near] of [['http://127.0.0.1:8787', true], ['http://[::1]:1', true], ['http://localhost', true], ['https://cloud.example.org', false], ['http://10.0.0.1', false], ['https://127.0.0.1.example.org', false]] as const) assert.equal(webSocketTransport(url, identity).near, near, url)
})

test('backoff stays within its limits', () => {
  for (let attempt = 0; attempt < 40; attempt++) {
    const delay = backoff(attempt, { below: (bound) => bound - 1 }, { base_ms: 500, cap_ms: 30_000, floor_ms: 50 })
    assert.ok(delay >= 50 && delay <= 30_000)
  }
})
