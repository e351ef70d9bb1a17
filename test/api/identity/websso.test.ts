/** Browser logins: a real provider's login page, driven as a browser would, ending in the form that the dashboard gets. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { CLIENT, type RunningProvider, runProvider } from '../../support/oidc.ts'
import { ORIGIN } from '../../support/cloud.ts'
import { type IdentityCloud, identityCloud } from './support.ts'

const FED = '/identity/v3/OS-FEDERATION'
const BEGIN = '/identity/v3/auth/OS-FEDERATION/identity_providers/acme/protocols/openid/websso'
const DASHBOARD = 'https://dashboard.test/auth/websso/'
let offset_ms = 0
let cloud: IdentityCloud
let provider: RunningProvider
let admin: string

async function ok(method: string, path: string, json?: unknown) {
  const answer = await cloud.call(method, path, { token: admin, json })
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`)
  return answer.body
}

before(async () => {
  provider = await runProvider({ redirects: [`${ORIGIN}${BEGIN}/callback`] })
  provider.accounts.set('alice', { password: 'pw', claims: { name: 'Alice', email: 'alice@acme.test' } })
  cloud = identityCloud({ clock: { now_ms: () => Date.now() + offset_ms }, identity: { federation: { loopback_issuers: true, trusted_dashboards: [DASHBOARD] } } })
  admin = await cloud.admin()
  await ok('PUT', `${FED}/mappings/people`, { mapping: { rules: [{ local: [{ user: { name: '{0}', email: '{1}' } }], remote: [{ type: 'name' }, { type: 'email' }] }] } })
  await ok('PUT', `${FED}/identity_providers/acme`, { identity_provider: { enabled: true } })
  await ok('PUT', `${FED}/identity_providers/acme/protocols/openid`, { protocol: { mapping_id: 'people' } })
  await ok('PUT', `${FED}/identity_providers/acme/protocols/openid/oidc`, { oidc: { issuer: provider.issuer, client_id: CLIENT.id, client_secret: CLIENT.secret, userinfo: true } })
})
after(async () => {
  cloud.close()
  await provider.close()
})

interface Begun {
  location: string
  cookie: string
}

async function begin(path = `${BEGIN}?origin=${encodeURIComponent(DASHBOARD)}`): Promise<Begun> {
  const answer = await cloud.call('GET', path)
  assert.equal(answer.status, 302, answer.text)
  const set = answer.headers.get('set-cookie') ?? ''
  assert.match(set, /HttpOnly; SameSite=Lax/)
  return { location: answer.headers.get('location') ?? '', cookie: set.split(';')[0] ?? '' }
}

/** Logs in at the provider; the address that it sends the browser back to. */
async function atProvider(location: string): Promise<URL> {
  const jar = new Map<string, string>()
  let url = location
  let form: URLSearchParams | null = null
  for (let hops = 0; hops < 12; hops++) {
    const answer = await fetch(url, { method: form === null ? 'GET' : 'POST', body: form, redirect: 'manual', headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') } })
    form = null
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '') jar.delete(name)
      else jar.set(name, value)
    }
    const next = answer.headers.get('location')
    if (next !== null) {
      url = new URL(next, url).toString()
      if (url.startsWith(ORIGIN)) return new URL(url)
      continue
    }
    assert.match(await answer.text(), /Sign-in/)
    form = new URLSearchParams({ prompt: 'login', login: 'alice', password: 'any' })
  }
  throw new Error('the provider never sent us back')
}

const comeBack = async (back: URL, cookie: string) => await cloud.call('GET', `${back.pathname}${back.search}`, { headers: { cookie } })

