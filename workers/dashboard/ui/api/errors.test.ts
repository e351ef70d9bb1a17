import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sentenceOf } from './errors.ts'

test('the sentence of an error in every dialect', () => {
  assert.equal(sentenceOf(409, '{"conflictingRequest":{"code":409,"message":"Instance not yet ready"}}'), 'Instance not yet ready')
  assert.equal(sentenceOf(401, '{"error":{"code":401,"message":"The request you have made requires authentication.","title":"Unauthorized"}}'), 'The request you have made requires authentication.')
  assert.equal(sentenceOf(409, '{"NeutronError":{"type":"X","message":"In use","detail":""}}'), 'In use')
  assert.equal(sentenceOf(404, '{"message":"No image &lt;b&gt;<br /><br />\\n\\n\\n","code":"404 Not Found","title":"Not Found"}'), 'No image <b>')
  assert.equal(sentenceOf(404, '<html><h1>Not Found</h1><p>The resource could not be found.</p></html>'), 'Not Found The resource could not be found.')
  assert.equal(sentenceOf(503, ''), 'The cloud answered 503.')
  assert.equal(sentenceOf(400, '[]'), 'The cloud answered 400.')
})
