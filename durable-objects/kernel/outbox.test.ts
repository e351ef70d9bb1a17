/** The outbox over simulated storage: at least once, in order by key, expiry, survival of a crash between commit and run. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../schema/values/fault.ts'
import { SimStorage, newDisk } from '../../test/support/platform/storage.ts'
import { Alarms } from './alarms.ts'
import { OUTBOX_ATTEMPTS_MAX, Outbox, type Tasks } from './outbox.ts'

interface World {
  now: number
  log: string[]
}

function boot(disk: ReturnType<typeof newDisk>, world: World, tasks: Tasks<World>) {
  const storage = new SimStorage(disk)
  const clock = { now_ms: () => world.now }
  const alarms = new Alarms(storage as never, clock)
  const outbox = new Outbox<World>({ sql: storage.sql as never, clock, alarms, log: () => {} }, tasks, () => world)
  return { outbox, alarms, storage }
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 5))

test('an entry runs once after its transaction and is forgotten', async () => {
  const world: World = { now: 1_000, log: [] }
  const { outbox } = boot(newDisk(), world, { hello: { run: async (w, payload) => void w.log.push(payload.name) } })
  outbox.add('hello', { name: 'a' })
  outbox.kick()
  await settle()
  assert.deepEqual(world.log, ['a'])
  assert.deepEqual(outbox.pending(), [])
})

test('an entry whose process died before it ran is found by the alarm of the next instance', async () => {
  const world: World = { now: 1_000, log: [] }
  const disk = newDisk()
  const tasks: Tasks<World> = { hello: { run: async (w, payload) => void w.log.push(payload.name) } }
  boot(disk, world, tasks).outbox.add('hello', { name: 'a' })
  const after = boot(disk, world, tasks)
  world.now += 60_000
  assert.ok((disk.alarm_ms ?? Number.POSITIVE_INFINITY) <= world.now)
  await after.alarms.fire()
  assert.deepEqual(world.log, ['a'])
})

test('entries of one key run in order, a failing one holds those behind it', async () => {
  const world: World = { now: 1_000, log: [] }
  let broken = true
  const { outbox, alarms } = boot(newDisk(), world, {
    step: {
      run: async (w, payload) => {
        if (payload.n === 1 && broken) throw new Error('not yet')
        w.log.push(String(payload.n))
      },
    },
  })
  for (const n of [1, 2]) outbox.add('step', { n }, { key: 'server-1' })
  outbox.add('step', { n: 3 }, { key: 'server-2' })
  outbox.kick()
  await settle()
  assert.deepEqual(world.log, ['3'])
  broken = false
  world.now += 60_000
  await alarms.fire()
  assert.deepEqual(world.log, ['3', '1', '2'])
})

test('a refusal that retrying cannot cure expires at once, a lasting failure at the deadline', async () => {
  const world: World = { now: 1_000, log: [] }
  const { outbox, alarms } = boot(newDisk(), world, {
    refused: { run: async () => { throw new Fault('conflict', 'no room') }, expire: (w, _payload, error) => void w.log.push(`refused: ${error}`) },
    down: { run: async () => { throw new Error('connection lost') }, expire: (w) => void w.log.push('given up'), deadline_ms: 5_000 },
  })
  outbox.add('refused', {})
  outbox.add('down', {})
  outbox.kick()
  await settle()
  assert.deepEqual(world.log, ['refused: no room'])
  for (let i = 0; i < 20 && outbox.pending().length > 0; i++) {
    world.now += 1_000
    await alarms.fire()
  }
  assert.deepEqual(world.log, ['refused: no room', 'given up'])
  assert.ok(OUTBOX_ATTEMPTS_MAX > 0)
})

test('an expiry that fails is tried again until it holds', async () => {
  const world: World = { now: 1_000, log: [] }
  let times = 0
  const { outbox, alarms } = boot(newDisk(), world, {
    refused: {
      run: async () => { throw new Fault('not_found', 'gone') },
      expire: (w) => {
        if (times++ === 0) throw new Error('crash in expire')
        w.log.push('expired')
      },
    },
  })
  outbox.add('refused', {})
  outbox.kick()
  await settle()
  world.now += 60_000
  await alarms.fire()
  assert.deepEqual(world.log, ['expired'])
  assert.deepEqual(outbox.pending(), [])
})
