/** What a thief, a liar or another provider would send to the federated door. Tokens are forged with the real provider's own keys where that makes them better. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { SignJWT, UnsecuredJWT, exportJWK, exportSPKI, generateKeyPair } from 'jose'
import { AUDIENCE, CLIENT, OTHER, type RunningProvider, runProvider } from '../../support/oidc.ts'
import { type IdentityCloud, identityCloud } from './support.ts'

const FED = '/identity/v3/OS-FEDERATION'
let offset_ms = 0
const clock = { now_ms: () => Date.now() + offset_ms }
let cloud: IdentityCloud
let provider: RunningProvider
let admin: string

const PEOPLE = [{ local: [{ user: { name: '{0}' } }], remote: [{ type: 'sub' }, { type: 'email_verified', not_any_of: ['false'] }] }]

async function ok(method: string, path: string, json?: unknown) {
  const answer = await cloud.call(method, path, { token: admin, json })
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`)
  return answer.body
}
async function trust(idp: string, oidc: Record<string, unknown>, remote_ids: string[] = []) {
  await ok('PUT', `${FED}/identity_providers/${idp}`, { identity_provider: { enabled: true, remote_ids } })
  await ok('PUT', `${FED}/identity_providers/${idp}/protocols/openid`, { protocol: { mapping_id: 'people' } })
  await ok('PUT', `${FED}/identity_providers/${idp}/protocols/openid/oidc`, { oidc: { client_id: CLIENT.id, client_secret: CLIENT.secret, audiences: [AUDIENCE], ...oidc } })
}
const send = async (token: string, idp = 'acme', headers: Record<string, string> = {}) => await cloud.call('POST', `${FED}/identity_providers/${idp}/protocols/openid/auth`, { headers: { authorization: `Bearer ${token}`, ...headers } })
const statusOf = async (token: string, idp = 'acme') => (await send(token, idp)).status
const seconds = () => Math.floor(clock.now_ms() / 1000)
const good = () => ({ iss: provider.issuer, aud: AUDIENCE, sub: 'mallory', email_verified: true, iat: seconds(), exp: seconds() + 600 })
const sign = async (claims: Record<string, unknown>, header: Record<string, unknown> = {}, key: CryptoKey | Uint8Array = provider.key.privateKey) =>
  await new SignJWT({ ...good(), ...claims }).setProtectedHeader({ alg: 'RS256', kid: provider.kid, ...header } as never).sign(key as never)

before(async () => {
  provider = await runProvider()
  provider.accounts.set('alice', { password: 'pw', claims: { name: 'Alice' } })
  cloud = identityCloud({ clock, identity: { federation: { loopback_issuers: true } } })
  admin = await cloud.admin()
  await ok('PUT', `${FED}/mappings/people`, { mapping: { rules: PEOPLE } })
  await trust('acme', { issuer: provider.issuer }, [provider.issuer])
})
after(async () => {
  cloud.close()
  await provider.close()
})

test('the forged tokens below are good but for what each changes', async () => {
  assert.equal(await statusOf(await sign({})), 201)
})

test('a token for another audience, of another issuer, out of its time or without a subject is refused', async () => {
  const now = seconds()
  const cases: Record<string, Record<string, unknown>> = {
    'other audience': { aud: 'other' }, 'no audience': { aud: undefined }, 'the client is no audience of access tokens here': { aud: CLIENT.id }, 'other issuer': { iss: 'https://evil.example.org' }, 'issuer with a slash more': { iss: `${provider.issuer}/` },
    'no issuer': { iss: undefined }, expired: { exp: now - 31 }, 'never expires': { exp: undefined }, 'not yet': { nbf: now + 120 }, 'from the future': { iat: now + 120 }, nobody: { sub: undefined },
    'bound to its sender': { cnf: { jkt: 'x' } }, 'a logout token': { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }, 'an unverified address': { email_verified: false },
  }
  for (const [why, claims] of Object.entries(cases)) assert.equal(await statusOf(await sign(claims)), 401, why)
  assert.equal(await statusOf(await sign({ exp: now - 10 })), 201, 'within the skew')
  const { id_token } = await provider.grant({ grant_type: 'password', username: 'alice', password: 'pw' }, OTHER)
  assert.equal(await statusOf(id_token ?? ''), 401, 'an ID token that another client got')
})

test('no signature, a shared secret made of the public key, a key of the sender\'s own: refused', async () => {
  const pem = await exportSPKI(provider.key.publicKey)
  const jwk = await exportJWK(provider.key.publicKey)
  const own = await generateKeyPair('RS256', { extractable: true })
  const ownJwk = await exportJWK(own.publicKey)
  const bytes = (text: string) => new TextEncoder().encode(text)
  const [, payload = '', signature = ''] = (await sign({})).split('.')
  const head = (header: object) => Buffer.from(JSON.stringify(header)).toString('base64url')
  const tokens: Record<string, string> = {
    'alg none': new UnsecuredJWT(good()).encode(), 'alg None with a signature': `${head({ alg: 'None', kid: provider.kid })}.${payload}.${signature}`, 'no signature': `${head({ alg: 'RS256', kid: provider.kid })}.${payload}.`,
    'HS256 with the PEM': await sign({}, { alg: 'HS256' }, bytes(pem)), 'HS256 with the modulus': await sign({}, { alg: 'HS256' }, bytes(jwk.n ?? '')), 'own key, known id': await sign({}, {}, own.privateKey),
    'own key in the header': await sign({}, { jwk: ownJwk }, own.privateKey), 'own key set by URL': await sign({}, { jku: 'http://127.0.0.1:1/jwks' }, own.privateKey), 'no key id': await sign({}, { kid: undefined }, own.privateKey),
    'an odd key id': await sign({}, { kid: '../../etc/passwd' }, own.privateKey), 'changed claims': `${head({ alg: 'RS256', kid: provider.kid })}.${Buffer.from(JSON.stringify({ ...good(), sub: 'admin' })).toString('base64url')}.${signature}`,
    'crit that nobody knows': await sign({}, { crit: ['exp'], exp: 1 }).catch(() => 'x.y.z'), 'no token at all': 'abc', 'far too long': `a.${'b'.repeat(20_000)}.c`,
  }
  for (const [why, token] of Object.entries(tokens)) assert.equal(await statusOf(token), 401, why)
  assert.equal((await cloud.call('POST', `${FED}/identity_providers/acme/protocols/openid/auth`)).status, 401)
  assert.equal((await cloud.call('POST', `${FED}/identity_providers/acme/protocols/openid/auth`, { headers: { authorization: 'Basic YTpi' } })).status, 401)
})

test('headers that pose as what a web server\'s module would say are not read', async () => {
  const answer = await send(await sign({}), 'acme', { 'OIDC-sub': 'root', HTTP_OIDC_SUB: 'root', REMOTE_USER: 'root', 'X-User-Id': 'root' })
  assert.equal(answer.body.token.user.name, 'mallory')
})

test('another provider\'s token is no use at this one, and its word about this one\'s users is not taken', async () => {
  const second = await runProvider()
  try {
    await trust('rival', { issuer: second.issuer })
    const theirs = await new SignJWT({ ...good(), iss: second.issuer }).setProtectedHeader({ alg: 'RS256', kid: second.kid }).sign(second.key.privateKey)
    assert.equal(await statusOf(theirs), 401)
    const posing = await new SignJWT(good()).setProtectedHeader({ alg: 'RS256', kid: second.kid }).sign(second.key.privateKey)
    assert.equal(await statusOf(posing, 'rival'), 401)
    const [mine, other] = [await send(await sign({})), await send(theirs, 'rival')]
    assert.equal(other.status, 201, other.text)
    assert.notEqual(mine.body.token.user.id, other.body.token.user.id)
    // In one domain the same name would be the same user: the second to come is refused.
    const { domain_id } = (await ok('GET', `${FED}/identity_providers/acme`)).identity_provider
    await ok('PUT', `${FED}/identity_providers/guest`, { identity_provider: { enabled: true, domain_id } })
    await ok('PUT', `${FED}/identity_providers/guest/protocols/openid`, { protocol: { mapping_id: 'people' } })
    await ok('PUT', `${FED}/identity_providers/guest/protocols/openid/oidc`, { oidc: { issuer: second.issuer, client_id: CLIENT.id, audiences: [AUDIENCE] } })
    assert.equal(await statusOf(theirs, 'guest'), 401)
    await ok('PATCH', `${FED}/identity_providers/acme`, { identity_provider: { remote_ids: ['https://elsewhere'] } })
    assert.equal(await statusOf(await sign({})), 403)
    await ok('PATCH', `${FED}/identity_providers/acme`, { identity_provider: { remote_ids: [provider.issuer] } })
  } finally {
    await second.close()
  }
})

test('a rotated key is found at once, a withdrawn one is trusted no longer than its cache, and unknown ids cause no storm', async () => {
  const old = await sign({ exp: seconds() + 3_600 })
  assert.equal(await statusOf(old), 201)
  await provider.rotate()
  offset_ms += 6_000
  assert.equal(await statusOf(await sign({})), 201)
  assert.equal(await statusOf(old), 401)
  const before = provider.asked.get('/jwks') ?? 0
  const strange = await generateKeyPair('RS256')
  for (let n = 0; n < 20; n++) assert.equal(await statusOf(await sign({}, { kid: `strange-${n}` }, strange.privateKey)), 401)
  assert.ok((provider.asked.get('/jwks') ?? 0) - before <= 1)
  const withdrawn = await sign({ exp: seconds() + 3_600 })
  assert.equal(await statusOf(withdrawn), 201)
  await provider.rotate()
  assert.equal(await statusOf(withdrawn), 201)
  offset_ms += 300_000
  assert.equal(await statusOf(withdrawn), 401)
})

test('opaque tokens: the provider is asked, and only its word about tokens for us counts', async () => {
  await trust('asking', { issuer: provider.issuer, bearer: 'introspection', audiences: [CLIENT.id] })
  await ok('PUT', `${FED}/mappings/machines`, { mapping: { rules: [{ local: [{ user: { name: '{0}' } }], remote: [{ type: 'client_id' }] }] } })
  await ok('PATCH', `${FED}/identity_providers/asking/protocols/openid`, { protocol: { mapping_id: 'machines' } })
  const { access_token } = await provider.grant({ grant_type: 'client_credentials', scope: 'opaque' })
  const entered = await send(access_token, 'asking')
  assert.equal(entered.status, 201, entered.text)
  assert.equal(entered.body.token.user.name, CLIENT.id)
  assert.equal(await statusOf(`${access_token}x`, 'asking'), 401)
  assert.equal(await statusOf((await provider.grant({ grant_type: 'client_credentials', scope: 'opaque' }, OTHER)).access_token, 'asking'), 401)
  await ok('PUT', `${FED}/identity_providers/asking/protocols/openid/oidc`, { oidc: { issuer: provider.issuer, client_id: CLIENT.id, client_secret: 'wrong', bearer: 'introspection' } })
  const wrong = await send(access_token, 'asking')
  assert.equal(wrong.status, 502)
  assert.ok(!wrong.text.includes('wrong'))
})

test('what an issuer\'s address answers is bounded: no redirect, no foreign document, no flood, no inner address', async () => {
  const server = createServer((request, response) => {
    const base = `http://${request.headers.host}`
    const path = request.url ?? ''
    if (path.startsWith('/redirect')) return void response.writeHead(302, { location: provider.issuer }).end()
    if (path.startsWith('/flood')) return void response.writeHead(200).end('x'.repeat(600_000))
    if (path.startsWith('/words')) return void response.writeHead(200).end('hello')
    if (path.startsWith('/other')) return void response.end(JSON.stringify({ issuer: provider.issuer, jwks_uri: `${base}/jwks` }))
    if (path.startsWith('/inner')) return void response.end(JSON.stringify({ issuer: `${base}/inner`, jwks_uri: 'https://169.254.169.254/latest/meta-data' }))
    if (path.startsWith('/plain')) return void response.end(JSON.stringify({ issuer: `${base}/plain`, jwks_uri: 'http://10.0.0.1/jwks' }))
    response.writeHead(404).end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const base = `http://127.0.0.1:${(server.address() as { port: number }).port}`
  try {
    for (const [name, status] of Object.entries({ redirect: 503, flood: 503, words: 503, other: 502, inner: 400, plain: 400, missing: 502 })) {
      await trust(name, { issuer: `${base}/${name}` })
      const token = await sign({ iss: `${base}/${name}` })
      assert.equal(await statusOf(token, name), status, name)
    }
  } finally {
    server.close()
  }
  await trust('gone', { issuer: base })
  assert.equal(await statusOf(await sign({ iss: base }), 'gone'), 503)
})

test('without the option, loopback and plain http are no addresses of providers', async () => {
  const strict = identityCloud({ clock })
  const token = await strict.admin()
  const put = async (path: string, json: unknown) => (await strict.call('PUT', `${FED}/${path}`, { token, json })).status
  await put('identity_providers/acme', { identity_provider: {} })
  await put('mappings/people', { mapping: { rules: PEOPLE } })
  await put('identity_providers/acme/protocols/openid', { protocol: { mapping_id: 'people' } })
  for (const issuer of [provider.issuer, 'https://localhost/', 'https://[::1]/x', 'http://idp.example.org', 'https://[fe80::1]/', 'https://0.0.0.0/', 'https://2852039166/']) {
    assert.equal(await put('identity_providers/acme/protocols/openid/oidc', { oidc: { issuer, client_id: 'x' } }), 400, issuer)
  }
  assert.equal(await put('identity_providers/acme/protocols/openid/oidc', { oidc: { issuer: 'https://idp.example.org/realms/a', client_id: 'x' } }), 200)
  strict.close()
})

test('who sends many bad tokens from one address must wait; good ones cost nothing', async () => {
  const limited = identityCloud({ clock, identity: { federation: { loopback_issuers: true }, login_failures_max: 5, login_failures_per_minute: 1 } })
  const token = await limited.admin()
  const put = async (path: string, json: unknown) => assert.ok((await limited.call('PUT', `${FED}/${path}`, { token, json })).status < 300)
  await put('mappings/people', { mapping: { rules: PEOPLE } })
  await put('identity_providers/acme', { identity_provider: { enabled: true } })
  await put('identity_providers/acme/protocols/openid', { protocol: { mapping_id: 'people' } })
  await put('identity_providers/acme/protocols/openid/oidc', { oidc: { issuer: provider.issuer, client_id: CLIENT.id, audiences: [AUDIENCE] } })
  const from = async (address: string, bearer: string) => (await limited.call('POST', `${FED}/identity_providers/acme/protocols/openid/auth`, { headers: { authorization: `Bearer ${bearer}`, 'cf-connecting-ip': address } })).status
  const right = await sign({})
  for (let n = 0; n < 8; n++) assert.equal(await from('10.0.0.1', right), 201)
  const answers: number[] = []
  for (let n = 0; n < 6; n++) answers.push(await from('10.0.0.1', 'abc.def.ghi'))
  assert.deepEqual(answers, [401, 401, 401, 401, 401, 429])
  assert.equal(await from('10.0.0.1', right), 429)
  assert.equal(await from('10.0.0.2', right), 201)
  limited.close()
})
