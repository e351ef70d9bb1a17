/** What an account is told, and when: the first changes at once, many at a bounded pace, the last always. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { REPORT_EVERY_MS, REPORTS_AT_ONCE, Reports } from './reports.ts'

function lab() {
  const container = { account: 'a', name: 'c', policy: 0, created_at: 't', put_at: 't', metadata: '{}', object_count: 0, bytes_used: 0, deleted: 0, seq: 1, reported_seq: 0, part_of: null }
  const timers: { at: number; run: () => void }[] = []
  const alarms: Record<string, () => Promise<void>> = {}
  const state = { now: 1_000_000, told: [] as number[], fails: 0, gate: Promise.resolve() }
  const deps = {
    clock: { now_ms: () => state.now }, log: () => {},
    alarms: { handle: (name: string, run: () => Promise<void>) => (alarms[name] = run), at: () => {} },
    timers: { after: (delay: number, run: () => void) => void timers.push({ at: state.now + delay, run }) },
  } as unknown as Deps
  const rows = (query: string, value?: unknown) => {
    if (query.startsWith('UPDATE')) container.reported_seq = Number(value)
    return [{ ...container }]
  }
  const reports = new Reports(rows, deps, {
    report: async (_account, { seq }) => {
      await state.gate
      if (state.fails-- > 0) throw new Error('away')
      state.told.push(seq)
    },
  })
  const settled = async () => {
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  return {
    state, alarms, reports, container, settled,
    async change() {
      container.seq++
      reports.soon()
      await settled()
    },
    async pass(ms: number) {
      state.now += ms
      for (const { run } of timers.splice(0).filter((one) => one.at <= state.now || !timers.push(one))) run()
      await settled()
    },
  }
}

test('a few changes are told at once; of many the account hears at a bounded pace, and of the last in any case', async () => {
  const { state, change, pass, container } = lab()
  for (let n = 0; n < REPORTS_AT_ONCE; n++) await change()
  assert.deepEqual(state.told, Array.from({ length: REPORTS_AT_ONCE }, (_, n) => n + 2))
  for (let n = 0; n < 200; n++) {
    await change()
    await pass(10)
  }
  await pass(REPORT_EVERY_MS)
  assert.equal(state.told.at(-1), container.seq)
  const spread = state.told.length - REPORTS_AT_ONCE
  assert.ok(spread >= 2_000 / REPORT_EVERY_MS - 1 && spread <= 2_000 / REPORT_EVERY_MS + 1, `${spread} reports in two seconds`)
  // After a rest they go at once again.
  await pass(REPORTS_AT_ONCE * REPORT_EVERY_MS)
  const before = state.told.length
  for (let n = 0; n < REPORTS_AT_ONCE; n++) await change()
  assert.equal(state.told.length, before + REPORTS_AT_ONCE)
})

test('what is asked for while a report is under way is told after it, before whoever asked goes on', async () => {
  const { state, reports, container, settled } = lab()
  let open = () => {}
  state.gate = new Promise((resolve) => (open = resolve))
  const first = reports.now()
  await settled()
  container.seq = 7
  const second = reports.now()
  open()
  await Promise.all([first, second])
  assert.deepEqual(state.told, [1, 7])
})

test('an account that is away is told by the alarm, and what it was told is written down', async () => {
  const { state, reports, alarms, container, change } = lab()
  state.fails = 1
  await change()
  assert.deepEqual(state.told, [])
  await alarms.report?.()
  assert.deepEqual([state.told, container.reported_seq, reports.told], [[2], 2, 2])
})
