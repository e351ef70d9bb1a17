import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '../../../schema/values/fault.ts'
import { ACTIONS, type ActionName, TASKS, powerReached, requireAction, settled, statesOfStatus, statusOf } from './states.ts'

test('every task that an action begins has a rule with a deadline', () => {
  for (const rule of Object.values(ACTIONS)) if (rule.task !== null) assert.ok(TASKS[rule.task].deadline_ms > 0)
})

test('an action from a wrong state is a conflict in the words clients match', () => {
  assert.throws(() => requireAction({ id: 'x', vm_state: 'stopped', task_state: null }, 'stop'), (error) => isFault(error, 'conflict') && error.message === "Cannot 'stop' instance x while it is in vm_state stopped")
  assert.throws(() => requireAction({ id: 'x', vm_state: 'active', task_state: 'rebooting' }, 'pause'), /in task_state rebooting/)
  assert.equal(requireAction({ id: 'x', vm_state: 'active', task_state: 'rebooting' }, 'reboot_hard').task, 'rebooting_hard')
})

test('a settled task never leaves a transient state', () => {
  for (const action of Object.keys(ACTIONS) as ActionName[]) {
    const rule = requireAction({ id: 'x', vm_state: ACTIONS[action].from[0] ?? 'active', task_state: null }, action)
    if (rule.task === null) continue
    assert.notEqual(settled(rule.task, 'active', rule.power ?? 'on', 'running'), 'building')
  }
  assert.equal(settled('spawning', 'building', 'on', 'shutdown'), 'stopped')
  assert.equal(settled('powering-off', 'active', 'off', 'shutdown'), 'stopped')
})

test('power is reached when the host shows it, and a guest that turned itself off is not waited for', () => {
  assert.ok(powerReached('on', 'running') && powerReached('on', 'shutdown') && !powerReached('off', 'running') && !powerReached('paused', 'running') && !powerReached('on', 'paused'))
})

test('statuses and the states they mean agree', () => {
  assert.equal(statusOf('active', 'rebooting_hard'), 'HARD_REBOOT')
  assert.equal(statusOf('stopped', 'powering-on'), 'SHUTOFF')
  assert.deepEqual(statesOfStatus('shutoff'), ['stopped'])
  assert.deepEqual(statesOfStatus('nonsense'), [])
})
