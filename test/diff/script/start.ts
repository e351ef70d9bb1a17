/** Discovery, tokens and what one may be scoped to. */
import { type Side, inDomain, inProject, inSystem, password } from '../side.ts'
import { type Furniture, NOBODY } from './furniture.ts'

export async function discovery(s: Side): Promise<void> {
  s.area('discovery')
  await s.call('GET', '', { as: null })
  await s.call('GET', '/', { as: null })
  await s.call('GET', '/v3', { as: null })
  await s.call('GET', '/v3/', { as: null })
  await s.call('HEAD', '/v3', { as: null })
  await s.call('GET', '/v3', { as: null, headers: { accept: 'application/json-home' }, label: 'json-home' })
  await s.call('GET', '', { as: null, headers: { accept: 'application/json-home' }, label: 'json-home' })
  await s.call('GET', '/v3', { as: null, headers: { accept: 'application/json, application/json-home;q=0.5' }, label: 'rather json' })
  await s.call('GET', '/v3', { as: null, headers: { accept: 'text/html' }, label: 'html' })
  await s.call('GET', '/v2.0', { as: null })
  await s.call('GET', '/v3/nonsense', { as: null, label: 'nobody' })
  await s.call('GET', '/v3/nonsense')
  await s.call('POST', '/v3', { json: {} })
}

export async function tokens(s: Side, f: Furniture): Promise<void> {
  s.area('tokens')
  const { member } = f
  const who = { id: member.id } as never
  const post = (auth: unknown, label: string, path = '/v3/auth/tokens') => s.call('POST', path, { as: null, json: { auth }, label })
  await post(password(member.name, member.password), 'unscoped')
  await post(password(who, member.password, 'unscoped'), 'unscoped by word')
  await post(password(member.name, member.password, { project: { name: s.name('project'), domain: { name: 'Default' } } }), 'by names')
  await post(password(who, member.password, inProject(f.project_id)), 'nocatalog', '/v3/auth/tokens?nocatalog')
  await post(password('admin', s.cloud.password, inSystem), 'system')
  await post(password(who, member.password, inSystem), 'system, no role')
  await post(password(who, member.password, inDomain('default')), 'domain, no role')
  await post(password(who, member.password, inProject(f.other_project_id)), 'project, no role')
  await post(password(who, member.password, inProject(NOBODY)), 'project missing')
  await post(password(who, member.password, inDomain(NOBODY)), 'domain missing')
  await post(password(who, 'wrong'), 'wrong password')
  await post(password(s.name('nobody'), 'wrong'), 'unknown user')
  await post(password({ id: NOBODY } as never, 'wrong'), 'unknown user id')
  await post(password({ name: 'admin', domain: { name: 'no domain' } } as never, 'wrong'), 'unknown domain')
  await post({ identity: { methods: ['password'] } }, 'no method body')
  await post({ identity: { methods: [] } }, 'no methods')
  await post({ identity: { methods: ['nonsense'], nonsense: {} } }, 'unknown method')
  await post({ identity: { methods: ['password'], password: { user: { name: 'admin', password: 'x' } } } }, 'no domain')
  await post({ identity: { methods: ['password'], password: { user: { domain: { id: 'default' }, password: 'x' } } } }, 'no name')
  await post({ identity: { methods: ['password'], password: { user: { id: member.id } } } }, 'no password')
  await post({}, 'no identity')
  await post({ identity: password(who, member.password).identity, scope: { project: { name: 'x' } } }, 'scope without domain')
  await post({ identity: password(who, member.password).identity, scope: { project: { id: f.project_id }, domain: { id: 'default' } } }, 'two scopes')
  await post({ identity: password(who, member.password).identity, scope: {} }, 'empty scope')
  await post({ identity: { methods: ['token'], token: { id: 'nonsense' } } }, 'bad token')
  await post({ identity: { methods: ['token'], token: { id: member.token } }, scope: inProject(f.project_id) }, 'rescope')
  await s.call('POST', '/v3/auth/tokens', { as: null, json: {}, label: 'no auth' })
  await s.call('POST', '/v3/auth/tokens', { as: null, body: '{', headers: { 'content-type': 'application/json' }, label: 'not json' })
  await s.call('POST', '/v3/auth/tokens', { as: null, body: '[]', headers: { 'content-type': 'application/json' }, label: 'not an object' })
  await s.call('POST', '/v3/auth/tokens', { as: null, body: 'auth', headers: { 'content-type': 'text/plain' }, label: 'text' })
  const subject = (token: string) => ({ 'x-subject-token': token })
  for (const method of ['GET', 'HEAD']) {
    await s.call(method, '/v3/auth/tokens', { headers: subject(member.token) })
    await s.call(method, '/v3/auth/tokens', { as: member.token, headers: subject(member.token), label: 'own' })
    await s.call(method, '/v3/auth/tokens', { as: f.other.token, headers: subject(member.token), label: 'of another' })
    await s.call(method, '/v3/auth/tokens', { headers: subject('nonsense'), label: 'nonsense' })
    await s.call(method, '/v3/auth/tokens', { label: 'no subject' })
    await s.call(method, '/v3/auth/tokens', { as: null, headers: subject(member.token), label: 'nobody' })
    await s.call(method, '/v3/auth/tokens', { as: 'nonsense', headers: subject(member.token), label: 'bad token' })
  }
  await s.call('GET', '/v3/auth/tokens?nocatalog', { headers: subject(member.token) })
  await s.call('GET', '/v3/auth/tokens?allow_expired=1', { headers: subject(member.token) })
  for (const [word, token] of [['member', member.token], ['admin', s.token]] as const) {
    for (const path of ['catalog', 'projects', 'domains', 'system']) {
      await s.call('GET', `/v3/auth/${path}`, { as: token, label: word })
      await s.call('HEAD', `/v3/auth/${path}`, { as: token, label: word })
    }
  }
  const unscoped = await s.login(password(who, member.password, 'unscoped'), { quiet: true })
  await s.call('GET', '/v3/auth/catalog', { as: unscoped, label: 'unscoped' })
  await s.call('GET', '/v3/auth/projects', { as: unscoped, label: 'unscoped' })
  await s.call('GET', '/v3/auth/projects', { as: null, label: 'nobody' })
  await s.call('GET', '/v3/projects', { as: unscoped, label: 'unscoped' })
  await s.call('DELETE', '/v3/auth/tokens', { as: f.other.token, headers: subject(unscoped), label: 'of another' })
  await s.call('DELETE', '/v3/auth/tokens', { headers: subject(unscoped) })
  await s.call('GET', '/v3/auth/tokens', { headers: subject(unscoped), label: 'revoked' })
  await s.call('DELETE', '/v3/auth/tokens', { headers: subject(unscoped), label: 'revoked' })
  await s.call('GET', '/v3/auth/projects', { as: unscoped, label: 'revoked' })
  await s.call('GET', '/v3/auth/tokens/OS-PKI/revoked')
}
