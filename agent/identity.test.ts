import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isFault } from '../schema/values/fault.ts'
import { type Join, loadIdentity } from './identity.ts'

test('joins once, keeps its key private, and signs so that the plane can check it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'identity-'))
  try {
    const joined: Parameters<Join>[0][] = []
    const options = { folder, plane: 'http://plane', hostname: 'h1', clock: { now_ms: () => 1_700_000_000_000 }, join: async (body: Parameters<Join>[0]) => {
      joined.push(body)
      return { host_id: '11111111-1111-4111-8111-111111111111' }
    } }
    await assert.rejects(loadIdentity({ ...options, token: null }), (error) => isFault(error, 'unauthorized'))
    const first = await loadIdentity({ ...options, token: 't' })
    const second = await loadIdentity({ ...options, token: null })
    assert.equal(joined.length, 1)
    assert.equal(statSync(join(folder, 'host.key')).mode & 0o777, 0o600)
    first.setOffset(5)
    const header = first.authorization('GET', '/agents/v1/link?host=x')
    const [, host, timestamp, signature] = /^Skyhook-Host ([^:]+):(\d+):([\w-]+)$/.exec(header) ?? []
    assert.deepEqual([host, timestamp], [first.host_id, '1700000000005'])
    const key = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: joined[0]?.public_key ?? '' } })
    assert.ok(verify(null, Buffer.from(`GET\n/agents/v1/link?host=x\n${timestamp}`), key, Buffer.from(signature ?? '', 'base64url')))
    assert.equal(second.host_id, first.host_id)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a refused token leaves no identity, and the next token joins with the same key', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'identity-'))
  try {
    const keys: string[] = []
    const load = (fails: boolean) => loadIdentity({ folder, plane: 'http://plane', hostname: 'h', token: 't', clock: { now_ms: () => 0 }, join: async ({ public_key }) => {
      keys.push(public_key)
      if (fails) throw new Error('401')
      return { host_id: 'x' }
    } })
    await assert.rejects(load(true))
    await load(false)
    assert.equal(keys[0], keys[1])
  } finally {
    rmSync(folder, { recursive: true })
  }
})
