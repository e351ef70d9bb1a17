/** Bytes to a host over the link: an answer that comes before the body is out ends it, at once and for good. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeFrame, encodeFrame, encodeHeadFrame, FRAME_BYTES_MAX, FRAME_LAST, STREAM_CREDITS } from '../../schema/agent/protocol.ts'
import { Link } from './link.ts'

const tick = async (turns = 20) => {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** A host that takes frames and says nothing by itself. */
function lab() {
  const seen = { open: 0, frames: 0, last: false, resets: 0, timers: new Set<object>() }
  const timers = {
    after: () => {
      const one = {}
      seen.timers.add(one)
      return () => void seen.timers.delete(one)
    },
  }
  const link = new Link(timers, () => 0)
  link.attach({
    send(data) {
      if (typeof data !== 'string') {
        seen.frames++
        seen.last = decodeFrame(data).last
        return
      }
      const message = JSON.parse(data) as { type: string; stream?: number }
      if (message.type === 'open') seen.open = message.stream ?? 0
      if (message.type === 'reset') seen.resets++
    },
    close() {},
  }, true)
  return { link, seen }
}

const args = { device: 'd1', policy: 0, partition: 1, hash: 'h', kind: 'data' as const, timestamp: 't', stored: { name: '/a/c/o', timestamp: 't' } }

function endless() {
  const seen = { pulled: 0, cancelled: false }
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      seen.pulled++
      controller.enqueue(new Uint8Array(FRAME_BYTES_MAX))
    },
    cancel() {
      seen.cancelled = true
    },
  }, { highWaterMark: 0 })
  return { body, seen }
}

test('a host that wants no more of a body ends its sender, who waits for credits that will never come', async () => {
  const { link, seen } = lab()
  const source = endless()
  const put = link.put('object.receive', args, source.body)
  await tick()
  assert.equal(seen.frames, STREAM_CREDITS, 'no more than was granted')
  link.receive({ type: 'head', stream: seen.open, ok: true, value: { taken: false } })
  assert.deepEqual(await put, { taken: false })
  await tick()
  assert.deepEqual([source.seen.cancelled, seen.frames, seen.timers.size], [true, STREAM_CREDITS, 0])
})

test('the same where the sender waits for its client, and where the host refuses', async () => {
  for (const answer of [{ ok: true as const, value: { taken: false } }, { ok: false as const, error: { kind: 'insufficient_storage', message: 'full' } }]) {
    const { link, seen } = lab()
    let cancelled = false
    const silent = new ReadableStream<Uint8Array>({
      cancel() {
        cancelled = true
      },
    })
    const put = link.put('object.receive', args, silent)
    await tick()
    link.receive({ type: 'head', stream: seen.open, ...answer })
    if (answer.ok) assert.deepEqual(await put, { taken: false })
    else await assert.rejects(put, { kind: 'insufficient_storage' })
    assert.deepEqual([cancelled, seen.timers.size], [true, 0])
  }
})

test('a body that is wanted goes out whole', async () => {
  const { link, seen } = lab()
  let left = 3
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (left-- > 0) controller.enqueue(new Uint8Array(FRAME_BYTES_MAX))
      else controller.close()
    },
  })
  const put = link.put('object.receive', args, body)
  await tick()
  assert.deepEqual([seen.frames, seen.last, seen.resets], [3, true, 0])
  link.receive({ type: 'head', stream: seen.open, ok: true, value: { taken: true } })
  assert.deepEqual(await put, { taken: true })
})

test('a body of a thousand pieces is watched by one timer: what the platform keeps of a cleared one is not kept for each piece', async () => {
  let made = 0
  let fire = () => {}
  let now = 0
  const link = new Link({ after: (_delay, work) => { made++; fire = work; return () => {} } }, () => now)
  let open = 0
  const send = (data: string | Uint8Array | ArrayBuffer) => {
    const message = typeof data === 'string' ? (JSON.parse(data) as { type: string; stream: number }) : null
    if (message?.type === 'open') open = message.stream
  }
  link.attach({ send, close() {} }, true)
  let left = 1_000
  const body = new ReadableStream<Uint8Array>({ pull: (controller) => (left-- > 0 ? controller.enqueue(new Uint8Array(16)) : controller.close()) })
  const put = link.put('object.receive', args, body)
  await tick(2_000)
  assert.ok(left <= 0, 'all was read')
  assert.equal(made, 1)
  // The host said something a moment ago, then nothing more.
  now = 40_000
  link.receive({ type: 'credit', stream: open, frames: 1 })
  now = 60_000
  fire()
  assert.equal(made, 2, 'it waits for the rest')
  now = 100_001
  fire()
  await assert.rejects(put, /stopped answering/)
})

test('an object on several devices is one exchange: a short body is there with what is said of it, a long one follows', async () => {
  const find = { at: { ...args, name: '/a/c/o' }, also: ['d2'], body: true }
  const found = [{ head: { timestamp: 't', size_bytes: 3, etag: 'e', metadata: {} } }, { error: { kind: 'not_found', message: 'none' } }]
  const { link, seen } = lab()
  const short = link.find(find)
  link.receiveFrame(encodeHeadFrame(seen.open, { found }, new Uint8Array([1, 2, 3])))
  assert.deepEqual(await short, { found, body: new Uint8Array([1, 2, 3]) })
  assert.equal(seen.timers.size, 0)

  const long = link.find(find)
  link.receive({ type: 'head', stream: seen.open, ok: true, value: { found } })
  const { body } = await long
  assert.ok(body instanceof ReadableStream)
  link.receiveFrame(encodeFrame(seen.open, 0, new Uint8Array([4]), 0))
  link.receiveFrame(encodeFrame(seen.open, FRAME_LAST, new Uint8Array([5]), 1))
  assert.deepEqual(new Uint8Array(await new Response(body).arrayBuffer()), new Uint8Array([4, 5]))

  const none = link.find({ ...find, body: false })
  link.receive({ type: 'head', stream: seen.open, ok: true, value: { found } })
  assert.deepEqual(await none, { found, body: null })
  assert.equal(seen.timers.size, 0)

  const lost = link.find(find)
  link.detach('it went')
  await assert.rejects(lost, { kind: 'unavailable' })
})
