/** The security cases of NEEDS.md 5.4 that concern Swift, by number, and fuzzing of names, headers, queries and listings. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { SaxesParser } from 'saxes'
import { cleanAcl, cleanAccountAcl, parseAcl } from '../../../workers/object/acl.ts'
import { objectMetadata, userMeta } from '../../../workers/object/headers.ts'
import { type ListingRow, listingText } from '../../../workers/object/listing.ts'
import { decodeName, parseNames, quotePath, splitPath } from '../../../workers/object/names.ts'
import { resolveRanges } from '../../../workers/object/ranges.ts'
import { parseManifest } from '../../../workers/object/features/slo.ts'
import { isFault } from '../../../schema/values/fault.ts'
import { ACCOUNT, type ObjectCloud, ROOT, objectCloud } from './cloud.ts'
import { disconnecting } from './disconnects.ts'

let cloud: ObjectCloud
before(async () => {
  cloud = await objectCloud()
  await cloud.swift('PUT', '/c')
  await cloud.swift('POST', '', { headers: { 'x-account-meta-temp-url-key': 'account-key' } })
  await cloud.swift('POST', '/c', { headers: { 'x-container-meta-temp-url-key': 'container-key' } })
  await cloud.swift('PUT', '/other')
  await cloud.swift('PUT', '/other/secret', { body: 'secret' })
  await cloud.swift('PUT', '/c/in/one', { body: 'one' })
})
after(() => cloud.close())

const expires = Math.floor(Date.now() / 1000) + 600
const sign = (method: string, path: string, key = 'container-key') => createHmac('sha256', key).update(`${method}\n${expires}\n${path}`).digest('hex')
const signed = (method: string, path: string, query: string, options: { headers?: Record<string, string>; body?: BodyInit } = {}) => cloud.call(method, `${ROOT}${path}?${query}&temp_url_expires=${expires}`, options)

test('S36: a temporary URL for writing cannot make anything else readable, by manifest, link or copy', async () => {
  const query = `temp_url_sig=${sign('PUT', `/v1/${ACCOUNT}/c/up`)}`
  for (const [name, value] of [['x-object-manifest', 'other/sec'], ['x-symlink-target', 'other/secret'], ['x-copy-from', 'other/secret']] as const) {
    const answer = await signed('PUT', '/c/up', query, { headers: { [name]: value, 'content-length': '0' } })
    assert.equal(answer.status, 400, name)
  }
  const slo = await signed('PUT', '/c/up', `${query}&multipart-manifest=put`, { body: JSON.stringify([{ path: 'other/secret' }]) })
  assert.ok(slo.status >= 400, 'a manifest of objects that the key does not reach')
  assert.equal((await cloud.swift('HEAD', '/c/up')).status, 404)
  assert.equal((await signed('PUT', '/c/up', query, { body: 'fine' })).status, 201)
})

test('S36: a prefix, a method and a key reach what they name and nothing beside it', async () => {
  const prefix = `temp_url_prefix=in/&temp_url_sig=${createHmac('sha256', 'container-key').update(`GET\n${expires}\nprefix:/v1/${ACCOUNT}/c/in/`).digest('hex')}`
  assert.equal((await signed('GET', '/c/in/one', prefix)).text, 'one')
  for (const [method, path] of [['GET', '/c/up'], ['GET', '/other/secret'], ['PUT', '/c/in/two'], ['DELETE', '/c/in/one'], ['POST', '/c/in/one']] as const) {
    assert.equal((await signed(method, path, prefix, method === 'PUT' ? { body: 'x' } : {})).status, 401, `${method} ${path}`)
  }
  assert.equal((await signed('GET', '/c/in%2F../up', prefix)).status, 404, "'in/../up' is a name of its own, never a way out of 'in/'")
  const get = `temp_url_sig=${sign('GET', `/v1/${ACCOUNT}/c/in/one`)}`
  assert.equal((await signed('HEAD', '/c/in/one', get)).status, 200)
  for (const method of ['PUT', 'POST', 'DELETE']) assert.equal((await signed(method, '/c/in/one', get, method === 'PUT' ? { body: 'x' } : {})).status, 401, method)
  assert.equal((await signed('GET', '/other/secret', `temp_url_sig=${sign('GET', `/v1/${ACCOUNT}/other/secret`)}`)).status, 401, "another container's key")
  await cloud.swift('PUT', '/c/dlo', { headers: { 'x-object-manifest': 'other/sec', 'content-length': '0' } })
  assert.equal((await signed('GET', '/c/dlo', `temp_url_sig=${sign('GET', `/v1/${ACCOUNT}/c/dlo`)}`)).status, 401, "a container's key does not follow a manifest out of it")
  assert.equal((await signed('GET', '/c/dlo', `temp_url_sig=${sign('GET', `/v1/${ACCOUNT}/c/dlo`, 'account-key')}`)).text, 'secret')
  assert.equal((await signed('HEAD', '/c/dlo', `temp_url_sig=${sign('HEAD', `/v1/${ACCOUNT}/c/dlo`, 'account-key')}`)).headers.get('content-length'), '6')
})

test('S37: clients that go away in the middle of large objects leave nothing open', async () => {
  const { cloud: own, once } = await disconnecting()
  for (let n = 0; n < 1_000; n++) {
    await once(n)
    if (n % 100 === 99) own.hosts.calls.length = 0
  }
  await new Promise((resolve) => setTimeout(resolve, 200))
  assert.equal(own.hosts.open, 0)
  own.close()
})

test('S37: metadata stays within its limits however many requests bring it; deletions in a versioned container need its rights', async () => {
  for (let n = 0; n < 18; n++) await cloud.swift('POST', '/other', { headers: Object.fromEntries(Array.from({ length: 5 }, (_, at) => [`x-container-meta-k${n}-${at}`, 'v'])) })
  assert.equal((await cloud.swift('POST', '/other', { headers: { 'x-container-meta-one-more': 'v' } })).status, 400)
  const total = Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`x-object-meta-${at}`, 'v'.repeat(250)]))
  assert.equal((await cloud.swift('PUT', '/c/big', { body: 'x', headers: total })).status, 400)
  for (const headers of [{ 'x-object-meta-a': 'v'.repeat(257) }, { [`x-object-meta-${'n'.repeat(129)}`]: 'v' }]) assert.equal((await cloud.swift('PUT', '/c/big', { body: 'x', headers: headers as Record<string, string> })).status, 400)
  await cloud.swift('PUT', '/old', { headers: { 'x-container-read': '*:*', 'x-container-write': '*:*' } })
  await cloud.swift('PUT', '/kept', { headers: { 'x-versions-location': 'old' } })
  for (const body of ['1', '2']) await cloud.swift('PUT', '/kept/o', { body })
  const stranger = await cloud.token({ project_id: 'project-b', user_id: 'user-b' })
  assert.equal((await cloud.swift('DELETE', '/kept/o', { token: stranger })).status, 403, 'rights on the old versions are not rights on the current one')
  assert.equal((await cloud.swift('GET', '/kept/o')).text, '2')
  assert.equal((await cloud.swift('GET', '/old')).text.trim().split('\n').length, 1)
})

/** The names of a listing in XML, as a strict parser reads them. */
function xmlNames(text: string): string[] {
  const names: string[] = []
  let [inName, value] = [false, '']
  const parser = new SaxesParser()
  parser.on('error', (error) => {
    throw error
  })
  parser.on('opentag', (tag) => {
    inName = tag.name === 'name'
    value = ''
  })
  parser.on('text', (part) => {
    if (inName) value += part
  })
  parser.on('closetag', (tag) => {
    if (tag.name === 'name') names.push(value)
    inName = false
  })
  parser.write(text).close()
  return names
}

