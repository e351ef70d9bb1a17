/** Rates and times that the operator changes: they reach a host with its next word to the plane, and at once when it connects, whether its rings are new or not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type HostSyncAnswer, OBJECT_SERVICE_LIMITS, type ObjectServiceLimits, type RingForHosts } from '../../schema/agent/replication.ts'
import { seededRandom } from '../../schema/values/random.ts'
import { createFakeObjectDriver } from '../drivers/object/fake.ts'
import { silentLog } from '../log.ts'
import { memoryStore } from '../state.ts'
import { GREETING_SPREAD_MS, ObjectServices } from './index.ts'

interface Waiting {
  at_ms: number
  run: () => void
}

function host(answer: () => HostSyncAnswer, store = memoryStore(new Map())) {
  let now = 1_000_000
  const asked: Record<string, string>[] = []
  const waiting = new Set<Waiting>()
  const timers = {
    after(delay_ms: number, run: () => void) {
      const one: Waiting = { at_ms: now + delay_ms, run }
      waiting.add(one)
      return () => void waiting.delete(one)
    },
  }
  const http = {
    call: async (_path: string, body: unknown) => {
      asked.push((body as { revisions: Record<string, string> }).revisions)
      return answer()
    },
  }
  const services = new ObjectServices({ driver: createFakeObjectDriver({ devices: ['d'] }), host_id: 'me', http: http as never, store, clock: { now_ms: () => now }, timers, random: seededRandom(1), log: silentLog })
  const pass = async (ms: number) => {
    const end = now + ms
    for (;;) {
      const [next] = [...waiting].filter((one) => one.at_ms <= end).sort((a, b) => a.at_ms - b.at_ms)
      if (next === undefined) break
      waiting.delete(next)
      now = Math.max(now, next.at_ms)
      next.run()
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    }
    now = end
  }
  return { services, asked, waiting, pass, store, soonest: () => Math.min(...[...waiting].map((one) => one.at_ms)) - now }
}

const LONG: Partial<ObjectServiceLimits> = { replicator_interval_s: 36_000, reconstructor_interval_s: 36_000, updater_interval_s: 36_000, auditor_interval_s: 36_000 }
const RING: RingForHosts = { policy: 0, version: 1, revision: 'r1', part_power: 1, erasure: null, devices: [], assignment: [], moving: [], hosts: [], limits: LONG }

test('what was changed is heard when the host connects, kept, and holds for services that were told to wait longer', async () => {
  let limits = LONG
  const { services, asked, pass, store, soonest } = host(() => ({ rings: [], limits }))
  await store.save('rings', [RING])
  await services.start()
  assert.equal(services.rings.limits.auditor_interval_s, 36_000)
  assert.ok(soonest() > 60_000, 'all have a long wait before them')
  limits = { auditor_interval_s: 5, replicator_bytes_per_s: 7 }
  services.connected()
  await pass(GREETING_SPREAD_MS)
  assert.deepEqual(asked.at(-1), { 0: 'r1' }, 'the ring is known')
  assert.deepEqual(services.rings.limits, { ...OBJECT_SERVICE_LIMITS, auditor_interval_s: 5, replicator_bytes_per_s: 7 })
  assert.ok(soonest() <= 5_000, 'the auditor does not wait for what was set before')
  const before = (await services.recon()).devices[0]?.auditor.passes ?? 0
  await pass(20_000)
  assert.ok(((await services.recon()).devices[0]?.auditor.passes ?? 0) >= before + 3)
  services.stop()
  const again = host(() => ({ rings: [] }), store)
  await again.services.start()
  assert.equal(again.services.rings.limits.auditor_interval_s, 5, 'a host without the plane goes on with what it knew')
  await again.pass(60_000)
  assert.equal(again.services.rings.limits.auditor_interval_s, 5, 'a plane of an earlier release says nothing')
  again.services.stop()
})

test('a host that connects again and again asks once', async () => {
  const { services, asked, pass, store } = host(() => ({ rings: [], limits: LONG }))
  await store.save('rings', [RING])
  await services.start()
  for (let n = 0; n < 5; n++) services.connected()
  await pass(GREETING_SPREAD_MS)
  assert.equal(asked.length, 1)
  services.stop()
  services.connected()
  await pass(GREETING_SPREAD_MS)
  assert.equal(asked.length, 1)
})
