/** Identity providers, mappings, protocols, service providers, and logins by what a provider says of somebody. */
import type { Side } from '../side.ts'
import { type Furniture, LONG, NOBODY } from './furniture.ts'

const FED = '/v3/OS-FEDERATION'

/** Federation makes by PUT with the id in the path: the mistakes of such a resource. */
async function putMistakes(s: Side, f: Furniture, spec: { path: string; kind: string; id: string; valid: Record<string, unknown>; bad: unknown[]; changes: Record<string, unknown> }): Promise<void> {
  const { path, kind, id, valid, bad, changes } = spec
  const fresh = s.name('fresh')
  for (const method of ['GET', 'HEAD', 'DELETE']) await s.call(method, `${path}/${NOBODY}`, { label: 'missing' })
  await s.call('PATCH', `${path}/${NOBODY}`, { json: { [kind]: valid }, label: 'missing' })
  await s.call('PUT', `${path}/${id}`, { json: { [kind]: valid }, label: 'again' })
  for (const [at, body] of bad.entries()) await s.call('PUT', `${path}/${fresh}`, { json: { [kind]: body }, label: `bad ${at}` })
  await s.call('PUT', `${path}/${fresh}`, { json: {}, label: 'nothing inside' })
  await s.call('PUT', `${path}/${fresh}`, { json: { [kind]: valid }, as: f.member.token, label: 'as member' })
  await s.call('PUT', `${path}/${fresh}`, { json: { [kind]: valid }, as: null, label: 'nobody' })
  for (const method of ['GET', 'HEAD']) {
    await s.call(method, `${path}/${id}`)
    await s.call(method, path)
  }
  for (const tail of ['', `/${id}`]) for (const [label, as] of [['as member', f.member.token], ['nobody', null]] as const) await s.call('GET', `${path}${tail}`, { as, label })
  await s.call('PATCH', `${path}/${id}`, { json: { [kind]: valid }, as: f.member.token, label: 'as member' })
  await s.call('DELETE', `${path}/${id}`, { as: f.member.token, label: 'as member' })
  for (const [label, change] of Object.entries(changes)) await s.call('PATCH', `${path}/${id}`, { json: { [kind]: change }, label })
  await s.call('PATCH', `${path}/${id}`, { json: {}, label: 'no body' })
  await s.call('POST', `${path}/${id}`, { json: { [kind]: valid }, label: 'wrong method' })
}

const rulesFor = (group: string) => [
  {
    local: [{ user: { name: '{0}', email: '{1}' } }, { group: { id: group } }],
    remote: [{ type: 'HTTP_OIDC_NAME' }, { type: 'HTTP_OIDC_EMAIL' }, { type: 'HTTP_OIDC_DEPARTMENT', any_one_of: ['research'] }],
  },
]