test('S38: names of any characters come back whole in every form, and nothing of them gets into markup or headers', async () => {
  const names = ['<script>alert(1)</script>', 'a&b"c\'d', 'line\nfeed', 'carriage\rreturn', 'tab\there', ']]>', 'x\u2028y', '%41%', 'ünï', '\u{1f600}', ' lead', 'q?a=b#c', 'a//b', '<![CDATA[']
  await cloud.swift('PUT', '/names')
  for (const name of names) assert.equal((await cloud.swift('PUT', `/names/${encodeURIComponent(name)}`, { body: name })).status, 201, JSON.stringify(name))
  const wanted = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  assert.deepEqual((await cloud.swift('GET', '/names?format=json')).body.map((row: { name: string }) => row.name), wanted)
  assert.deepEqual(xmlNames((await cloud.swift('GET', '/names?format=xml')).text), wanted)
  for (const name of names) assert.equal((await cloud.swift('GET', `/names/${encodeURIComponent(name)}`)).text, name)
  for (const path of ['/object-store/v1/%3Cscript%3E/c', `/object-store/v1/AUTH_x%22%0d%0aX-Evil:1/c`]) {
    const answer = await cloud.call('GET', path)
    assert.ok([401, 404, 412].includes(answer.status))
    assert.ok(!answer.text.includes('<script>') && !(answer.headers.get('www-authenticate') ?? '').includes('<') && answer.headers.get('x-evil') === null)
  }
  for (const bad of ['a\0b']) assert.equal((await cloud.swift('PUT', `/names/${encodeURIComponent(bad)}`, { body: 'x' })).status, 412)
})

const onlyFaults = (work: () => unknown): void => {
  try {
    work()
  } catch (error) {
    if (!isFault(error)) throw error
  }
}

