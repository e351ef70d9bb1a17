/** OAuth1: consumers, request tokens, who authorizes them, access tokens, logins by them. */
import { type OAuthClient, form, oauthHeader } from '../../support/oauth1.ts'
import { type Side, inProject, password } from '../side.ts'
import { type Furniture, NOBODY, mistakes } from './furniture.ts'

const OAUTH = '/v3/OS-OAUTH1'

export async function oauth1(s: Side, f: Furniture): Promise<void> {
  s.area('oauth1')
  const path = `${OAUTH}/consumers`
  const consumer = await s.make('POST', path, 'consumer', 'consumer', { description: 'the consumer', colour: 'red' })
  await s.make('POST', path, 'consumer', 'consumer bare', {})
  await mistakes(s, f, { path, kind: 'consumer', id: consumer.id, valid: { description: 'x' }, bad: [{ description: 5 }, { description: null }] })
  for (const [label, change] of Object.entries({ 'description': { description: 'changed' }, 'empty': {}, 'secret': { secret: 'x' }, 'more': { size: 3 } })) await s.call('PATCH', `${path}/${consumer.id}`, { json: { consumer: change }, label })
  await tokens(s, f, { key: consumer.id, secret: consumer.secret })
  await s.call('DELETE', `${path}/${consumer.id}`)
  await s.call('GET', `${path}/${consumer.id}`, { label: 'gone' })
}

async function tokens(s: Side, f: Furniture, client: OAuthClient): Promise<void> {
  const post = async (path: string, given: OAuthClient, label: string, options: { headers?: Record<string, string>; json?: unknown; quiet?: boolean } = {}) =>
    await s.call('POST', path, { as: null, label, ...options, headers: { authorization: oauthHeader(`${s.cloud.root}${path}`, given), ...options.headers } })
  const project = { headers: { 'requested-project-id': f.admin_project_id } }
  const request = `${OAUTH}/request_token`
  await post(request, client, 'right', project)
  await post(request, { ...client, hash: 'SHA256' }, 'by SHA-256', project)
  await post(request, { ...client, secret: 'wrong' }, 'wrong secret', project)
  await post(request, { ...client, key: NOBODY }, 'unknown consumer', project)
  await post(request, client, 'no project')
  await post(request, client, 'unknown project', { headers: { 'requested-project-id': NOBODY } })
  await s.call('POST', request, { as: null, label: 'no header' })
  await s.call('GET', request, { as: null, label: 'wrong method' })
  const asked = form(String((await post(request, client, 'asked', { ...project, quiet: true })).body))
  const token = { key: asked.oauth_token ?? '', secret: asked.oauth_token_secret ?? '' }
  s.learn(token.key, 'request token')

  const exchange = `${OAUTH}/access_token`
  await post(exchange, { ...client, token, verifier: 'abcdefgh' }, 'not authorized')
  const authorize = async (roles: unknown, label: string, options: { as?: string | null; id?: string; quiet?: boolean } = {}) => await s.call('PUT', `${OAUTH}/authorize/${options.id ?? token.key}`, { json: { roles }, label, ...(options.as === undefined ? {} : { as: options.as }), quiet: options.quiet })
  await authorize([{ id: f.roles.member }], 'as member', { as: f.member.token })
  await authorize([{ id: f.roles.member }], 'nobody', { as: null })
  await authorize([{ id: f.roles.member }], 'missing', { id: NOBODY })
  for (const [label, bad] of Object.entries({ 'text': 'x', 'nothing named': [{}], 'both': [{ id: 'a', name: 'b' }], 'unknown field': [{ nonsense: 1 }], 'unknown role': [{ id: NOBODY }] })) await authorize(bad, `bad: ${label}`)
  const { body } = await authorize([{ id: f.roles.admin }], 'right', { quiet: true })
  s.learn(body?.token?.oauth_verifier, 'verifier')
  await post(exchange, { ...client, token, verifier: 'abcdefgh' }, 'wrong verifier')
  await post(exchange, { ...client, token: { ...token, secret: 'wrong' }, verifier: body?.token?.oauth_verifier }, 'wrong secret')
  await post(exchange, { ...client, token }, 'no verifier')
  await s.call('POST', exchange, { as: null, label: 'no header' })
  const got = form(String((await post(exchange, { ...client, token, verifier: body?.token?.oauth_verifier }, 'right', { quiet: true })).body))
  const access = { key: got.oauth_token ?? '', secret: got.oauth_token_secret ?? '' }
  s.learn(access.key, 'access token')
  await post(exchange, { ...client, token, verifier: body?.token?.oauth_verifier }, 'again')

  const json = { auth: { identity: { methods: ['oauth1'], oauth1: {} } } }
  const login = async (given: OAuthClient, label: string, body: unknown = json) => (await post('/v3/auth/tokens', given, label, { json: body })).headers.get('x-subject-token') ?? ''
  const scoped = await login({ ...client, token: access }, 'by OAuth1')
  await login({ ...client, token: access }, 'with the scope of another project', { auth: { ...json.auth, scope: inProject(f.project_id) } })
  await login({ ...client, token: { ...access, secret: 'wrong' } }, 'by OAuth1, wrong secret')
  await login({ ...client, token: { ...access, key: NOBODY } }, 'by OAuth1, unknown token')
  await login(client, 'by OAuth1, no token')
  await s.call('GET', '/v3/auth/tokens', { headers: { 'x-subject-token': scoped }, label: 'of OAuth1' })
  await s.login({ identity: { methods: ['token'], token: { id: scoped } } }, { label: 'rescoped' })
  await accessTokens(s, f, access.key, scoped)
  await login({ ...client, token: access }, 'taken back')
  await s.call('GET', '/v3/auth/tokens', { headers: { 'x-subject-token': scoped }, label: 'taken back' })
  // The administrator's token outlives this on one side only, where a revocation is dated to the second.
  s.token = await s.again(password('admin', s.cloud.password, { project: { name: 'admin', domain: { id: 'default' } } }))
}

async function accessTokens(s: Side, f: Furniture, id: string, delegated: string): Promise<void> {
  const list = `/v3/users/${f.admin_id}/OS-OAUTH1/access_tokens`
  for (const method of ['GET', 'HEAD']) for (const tail of ['', `/${id}`, `/${id}/roles`, `/${id}/roles/${f.roles.admin}`, `/${id}/roles/${f.roles.reader}`, `/${NOBODY}`, `/${NOBODY}/roles`]) await s.call(method, `${list}${tail}`)
  for (const [label, as] of [['as member', f.member.token], ['nobody', null], ['delegated', delegated]] as const) {
    await s.call('GET', list, { as, label })
    await s.call('GET', `${list}/${id}`, { as, label })
    await s.call('DELETE', `${list}/${id}`, { as, label })
  }
  for (const [method, path, json] of [['GET', '/v3/credentials', undefined], ['POST', `/v3/users/${f.admin_id}/credentials/OS-EC2`, { tenant_id: f.admin_project_id }], ['POST', `/v3/users/${f.admin_id}/application_credentials`, { application_credential: { name: s.name('delegated') } }]] as const) {
    await s.call(method, path, { as: delegated, json, label: 'delegated by OAuth1' })
  }
  await s.call('GET', `/v3/users/${f.member.id}/OS-OAUTH1/access_tokens/${id}`, { label: 'of another user' })
  await s.call('DELETE', `${list}/${NOBODY}`)
  await s.call('DELETE', `${list}/${id}`)
  await s.call('GET', `${list}/${id}`, { label: 'gone' })
}
