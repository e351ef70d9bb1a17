/** Credentials, EC2 credentials, application credentials, access rules, trusts, domain configuration, OAuth, revocation events. */
import { type Side, inProject, password } from '../side.ts'
import { type Furniture, NOBODY, mistakes } from './furniture.ts'

export async function credentials(s: Side, f: Furniture): Promise<void> {
  s.area('credentials')
  const path = '/v3/credentials'
  const valid = { blob: 'secret text', type: 'cert', user_id: f.member.id }
  const credential = await s.make('POST', path, 'credential', 'credential', { ...valid, project_id: f.project_id, colour: 'red' })
  await s.make('POST', path, 'credential', 'credential own', { blob: 'mine', type: 'cert', user_id: f.member.id }, { as: f.member.token, label: 'own' })
  await mistakes(s, f, { path, kind: 'credential', id: credential.id, valid: { ...valid, user_id: f.other.id }, patch: { blob: 'x' }, bad: [{}, { type: 'cert', user_id: f.member.id }, { blob: 'x', user_id: f.member.id }, { ...valid, blob: 5 }, { ...valid, type: 5 }, { ...valid, type: 'ec2', blob: '{"access":"a","secret":"b"}' }, { ...valid, type: 'ec2', project_id: f.project_id }] })
  for (const query of [`user_id=${f.member.id}`, `type=cert&user_id=${f.member.id}`, `user_id=${NOBODY}`, `user_id=${f.member.id}&type=totp`]) await s.call('GET', `${path}?${query}`)
  await s.call('GET', path, { as: f.member.token, label: 'as member' })
  for (const [label, change] of Object.entries({ 'blob': { blob: 'changed' }, 'empty': {}, 'user': { user_id: f.other.id }, 'bad': { blob: 5 } })) await s.call('PATCH', `${path}/${credential.id}`, { json: { credential: change }, label })
  await s.call('PATCH', `${path}/${credential.id}`, { json: { credential: { blob: 'by the owner' } }, as: f.member.token, label: 'owner' })
  await s.call('DELETE', `${path}/${credential.id}`)
  await s.call('GET', `${path}/${credential.id}`, { label: 'gone' })

  s.area('ec2 credentials')
  const ec2 = `/v3/users/${f.member.id}/credentials/OS-EC2`
  const made = await s.call('POST', ec2, { quiet: true, json: { tenant_id: f.project_id }, as: f.member.token })
  const access = made.body?.credential?.access as string
  s.learn(access, 'access')
  await s.call('POST', ec2, { json: {}, as: f.member.token, label: 'no tenant' })
  await s.call('POST', ec2, { json: { tenant_id: NOBODY }, label: 'missing tenant' })
  await s.call('POST', ec2, { json: { tenant_id: f.other_project_id }, as: f.other.token, label: 'as other' })
  for (const method of ['GET', 'HEAD']) {
    await s.call(method, ec2)
    await s.call(method, `${ec2}/${access}`)
    await s.call(method, `${ec2}/${access}`, { as: f.member.token, label: 'own' })
    await s.call(method, `${ec2}/nonsense`)
  }
  await s.call('GET', ec2, { as: f.other.token, label: 'as other' })
  await s.call('GET', `${ec2}/${access}`, { as: f.other.token, label: 'as other' })
  await s.call('DELETE', `${ec2}/${access}`, { as: f.other.token, label: 'as other' })
  await s.call('DELETE', `${ec2}/${access}`)
  await s.call('DELETE', `${ec2}/${access}`, { label: 'gone' })
}

