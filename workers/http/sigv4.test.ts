/** Signatures against what AWS publishes: the signature version 4 test suite, and the examples of the S3 and EC2 manuals. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isFault } from '../../schema/values/fault.ts'
import { ec2QuerySignature, hmacBase64, parseS3SigV2, s3StringToSignV2 } from './sigv2.ts'
import { EMPTY_SHA256, amzDate, canonicalQuery, chunkStringToSign, parseAmzDate, parseSigV4, sameSignature, sha256Hex, sign, signatureOf, signingKey, timeFault } from './sigv4.ts'

const SUITE_SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
const S3_SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'
const SUITE_SCOPE = { date: '20150830', region: 'us-east-1', service: 'service' }
const S3_SCOPE = { date: '20130524', region: 'us-east-1', service: 's3' }
const S3_DATE = '20130524T000000Z'

const suite = (method: string, path: string, query: string, extra: Record<string, string>, body = '') => {
  const headers = new Headers({ host: 'example.amazonaws.com', 'x-amz-date': '20150830T123600Z', ...extra })
  return signatureOf(signingKey(SUITE_SECRET, SUITE_SCOPE), '20150830T123600Z', SUITE_SCOPE, { method, path, query, headers, signed_headers: [...headers.keys()].sort(), payload_hash: sha256Hex(body), service: 'service' })
}
const s3 = (method: string, path: string, query: string, extra: Record<string, string>, payload_hash = EMPTY_SHA256) => {
  const headers = new Headers({ host: 'examplebucket.s3.amazonaws.com', ...extra })
  return signatureOf(signingKey(S3_SECRET, S3_SCOPE), S3_DATE, S3_SCOPE, { method, path, query, headers, signed_headers: [...headers.keys()].sort(), payload_hash, service: 's3' })
}

test('the version 4 test suite: vanilla, query order, normalised and encoded paths, trimmed headers, posted forms', () => {
  assert.equal(suite('GET', '/', '', {}), '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31')
  assert.equal(suite('GET', '/', 'Param2=value2&Param1=value1', {}), 'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500')
  assert.equal(suite('POST', '/', '', {}), '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b')
  assert.equal(suite('POST', '/', 'Param1=value1', {}), '28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11')
  for (const path of ['/', '//', '/./', '/example/..', '/example1/example2/../..']) assert.equal(suite('GET', path, '', {}), '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31', path)
  assert.equal(suite('GET', '/./example', '', {}), suite('GET', '/example', '', {}))
  assert.equal(suite('GET', '/\u1234', '', {}), '8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85')
  assert.equal(suite('GET', '/', '', { 'my-header1': ' value1', 'my-header2': ' "a   b   c"' }), suite('GET', '/', '', { 'my-header1': 'value1', 'my-header2': '"a b c"' }))
  assert.equal(suite('POST', '/', '', { 'content-type': 'application/x-www-form-urlencoded' }, 'Param1=value1'), 'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a')
})

test('the S3 manual: range read, write, subresource, listing, presigned URL', () => {
  const date = { 'x-amz-date': S3_DATE }
  assert.equal(s3('GET', '/test.txt', '', { ...date, range: 'bytes=0-9', 'x-amz-content-sha256': EMPTY_SHA256 }), 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41')
  const body = sha256Hex('Welcome to Amazon S3.')
  assert.equal(s3('PUT', '/test%24file.text', '', { ...date, date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-content-sha256': body, 'x-amz-storage-class': 'REDUCED_REDUNDANCY' }, body), '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd')
  assert.equal(s3('GET', '/', 'lifecycle', { ...date, 'x-amz-content-sha256': EMPTY_SHA256 }), 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543')
  assert.equal(s3('GET', '/', 'max-keys=2&prefix=J', { ...date, 'x-amz-content-sha256': EMPTY_SHA256 }), '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7')
  const presigned = 'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host'
  const right = 'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404'
  assert.equal(s3('GET', '/test.txt', `${presigned}&X-Amz-Signature=${right}`, {}, 'UNSIGNED-PAYLOAD'), right)
  const sig = parseSigV4(new Headers({ host: 'h' }), new URLSearchParams(`${presigned}&X-Amz-Signature=${right}`))
  assert.deepEqual(sig, { access: 'AKIAIOSFODNN7EXAMPLE', ...S3_SCOPE, signed_headers: ['host'], signature: right, amz_date: S3_DATE, presigned: true, expires_s: 86_400 })
})

test('the S3 manual: a body streamed in signed chunks', () => {
  const seed = s3('PUT', '/examplebucket/chunkObject.txt', '', {
    host: 's3.amazonaws.com', 'content-encoding': 'aws-chunked', 'content-length': '66824', 'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', 'x-amz-date': S3_DATE, 'x-amz-decoded-content-length': '66560', 'x-amz-storage-class': 'REDUCED_REDUNDANCY',
  }, 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD')
  assert.equal(seed, '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9')
  const key = signingKey(S3_SECRET, S3_SCOPE)
  const next = (previous: string, bytes: number) => sign(key, chunkStringToSign(S3_DATE, S3_SCOPE, previous, sha256Hex('a'.repeat(bytes))))
  const first = next(seed, 65_536)
  assert.equal(first, 'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648')
  const second = next(first, 1_024)
  assert.equal(second, '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497')
  assert.equal(next(second, 0), 'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9')
})

test('version 2: the examples of the S3 manual, and of EC2\'s query form', () => {
  const v2 = (method: string, resource: string, given: Record<string, string>, query = '', expires_s: number | null = null) =>
    hmacBase64('sha1', S3_SECRET, s3StringToSignV2({ method, resource, query: new URLSearchParams(query), headers: new Headers(given), expires_s }))
  assert.equal(v2('GET', '/johnsmith/photos/puppy.jpg', { date: 'Tue, 27 Mar 2007 19:36:42 +0000' }), 'bWq2s1WEIj+Ydj0vQ697zp+IXMU=')
  assert.equal(v2('PUT', '/johnsmith/photos/puppy.jpg', { 'content-type': 'image/jpeg', date: 'Tue, 27 Mar 2007 21:15:45 +0000' }), 'MyyxeRY7whkBe+bq8fHCL/2kKUg=')
  assert.equal(v2('GET', '/johnsmith/', { date: 'Tue, 27 Mar 2007 19:42:41 +0000' }, 'prefix=photos&max-keys=50&marker=puppy'), 'htDYFYduRNen8P9ZfE/s9SuKy0U=')
  assert.equal(v2('GET', '/johnsmith/', { date: 'Tue, 27 Mar 2007 19:44:46 +0000' }, 'acl'), 'c2WLPFtWHVgbEmeEG93a4cG37dM=')
  assert.equal(v2('GET', '/johnsmith/photos/puppy.jpg', {}, '', 1_175_139_620), 'NpgCjnDzrM+WFzoENXmpNDUsSn8=')
  const params = { AWSAccessKeyId: 'AKIAIOSFODNN7EXAMPLE', Action: 'DescribeJobFlows', SignatureMethod: 'HmacSHA256', SignatureVersion: '2', Timestamp: '2011-10-03T15:19:30', Version: '2009-03-31' }
  assert.equal(ec2QuerySignature(S3_SECRET, { method: 'GET', host: 'elasticmapreduce.amazonaws.com', path: '/', params }), 'i91nKc4PWAt0JJIdXwz9HxZCJDdiy6cf/Mj6vPxyYIs=')
  assert.equal(ec2QuerySignature(S3_SECRET, { method: 'GET', host: 'h', path: '/', params: { ...params, SignatureVersion: '3' } }), null)
  assert.deepEqual(parseS3SigV2(new Headers({ authorization: 'AWS a:b:sig=' }), new URLSearchParams()), { access: 'a:b', signature: 'sig=', expires_s: null })
})

test('a header is parsed whichever way it is spaced; a broken one is refused by name', () => {
  const scope = 'AK/20130524/us-east-1/s3/aws4_request'
  const of = (authorization: string) => parseSigV4(new Headers({ authorization, 'x-amz-date': S3_DATE }), new URLSearchParams())
  for (const space of ['', ' ']) assert.equal(of(`AWS4-HMAC-SHA256 Credential=${scope},${space}SignedHeaders=host;x-amz-date,${space}Signature=ab`)?.signature, 'ab')
  assert.equal(of('Bearer x'), null)
  for (const broken of ['AWS4-HMAC-SHA256', `AWS4-HMAC-SHA256 Credential=${scope},Signature=ab`, 'AWS4-HMAC-SHA256 Credential=AK/x/s3,SignedHeaders=host,Signature=ab', `AWS4-HMAC-SHA256 Credential=${scope},SignedHeaders=x-amz-date,Signature=ab`, `AWS4-HMAC-SHA256 Credential=${scope},SignedHeaders=Host,Signature=ab`]) {
    assert.throws(() => of(broken), (error) => isFault(error, 'bad_request'), broken)
  }
})

test('S17: a request fifteen minutes off is refused, and a presigned one past its time or for more than seven days', () => {
  const at = parseAmzDate(S3_DATE)
  const header = { access: 'a', ...S3_SCOPE, signed_headers: ['host'], signature: '', amz_date: S3_DATE, presigned: false, expires_s: null }
  const kind = (sig: Parameters<typeof timeFault>[0], now: number) => timeFault(sig, now)?.type ?? 'ok'
  assert.equal(kind(header, at + 15 * 60_000), 'ok')
  assert.equal(kind(header, at + 16 * 60_000), 'RequestTimeTooSkewed')
  assert.equal(kind(header, at - 16 * 60_000), 'RequestTimeTooSkewed')
  assert.equal(kind({ ...header, amz_date: null }, at), 'AccessDenied')
  assert.equal(kind({ ...header, date: '20130523' }, at), 'SignatureDoesNotMatch')
  const presigned = { ...header, presigned: true, expires_s: 86_400 }
  assert.equal(kind(presigned, at + 86_400_000), 'ok')
  assert.equal(kind(presigned, at + 86_401_000), 'AccessDenied')
  const long = new URLSearchParams({ 'X-Amz-Algorithm': 'AWS4-HMAC-SHA256', 'X-Amz-Credential': 'a/20130524/r/s3/aws4_request', 'X-Amz-Date': S3_DATE, 'X-Amz-Expires': '604801', 'X-Amz-SignedHeaders': 'host', 'X-Amz-Signature': 'x' })
  assert.throws(() => parseSigV4(new Headers(), long), /at most 604800/)
})

test('property: dates round trip, query order does not matter, and only the same text is the same signature', () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), (s) => parseAmzDate(amzDate(s * 1_000)) === s * 1_000))
  fc.assert(fc.property(fc.array(fc.tuple(fc.string(), fc.string())), (pairs) => {
    const text = (list: [string, string][]) => canonicalQuery(list.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&'))
    assert.equal(text(pairs), text([...pairs].reverse()))
  }))
  fc.assert(fc.property(fc.string(), fc.string(), (a, b) => sameSignature(a, b) === (a === b)))
})
