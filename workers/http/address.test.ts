import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Address } from './address.ts'

const PARTS = ['href', 'origin', 'host', 'pathname', 'search'] as const
const read = (url: Pick<URL, (typeof PARTS)[number] | 'searchParams'>) => [...PARTS.map((part) => url[part]), [...url.searchParams]]

function same(href: string): void {
  let wanted: URL
  try {
    wanted = new URL(href)
  } catch {
    assert.throws(() => new Address(href), TypeError, href)
    return
  }
  assert.deepEqual(read(new Address(href)), read(wanted), href)
}

const authority = fc.oneof(fc.constantFrom('127.0.0.1:8787', 'cloud.example.org', 'CLOUD.example.org', 'h:80', 'h:443', 'h:0080', '[::1]:8787', 'u:p@h', 'h?x', 'h#x', '', 'h:', '1.2', '0x7f.1', 'h..', 'xn--a', 'a_b', 'ü.example'), fc.domain())
const segment = fc.oneof(fc.constantFrom('v3', '.', '..', '%2e', '%2E.', '.well-known', 'a.b', '%41', '%zz', 'a b', "it's", 'x|y', '\\', '{id}', '^', '`', '"', '<', 'ü', '\u0000', '\t', ''), fc.string({ unit: 'binary', maxLength: 6 }), fc.uuid())
const query = fc.oneof(fc.constantFrom('', '?', '?a=b', '?a=b&a=c', '?a=%20+', "?x='1'", '?q=ü', '??', '?a#b', '#a', '?a=..%2e/../'), fc.webQueryParameters().map((text) => `?${text}`))

test('says what the URL standard says, of whatever is asked for', () => {
  fc.assert(fc.property(fc.constantFrom('http', 'https'), authority, fc.array(segment, { maxLength: 5 }), query, (scheme, host, segments, search) => same(`${scheme}://${host}/${segments.join('/')}${search}`)), { numRuns: 5_000 })
})

test('of texts of any kind', () => {
  fc.assert(fc.property(fc.oneof(fc.webUrl(), fc.string(), fc.constantFrom('http:/a', 'http:a/b', 'http:\\\\h\\p', 'http://h', 'HTTP://h/p', 'ftp://h/p', 'http:///h/p', '/p', 'x://h/p')), same), { numRuns: 2_000 })
})

test('a query that is not there is the same one for all, and nobody changes it', () => {
  const { searchParams } = new Address('http://h/p')
  assert.equal(searchParams, new Address('http://h/q?').searchParams)
  for (const change of [() => searchParams.set('a', 'b'), () => searchParams.append('a', 'b'), () => searchParams.delete('a'), () => searchParams.sort()]) assert.throws(change, TypeError)
  const copy = new URLSearchParams(searchParams)
  copy.set('a', 'b')
  assert.deepEqual([String(copy), String(searchParams)], ['a=b', ''])
})
