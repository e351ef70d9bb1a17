import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { type AgentMessage, type ConsoleArgs, decodeFrame, encodeFrame, FRAME_BYTES_MAX, FRAME_LAST, type ObjectArgs, STREAM_CREDITS } from '../schema/agent/protocol.ts'
import { Fault } from '../schema/values/fault.ts'
import type { ConsoleChannel } from './drivers/hypervisor/driver.ts'
import type { ObjectDriver } from './drivers/object/driver.ts'
import { silentLog } from './log.ts'
import { type OpenConsole, Streams } from './streams.ts'

const args: ObjectArgs = { device: 'd1', policy: 0, partition: 1, hash: 'a'.repeat(32), name: '/a/c/o', timestamp: '1700000000.00000' }
const tick = () => new Promise((resolve) => setImmediate(resolve))
const head = (size_bytes: number) => ({ timestamp: args.timestamp, size_bytes, etag: '', metadata: {} })

interface Lab {
  streams: Streams
  sent: AgentMessage[]
  frames: { stream: number; last: boolean; payload: Uint8Array }[]
}

function lab(driver: Partial<ObjectDriver>, open?: OpenConsole): Lab {
  const sent: AgentMessage[] = []
  const frames: Lab['frames'] = []
  const streams = new Streams({ send: (message) => sent.push(message), sendFrame: (frame) => frames.push(decodeFrame(frame)) }, driver as ObjectDriver, silentLog, open)
  return { streams, sent, frames }
}

async function* chunks(parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield part
}

test('a body arrives whole in frames, however it is cut, and never faster than the credits', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.nat(3 * FRAME_BYTES_MAX), { maxLength: 6 }), async (sizes) => {
    const parts = sizes.map((size, index) => new Uint8Array(size).fill(index + 1))
    const whole = Buffer.concat(parts)
    const { streams, frames } = lab({ get: async () => ({ head: head(whole.byteLength), body: chunks(parts) }) })
    streams.open({ type: 'open', stream: 5, op: 'object.get', args })
    let granted = STREAM_CREDITS
    for (let round = 0; round < 200 && streams.count > 0; round++) {
      await tick()
      assert.ok(frames.length <= granted, 'more frames than credits')
      streams.credit({ type: 'credit', stream: 5, frames: 1 })
      granted++
    }
    assert.equal(streams.count, 0)
    assert.deepEqual(frames.map((frame) => frame.last), frames.map((_, index) => index === frames.length - 1))
    assert.equal(createHash('md5').update(Buffer.concat(frames.map((frame) => frame.payload))).digest('hex'), createHash('md5').update(whole).digest('hex'))
  }), { numRuns: 25 })
})

test('a body that breaks off is sent as far as it was good', async () => {
  const broken = async function* (): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(FRAME_BYTES_MAX * 2)
    throw new Fault('internal', 'damaged')
  }
  for (const op of ['object.get', 'object.find'] as const) {
    const { streams, sent, frames } = lab({ get: async () => ({ head: head(FRAME_BYTES_MAX * 4), body: broken() }) })
    streams.open(op === 'object.get' ? { type: 'open', stream: 5, op, args } : { type: 'open', stream: 5, op, args: { at: args, also: [], body: true } })
    for (let turn = 0; turn < 20; turn++) await tick()
    assert.deepEqual(frames.map(({ last, payload }) => [last, payload.byteLength]), [[false, FRAME_BYTES_MAX], [false, FRAME_BYTES_MAX]])
    assert.deepEqual(sent.map(({ type }) => type), ['head', 'reset'])
  }
})

test('a body that comes in is read whole, and each frame consumed grants another', async () => {
  let read = Buffer.alloc(0)
  const { streams, sent } = lab({
    put: async (_args, body) => {
      for await (const chunk of body) read = Buffer.concat([read, chunk])
      return head(read.byteLength)
    },
  })
  streams.open({ type: 'open', stream: 1, op: 'object.put', args })
  for (let n = 0; n < 20; n++) {
    streams.frame(encodeFrame(1, 0, new Uint8Array(1000).fill(n), n))
    await tick()
  }
  streams.frame(encodeFrame(1, FRAME_LAST, new Uint8Array(0), 20))
  await tick()
  assert.equal(read.byteLength, 20_000)
  assert.equal(sent.filter((message) => message.type === 'credit').length, 20)
  assert.equal(sent.at(-1)?.type, 'head')
  assert.equal(streams.count, 0)
})

test('a failure is a head with its kind, and what is in flight for it is dropped', async () => {
  const { streams, sent } = lab({ put: async () => Promise.reject(new Fault('conflict', 'newer is there')) })
  streams.open({ type: 'open', stream: 1, op: 'object.put', args })
  await tick()
  streams.frame(encodeFrame(1, FRAME_LAST, new Uint8Array(10), 0))
  assert.deepEqual(sent, [{ type: 'head', stream: 1, ok: false, error: { kind: 'conflict', message: 'newer is there' } }])
})