export async function applicationCredentials(s: Side, f: Furniture): Promise<void> {
  s.area('application credentials')
  const path = `/v3/users/${f.member.id}/application_credentials`
  const as = f.member.token
  const kind = 'application_credential'
  const plain = await s.make('POST', path, kind, 'app cred', { name: s.name('plain'), description: 'plain', secret: 'app secret' }, { as })
  const limited = await s.make('POST', path, kind, 'app cred with rules', { name: s.name('rules'), roles: [{ name: 'member' }], access_rules: [{ service: 'compute', method: 'GET', path: '/v2.1/servers' }], unrestricted: false, expires_at: '2090-01-01T00:00:00' }, { as })
  const rule = limited.access_rules?.[0]?.id as string
  s.learn(rule, 'rule')
  const post = (body: unknown, label: string, token: string = as) => s.call('POST', path, { as: token, json: { [kind]: body }, label })
  await post({ name: s.name('plain') }, 'taken')
  await post({}, 'empty')
  await post({ name: '' }, 'no name')
  await post({ name: s.name('x'), roles: [{ name: 'admin' }] }, 'a role that is not mine')
  await post({ name: s.name('x'), roles: [{ id: NOBODY }] }, 'a role that is not there')
  await post({ name: s.name('x'), roles: 'x' }, 'roles as text')
  await post({ name: s.name('x'), expires_at: 'nonsense' }, 'bad moment')
  await post({ name: s.name('x'), expires_at: '2001-01-01T00:00:00' }, 'in the past')
  await post({ name: s.name('x'), unrestricted: 'yes' }, 'bad unrestricted')
  await post({ name: s.name('x'), access_rules: [{ service: 'x' }] }, 'bad rule')
  await post({ name: s.name('x') }, 'by admin', s.token)
  await post({ name: s.name('x') }, 'by other', f.other.token)
  await s.call('POST', path, { as, json: {}, label: 'nothing' })
  for (const method of ['GET', 'HEAD']) {
    await s.call(method, path, { as })
    await s.call(method, `${path}/${plain.id}`, { as })
    await s.call(method, `${path}/${limited.id}`, { as })
    await s.call(method, `${path}/${NOBODY}`, { as })
    await s.call(method, `/v3/users/${f.member.id}/access_rules`, { as })
    await s.call(method, `/v3/users/${f.member.id}/access_rules/${rule}`, { as })
    await s.call(method, `/v3/users/${f.member.id}/access_rules/${NOBODY}`, { as })
  }
  await s.call('GET', path, { label: 'as admin' })
  await s.call('GET', path, { as: f.other.token, label: 'as other' })
  await s.call('GET', `${path}/${plain.id}`, { as: f.other.token, label: 'as other' })
  await s.call('GET', `${path}?name=${s.name('plain')}`, { as })
  await s.call('PATCH', `${path}/${plain.id}`, { as, json: { [kind]: { name: 'x' } } })
  const login = (body: unknown, label: string, scope?: unknown) => s.login({ identity: { methods: [kind], [kind]: body }, ...(scope === undefined ? {} : { scope }) }, { label })
  const token = await login({ id: plain.id, secret: 'app secret' }, 'by id')
  await login({ name: s.name('plain'), secret: 'app secret', user: { id: f.member.id } }, 'by name')
  await login({ name: s.name('plain'), secret: 'app secret', user: { name: f.member.name, domain: { id: 'default' } } }, 'by names')
  await login({ id: plain.id, secret: 'wrong' }, 'wrong secret')
  await login({ id: NOBODY, secret: 'wrong' }, 'unknown')
  await login({ name: s.name('plain'), secret: 'app secret' }, 'no user')
  await login({ id: plain.id }, 'no secret')
  await login({ id: plain.id, secret: 'app secret' }, 'with a scope', inProject(f.project_id))
  await s.call('GET', '/v3/auth/tokens', { headers: { 'x-subject-token': token }, label: 'of an application credential' })
  await s.call('POST', path, { as: token, json: { [kind]: { name: s.name('y') } }, label: 'by an application credential' })
  await s.call('DELETE', `/v3/users/${f.member.id}/access_rules/${rule}`, { as, label: 'in use' })
  await oauth2(s, plain.id)
  await s.call('DELETE', `${path}/${plain.id}`, { as: f.other.token, label: 'as other' })
  await s.call('DELETE', `${path}/${plain.id}`, { as })
  await s.call('DELETE', `${path}/${limited.id}`, { as })
  await s.call('DELETE', `${path}/${plain.id}`, { as, label: 'gone' })
  await s.call('DELETE', `/v3/users/${f.member.id}/access_rules/${rule}`, { as })
  await s.call('DELETE', `/v3/users/${f.member.id}/access_rules/${rule}`, { as, label: 'gone' })
  await login({ id: plain.id, secret: 'app secret' }, 'deleted')
  f.member.token = await s.again(password({ id: f.member.id } as never, f.member.password, inProject(f.project_id)))
}

async function oauth2(s: Side, id: string): Promise<void> {
  s.area('oauth2')
  const basic = (user: string, secret: string) => ({ authorization: `Basic ${btoa(`${user}:${secret}`)}`, 'content-type': 'application/x-www-form-urlencoded' })
  const post = (headers: Record<string, string>, body: string | undefined, label: string) => s.call('POST', '/v3/OS-OAUTH2/token', { as: null, headers, body, label })
  await post(basic(id, 'app secret'), 'grant_type=client_credentials', 'right')
  await post(basic(id, 'wrong'), 'grant_type=client_credentials', 'wrong secret')
  await post(basic(NOBODY, 'wrong'), 'grant_type=client_credentials', 'unknown client')
  await post(basic(id, 'app secret'), 'grant_type=password', 'other grant')
  await post(basic(id, 'app secret'), '', 'no grant')
  await post(basic('', 'x'), 'grant_type=client_credentials', 'no client')
  await post(basic(id, ''), 'grant_type=client_credentials', 'no secret')
  await post({ 'content-type': 'application/x-www-form-urlencoded' }, 'grant_type=client_credentials', 'no header')
  await post({ authorization: 'Bearer x', 'content-type': 'application/x-www-form-urlencoded' }, 'grant_type=client_credentials', 'bearer')
  for (const method of ['GET', 'PUT', 'PATCH', 'DELETE', 'HEAD']) await s.call(method, '/v3/OS-OAUTH2/token', { as: null })
  s.area('application credentials')
}

