/** What strangers may send: XML, policies, chunked bodies, addresses. 10,000 cases: each is read or refused with a code of S3's, never anything else, and never slowly. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { isFault } from '../../../schema/values/fault.ts'
import { parseSigV4 } from '../../http/sigv4.ts'
import { parseS3SigV2 } from '../../http/sigv2.ts'
import { grantsOfXml } from './acl.ts'
import { addressOf, recognise } from './address.ts'
import { decodeChunked } from './chunked.ts'
import { parseLifecycle } from './lifecycle.ts'
import { leaf } from './markup.ts'
import { checkFormPolicy } from './object/form.ts'
import { tagsOfXml } from './object/subresources.ts'
import { evaluate, like, parsePolicy } from './policy.ts'
import { parseXml } from './xml.ts'

/** Runs it: a value, or a Fault that S3 has a code for. */
function refusesOnly(work: () => unknown): void {
  try {
    work()
  } catch (error) {
    assert.ok(isFault(error) && (error.type !== undefined || error.status !== undefined), `${String((error as Error)?.stack ?? error)}`)
  }
}

const env = { OPTIONS: '{"s3":{"domains":["s3.test"]}}' } as Env
const PIECES = ['<', '>', '</', '/>', '<!', '<!DOCTYPE', '<?', '<![CDATA[', ']]>', '<!--', '-->', '&amp;', '&x;', '&#0;', '&#', '&#x', ';', '&#x1F;', '"', "'", '=', ' ', 'xmlns', ':', 'Delete', 'Object', 'Key', 'Tagging', 'TagSet', 'Tag', 'Value', 'Rule', 'Status', 'Enabled', 'Grant', '\0', '\ufeff', 'é', '\ud800', '1']
const soup = fc.array(fc.constantFrom(...PIECES), { maxLength: 30 }).map((parts) => parts.join(''))

test('S35: document types, entities, instructions, bombs and depth are refused, whatever the body is for', () => {
  const bodies = ['Delete', 'CompleteMultipartUpload', 'AccessControlPolicy', 'VersioningConfiguration', 'CreateBucketConfiguration', 'Tagging', 'LifecycleConfiguration']
  for (const root of bodies) {
    for (const text of [
      `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><${root}><a>&e;</a></${root}>`,
      `<!DOCTYPE ${root} SYSTEM "http://127.0.0.1/x.dtd"><${root}/>`,
      `<!DOCTYPE x [<!ENTITY a "${'A'.repeat(1_000)}"><!ENTITY b "${'&a;'.repeat(1_000)}">]><${root}>&b;</${root}>`,
      `<?xml-stylesheet href="x"?><${root}/>`, `<${root}>&#;&#x;&#xZ;</${root}>`, `<${root}>&undefined;</${root}>`, `<${root}>`, `<${root}/><${root}/>`, `<other/>`, '', `${'<a>'.repeat(50)}${'</a>'.repeat(50)}`,
      `<${root}>${'<a/>'.repeat(130_000)}</${root}>`,
    ]) assert.throws(() => parseXml(text, root), (error) => isFault(error) && error.type === 'MalformedXML', text.slice(0, 80))
    assert.throws(() => parseXml(`<${root}>${' '.repeat(4 * 1024 * 1024)}</${root}>`, root), (error) => isFault(error) && error.type === 'MaxMessageLengthExceeded')
  }
})

test('XML of any kind: 4,000 cases', () => {
  fc.assert(fc.property(soup, fc.constantFrom('Delete', 'Tagging', 'Rule'), (text, root) => {
    refusesOnly(() => parseXml(text, root))
    refusesOnly(() => parseXml(`<${root}>${text}</${root}>`, root))
    refusesOnly(() => tagsOfXml(`<Tagging><TagSet><Tag>${text}</Tag></TagSet></Tagging>`))
    refusesOnly(() => parseLifecycle(`<LifecycleConfiguration><Rule>${text}</Rule></LifecycleConfiguration>`))
    refusesOnly(() => grantsOfXml(`<AccessControlPolicy><AccessControlList>${text}</AccessControlList></AccessControlPolicy>`))
  }), { numRuns: 800 })
})

