import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { containerKeys, isEncrypting, objectKeys, rootIds, sealingFor, sealingOf } from './keymaster.ts'
import { closeUpdate, openUpdate } from './records.ts'

const secret = (byte: number) => Buffer.alloc(32, byte).toString('base64url')
const env = (options: object, ...bytes: number[]): Env => ({ OBJECT_KEYS: bytes.map(secret).join(', '), OPTIONS: JSON.stringify({ swift: options }) }) as never
const name = { account: 'AUTH_a', container: 'c', object: 'o' }

test('property: every path has a key of its own, the same at each request, and none shows the one it came of', () => {
  const text = fc.string({ minLength: 1, maxLength: 12 }).filter((part) => !part.includes('\0') && !part.includes('/'))
  const names = fc.record({ account: text, container: text, object: text })
  fc.assert(fc.property(names, names, (a, b) => {
    const [first, second] = [a, b].map((one) => objectKeys(containerKeys(env({}, 1), one.account, one.container), one)[0]?.key)
    assert.equal(first === second, JSON.stringify(a) === JSON.stringify(b))
    assert.notEqual(first, containerKeys(env({}, 1), a.account, a.container)[0]?.key)
    assert.equal(Buffer.from(first ?? '', 'base64url').length, 32)
  }), { numRuns: 200 })
})

test('versions of an object have keys of their own, made of their container\'s', () => {
  const version = { account: 'AUTH_a', container: '\0versions\0c', object: `\0o\0${'1700000000.00000'}` }
  const keys = containerKeys(env({}, 1), 'AUTH_a', 'c')
  assert.deepEqual(containerKeys(env({}, 1), version.account, version.container), keys)
  assert.notDeepEqual(objectKeys(keys, version), objectKeys(keys, name))
})

test('a new root secret in front seals, the old one still opens; each is known by a hash of itself', async () => {
  const [one, two] = [await sealingOf(env({ encryption: true }, 1), name), await sealingOf(env({ encryption: true }, 2, 1), name)]
  assert.deepEqual(two?.keys[1], one?.keys[0])
  assert.notEqual(two?.keys[0]?.root, one?.keys[0]?.root)
  assert.deepEqual(rootIds(env({}, 2, 1)), two?.keys.map(({ root }) => root))
  assert.match(rootIds(env({}, 1))[0] ?? '', /^[0-9a-f]{16}$/)
  assert.throws(() => rootIds({ OBJECT_KEYS: 'c2hvcnQ' }), /32 bytes/)
})

test('keys come along whether or not new objects are encrypted, for old ones are; without any, none do', async () => {
  assert.equal(isEncrypting(env({})), false)
  assert.deepEqual([(await sealingOf(env({}, 1), name))?.seal, (await sealingOf(env({}, 1), name))?.keys.length], [false, 1])
  assert.equal(await sealingOf(env({}), name), undefined)
  assert.equal(sealingFor(undefined, undefined), undefined)
  assert.throws(() => sealingFor(undefined, true), { kind: 'unavailable' })
  const none = await sealingOf(env({ encryption: true }), name)
  assert.throws(() => sealingFor(none, undefined), { kind: 'unavailable', message: /OBJECT_KEYS/ })
  assert.equal(sealingFor(await sealingOf(env({}, 1), name), true)?.seal, true, 'a write may ask for it')
})

test('rows that hosts keep for a container show no ETag, and open at the plane for what they were closed for', async () => {
  const update = { ...name, op: 'put' as const, timestamp: '1700000000.00000', row: { name: 'o', etag: 'd41d8cd98f00b204e9800998ecf8427e' } }
  const kept = await closeUpdate(env({}, 1), update)
  assert.ok(!JSON.stringify(kept).includes(update.row.etag))
  assert.deepEqual(await openUpdate(env({}, 2, 1), kept), update)
  await assert.rejects(openUpdate(env({}, 1), { ...kept, timestamp: '1700000001.00000' }), { kind: 'internal' })
  await assert.rejects(openUpdate(env({}, 2), kept), { kind: 'internal' })
  assert.deepEqual(await closeUpdate(env({}), update), update)
  assert.deepEqual(await openUpdate(env({}, 1), update), update, 'one of an earlier build')
})
