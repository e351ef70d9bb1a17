import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { isOfPages } from '../pages.ts'
import { type FanBody, PIECE_BYTES, type Pieces, STALLED_MS, WINDOW_PIECES, fanOf } from './fan.ts'

const tick = () => new Promise((resolve) => setImmediate(resolve))
const settle = async () => {
  for (let n = 0; n < 50; n++) await tick()
}

/** A request whose body comes in chunks of a socket's size; `complete` is Node's word for "all of it came". */
class Message extends Readable {
  complete = false
  given = 0
  #bytes: Buffer
  constructor(bytes: Buffer) {
    super()
    this.#bytes = bytes
  }
  override _read(): void {
    const chunk = this.#bytes.subarray(this.given, this.given + 60_000)
    this.given += chunk.length
    if (chunk.length > 0) return void this.push(chunk)
    this.complete = true
    this.push(null)
  }
}

function lab(bytes: Buffer, takers: number) {
  const waits: { at_ms: number; run: () => void; off: boolean }[] = []
  const timers = {
    after(delay_ms: number, run: () => void) {
      const wait = { at_ms: delay_ms, run, off: false }
      waits.push(wait)
      return () => {
        wait.off = true
      }
    },
  }
  const message = new Message(bytes)
  const bodies: FanBody[] = []
  let rest = fanOf(message as unknown as IncomingMessage, timers)
  while (bodies.length < takers - 1) {
    const [one, other] = rest.tee()
    bodies.push(one as FanBody)
    rest = other as FanBody
  }
  bodies.push(rest)
  const elapse = () => {
    for (const wait of waits.splice(0)) if (!wait.off) wait.run()
  }
  return { message, views: bodies.map((body) => body.pieces), bodies, elapse, waits }
}

async function readAll(pieces: Pieces): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const piece of pieces) {
    parts.push(Buffer.from(piece))
    await tick()
  }
  return Buffer.concat(parts)
}

test('all takers get the same bytes, a stream among them', async () => {
  const bytes = randomBytes(PIECE_BYTES * 20 + 12_345)
  const { views, bodies } = lab(bytes, 3)
  const [a, b, c] = await Promise.all([readAll(views[0] as Pieces), readAll(views[1] as Pieces), new Response(bodies[2] as never).arrayBuffer()])
  assert.ok(a.equals(bytes) && b.equals(bytes) && Buffer.from(c).equals(bytes))
})

test('an empty body ends', async () => {
  const { views } = lab(Buffer.alloc(0), 2)
  assert.deepEqual((await Promise.all(views.map(readAll))).map(({ length }) => length), [0, 0])
})

test('the client waits for the slowest, and no more than a window is held for it', async () => {
  const bytes = randomBytes(PIECE_BYTES * (WINDOW_PIECES + 20))
  const { message, views: [quick, slow] } = lab(bytes, 2)
  const all = readAll(quick as Pieces)
  await (slow as Pieces).next()
  await settle()
  assert.ok(message.given <= PIECE_BYTES * (WINDOW_PIECES + 1) + 128 * 1024, `${message.given} bytes were read`)
  const late = await readAll(slow as Pieces)
  assert.ok((await all).equals(bytes))
  // What it had been given first is its own until it asks again.
  assert.ok(late.equals(bytes.subarray(PIECE_BYTES)))
})

test('one that takes nothing is given up, its last piece is not written over, and the others get everything', async () => {
  const bytes = randomBytes(PIECE_BYTES * (WINDOW_PIECES * 3))
  const { message, views: [quick, stuck], elapse, waits } = lab(bytes, 2)
  const held = (await (stuck as Pieces).next()).value as Uint8Array
  const all = readAll(quick as Pieces)
  await settle()
  assert.ok(message.given < bytes.length)
  assert.equal(waits.at(-1)?.at_ms, STALLED_MS)
  elapse()
  assert.ok((await all).equals(bytes))
  assert.ok(Buffer.from(held).equals(bytes.subarray(0, PIECE_BYTES)))
  await assert.rejects((stuck as Pieces).next(), { kind: 'unavailable' })
})

test('where all are as slow nobody is given up', async () => {
  const bytes = randomBytes(PIECE_BYTES * (WINDOW_PIECES * 2))
  const { views, elapse } = lab(bytes, 2)
  await Promise.all(views.map((view) => view.next()))
  await settle()
  elapse()
  elapse()
  assert.deepEqual(await Promise.all(views.map(async (view) => (await readAll(view)).equals(bytes.subarray(PIECE_BYTES)))), [true, true])
})

test('one that leaves before it began, or in the middle, holds up nobody', async () => {
  const bytes = randomBytes(PIECE_BYTES * (WINDOW_PIECES * 3))
  const { views: [one, two, three] } = lab(bytes, 3)
  await (one as Pieces).return()
  const all = readAll(three as Pieces)
  for await (const _ of two as Pieces) break
  assert.ok((await all).equals(bytes))
  assert.deepEqual(await (two as Pieces).next(), { done: true, value: undefined })
})

test('a client that goes away is an error for all, never an end', async () => {
  const bytes = randomBytes(PIECE_BYTES * WINDOW_PIECES * 3)
  const { message, views } = lab(bytes, 2)
  await Promise.all(views.map((view) => view.next()))
  message.destroy()
  await settle()
  for (const view of views) await assert.rejects(view.next(), /the client went away/)
})

test('when all have left, the message is left paused for the server', async () => {
  const { message, views } = lab(randomBytes(PIECE_BYTES * 40), 2)
  await Promise.all(views.map((view) => view.next()))
  for (const view of views) await view.return()
  await settle()
  assert.ok(message.isPaused())
  assert.ok(message.given <= PIECE_BYTES * (WINDOW_PIECES + 2))
})

test('pieces are whole pages, and those that were held by one who was given up are used again once it has put them down', async () => {
  const size = PIECE_BYTES * WINDOW_PIECES * 2
  for (let round = 0; round < 20; round++) {
    const { views: [quick, stuck], elapse } = lab(randomBytes(size), 2)
    await (stuck as Pieces).next()
    const all = readAll(quick as Pieces)
    await settle()
    elapse()
    await all
    await assert.rejects((stuck as Pieces).next(), { kind: 'unavailable' })
  }
  const { views: [last] } = lab(randomBytes(size), 1)
  for await (const piece of last as Pieces) assert.ok(isOfPages(piece))
})