export async function federation(s: Side, f: Furniture): Promise<void> {
  s.area('mappings')
  const mapping = s.name('mapping')
  const rules = rulesFor(f.group_id)
  const one = [{ local: [{ user: { name: '{0}' } }], remote: [{ type: 'X' }] }]
  await s.call('PUT', `${FED}/mappings/${mapping}`, { json: { mapping: { rules } } })
  await putMistakes(s, f, {
    path: `${FED}/mappings`, kind: 'mapping', id: mapping, valid: { rules },
    bad: [{}, { rules: [] }, { rules: 'x' }, { rules: [{}] }, { rules: [{ local: [], remote: [] }] }, { rules: [{ local: [{ user: { name: '{0}' } }] }] }, { rules: [{ local: [{ user: { name: 5 } }], remote: [{ type: 'X' }] }] }, { rules: [{ local: [{ nonsense: 1 }], remote: [{ type: 'X' }] }] },
      { rules: [{ local: [{ user: {} }], remote: [{ type: 'X', any_one_of: ['a'], not_any_of: ['b'] }] }] }, { rules: [{ local: [{ user: {} }], remote: [{ type: 'X', any_one_of: 'a' }] }] }, { rules: [{ local: [{ user: {} }], remote: [{}] }] }, { rules: one, nonsense: 1 }],
    changes: { 'other rules': { rules: one }, 'back': { rules }, 'empty': {}, 'bad': { rules: [] }, 'id': { id: NOBODY, rules } },
  })
  s.area('identity providers')
  const idp = s.name('idp')
  const made = await s.call('PUT', `${FED}/identity_providers/${idp}`, { quiet: true, json: { identity_provider: { description: 'the provider', enabled: true } } })
  s.learn(made.body?.identity_provider?.domain_id, 'domain of the provider')
  await s.call('PUT', `${FED}/identity_providers/${s.name('other-idp')}`, { json: { identity_provider: { domain_id: f.domain_id, remote_ids: [s.name('remote')], authorization_ttl: 60 } } })
  await putMistakes(s, f, {
    path: `${FED}/identity_providers`, kind: 'identity_provider', id: idp, valid: { description: 'x' },
    bad: [{ nonsense: 1 }, { enabled: 'yes' }, { description: 5 }, { remote_ids: 'x' }, { remote_ids: [5] }, { remote_ids: ['a', 'a'] }, { remote_ids: [s.name('remote')] }, { domain_id: NOBODY }, { domain_id: 5 }, { authorization_ttl: 'x' }, { authorization_ttl: -1 }],
    changes: { 'description': { description: 'changed' }, 'disable': { enabled: false }, 'enable': { enabled: true }, 'remote ids': { remote_ids: [s.name('issuer')] }, 'taken': { remote_ids: [s.name('remote')] }, 'no remote ids': { remote_ids: [] }, 'ttl': { authorization_ttl: 10 }, 'no ttl': { authorization_ttl: null }, 'domain': { domain_id: 'default' }, 'empty': {}, 'bad': { enabled: 'x' }, 'null': { description: null }, 'unknown': { nonsense: 1 } },
  })
  for (const query of [`id=${idp}`, 'enabled=false', `id=${NOBODY}`]) await s.call('GET', `${FED}/identity_providers?${query}`)
  await protocols(s, f, idp, mapping)
  await serviceProviders(s, f)
  await logins(s, f, { idp, mapping, rules })
}

async function protocols(s: Side, f: Furniture, idp: string, mapping: string): Promise<void> {
  s.area('protocols')
  const path = `${FED}/identity_providers/${idp}/protocols`
  await s.call('PUT', `${path}/openid`, { json: { protocol: { mapping_id: mapping } } })
  await putMistakes(s, f, {
    path, kind: 'protocol', id: 'openid', valid: { mapping_id: mapping },
    bad: [{}, { mapping_id: 5 }, { mapping_id: '' }, { mapping_id: NOBODY }, { mapping_id: LONG }, { mapping_id: mapping, nonsense: 1 }, { mapping_id: mapping, remote_id_attribute: 5 }, { mapping_id: mapping, remote_id_attribute: LONG }],
    changes: { 'mapping': { mapping_id: mapping }, 'missing mapping': { mapping_id: NOBODY }, 'attribute': { remote_id_attribute: 'HTTP_OIDC_ISS' }, 'empty': {}, 'bad': { mapping_id: 5 }, 'unknown': { nonsense: 1 } },
  })
  for (const method of ['GET', 'HEAD']) for (const tail of ['', '/openid']) await s.call(method, `${FED}/identity_providers/${NOBODY}/protocols${tail}`)
  await s.call('PUT', `${FED}/identity_providers/${NOBODY}/protocols/openid`, { json: { protocol: { mapping_id: mapping } } })
  await s.call('DELETE', `${FED}/mappings/${mapping}`, { as: f.member.token, label: 'in use, as member' })
}

async function serviceProviders(s: Side, f: Furniture): Promise<void> {
  s.area('service providers')
  const path = `${FED}/service_providers`
  const id = s.name('sp')
  const valid = { auth_url: 'https://other.example.org/v3', sp_url: 'https://other.example.org/saml' }
  await s.call('PUT', `${path}/${id}`, { json: { service_provider: { ...valid, description: 'another cloud' } } })
  await putMistakes(s, f, {
    path, kind: 'service_provider', id, valid,
    bad: [{}, { auth_url: valid.auth_url }, { sp_url: valid.sp_url }, { ...valid, auth_url: 'nonsense' }, { ...valid, sp_url: 5 }, { ...valid, enabled: 'yes' }, { ...valid, description: 5 }, { ...valid, nonsense: 1 }, { ...valid, relay_state_prefix: 5 }],
    changes: { 'enable': { enabled: true }, 'url': { sp_url: 'https://third.example.org/saml' }, 'bad url': { auth_url: 'x' }, 'description': { description: null }, 'prefix': { relay_state_prefix: 'ss:' }, 'empty': {}, 'unknown': { nonsense: 1 } },
  })
  for (const query of [`id=${id}`, 'enabled=true']) await s.call('GET', `${path}?${query}`)
  await s.call('GET', '/v3/auth/tokens', { headers: { 'x-subject-token': f.member.token }, label: 'names service providers' })
  await s.call('DELETE', `${path}/${id}`)
  await s.call('GET', `${path}/${id}`, { label: 'gone' })
  await s.call('GET', `${FED}/saml2/metadata`, { as: null })
  for (const tail of ['', '/ecp']) await s.call('POST', `/v3/auth/OS-FEDERATION/saml2${tail}`, { as: null, json: { auth: {} } })
}

