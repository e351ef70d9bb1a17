/** OS-ENDPOINT-POLICY, OS-OAUTH2, OS-REVOKE and the home document. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type IdentityCloud, identityCloud } from './support.ts'

const basic = (id: string, secret: string) => `Basic ${btoa(`${id}:${secret}`)}`
const grant = (cloud: IdentityCloud, authorization: string | null, form = 'grant_type=client_credentials') =>
  cloud.call('POST', '/identity/v3/OS-OAUTH2/token', { body: form, headers: { 'content-type': 'application/x-www-form-urlencoded', ...(authorization === null ? {} : { authorization }) } })

async function client(cloud: IdentityCloud) {
  const tenant = await cloud.tenant('client')
  const { body } = await cloud.call('POST', `/identity/v3/users/${tenant.user_id}/application_credentials`, { token: tenant.token, json: { application_credential: { name: 'c' } } })
  return { tenant, id: body.application_credential.id as string, secret: body.application_credential.secret as string }
}

test('client credentials: an access token that services take as Bearer, until the credential is deleted', async () => {
  const cloud = identityCloud()
  const { tenant, id, secret } = await client(cloud)
  const answer = await grant(cloud, basic(id, secret))
  assert.equal(answer.status, 200)
  assert.deepEqual({ ...answer.body, access_token: '' }, { access_token: '', token_type: 'Bearer', expires_in: 3600 })
  assert.equal(answer.headers.get('cache-control'), 'no-store')
  const authorization = `Bearer ${answer.body.access_token}`
  assert.equal((await cloud.call('GET', '/identity/v3/auth/projects', { headers: { authorization } })).body.projects[0].id, tenant.project_id)
  assert.equal((await cloud.call('GET', '/network/v2.0/networks', { headers: { authorization } })).status, 200)
  await cloud.call('DELETE', `/identity/v3/users/${tenant.user_id}/application_credentials/${id}`, { token: tenant.token })
  assert.equal((await cloud.call('GET', '/network/v2.0/networks', { headers: { authorization } })).status, 401)
  assert.equal((await grant(cloud, basic(id, secret))).status, 401)
  cloud.close()
})

test('only tokens of application credentials pass as Bearer', async () => {
  const cloud = identityCloud()
  const token = await cloud.admin()
  for (const authorization of [`Bearer ${token}`, 'Bearer nonsense', 'Bearer']) assert.equal((await cloud.call('GET', '/identity/v3/auth/projects', { headers: { authorization } })).status, 401)
  cloud.close()
})

test('errors of the token endpoint are those of RFC 6749', async () => {
  const cloud = identityCloud()
  const { id, secret } = await client(cloud)
  const cases: [string | null, string, number, string][] = [
    [null, 'grant_type=client_credentials', 401, 'invalid_client'], ['Bearer x', 'grant_type=client_credentials', 401, 'invalid_client'], ['Basic %%%', 'grant_type=client_credentials', 401, 'invalid_client'],
    [basic(id, 'wrong'), 'grant_type=client_credentials', 401, 'invalid_client'], [basic('nobody', 'x'), 'grant_type=client_credentials', 401, 'invalid_client'], [basic(id, ''), 'grant_type=client_credentials', 401, 'invalid_client'],
    [basic(id, secret), '', 400, 'invalid_request'], [basic(id, secret), 'grant_type=password', 400, 'unsupported_grant_type'], [basic(id, secret), `grant_type=client_credentials&x=${'y'.repeat(20_000)}`, 400, 'invalid_request'],
  ]
  for (const [authorization, form, status, error] of cases) {
    const answer = await grant(cloud, authorization, form)
    assert.deepEqual([answer.status, answer.body.error], [status, error], `${authorization} ${form.slice(0, 40)}`)
    assert.equal(typeof answer.body.error_description, 'string')
    assert.equal(answer.headers.has('www-authenticate'), status === 401)
    assert.ok(!answer.text.includes(secret))
  }
  assert.equal((await cloud.call('GET', '/identity/v3/OS-OAUTH2/token')).status, 405)
  cloud.close()
})

test('the nearest policy holds: endpoint, region by region, service; deleting anything takes its associations', async () => {
  const cloud = identityCloud()
  const token = await cloud.admin()
  const call = (method: string, path: string, json?: unknown) => cloud.call(method, `/identity/v3/${path}`, { token, json })
  const make = async (path: string, kind: string, body: unknown) => (await call('POST', path, { [kind]: body })).body[kind].id as string
  const policy = async (name: string) => await make('policies', 'policy', { blob: name, type: 'text' })
  const [ofEndpoint, ofRegion, ofService] = [await policy('endpoint'), await policy('region'), await policy('service')]
  await make('regions', 'region', { id: 'outer' })
  await make('regions', 'region', { id: 'inner', parent_region_id: 'outer' })
  const service = await make('services', 'service', { type: 'weather' })
  const endpoint = await make('endpoints', 'endpoint', { service_id: service, interface: 'public', url: 'http://x.example.org/', region_id: 'inner' })
  const elsewhere = await make('endpoints', 'endpoint', { service_id: service, interface: 'public', url: 'http://y.example.org/' })
  const held = async (id = endpoint) => {
    const { status, body } = await call('GET', `endpoints/${id}/OS-ENDPOINT-POLICY/policy`)
    return status === 200 ? body.policy.blob : status
  }
  const base = (id: string) => `policies/${id}/OS-ENDPOINT-POLICY`
  assert.equal(await held(), 404)
  assert.equal((await call('PUT', `${base(ofService)}/services/${service}`)).status, 204)
  assert.equal(await held(), 'service')
  assert.equal((await call('PUT', `${base(ofRegion)}/services/${service}/regions/outer`)).status, 204)
  assert.deepEqual([await held(), await held(elsewhere)], ['region', 'service'])
  assert.equal((await call('PUT', `${base(ofEndpoint)}/endpoints/${endpoint}`)).status, 204)
  assert.equal(await held(), 'endpoint')
  assert.deepEqual((await call('GET', `${base(ofRegion)}/endpoints`)).body.endpoints.map((row: { id: string }) => row.id), [endpoint])
  assert.equal((await call('GET', `${base(ofService)}/endpoints`)).body.endpoints.length, 2)
  // A place has one policy: another one takes it over.
  assert.equal((await call('PUT', `${base(ofRegion)}/endpoints/${endpoint}`)).status, 204)
  assert.equal((await call('GET', `${base(ofEndpoint)}/endpoints/${endpoint}`)).status, 404)
  assert.equal((await call('DELETE', `policies/${ofRegion}`)).status, 204)
  assert.equal(await held(), 'service')
  assert.equal((await call('DELETE', `services/${service}`)).status, 204)
  assert.deepEqual((await call('GET', `${base(ofService)}/endpoints`)).body.endpoints, [])
  cloud.close()
})

test('revocation events: what was revoked, since when, for administrators and services', async () => {
  let now = Date.UTC(2026, 0, 1)
  const cloud = identityCloud({ clock: { now_ms: () => now } })
  const tenant = await cloud.tenant('t')
  const token = await cloud.admin()
  const list = async (query = '') => (await cloud.call('GET', `/identity/v3/OS-REVOKE/events${query}`, { token })).body.events as Record<string, string>[]
  const before = (await list()).length
  now += 60_000
  await cloud.call('PATCH', `/identity/v3/users/${tenant.user_id}`, { token, json: { user: { enabled: false } } })
  const events = await list('?since=2026-01-01T00:00:30Z')
  assert.ok(events.some(({ user_id, issued_before }) => user_id === tenant.user_id && issued_before === '2026-01-01T00:01:00.000000Z'), JSON.stringify(events))
  assert.ok((await list()).length > before)
  assert.deepEqual(await list('?since=2026-01-01T00:02:00Z'), [])
  const other = await cloud.tenant('other')
  assert.equal((await cloud.call('GET', '/identity/v3/OS-REVOKE/events', { token: other.token })).status, 403)
  cloud.close()
})

test('the home document at both roots', async () => {
  const cloud = identityCloud()
  const home = async (path: string) => (await cloud.call('GET', path, { headers: { accept: 'application/json-home' } })).body.resources
  const rel = 'https://docs.openstack.org/api/openstack-identity/3/rel/user'
  assert.equal((await home('/identity/'))[rel]['href-template'], '/v3/users/{user_id}')
  assert.equal((await home('/identity/v3'))[rel]['href-template'], '/users/{user_id}')
  assert.equal((await cloud.call('GET', '/identity/v3')).body.version.id, 'v3.14')
  cloud.close()
})

test('a list longer than the limit of the deployment is cut, says so and names the next page; pages cover everything once', async () => {
  const cloud = identityCloud({ identity: { list_limit: 3 } })
  const token = await cloud.admin()
  const call = async (path: string) => (await cloud.call('GET', path.replace('http://cloud.test', ''), { token })).body
  for (const n of [1, 2, 3, 4, 5, 6, 7]) await cloud.call('POST', '/identity/v3/groups', { token, json: { group: { name: `g${n}` } } })
  const walk = async (first: string) => {
    const names: string[] = []
    const cut: boolean[] = []
    for (let next: string | null = first; next !== null; ) {
      const body = await call(next)
      names.push(...body.groups.map((row: { name: string }) => row.name))
      cut.push(body.truncated === true)
      next = body.links.next
    }
    return { names: names.sort(), cut }
  }
  const all = ['g1', 'g2', 'g3', 'g4', 'g5', 'g6', 'g7']
  assert.deepEqual(await walk('/identity/v3/groups'), { names: all, cut: [true, true, false] })
  assert.deepEqual((await walk('/identity/v3/groups?limit=100')).names, all)
  assert.deepEqual((await walk('/identity/v3/groups?limit=2')).names, all)
  assert.equal((await call('/identity/v3/groups?name=g3')).truncated, undefined)
  cloud.close()
})
