import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { ALARM_AGAIN_MS, Alarms } from './alarms.ts'

function lab() {
  const database = new DatabaseSync(':memory:')
  const sql = {
    exec: (query: string, ...bindings: unknown[]) => {
      const rows = database.prepare(query).all(...(bindings as never[])) as Record<string, unknown>[]
      return { toArray: () => rows }
    },
  }
  const state = { now: 1_000, set: null as number | null, failures: [] as string[] }
  const alarms = new Alarms({ sql, setAlarm: (at) => void Object.assign(state, { set: at }), getAlarm: async () => state.set }, { now_ms: () => state.now }, (why) => state.failures.push(why))
  return { alarms, state }
}

test('a handler that fails is woken again, and does not stop the others', async () => {
  const { alarms, state } = lab()
  const ran: string[] = []
  alarms.handle('good', () => void ran.push('good'))
  alarms.handle('bad', () => {
    ran.push('bad')
    throw new Error('no')
  })
  alarms.at('bad', 1_000)
  alarms.at('good', 1_000)
  await alarms.fire()
  assert.deepEqual(ran, ['bad', 'good'])
  assert.deepEqual(state.failures, ['bad: no'])
  assert.equal(state.set, 1_000 + ALARM_AGAIN_MS)
  state.now += ALARM_AGAIN_MS
  await alarms.fire()
  assert.deepEqual(ran, ['bad', 'good', 'bad'])
})
