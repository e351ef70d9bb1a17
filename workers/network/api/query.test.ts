/** Filters, fields, sorting and pages over views. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { query } from './query.ts'

const views = [
  { id: 'a', name: 'one', admin_state_up: true, tags: ['red'], mtu: 1500, fixed_ips: [{ subnet_id: 's1', ip_address: '10.0.0.3' }] },
  { id: 'b', name: 'two', admin_state_up: false, tags: ['red', 'blue'], mtu: 900, fixed_ips: [{ subnet_id: 's2', ip_address: '10.0.0.31' }] },
  { id: 'c', name: 'two', admin_state_up: true, tags: [], mtu: 1450, fixed_ips: [] },
]
const ids = (text: string) => query(views, new URLSearchParams(text), 'http://x/v2.0/things', 'thing').rows.map((row) => row.id).join('')

test('filters are alternatives within a name and all across names', () => {
  assert.equal(ids('name=two'), 'bc')
  assert.equal(ids('name=one&name=two&admin_state_up=True'), 'ac')
  assert.equal(ids('unknown=1'), 'abc')
  assert.equal(ids('fixed_ips=ip_address=10.0.0.3'), 'a')
  assert.equal(ids('fixed_ips=ip_address_substr=10.0.0.3'), 'ab')
  assert.equal(ids('fixed_ips=ip_address_substr=10.0&fixed_ips=subnet_id=s2'), 'b')
})

test('tags: all, any, not all, not any', () => {
  assert.equal(ids('tags=red,blue'), 'b')
  assert.equal(ids('tags-any=red,blue'), 'ab')
  assert.equal(ids('not-tags=red,blue'), 'ac')
  assert.equal(ids('not-tags-any=red,blue'), 'c')
})

test('sorting by numbers and several keys, unknown directions refused', () => {
  assert.equal(ids('sort_key=mtu&sort_dir=desc'), 'acb')
  assert.equal(ids('sort_key=name&sort_dir=desc&sort_key=mtu&sort_dir=asc'), 'bca')
  assert.throws(() => ids('sort_key=name&sort_dir=up'), { kind: 'bad_request' })
  assert.throws(() => ids('sort_key=nothing'), { kind: 'bad_request' })
})

test('pages carry links both ways and cover every row once', () => {
  const first = query(views, new URLSearchParams('limit=2'), 'http://x/v2.0/things', 'thing')
  assert.deepEqual(first.links?.map((link) => link.rel), ['next'])
  const second = query(views, new URL(first.links?.[0]?.href ?? '').searchParams, 'http://x/v2.0/things', 'thing')
  assert.equal([...first.rows, ...second.rows].map((row) => row.id).join(''), 'abc')
  assert.deepEqual(second.links?.map((link) => link.rel), ['previous'])
  const back = query(views, new URL(second.links?.[0]?.href ?? '').searchParams, 'http://x/v2.0/things', 'thing')
  assert.equal(back.rows.map((row) => row.id).join(''), 'ab')
  assert.throws(() => ids('limit=1&marker=zz'), { kind: 'bad_request' })
  assert.equal(query(views, new URLSearchParams('fields=id&fields=mtu'), '', 'thing').rows[0]?.mtu, 1500)
})
