import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '../../../schema/values/fault.ts'
import { isListed, isMatch, page, parseQuery, sorted } from './query.ts'
import type { ImageData } from './views.ts'

const image = (over: Partial<ImageData>): ImageData => ({
  id: 'i', name: 'n', status: 'active', visibility: 'private', protected: false, hidden: false, container_format: 'bare', disk_format: 'raw', size_bytes: 10, virtual_size_bytes: 10, checksum: null, sha512: null, min_disk_gib: 0, min_ram_mib: 0,
  locations: [], properties: {}, tags: [], members: [], tasks: [], foreign_id: false, published: false, created_ms: 0, updated_ms: 0, owner: 'me', ...over,
})
const query = (text: string) => parseQuery(new URLSearchParams(text))

test('who sees what without asking for a visibility', () => {
  const plain = query('')
  assert.equal(isListed(image({}), plain, 'me', false), true)
  assert.equal(isListed(image({ owner: 'other' }), plain, 'me', false), false)
  assert.equal(isListed(image({ owner: 'other', visibility: 'public' }), plain, 'me', false), true)
  assert.equal(isListed(image({ owner: 'other', visibility: 'community' }), plain, 'me', false), false)
  const member = (status: 'pending' | 'accepted') => image({ owner: 'other', visibility: 'shared', members: [{ member_id: 'me', status, created_ms: 0, updated_ms: 0 }] })
  assert.equal(isListed(member('pending'), plain, 'me', false), false)
  assert.equal(isListed(member('accepted'), plain, 'me', false), true)
  assert.equal(isListed(member('pending'), query('visibility=shared&member_status=pending'), 'me', false), true)
  assert.equal(isListed(image({ owner: 'other' }), plain, 'me', true), true)
})

test('filters: lists, sizes, times, tags, properties', () => {
  const one = image({ name: 'a,b', size_bytes: 100, tags: ['x', 'y'], properties: { os: 'debian' }, created_ms: Date.parse('2026-01-02T00:00:00Z') })
  for (const text of ['name=in:"a,b",c', 'size_min=100', 'size_max=100', 'tag=x&tag=y', 'os=debian', 'created_at=gt:2026-01-01T00:00:00', 'protected=false', 'status=in:queued,active']) assert.equal(isMatch(one, query(text)), true, text)
  for (const text of ['name=a', 'size_min=101', 'tag=z', 'os=arch', 'created_at=lt:2026-01-01T00:00:00', 'none=1', 'os_hidden=true']) assert.equal(isMatch(one, query(text)), false, text)
  for (const text of ['limit=-1', 'size_min=x', 'sort_dir=up', 'sort=name:up', 'sort=name&sort_key=id', 'visibility=some']) assert.throws(() => query(text), (error) => isFault(error, 'bad_request'), text)
})

test('pages follow each other without gaps', () => {
  const rows = ['c', 'a', 'b'].map((name, i) => image({ id: name, name, created_ms: i }))
  const order = sorted(rows, query('sort=name:asc').sort).map((row) => row.id)
  assert.deepEqual(order, ['a', 'b', 'c'])
  const all = sorted(rows, query('sort=name:asc').sort)
  const first = page(all, query('limit=2&sort=name:asc'))
  assert.equal(first.next, 'b')
  assert.deepEqual(page(all, query(`limit=2&sort=name:asc&marker=${first.next}`)).rows.map((row) => row.id), ['c'])
})