export async function trusts(s: Side, f: Furniture): Promise<void> {
  s.area('trusts')
  const path = '/v3/OS-TRUST/trusts'
  const as = f.member.token
  const valid = { trustor_user_id: f.member.id, trustee_user_id: f.other.id, project_id: f.project_id, impersonation: true, roles: [{ name: 'member' }] }
  const trust = await s.make('POST', path, 'trust', 'trust', { ...valid, expires_at: '2090-01-01T00:00:00.000000Z', remaining_uses: 3 }, { as })
  const again = await s.make('POST', path, 'trust', 'trust redelegated', { ...valid, impersonation: false, allow_redelegation: true, redelegation_count: 2 }, { as })
  const post = (body: unknown, label: string, token: string = as) => s.call('POST', path, { as: token, json: { trust: body }, label })
  for (const key of Object.keys(valid)) {
    const { [key]: _gone, ...rest } = valid as Record<string, unknown>
    await post(rest, `without ${key}`)
  }
  for (const [at, bad] of [{ ...valid, impersonation: 'yes' }, { ...valid, trustee_user_id: NOBODY }, { ...valid, project_id: NOBODY }, { ...valid, project_id: f.other_project_id }, { ...valid, roles: [{ name: 'admin' }] }, { ...valid, roles: [{ id: NOBODY }] }, { ...valid, roles: [] }, { ...valid, roles: [{}] }, { ...valid, expires_at: 'nonsense' }, { ...valid, expires_at: '2001-01-01T00:00:00Z' }, { ...valid, remaining_uses: 0 }, { ...valid, remaining_uses: 'x' }, { ...valid, remaining_uses: 2, allow_redelegation: true, redelegation_count: 1 }, { ...valid, redelegation_count: 99, allow_redelegation: true }].entries()) await post(bad, `bad ${at}`)
  await post(valid, 'by admin', s.token)
  await post(valid, 'by other', f.other.token)
  await s.call('POST', path, { as, json: {}, label: 'nothing' })
  for (const method of ['GET', 'HEAD']) {
    await s.call(method, path)
    await s.call(method, `${path}?trustor_user_id=${f.member.id}`, { as })
    await s.call(method, `${path}?trustee_user_id=${f.other.id}`, { as: f.other.token })
    await s.call(method, `${path}/${trust.id}`, { as })
    await s.call(method, `${path}/${trust.id}`, { as: f.other.token, label: 'trustee' })
    await s.call(method, `${path}/${trust.id}`, { label: 'as admin' })
    await s.call(method, `${path}/${NOBODY}`, { as })
    await s.call(method, `${path}/${trust.id}/roles`, { as })
    await s.call(method, `${path}/${trust.id}/roles/${f.roles.member}`, { as })
    await s.call(method, `${path}/${trust.id}/roles/${f.roles.admin}`, { as })
  }
  await s.call('GET', path, { as, label: 'all, as member' })
  await s.call('GET', `${path}?trustor_user_id=${f.member.id}`, { as: f.other.token, label: 'of another' })
  await s.call('PATCH', `${path}/${trust.id}`, { as, json: { trust: {} } })
  const login = (id: string, label: string, who = f.other) => s.login(password({ id: who.id } as never, who.password, { 'OS-TRUST:trust': { id } }), { label })
  const token = await login(trust.id, 'impersonating')
  await login(again.id, 'not impersonating')
  await login(NOBODY, 'missing')
  await login(trust.id, 'by the trustor', f.member)
  await s.call('GET', '/v3/auth/tokens', { headers: { 'x-subject-token': token }, label: 'of a trust' })
  await s.call('GET', `${path}/${trust.id}`, { as, label: 'used once' })
  await s.call('DELETE', `${path}/${trust.id}`, { as: f.other.token, label: 'by the trustee' })
  await s.call('DELETE', `${path}/${trust.id}`, { as })
  await s.call('GET', `${path}/${trust.id}`, { as, label: 'gone' })
  await s.call('DELETE', `${path}/${trust.id}`, { as, label: 'gone' })
  await s.call('DELETE', `${path}/${again.id}`, { label: 'by admin' })
}

