import assert from 'node:assert/strict'
import { test } from 'node:test'
import { baseString, holds, oauthHeader, signedRequest } from './signature.ts'

const of = (url: string, header: string) => signedRequest({ method: 'post', url: new URL(url), header, origin: new URL(url).origin })

test("what another implementation signed (Python's oauthlib, which Keystone and its clients use) holds, and nothing else", () => {
  const first = of('http://cloud.test/identity/v3/OS-OAUTH1/request_token', 'OAuth oauth_nonce="n0nce", oauth_timestamp="1700000000", oauth_version="1.0", oauth_signature_method="HMAC-SHA1", oauth_consumer_key="a1b2", oauth_callback="oob", oauth_signature="fk8OZyFb2R%2FNcJx7Sak3HQ32OJ0%3D"')
  assert.ok(first !== null && holds(first, 's e+c/r=t', ''))
  assert.ok(!holds(first, 's e+c/r=t', 'x') && !holds(first, 'secret', '') && !holds({ ...first, method: 'GET' }, 's e+c/r=t', '') && !holds({ ...first, addresses: [] }, 's e+c/r=t', ''))
  const second = of('http://cloud.test/identity/v3/OS-OAUTH1/access_token?b=2&a=x%20y', 'OAuth oauth_nonce="n2", oauth_timestamp="1700000001", oauth_version="1.0", oauth_signature_method="HMAC-SHA256", oauth_consumer_key="a1b2", oauth_token="tok", oauth_verifier="v~1", oauth_signature="pFSQBA1n1vM8otbpPCp0W%2FqvY0A6Qg6NS1Qdv0MXVpg%3D"')
  assert.ok(second !== null && holds(second, 's e+c/r=t', 't&s'))
  assert.ok(!holds({ ...second, params: second.params.filter(([name]) => name !== 'b') }, 's e+c/r=t', 't&s'))
})

test('RFC 5849, 3.4.1.1: the base string, its parameters escaped and sorted', () => {
  const params: [string, string][] = [['b5', '=%3D'], ['a3', 'a'], ['c@', ''], ['a2', 'r b'], ['oauth_consumer_key', '9djdj82h48djs9d2'], ['oauth_token', 'kkk9d7dh3k39sjv7'], ['oauth_signature_method', 'HMAC-SHA1'], ['oauth_timestamp', '137131201'], ['oauth_nonce', '7d8f3e4a'], ['c2', ''], ['a3', '2 q']]
  assert.equal(baseString('POST', 'http://example.com/request', params), 'POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7')
})

test('what is no header of OAuth, or says something twice, is none; other methods of signing do not hold', () => {
  for (const bad of [null, '', 'Bearer x', 'OAuth', 'OAuth x', 'OAuth a="1", a="2"', 'OAuth a="%zz"', `OAuth a="${'x'.repeat(9_000)}"`]) assert.equal(oauthHeader(bad), null, String(bad).slice(0, 20))
  for (const method of ['PLAINTEXT', 'RSA-SHA1', '', 'constructor']) {
    const signed = of('https://x/', `OAuth oauth_signature_method="${method}", oauth_signature="a%26b"`)
    assert.ok(signed !== null && !holds(signed, 'a', 'b'), method)
  }
})