test('a browser gets from the dashboard to the provider and back with a token', async () => {
  const { location, cookie } = await begin()
  const asked = new URL(location)
  assert.equal(asked.origin, provider.issuer)
  assert.equal(asked.searchParams.get('code_challenge_method'), 'S256')
  for (const name of ['state', 'nonce', 'code_challenge']) assert.equal((asked.searchParams.get(name) ?? '').length, 43)
  const back = await atProvider(location)
  const page = await comeBack(back, cookie)
  assert.equal(page.status, 200, page.text)
  assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'; script-src 'sha256-[^']+'; form-action https:\/\/dashboard\.test;/)
  assert.equal(page.headers.get('cache-control'), 'no-store')
  assert.match(page.text, /<form method="post" action="https:\/\/dashboard\.test\/auth\/websso\/">/)
  const token = /name="token" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
  const seen = await cloud.call('GET', '/identity/v3/auth/tokens', { token: admin, headers: { 'x-subject-token': token } })
  assert.equal(seen.body.token.user.name, 'Alice')
  assert.equal(seen.body.token.user['OS-FEDERATION'].protocol.id, 'openid')
  assert.equal((await ok('GET', `/identity/v3/users/${seen.body.token.user.id}`)).user.email, 'alice@acme.test')
  // The same way back once more: the state has served.
  assert.equal((await comeBack(back, cookie)).status, 401)
})

test('the only provider of a protocol is found without being named', async () => {
  const { location } = await begin(`/identity/v3/auth/OS-FEDERATION/websso/openid?origin=${encodeURIComponent(DASHBOARD)}`)
  assert.ok(location.startsWith(provider.issuer))
  assert.equal((await cloud.call('GET', `/identity/v3/auth/OS-FEDERATION/websso/nothing?origin=${encodeURIComponent(DASHBOARD)}`)).status, 404)
})

test('only trusted dashboards get tokens, to the letter', async () => {
  assert.equal((await cloud.call('GET', BEGIN)).status, 400)
  for (const origin of ['https://evil.test/', `${DASHBOARD}x`, 'https://dashboard.test', 'javascript:alert(1)', `${DASHBOARD}@evil.test`]) assert.equal((await cloud.call('GET', `${BEGIN}?origin=${encodeURIComponent(origin)}`)).status, 401, origin)
})

test('an answer in another browser, with another state, a changed seal or too late is refused', async () => {
  const [mine, theirs] = [await begin(), await begin()]
  const back = await atProvider(theirs.location)
  assert.equal((await comeBack(back, '')).status, 401, 'no cookie')
  assert.equal((await comeBack(back, mine.cookie)).status, 401, 'the cookie of another login')
  const forged = new URL(back)
  forged.searchParams.set('state', 'x')
  assert.equal((await comeBack(forged, theirs.cookie)).status, 401, 'another state')
  const [name = '', value = ''] = theirs.cookie.split('=')
  const [text = '', seal = ''] = value.split('.')
  const login = JSON.parse(Buffer.from(text, 'base64url').toString())
  const changed = Buffer.from(JSON.stringify({ ...login, dashboard: 'https://evil.test/' })).toString('base64url')
  assert.equal((await comeBack(back, `${name}=${changed}.${seal}`)).status, 401, 'a changed seal')
  const late = await begin()
  const lateBack = await atProvider(late.location)
  offset_ms = 601_000
  assert.equal((await comeBack(lateBack, late.cookie)).status, 401, 'too late')
  offset_ms = 0
})

test('a stolen code is no use in the thief\'s login: nonce and PKCE do not fit', async () => {
  const [victim, thief] = [await begin(), await begin()]
  const stolen = await atProvider(victim.location)
  const mixed = await atProvider(thief.location)
  mixed.searchParams.set('code', stolen.searchParams.get('code') ?? '')
  assert.equal((await comeBack(mixed, thief.cookie)).status, 401)
})

test('an answer that names another issuer, or an error, lets nobody in', async () => {
  const one = await begin()
  const back = await atProvider(one.location)
  back.searchParams.set('iss', 'https://evil.test')
  assert.equal((await comeBack(back, one.cookie)).status, 401)
  const two = await begin()
  const state = new URL(two.location).searchParams.get('state') ?? ''
  const answer = await comeBack(new URL(`${ORIGIN}${BEGIN}/callback?state=${state}&error=${encodeURIComponent('<script>alert(1)</script>')}`), two.cookie)
  assert.equal(answer.status, 401)
  assert.ok(!answer.text.includes('<script>'))
})
