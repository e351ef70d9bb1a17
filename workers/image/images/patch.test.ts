import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ImageRow } from '../../../schema/project/image.ts'
import { isFault } from '../../../schema/values/fault.ts'
import { applyPatch, parsePatch } from './patch.ts'

const row: ImageRow = {
  id: 'i', name: 'n', status: 'queued', visibility: 'private', protected: false, hidden: false, container_format: 'bare', disk_format: 'raw', size_bytes: null, virtual_size_bytes: null, checksum: null, sha512: null, min_disk_gib: 0, min_ram_mib: 0,
  locations: [], staged: null, upload_id: null, upload_seen_ms: null, properties: { a: '1' }, tags: ['t'], members: [], tasks: [], foreign_id: false, published: false, created_ms: 0, updated_ms: 0,
}
const V21 = 'application/openstack-images-v2.1-json-patch'
const V20 = 'application/openstack-images-v2.0-json-patch'

test('both media types mean the same', () => {
  const v21 = parsePatch(V21, [{ op: 'replace', path: '/name', value: 'x' }, { op: 'remove', path: '/a' }])
  const v20 = parsePatch(V20, [{ replace: '/name', value: 'x' }, { remove: '/a' }])
  assert.deepEqual(v21, v20)
  assert.deepEqual(applyPatch(row, v21), { name: 'x', properties: {} })
})

test('an unchanged row has no changes', () => assert.deepEqual(applyPatch(row, parsePatch(V21, [{ op: 'replace', path: '/name', value: 'n' }])), {}))

test('formats are fixed once there are bytes', () => {
  const ops = parsePatch(V21, [{ op: 'replace', path: '/disk_format', value: 'qcow2' }])
  assert.deepEqual(applyPatch(row, ops), { disk_format: 'qcow2' })
  assert.throws(() => applyPatch({ ...row, status: 'active' }, ops), (error) => isFault(error, 'forbidden'))
})

test('whatever comes is applied or refused with a fault, and the row is never touched', () => {
  const before = JSON.stringify(row)
  fc.assert(
    fc.property(fc.array(fc.record({ op: fc.constantFrom('add', 'replace', 'remove', 'move'), path: fc.oneof(fc.constantFrom('/name', '/tags', '/tags/0', '/tags/-', '/a', '/owner', '/status'), fc.string()), value: fc.jsonValue() }), { maxLength: 5 }), (ops) => {
      try {
        applyPatch(row, parsePatch(V21, ops))
      } catch (error) {
        assert.ok(isFault(error), String(error))
      }
      assert.equal(JSON.stringify(row), before)
    }),
  )
})
