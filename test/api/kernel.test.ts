/** The kernel's promises, through the Worker: tokens, unknown paths, request ids. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mintedCloud } from '../support/cloud.ts'

test('an unknown prefix is 404 with a request id in the body', async () => {
  const cloud = await mintedCloud()
  const answer = await cloud.call('GET', '/nowhere')
  assert.equal(answer.status, 404)
  assert.match(answer.body.error.request_id, /^req-/)
  cloud.close()
})
