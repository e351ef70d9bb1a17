import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ImageStatus } from '../../../schema/project/image.ts'
import { isFault } from '../../../schema/values/fault.ts'
import { nextStatus, TRANSIENT, transition } from './states.ts'

test('every transient status can be ended well and badly', () => {
  const ends: Record<string, ['upload_done' | 'import_done', 'upload_failed' | 'import_failed']> = { saving: ['upload_done', 'upload_failed'], importing: ['import_done', 'import_failed'] }
  for (const status of TRANSIENT) for (const request of ends[status] ?? []) assert.notEqual(nextStatus(status, request), null, `${status} ${request}`)
})

test('bytes are taken once', () => {
  for (const status of ['saving', 'active', 'deactivated', 'importing', 'killed'] as ImageStatus[]) assert.throws(() => transition(status, 'upload'), (error) => isFault(error, 'conflict'), status)
  assert.equal(transition('queued', 'upload'), 'saving')
})
