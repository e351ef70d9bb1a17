/** One object on several devices at once: what each says, the body of the first, and nobody waits for one that is slow. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BODY_AT_ONCE_BYTES, type FindArgs, type ObjectArgs } from '../schema/agent/protocol.ts'
import { Fault } from '../schema/values/fault.ts'
import { findHere } from './find.ts'

const at: ObjectArgs = { device: 'd1', policy: 0, partition: 1, hash: 'a'.repeat(32), name: '/a/c/o', timestamp: '1700000000.00000' }
const args: FindArgs = { at, also: ['d2', 'd3'], body: true }
const head = (size_bytes: number) => ({ timestamp: at.timestamp, size_bytes, etag: 'e', metadata: {} })

/** A body that is known to be open until it is read or left. */
function bodyOf(bytes: Uint8Array) {
  const seen = { open: true }
  async function* read(): AsyncGenerator<Uint8Array> {
    try {
      for (let from = 0; from < bytes.length; from += 1_000) yield bytes.subarray(from, from + 1_000)
    } finally {
      seen.open = false
    }
  }
  return { seen, body: read() }
}

test('a short body comes whole, a long one as it is read; what a device does not have is said of it alone', async () => {
  for (const size of [0, 2_500, BODY_AT_ONCE_BYTES, BODY_AT_ONCE_BYTES + 1]) {
    const bytes = new Uint8Array(size).fill(7)
    const asked: string[] = []
    const { found, body } = await findHere({
      get: async ({ device }) => {
        asked.push(device)
        return { head: head(size), body: bodyOf(bytes).body }
      },
      head: async ({ device }) => {
        asked.push(device)
        if (device === 'd3') throw new Fault('not_found', 'none', { details: { timestamp: '1700000001.00000' } })
        return head(1)
      },
    }, args)
    assert.deepEqual(asked, ['d1', 'd2', 'd3'])
    assert.deepEqual(found, [{ head: head(size) }, { head: head(1) }, { error: { kind: 'not_found', message: 'none', details: { timestamp: '1700000001.00000' } } }])
    assert.equal(body instanceof Uint8Array, size <= BODY_AT_ONCE_BYTES)
    const parts: Uint8Array[] = []
    if (body instanceof Uint8Array) parts.push(body)
    else for await (const part of body ?? []) parts.push(part)
    assert.deepEqual(Buffer.concat(parts), Buffer.from(bytes))
  }
})

test('a body that turns out to be damaged is an error of its device, not half a body', async () => {
  const broken = async function* (): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(10)
    throw new Fault('internal', 'damaged')
  }
  const { found, body } = await findHere({ get: async () => ({ head: head(20), body: broken() }), head: async () => head(20) }, args)
  assert.deepEqual([found[0], body], [{ error: { kind: 'internal', message: 'damaged' } }, null])
})

test('a slow device is left out once most have answered, and what it opens later is closed', async () => {
  const late = bodyOf(new Uint8Array(5_000))
  let arrive = () => {}
  const arrived = new Promise<void>((resolve) => {
    arrive = resolve
  })
  const due: (() => void)[] = []
  const finding = findHere({ get: async () => arrived.then(() => ({ head: head(5_000), body: late.body })), head: async () => head(5_000) }, args, { after: (_delay, run) => {
    due.push(run)
    return () => {}
  } })
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(due.length, 1)
  due[0]?.()
  const { found, body } = await finding
  assert.deepEqual(found.map((one) => ('head' in one ? 'head' : one.error.kind)), ['timeout', 'head', 'head'])
  assert.equal(body, null)
  arrive()
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
  assert.equal((await late.body.next()).done, true, 'nothing is left open')
})