export async function domainConfig(s: Side, f: Furniture): Promise<void> {
  s.area('domain config')
  const path = `/v3/domains/${f.domain_id}/config`
  for (const method of ['GET', 'HEAD', 'DELETE']) await s.call(method, path, { label: 'none' })
  await s.call('PATCH', path, { json: { config: { ldap: { url: 'ldap://x' } } }, label: 'none' })
  const config = { identity: { driver: 'ldap' }, ldap: { url: 'ldap://directory.example.org', user_tree_dn: 'ou=Users,dc=example,dc=org', password: 'secret' } }
  await s.call('PUT', path, { json: { config } })
  await s.call('PUT', path, { json: { config }, label: 'again' })
  for (const [label, bad] of Object.entries({ 'unknown group': { nonsense: { x: 1 } }, 'unknown option': { ldap: { nonsense: 1 } }, 'empty': {}, 'not a group': { ldap: 'x' } })) await s.call('PUT', path, { json: { config: bad }, label })
  await s.call('PUT', path, { json: {}, label: 'nothing' })
  await s.call('PUT', path, { json: { config }, as: f.member.token, label: 'as member' })
  for (const tail of ['', '/ldap', '/ldap/url', '/ldap/password', '/identity', '/ldap/suffix', '/nonsense', '/ldap/nonsense']) for (const method of ['GET', 'HEAD']) await s.call(method, `${path}${tail}`)
  await s.call('GET', path, { as: f.member.token, label: 'as member' })
  await s.call('PATCH', path, { json: { config: { ldap: { url: 'ldap://other.example.org' } } } })
  await s.call('PATCH', `${path}/ldap`, { json: { config: { ldap: { suffix: 'dc=x' } } } })
  await s.call('PATCH', `${path}/ldap`, { json: { config: { identity: { driver: 'sql' } } }, label: 'other group' })
  await s.call('PATCH', `${path}/ldap/url`, { json: { config: { url: 'ldap://third.example.org' } } })
  await s.call('PATCH', `${path}/ldap/url`, { json: { config: { suffix: 'x' } }, label: 'other option' })
  await s.call('PATCH', `${path}/ldap/user_filter`, { json: { config: { user_filter: 'x' } }, label: 'not set before' })
  await s.call('DELETE', `${path}/ldap/suffix`)
  await s.call('DELETE', `${path}/ldap/suffix`, { label: 'gone' })
  await s.call('DELETE', `${path}/identity`)
  await s.call('DELETE', path)
  await s.call('GET', path, { label: 'gone' })
  await s.call('PUT', `/v3/domains/${NOBODY}/config`, { json: { config } })
  await s.call('GET', `/v3/domains/${NOBODY}/config`)
  for (const tail of ['default', 'ldap/default', 'identity/default', 'ldap/url/default', 'nonsense/default', 'ldap/nonsense/default']) for (const method of ['GET', 'HEAD']) await s.call(method, `/v3/domains/config/${tail}`)
  for (const id of ['default', f.domain_id]) for (const tail of ['', '/password_regex', '/password_regex_description', '/nonsense']) await s.call('GET', `/v3/domains/${id}/config/security_compliance${tail}`)
  await s.call('GET', '/v3/domains/default/config/security_compliance', { as: f.member.token, label: 'as member' })
}

export async function revocationEvents(s: Side, f: Furniture): Promise<void> {
  s.area('revocation events')
  await s.call('GET', '/v3/OS-REVOKE/events', { as: f.member.token, label: 'as member' })
  await s.call('GET', '/v3/OS-REVOKE/events', { as: null, label: 'nobody' })
  await s.call('GET', '/v3/OS-REVOKE/events?since=nonsense')
  await s.call('GET', '/v3/OS-REVOKE/events?since=2090-01-01T00:00:00Z')
  await s.call('HEAD', '/v3/OS-REVOKE/events')
  await s.call('POST', '/v3/OS-REVOKE/events', { json: {} })
  await s.call('GET', '/v3/OS-SIMPLE-CERT/ca')
  await s.call('GET', '/v3/OS-SIMPLE-CERT/certificates')
}

/** Everything goes; what hangs on it goes with it. */
export async function clearing(s: Side, f: Furniture): Promise<void> {
  s.area('clearing')
  await s.call('DELETE', `/v3/groups/${f.group_id}`)
  await s.call('DELETE', `/v3/users/${f.member.id}`)
  await s.call('GET', '/v3/auth/projects', { as: f.member.token, label: 'token of a deleted user' })
  await s.call('DELETE', `/v3/projects/${f.other_project_id}`)
  await s.call('GET', '/v3/auth/projects', { as: f.other.token, label: 'token of a deleted project' })
  await s.call('DELETE', `/v3/users/${f.other.id}`)
  await s.call('DELETE', `/v3/projects/${f.project_id}`)
  await s.call('PATCH', `/v3/domains/${f.domain_id}`, { json: { domain: { enabled: false } } })
  await s.call('DELETE', `/v3/domains/${f.domain_id}`)
}
