import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FRAME_BYTES_MAX } from '../../schema/agent/protocol.ts'
import { systemCaller } from '../../schema/values/caller.ts'
import { CLOSE, Consoles, INPUT_BYTES_MAX, RIGHTS_EVERY_MS, RIGHTS_UNKNOWN_MAX, type Revoked, SILENCE_MS, UNHEARD_BYTES_MAX } from './consoles.ts'

type Listener = (event: { data?: unknown }) => void
const tick = async (turns = 20) => {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** A viewer, and a machine that says as much as it is asked for. */
function lab(options: { write?: (bytes: Uint8Array) => Promise<void>; chunk?: number; chunks?: number; revoked?: Revoked } = {}) {
  const listeners = new Map<string, Listener[]>()
  let pulled = 0
  const seen = { sent: 0, written: Buffer.alloc(0), frames: [] as number[], closed: null as { code: number; reason: string } | null, ended: 0 }
  let fail: (error: Error) => void = () => {}
  const output = new ReadableStream<Uint8Array>({
    start(controller) {
      fail = (error) => controller.error(error)
    },
    pull(controller) {
      if (pulled++ < (options.chunks ?? 0)) controller.enqueue(new Uint8Array(options.chunk ?? 1))
      else if (options.chunks !== undefined) controller.close()
    },
  }, { highWaterMark: 0 })
  const due = new Map<number, () => void>()
  const consoles = new Consoles({
    after: (delay_ms, work) => {
      assert.ok([SILENCE_MS, RIGHTS_EVERY_MS].includes(delay_ms))
      due.set(delay_ms, work)
      return () => void due.delete(delay_ms)
    },
  }, options.revoked ?? (async (callers) => callers.map(() => false)))
  const fire = (delay_ms: number) => {
    const work = due.get(delay_ms)
    due.delete(delay_ms)
    work?.()
  }
  const done = consoles.carry(
    {
      send: (data) => {
        seen.sent += data.byteLength
      },
      close: (code, reason) => {
        seen.closed = { code, reason }
      },
      addEventListener: (type, listener) => void listeners.set(type, [...(listeners.get(type) ?? []), listener]),
    },
    {
      output,
      write: options.write ?? (async (bytes) => {
        seen.frames.push(bytes.byteLength)
        seen.written = Buffer.concat([seen.written, bytes])
      }),
      end: () => {
        seen.ended++
        fail(new Error('the line is over'))
      },
    }, systemCaller('r'))
  const tell = (type: string, data?: unknown) => {
    for (const listener of listeners.get(type) ?? []) listener({ data })
  }
  return { consoles, done, seen, tell, watched: () => due.size > 0, pass: () => fire(SILENCE_MS), ask: async () => { fire(RIGHTS_EVERY_MS); await tick() } }
}

test('a viewer that says nothing is sent so much and no more, and all of it once it speaks', async () => {
  const chunk = 1024 * 1024
  const chunks = 50
  const { done, seen, tell } = lab({ chunk, chunks })
  await tick(200)
  assert.equal(seen.sent, UNHEARD_BYTES_MAX)
  assert.equal(seen.closed, null)
  tell('message', new ArrayBuffer(0))
  await tick(200)
  assert.equal(seen.sent, 2 * UNHEARD_BYTES_MAX)
  tell('message', 'a key')
  await done
  assert.equal(seen.sent, chunk * chunks)
  assert.deepEqual(seen.closed, { code: CLOSE.ended, reason: 'the console was closed by the machine' })
})

test('what the viewer sends arrives in order, in frames that the link takes; an empty message is only a sign of life', async () => {
  const { seen, tell } = lab()
  tell('message', 'ab')
  tell('message', new ArrayBuffer(0))
  tell('message', new Uint8Array(FRAME_BYTES_MAX + 5).fill(65).buffer)
  tell('message', 'z')
  await tick()
  assert.deepEqual(seen.frames, [2, FRAME_BYTES_MAX, 5, 1])
  assert.equal(seen.written.toString().replace(/A+/, 'A'), 'abAz')
})

test('a viewer that sends more than the machine takes is sent away', async () => {
  const { done, seen, tell } = lab({ write: () => new Promise(() => {}) })
  for (let sent = 0; sent <= INPUT_BYTES_MAX; sent += 64 * 1024) tell('message', new Uint8Array(64 * 1024).buffer)
  await done
  assert.equal(seen.closed?.code, CLOSE.too_much)
  assert.equal(seen.ended, 1)
})

test('the end of the viewer ends the line once, and the loss of the line closes the viewer', async () => {
  const left = lab()
  assert.equal(left.consoles.count, 1)
  left.tell('close')
  left.tell('error')
  await left.done
  assert.equal(left.seen.ended, 1)
  assert.equal(left.consoles.count, 0)
  const lost = lab({ write: () => Promise.reject(new Error('gone')) })
  lost.tell('message', 'x')
  await lost.done
  assert.equal(lost.seen.ended, 1)
})

test('a viewer that is gone without a word is let go, one that says something now and then is not', async () => {
  const { done, seen, tell, pass, watched } = lab()
  pass()
  tell('message', new ArrayBuffer(0))
  pass()
  assert.equal(seen.ended, 0)
  pass()
  await done
  assert.equal(seen.closed?.code, CLOSE.silent)
  assert.equal(seen.ended, 1)
  assert.equal(watched(), false)
})

test('a viewer whose right was revoked is put out at the next question, others stay; where nobody answers, nobody stays for long', async () => {
  let answer: boolean | null = false
  const { done, seen, ask, watched } = lab({
    revoked: async (callers) => {
      if (answer === null) throw new Error('away')
      return callers.map(() => answer === true)
    },
  })
  await ask()
  answer = null
  for (let times = 1; times < RIGHTS_UNKNOWN_MAX; times++) await ask()
  answer = false
  await ask()
  assert.equal(seen.closed, null)
  answer = true
  await ask()
  await done
  assert.deepEqual(seen.closed, { code: CLOSE.revoked, reason: 'the right to this console was revoked' })
  assert.equal(seen.ended, 1)
  assert.equal(watched(), false)

  const dark = lab({ revoked: () => Promise.reject(new Error('away')) })
  for (let times = 0; times < RIGHTS_UNKNOWN_MAX; times++) await dark.ask()
  await dark.done
  assert.equal(dark.seen.closed?.code, CLOSE.revoked)
})