test('what is written as XML is read as the same text: 1,000 cases (S38)', () => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (text) => {
    fc.pre(!/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]/.test(text.replace(/[\ud800-\udbff][\udc00-\udfff]/g, '')))
    assert.equal(parseXml(leaf('Key', text), 'Key').text, text)
  }), { numRuns: 1_000 })
})

const json = fc.jsonValue({ maxDepth: 4 })
test('policies of any shape: 2,000 cases; one that is taken can be evaluated', () => {
  const names = fc.constantFrom('Effect', 'Principal', 'Action', 'Resource', 'Condition', 'NotAction', 'Sid')
  const statement = fc.dictionary(names, fc.oneof(fc.constantFrom('Allow', 'Deny', '*', 's3:*', 's3:Get*', 'arn:aws:s3:::b/*', 'arn:aws:s3:::*'), json), { maxKeys: 7 })
  fc.assert(fc.property(fc.oneof(json, fc.record({ Statement: fc.array(statement, { maxLength: 3 }) })), (policy) => {
    refusesOnly(() => evaluate(parsePolicy(JSON.stringify(policy), 'b'), { caller: null, action: 's3:GetObject', resource: 'b/x', facts: {} }))
    refusesOnly(() => checkFormPolicy(Buffer.from(JSON.stringify({ expiration: '2030-01-01T00:00:00Z', conditions: policy })).toString('base64'), new Map([['key', 'x']]), 'b', 1, 0))
  }), { numRuns: 1_000 })
})

test('patterns are matched in time, however many stars they have', () => {
  const started = performance.now()
  assert.equal(like(`${'*a'.repeat(200)}b`, 'a'.repeat(20_000)), false)
  assert.ok(performance.now() - started < 1_000)
  fc.assert(fc.property(fc.string({ maxLength: 20 }), fc.string({ maxLength: 20 }), (a, b) => like(`*${a.replace(/[*?]/g, '')}*`, `${b}${a.replace(/[*?]/g, '')}${b}`)))
})

test('chunked bodies of any kind: 2,000 cases end, as data or as a refusal', async () => {
  const piece = fc.oneof(fc.constantFrom('5\r\nhello\r\n', '0\r\n', '\r\n', 'ffffffffffff\r\n', '-1\r\n', '5;chunk-signature=' + 'a'.repeat(64) + '\r\n', 'x-amz-checksum-crc32:AAAAAA==\r\n', '\n', '0'.repeat(2_000)), fc.string({ maxLength: 12 }))
  await fc.assert(fc.asyncProperty(fc.array(piece, { maxLength: 8 }), fc.nat(12), async (pieces, length) => {
    const source = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const part of pieces) if (part !== '') controller.enqueue(new TextEncoder().encode(part))
        controller.close()
      },
    })
    const decoder = decodeChunked({ source, length, signing: null, trailer: true, checksum: 'crc32' })
    try {
      const got = new Uint8Array(await new Response(decoder.body as never).arrayBuffer())
      assert.equal(got.byteLength, length)
      assert.notEqual(decoder.checksum, null)
    } catch {
      assert.ok(isFault(decoder.failure))
    }
  }), { numRuns: 2_000 })
})

test('addresses, queries and signatures of any kind: 1,000 cases', () => {
  const text = fc.oneof(fc.string({ maxLength: 30 }), fc.constantFrom('%', '%00', '%2F', '..', 'a:b', ':', '//', '/s3/', '/s3', '?', 'AWS ', 'AWS4-HMAC-SHA256 Credential=', 'X-Amz-Algorithm=AWS4-HMAC-SHA256'))
  fc.assert(fc.property(fc.array(text, { maxLength: 6 }), text, text, (path, query, authorization) => {
    let request: Request
    try {
      request = new Request(`http://cloud.test/${path.join('/')}?${query}`, { headers: { authorization } })
    } catch {
      return
    }
    refusesOnly(() => recognise(request, env, new URL(request.url), false))
    refusesOnly(() => addressOf(request, env))
    refusesOnly(() => parseSigV4(request.headers, new URL(request.url).searchParams))
    refusesOnly(() => parseS3SigV2(request.headers, new URL(request.url).searchParams))
  }), { numRuns: 1_000 })
})
