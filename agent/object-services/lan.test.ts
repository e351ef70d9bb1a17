/** Replicas over the storage network, between a real client and a real server: what is not wanted stops early and holds up nothing that comes after it. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { ReceiveArgs } from '../../schema/agent/replication.ts'
import { Fault } from '../../schema/values/fault.ts'
import { systemClock } from '../../schema/values/time.ts'
import type { ObjectReplicas } from '../drivers/object/replicas.ts'
import { createIdentity, publicKeyOf } from '../identity.ts'
import { createLan, type LanServer, serveLan } from './lan.ts'

const HOST = '11111111-1111-4111-8111-111111111111'
const CHUNK_BYTES = 64 * 1024
/** Far less than what a stuck connection takes to be given up. */
const SOON_MS = 4_000
const { privateKey } = generateKeyPairSync('ed25519')
const received: number[] = []
let server: LanServer
before(async () => {
  const replicas: Partial<ObjectReplicas> = {
    suffixes: async () => ({}),
    state: async (device) => (device === 'd1' ? null : 'device is not there'),
    async receive({ hash }, body) {
      if (hash === 'unwanted') return false
      if (hash === 'failing') throw new Fault('insufficient_storage', 'the device is full')
      let bytes = 0
      for await (const chunk of body) bytes += chunk.length
      received.push(bytes)
      return true
    },
  }
  server = await serveLan({ host_id: HOST, replicas: replicas as ObjectReplicas, keyOf: (id) => (id === HOST ? publicKeyOf(privateKey) : null), mayRead: () => true, now_ms: () => Date.now(), log: () => {} }, '127.0.0.1', 0)
})
after(() => server.close())

const lan = createLan(createIdentity(HOST, privateKey, systemClock))
const to = () => ({ id: HOST, address: '127.0.0.1', port: server.port })
const args = (hash: string): ReceiveArgs => ({ device: 'd1', policy: 0, partition: 1, hash, kind: 'data', timestamp: '1700000000.00000', stored: { name: '/a/c/o', timestamp: '1700000000.00000' } })

let left = 0
async function* body(chunks: number): AsyncGenerator<Uint8Array> {
  left++
  try {
    for (let n = 0; n < chunks; n++) yield new Uint8Array(CHUNK_BYTES)
  } finally {
    left--
  }
}

test('a version that is not wanted, or can\'t be taken, is answered at once, its reader ends, and the next call is not held up', async () => {
  for (let n = 0; n < 60; n++) {
    const began = performance.now()
    const chunks = [0, 1, 30, 400][n % 4] ?? 0
    assert.equal(await lan.send(to(), args('unwanted'), body(chunks)), false)
    await assert.rejects(lan.send(to(), args('failing'), body(chunks)), { kind: 'insufficient_storage' })
    assert.deepEqual(await lan.ask(to(), 'digests', { device: 'd1', policy: 0, partitions: [1, 2] }), Array(2).fill('d751713988987e9331980363e24189ce'))
    assert.equal(await lan.send(to(), args('wanted'), body(chunks)), true)
    assert.equal(received.at(-1), chunks * CHUNK_BYTES)
    assert.ok(performance.now() - began < SOON_MS, `round ${n} took ${Math.round(performance.now() - began)} ms`)
  }
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(left, 0)
})

test('a host says which of its devices work; a signature of another key is refused', async () => {
  assert.equal(await lan.ask(to(), 'device', { device: 'd1', policy: 0 }), null)
  assert.equal(await lan.ask(to(), 'device', { device: 'd2', policy: 0 }), 'device is not there')
  const stranger = createLan(createIdentity(HOST, generateKeyPairSync('ed25519').privateKey, systemClock))
  await assert.rejects(stranger.ask(to(), 'device', { device: 'd1', policy: 0 }), { kind: 'unauthorized' })
})
