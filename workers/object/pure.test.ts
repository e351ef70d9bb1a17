/** The small pure parts of the object store: names, times, ACLs, ranges, conditions, metadata, signatures. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Caller } from '../../schema/values/caller.ts'
import { callerNamed, cleanAcl, parseAcl, referrerAllowed } from './acl.ts'
import { dateOf, precondition } from './conditions.ts'
import { expiresOf, inRange, parseSignature } from './features/tempurl.ts'
import { deleteAtOf, mergeMeta, metaChanges, objectMetadata } from './headers.ts'
import { decodeName, hashOf, partitionOf, rawPath, splitPath } from './names.ts'
import { resolveRanges } from './ranges.ts'
import { Throttle, rateFor } from './throttle.ts'
import { Stamps, formatTicks, httpDate, listingTime, parseTicks } from './timestamp.ts'

test('paths are split once and never normalised', () => {
  assert.deepEqual(splitPath('/v1/AUTH_x'), { account: 'AUTH_x', container: null, object: null })
  assert.deepEqual(splitPath('/v1/AUTH_x/'), { account: 'AUTH_x', container: null, object: null })
  assert.deepEqual(splitPath('/v1/AUTH_x/c/'), { account: 'AUTH_x', container: 'c', object: null })
  assert.deepEqual(splitPath('/v1/AUTH_x/c//o/'), { account: 'AUTH_x', container: 'c', object: '/o/' })
  assert.equal(splitPath('/v1'), null)
  assert.equal(splitPath('/v1/AUTH_x//o'), null)
  assert.equal(rawPath('http://h:1/v1/a/../b/%2e%2e/c?x=/y#z'), '/v1/a/../b/%2e%2e/c')
  assert.throws(() => decodeName('%ff'), { name: 'Fault', status: 412 })
})

test('a name has one hash, and the partition is its first bits', () => {
  const name = { account: 'AUTH_x', container: 'c', object: 'o' }
  assert.equal(hashOf(name, '', ''), '94a6bfda7a4fdb54134a5368beaeaead')
  assert.notEqual(hashOf(name, 'p', 's'), hashOf(name, '', ''))
  assert.equal(partitionOf('ffffffff00000000', 10), 1023)
  assert.equal(partitionOf('00400000ffffffff', 10), 1)
})

test('times only grow, and print as Swift prints them', () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1_600_000_000_000, max: 1_900_000_000_000 }), { minLength: 2, maxLength: 20 }), (clock) => {
    const stamps = new Stamps(null)
    const given = clock.map((now) => stamps.next(now))
    assert.deepEqual([...given].sort(), given)
    assert.equal(new Set(given).size, given.length)
    for (const one of given) assert.match(one, /^\d{10}\.\d{5}$/)
  }))
  assert.equal(formatTicks(parseTicks('1700000000.12345')), '1700000000.12345')
  assert.equal(listingTime('1700000000.12345'), '2023-11-14T22:13:20.123450')
  assert.equal(httpDate('1700000000.00001'), 'Tue, 14 Nov 2023 22:13:21 GMT')
})

const caller = (given: Partial<Caller>): Caller => ({ user_id: 'u1', user_name: 'ann', user_domain_id: 'default', project_id: 'p1', project_name: 'red', project_domain_id: 'default', roles: ['member'], ...given }) as Caller

test('ACLs name projects, users, roles, referrers', () => {
  assert.equal(cleanAcl('x-container-read', ' .r : * , .rlistings ,p1:u1, .ref:-.bad.test,'), '.r:*,.rlistings,p1:u1,.r:-.bad.test')
  assert.throws(() => cleanAcl('x-container-write', '.r:*'), { status: 400 })
  assert.throws(() => cleanAcl('x-container-read', '.x:*'), { status: 400 })
  for (const group of ['p1:u1', 'p1:*', '*:u1', '*:*', 'red:ann', 'member']) assert.ok(callerNamed(caller({}), [group]), group)
  for (const group of ['p2:u1', 'p1:u2', 'blue:*', 'admin']) assert.ok(!callerNamed(caller({}), [group]), group)
  assert.ok(!callerNamed(caller({ user_domain_id: 'other' }), ['red:ann']), 'names count only in the default domain')
  const { referrers, groups } = parseAcl('.r:*,.r:-.bad.test,.rlistings')
  assert.deepEqual(groups, ['.rlistings'])
  assert.ok(referrerAllowed(null, referrers))
  assert.ok(!referrerAllowed('http://www.bad.test/x', referrers))
  assert.ok(!referrerAllowed('http://a.test', ['.b.test']))
})

test('ranges stay inside the object', () => {
  assert.deepEqual(resolveRanges('bytes=0-', 0), [])
  assert.equal(resolveRanges('lines=1-2', 10), null)
  assert.equal(resolveRanges('bytes=x', 10), null)
  assert.deepEqual(resolveRanges('bytes=5-100, -2', 10), [{ first: 5, last: 9 }, { first: 8, last: 9 }])
  assert.deepEqual(resolveRanges(`bytes=${Array.from({ length: 60 }, (_, n) => `${n}-${n}`).join(',')}`, 100), [])
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(50), fc.nat(50)), { minLength: 1, maxLength: 5 }), fc.nat(40), (pairs, size) => {
    for (const range of resolveRanges(`bytes=${pairs.map(([a, b]) => `${a}-${b}`).join(',')}`, size) ?? []) assert.ok(range.first >= 0 && range.first <= range.last && range.last < size)
  }))
})

test('conditions in the order of RFC 9110', () => {
  const found = { etag: 'abc', modified_ms: 1_700_000_000_000 }
  const check = (headers: Record<string, string>, at: typeof found | null = found, read = true) => precondition(new Headers(headers), at, read)
  assert.equal(check({ 'if-match': '"abc"' }), 200)
  assert.equal(check({ 'if-match': '*' }, null), 412)
  assert.equal(check({ 'if-none-match': 'W/"abc"' }), 304)
  assert.equal(check({ 'if-none-match': '*' }, found, false), 412)
  assert.equal(check({ 'if-none-match': 'x', 'if-modified-since': new Date(found.modified_ms).toUTCString() }), 200)
  assert.equal(check({ 'if-modified-since': new Date(found.modified_ms).toUTCString() }), 304)
  assert.equal(dateOf('Sun Nov 22 20:49:00 2026'), Date.UTC(2026, 10, 22, 20, 49))
  assert.equal(dateOf('nonsense'), null)
})

test('metadata: set, removed, limited', () => {
  const headers = new Headers({ 'x-container-meta-a': '1', 'x-remove-container-meta-b': 'x', 'x-container-read': '', 'x-remove-container-write': 'x', 'x-container-bytes-used': '7' })
  const changes = metaChanges(headers, 'container', ['x-container-read', 'x-container-write'])
  assert.deepEqual(changes, { 'x-container-meta-a': '1', 'x-container-meta-b': '', 'x-container-read': '', 'x-container-write': '' })
  assert.deepEqual(mergeMeta({ 'x-container-meta-b': '2', 'x-container-read': '.r:*' }, changes, 'container'), { 'x-container-meta-a': '1' })
  const many = Object.fromEntries(Array.from({ length: 90 }, (_, n) => [`x-container-meta-${n}`, 'v']))
  assert.throws(() => mergeMeta(many, { 'x-container-meta-more': 'v' }, 'container'), /Too many metadata items; max 90/)
  assert.deepEqual(objectMetadata(new Headers({ 'x-object-meta-a-b': '', 'content-encoding': 'gzip', 'x-object-sysmeta-slo-etag': 'forged', 'x-static-large-object': 'True' }), 0), { 'X-Object-Meta-A-B': '', 'Content-Encoding': 'gzip' })
  assert.equal(deleteAtOf(new Headers({ 'x-delete-after': '5', 'x-delete-at': '1' }), 100.5), 105)
  assert.throws(() => deleteAtOf(new Headers({ 'x-delete-at': 'soon' }), 0), /Non-integer X-Delete-At/)
})

test('signatures are read in both forms', () => {
  assert.equal(parseSignature('a'.repeat(64))?.digest, 'sha256')
  assert.equal(parseSignature(`sha512:${Buffer.alloc(64).toString('base64url')}`)?.bytes.byteLength, 64)
  assert.equal(parseSignature('zz'), null)
  assert.equal(expiresOf('2026-11-22T00:00:00Z'), Date.UTC(2026, 10, 22) / 1000)
  assert.equal(expiresOf('tomorrow'), null)
  assert.ok(inRange('10.1.2.3', '10.0.0.0/8'))
  assert.ok(!inRange('11.1.2.3', '10.0.0.0/8'))
  assert.ok(!inRange('', '10.0.0.0/8'))
  assert.ok(inRange('10.1.2.3', '10.1.2.3') && inRange('2001:db8::1', '2001:db8::/32') && !inRange('2001:db9::1', '2001:db8::/32'))
  for (const bad of ['10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/', '/8', 'x', '']) assert.ok(!inRange('10.1.2.3', bad), bad)
})

test('a rate is kept whatever the arrivals, a burst only up to the buffer; between two sizes it falls evenly', () => {
  const arrivals = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 2, maxLength: 60 })
  fc.assert(fc.property(arrivals, fc.integer({ min: 1, max: 20 }), (gaps, per_s) => {
    const throttle = new Throttle()
    const rate = { per_s, sleep_max_s: 2, buffer_s: 1 }
    const served: number[] = []
    let now = 1_000_000
    for (const gap of gaps) {
      now += gap
      const wait = throttle.take('k', rate, now)
      if (wait === null) continue
      assert.ok(wait < 2_000)
      served.push(now + wait)
    }
    for (let i = 0; i < served.length; i++) for (let j = i + 1; j < served.length; j++) {
      const span_s = ((served[j] ?? 0) - (served[i] ?? 0)) / 1_000
      assert.ok(j - i <= (span_s + rate.buffer_s) * per_s + 1 + 1e-6, `${j - i} in ${span_s} s at ${per_s}/s`)
    }
  }), { numRuns: 300 })
  const limits = { container_ratelimit_100: 100, container_ratelimit_200: 50, container_listing_ratelimit_0: 7 }
  assert.deepEqual([99, 100, 150, 200, 1_000_000].map((size) => rateFor(limits, 'container_ratelimit', size)), [null, 100, 75, 50, 50])
  assert.equal(rateFor(limits, 'container_listing_ratelimit', 3), 7)
})
