import assert from 'node:assert/strict'
import { test } from 'node:test'
import { originAllowed } from './origin.ts'

test('only the own origin, or the configured public one, may open a console from a browser', () => {
  const url = 'http://cloud.test:8787/compute/consoles/?token=x'
  assert.ok(originAllowed('http://cloud.test:8787', url, ''))
  assert.ok(originAllowed(null, url, undefined))
  assert.ok(originAllowed('https://cloud.example.org', url, 'https://cloud.example.org/'))
  for (const evil of ['http://cloud.test', 'https://cloud.test:8787', 'http://evil.test', 'http://cloud.test:8787.evil.test', 'null', '', 'http://evilcloud.test:8787']) assert.equal(originAllowed(evil, url, 'https://cloud.example.org'), false, evil)
})