test('a reset, or the loss of the link, ends the reader of the body and its writer', async () => {
  const outcomes: string[] = []
  const { streams } = lab({
    put: async (_args, body) => {
      try {
        for await (const _ of body);
      } catch (error) {
        outcomes.push((error as Error).message)
        throw error
      }
      return head(0)
    },
    get: async () => ({
      head: head(0),
      body: (async function* () {
        try {
          for (;;) yield new Uint8Array(FRAME_BYTES_MAX)
        } finally {
          outcomes.push('reader ended')
        }
      })(),
    }),
  })
  streams.open({ type: 'open', stream: 1, op: 'object.put', args })
  streams.open({ type: 'open', stream: 2, op: 'object.get', args })
  await tick()
  streams.reset(1, 'the client left')
  streams.closeAll('link lost')
  for (let i = 0; i < 5; i++) await tick()
  assert.deepEqual(outcomes.sort(), ['reader ended', 'the client left'])
  assert.equal(streams.count, 0)
})

test('a sender that overruns its credits is reset', async () => {
  const { streams, sent } = lab({ put: () => new Promise(() => {}) })
  streams.open({ type: 'open', stream: 1, op: 'object.put', args })
  for (let n = 0; n < STREAM_CREDITS * 4; n++) streams.frame(encodeFrame(1, 0, new Uint8Array(1), n))
  assert.ok(sent.some((message) => message.type === 'reset'))
  assert.equal(streams.count, 0)
})

test('a frame that came twice is dropped, one that was lost ends the stream: no body is cut short unnoticed', async () => {
  let read = Buffer.alloc(0)
  const { streams, sent } = lab({
    put: async (_args, body) => {
      for await (const chunk of body) read = Buffer.concat([read, chunk])
      return head(read.byteLength)
    },
  })
  for (const stream of [1, 2]) streams.open({ type: 'open', stream, op: 'object.put', args })
  streams.frame(encodeFrame(1, 0, new Uint8Array(5), 0))
  streams.frame(encodeFrame(1, 0, new Uint8Array(5), 0))
  streams.frame(encodeFrame(1, FRAME_LAST, new Uint8Array(0), 1))
  streams.frame(encodeFrame(2, FRAME_LAST, new Uint8Array(0), 1))
  await tick()
  await tick()
  assert.equal(read.byteLength, 5)
  assert.deepEqual(sent.filter((message) => message.type === 'reset').map((message) => message.stream), [2])
})

const CONSOLE: ConsoleArgs = { server_id: 's', kind: 'vnc', incarnation: 1 }

/** A machine that says what it is given, and keeps what it is told. */
function machine(says: AsyncIterable<Uint8Array>, write?: () => Promise<void>) {
  const heard: Uint8Array[] = []
  let ended: () => void = () => {}
  const gone = new Promise<void>((resolve) => {
    ended = resolve
  })
  const seen = { heard, closed: 0 }
  const channel: ConsoleChannel = {
    output: (async function* () {
      yield* says
      await gone
    })(),
    write: async (bytes) => {
      heard.push(bytes)
      await write?.()
    },
    close: () => {
      seen.closed++
      ended()
    },
  }
  return { channel, seen }
}

test('a console: each word of the machine is sent as it comes, and no more than was granted; what the viewer says is heard', async () => {
  const { channel, seen } = machine(chunks(Array.from({ length: 20 }, (_, at) => Uint8Array.of(at))))
  const { streams, sent, frames } = lab({}, async () => channel)
  streams.open({ type: 'open', stream: 3, op: 'console', args: CONSOLE })
  for (let turn = 0; turn < 5; turn++) await tick()
  assert.deepEqual(sent, [{ type: 'head', stream: 3, ok: true, value: {} }])
  assert.equal(frames.length, STREAM_CREDITS)
  streams.frame(encodeFrame(3, 0, Uint8Array.of(7), 0))
  streams.credit({ type: 'credit', stream: 3, frames: 100 })
  for (let turn = 0; turn < 5; turn++) await tick()
  assert.equal(frames.length, 20)
  assert.deepEqual(seen.heard, [Uint8Array.of(7)])
  assert.deepEqual(sent.at(-1), { type: 'credit', stream: 3, frames: 1 })
  channel.close()
  for (let turn = 0; turn < 5; turn++) await tick()
  assert.equal(frames.at(-1)?.last, true, 'the end of the machine is told')
  assert.equal(streams.count, 0)
})

test('a console ends with its viewer, with the link, and while it waits for credit or for the machine', async () => {
  const endless = async function* () {
    for (;;) yield new Uint8Array(10)
  }
  for (const [says, write] of [[chunks([]), undefined], [endless(), undefined], [chunks([]), () => new Promise<void>(() => {})]] as const) {
    for (const end of ['reset', 'link'] as const) {
      const { channel, seen } = machine(says, write)
      const { streams, sent } = lab({}, async () => channel)
      streams.open({ type: 'open', stream: 1, op: 'console', args: CONSOLE })
      await tick()
      if (write === undefined) streams.frame(encodeFrame(1, 0, Uint8Array.of(1), 0))
      await tick()
      if (end === 'reset') streams.reset(1, 'the viewer left')
      else streams.closeAll('the host link was lost')
      for (let turn = 0; turn < 5; turn++) await tick()
      assert.ok(seen.closed > 0)
      assert.equal(streams.count, 0)
      assert.equal(sent.filter((message) => message.type === 'reset').length, 0)
    }
  }
})

test('a console that is not to be had is a head with its kind', async () => {
  const { streams, sent } = lab({}, async () => Promise.reject(new Fault('conflict', 'it is off')))
  streams.open({ type: 'open', stream: 1, op: 'console', args: CONSOLE })
  await tick()
  assert.deepEqual(sent, [{ type: 'head', stream: 1, ok: false, error: { kind: 'conflict', message: 'it is off' } }])
})