test('10,000 cases each: parsers of names, headers, ranges, ACLs and manifests refuse with a fault or agree with what was meant', () => {
  const text = fc.string({ unit: 'binary', maxLength: 40 })
  const spiced = fc.oneof(text, fc.string({ unit: fc.constantFrom('/', '%', '2', 'F', '0', '.', ':', ',', '-', '*', 'r', '"', '\\', '{', '}', '[', ']', 'a', '\u{10ffff}', '<', '&', '\r', '\n', ' '), maxLength: 40 }))
  fc.assert(fc.property(spiced, spiced, (a, b) => {
    onlyFaults(() => parseNames(`/v1/${a}/${b}`))
    onlyFaults(() => splitPath(a))
    onlyFaults(() => decodeName(a))
    onlyFaults(() => cleanAcl('x-container-read', a))
    parseAcl(a)
    onlyFaults(() => cleanAccountAcl(a))
    onlyFaults(() => parseManifest(a))
    for (const range of resolveRanges(`bytes=${a}`, 1_000) ?? []) assert.ok(range.first >= 0 && range.first <= range.last && range.last < 1_000)
  }), { numRuns: 10_000 })
  const wellFormed = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter((name) => name.isWellFormed() && !name.includes('\0'))
  fc.assert(fc.property(wellFormed, wellFormed, (container, object) => {
    assert.equal(decodeName(quotePath(object)), object)
    if (container.includes('/') || Buffer.byteLength(container) > 256) return
    assert.deepEqual(parseNames(`/v1/AUTH_x/${encodeURIComponent(container)}/${encodeURIComponent(object)}`), { account: 'AUTH_x', container, object })
  }), { numRuns: 10_000 })
  const headerName = fc.string({ unit: fc.constantFrom('a', 'b', '-', '1', 'x'), minLength: 1, maxLength: 140 })
  const headerValue = fc.string({ unit: fc.constantFrom('v', ' ', '%', ',', '"', '\u00e9'), maxLength: 300 })
  fc.assert(fc.property(fc.array(fc.tuple(headerName, headerValue), { maxLength: 100 }), (pairs) => {
    const headers = new Headers()
    for (const [name, value] of pairs) headers.set(`x-object-meta-${name}`, value)
    onlyFaults(() => {
      const kept = userMeta(headers, 'object')
      assert.ok(Object.keys(kept).length <= 90 && Object.entries(kept).every(([name, value]) => Buffer.byteLength(name) <= 128 && Buffer.byteLength(value) <= 256))
      objectMetadata(headers, 0)
    })
  }), { numRuns: 10_000 })
  const xmlSafe = fc.string({ unit: fc.constantFrom('<', '>', '&', '"', "'", ']', '\r', '\n', '\t', 'a', 'é', '\u{1f600}', '%', ';', '#', 'x'), minLength: 1, maxLength: 20 })
  fc.assert(fc.property(fc.array(xmlSafe, { maxLength: 5 }), xmlSafe, (names, container) => {
    const rows: ListingRow[] = names.map((name, n): ListingRow => (n % 2 === 0 ? { name, hash: 'h', bytes: 1 } : { subdir: name }))
    assert.deepEqual(xmlNames(listingText('xml', { element: 'container', name: container, item: 'object' }, rows)), names)
  }), { numRuns: 10_000 })
})

test('requests of any shape get an answer below 500', async () => {
  const piece = fc.oneof(fc.constantFrom('c', 'c/o', 'other/secret', 'c/in/one', '%00', '%ff', '..', '%2e%2e/', '', '//', 'a%2Fb', 'ü'), fc.webSegment())
  const query = fc.dictionary(fc.constantFrom('limit', 'marker', 'prefix', 'delimiter', 'format', 'version-id', 'versions', 'multipart-manifest', 'part-number', 'symlink', 'temp_url_sig', 'temp_url_expires', 'temp_url_prefix', 'path', 'reverse', 'extract-archive', 'bulk-delete', 'heartbeat'), fc.oneof(fc.constantFrom('', '1', 'get', 'put', 'json', 'tar', 'null', 'true'), fc.string({ maxLength: 12 })))
  const headers = fc.dictionary(fc.constantFrom('range', 'if-match', 'if-none-match', 'if-modified-since', 'x-copy-from', 'destination', 'x-delete-at', 'x-delete-after', 'x-object-manifest', 'x-symlink-target', 'x-container-read', 'x-versions-enabled', 'etag', 'accept', 'x-account-access-control', 'x-storage-policy', 'content-type'), fc.string({ unit: fc.constantFrom('a', '1', '=', '-', '/', ',', '"', '*', ':', '%', ';', 'b', '0', '{', '}'), maxLength: 16 }))
  await fc.assert(fc.asyncProperty(fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'COPY', 'OPTIONS'), fc.array(piece, { maxLength: 3 }), query, headers, async (method, path, asked, given) => {
    if (method === 'DELETE' && path.length < 2) return
    const search = new URLSearchParams(asked).toString()
    const answer = await cloud.swift(method, `/${path.join('/')}${search === '' ? '' : `?${search}`}`, { headers: given, ...(['PUT', 'POST'].includes(method) ? { body: 'body' } : {}) })
    assert.ok(answer.status < 500 || answer.status === 501, `${method} ${path.join('/')}?${search} ${JSON.stringify(given)}: ${answer.status} ${answer.text.slice(0, 300)}`)
  }), { numRuns: Number(process.env.SKYHOOK_FUZZ_CASES ?? 500) })
})