async function logins(s: Side, f: Furniture, { idp, mapping, rules }: { idp: string; mapping: string; rules: unknown }): Promise<void> {
  s.area('federated logins')
  const auth = `${FED}/identity_providers/${idp}/protocols/openid/auth`
  const vouch = await s.cloud.provider(s, `${FED}/identity_providers/${idp}/protocols/openid`)
  const alice = await vouch('alice', { name: s.name('alice'), email: 'alice@example.org', department: 'research' })
  for (const method of ['GET', 'POST']) {
    await s.call(method, auth, { as: null, label: 'nobody' })
    await s.call(method, `${FED}/identity_providers/${NOBODY}/protocols/openid/auth`, { as: null, headers: alice, label: 'missing provider' })
    await s.call(method, `${FED}/identity_providers/${idp}/protocols/${NOBODY}/auth`, { as: null, headers: alice, label: 'missing protocol' })
  }
  const enter = async (headers: Record<string, string>, label: string, method = 'POST') => (await s.call(method, auth, { as: null, headers, label })).headers.get('x-subject-token') ?? ''
  await enter(await vouch('bob', { name: s.name('bob'), email: 'bob@example.org', department: 'sales' }), 'no rule fits')
  const first = await s.call('POST', auth, { as: null, headers: alice, quiet: true })
  const leftovers = [first.body?.token?.user?.id as string]
  const unscoped = first.headers.get('x-subject-token') ?? ''
  s.learn(first.body?.token?.user?.id, 'user alice')
  await enter(alice, 'alice')
  await enter(alice, 'alice by GET', 'GET')
  const { id } = first.body?.token?.user ?? {}
  await s.call('GET', `/v3/users/${id}`)
  await s.call('GET', `/v3/users?idp_id=${idp}`)
  await s.call('GET', `/v3/users?protocol_id=openid&idp_id=${idp}`)
  await s.call('GET', '/v3/auth/tokens', { headers: { 'x-subject-token': unscoped }, label: 'unscoped' })
  for (const method of ['GET', 'HEAD']) {
    for (const kind of ['projects', 'domains']) {
      await s.call(method, `${FED}/${kind}`, { as: unscoped, label: 'before any role' })
      await s.call(method, `${FED}/${kind}`, { as: f.member.token, label: 'of a user with a password' })
    }
  }
  for (const kind of ['projects', 'domains']) await s.call('GET', `${FED}/${kind}`, { as: null, label: 'nobody' })
  await s.call('PUT', `/v3/projects/${f.project_id}/groups/${f.group_id}/roles/${f.roles.member}`)
  await s.call('PUT', `/v3/domains/${f.domain_id}/groups/${f.group_id}/roles/${f.roles.reader}`)
  for (const kind of ['projects', 'domains']) for (const base of [FED, '/v3/auth']) await s.call('GET', `${base}/${kind}`, { as: unscoped, label: 'by the group' })
  const scoped = await s.login({ identity: { methods: ['token'], token: { id: unscoped } }, scope: { project: { id: f.project_id } } }, { label: 'scoped' })
  await s.call('GET', '/v3/auth/tokens', { headers: { 'x-subject-token': scoped }, label: 'scoped' })
  await s.login({ identity: { methods: ['token'], token: { id: unscoped } }, scope: { project: { id: f.other_project_id } } }, { label: 'no role there' })
  await s.login({ identity: { methods: ['mapped'], mapped: { identity_provider: idp, protocol: 'openid' } } }, { label: 'mapped, in a body' })
  await enter(await vouch('roger', { name: s.name('roger'), department: 'research' }), 'an attribute is missing')
  await s.call('PATCH', `${FED}/mappings/${mapping}`, { quiet: true, json: { mapping: { rules: [{ local: [{ user: { name: '{0}' } }, { group: { id: NOBODY } }], remote: [{ type: 'HTTP_OIDC_NAME' }] }] } } })
  await enter(alice, 'a group that is not there')
  await s.call('PATCH', `${FED}/mappings/${mapping}`, { quiet: true, json: { mapping: { rules: [{ local: [{ user: { name: f.member.name, type: 'local', domain: { id: 'default' } } }], remote: [{ type: 'HTTP_OIDC_NAME' }] }] } } })
  await enter(alice, 'as a local user')
  await s.call('PATCH', `${FED}/mappings/${mapping}`, { quiet: true, json: { mapping: { rules: [{ local: [{ user: { name: '{0}' } }, { projects: [{ name: s.name('from-mapping'), roles: [{ name: 'member' }] }] }], remote: [{ type: 'HTTP_OIDC_NAME' }] }] } } })
  const provisioned = await enter(alice, 'with a project of the mapping')
  await s.call('GET', `${FED}/projects`, { as: provisioned, label: 'of the mapping' })
  await s.call('PATCH', `${FED}/mappings/${mapping}`, { quiet: true, json: { mapping: { rules } } })
  await s.call('PATCH', `${FED}/identity_providers/${idp}`, { quiet: true, json: { identity_provider: { enabled: false } } })
  await enter(alice, 'of a disabled provider')
  await s.call('GET', '/v3/auth/tokens', { headers: { 'x-subject-token': scoped }, label: 'of a disabled provider' })
  await s.call('PATCH', `${FED}/identity_providers/${idp}`, { quiet: true, json: { identity_provider: { enabled: true, remote_ids: ['https://somebody.else.example.org'] } } })
  await enter(alice, 'of another issuer')
  await websso(s, idp)
  s.area('protocols')
  await s.call('DELETE', `${FED}/identity_providers/${idp}/protocols/openid`)
  await s.call('GET', `${FED}/identity_providers/${idp}/protocols/openid`, { label: 'gone' })
  s.area('identity providers')
  for (const each of [idp, s.name('other-idp')]) await s.call('DELETE', `${FED}/identity_providers/${each}`)
  await s.call('GET', `${FED}/identity_providers/${idp}`, { label: 'gone' })
  await s.call('GET', `/v3/users/${id}`, { label: 'of a deleted provider' })
  // Keystone cannot filter users by name while one is left that has none of its own.
  for (const user of leftovers) await s.call('DELETE', `/v3/users/${user}`, { quiet: true })
  s.area('mappings')
  await s.call('DELETE', `${FED}/mappings/${mapping}`)
  await s.call('GET', `${FED}/mappings/${mapping}`, { label: 'gone' })
  await s.call('DELETE', `/v3/projects/${f.project_id}/groups/${f.group_id}/roles/${f.roles.member}`)
  await s.call('DELETE', `/v3/domains/${f.domain_id}/groups/${f.group_id}/roles/${f.roles.reader}`)
  const domain = await domainOf(s, idp)
  await s.call('PATCH', `/v3/domains/${domain}`, { quiet: true, json: { domain: { enabled: false } } })
  await s.call('DELETE', `/v3/domains/${domain}`, { quiet: true })
  f.member.token = await s.again({ identity: { methods: ['password'], password: { user: { id: f.member.id, password: f.member.password } } }, scope: { project: { id: f.project_id } } })
}

const domainOf = async (s: Side, name: string): Promise<string> => (await s.call('GET', `/v3/domains?name=${name}`, { quiet: true })).body?.domains?.[0]?.id ?? NOBODY

/** Browsers are sent away and come back: what is refused before that. */
async function websso(s: Side, idp: string): Promise<void> {
  s.area('websso')
  for (const path of ['/v3/auth/OS-FEDERATION/websso/openid', `/v3/auth/OS-FEDERATION/identity_providers/${idp}/protocols/openid/websso`]) {
    for (const method of ['GET', 'POST']) {
      await s.call(method, path, { as: null, label: 'no origin' })
      await s.call(method, `${path}?origin=https://dashboard.example.org/auth/websso/`, { as: null, label: 'no trusted dashboard' })
    }
  }
}
