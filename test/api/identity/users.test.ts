/** Users and passwords: who may do what, lockout, history, expiry, and that nothing tells which users exist. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eq } from 'drizzle-orm'
import { passwords } from '../../../schema/identity/tables.ts'
import { hashPassword, parseHash } from '../../../workers/identity/passwords/hash.ts'
import { identityCloud } from './support.ts'

const V3 = '/identity/v3'

test('create, show, list by name, update, delete; attributes unknown to us are kept', async () => {
  const cloud = identityCloud()
  const token = await cloud.admin()
  const made = await cloud.call('POST', `${V3}/users`, { token, json: { user: { name: 'ann', domain_id: 'default', password: 'pw', email: 'a@example.org', enabled: true } } })
  assert.equal(made.status, 201)
  const { user } = made.body
  assert.equal(user.email, 'a@example.org')
  assert.equal(user.password, undefined)
  assert.equal(user.links.self, `http://cloud.test${V3}/users/${user.id}`)
  assert.deepEqual((await cloud.call('GET', `${V3}/users?name=ann`, { token })).body.users, [user])
  assert.deepEqual((await cloud.call('GET', `${V3}/users?name__icontains=AN`, { token })).body.users, [user])
  const patched = await cloud.call('PATCH', `${V3}/users/${user.id}`, { token, json: { user: { email: 'b@example.org' } } })
  assert.equal(patched.body.user.email, 'b@example.org')
  assert.equal(patched.body.user.name, 'ann')
  assert.equal((await cloud.call('POST', `${V3}/users`, { token, json: { user: { name: 'ann', domain_id: 'default' } } })).status, 409)
  assert.equal((await cloud.call('POST', `${V3}/users`, { token, json: { user: { name: 'bob', domain_id: 'nowhere' } } })).status, 404)
  assert.equal((await cloud.call('DELETE', `${V3}/users/${user.id}`, { token })).status, 204)
  assert.equal((await cloud.call('GET', `${V3}/users/${user.id}`, { token })).status, 404)
  cloud.close()
})

test('a list goes on where the page before it ended', async () => {
  const cloud = identityCloud()
  const token = await cloud.admin()
  for (const name of ['a', 'b', 'c']) await cloud.call('POST', `${V3}/users`, { token, json: { user: { name } } })
  const seen: string[] = []
  let path: string | null = `${V3}/users?limit=2`
  for (let pages = 0; path !== null && pages < 5; pages++) {
    const { body }: { body: { users: { name: string }[]; links: { next: string | null } } } = await cloud.call('GET', path, { token })
    seen.push(...body.users.map((user) => user.name))
    path = body.links.next === null ? null : body.links.next.replace('http://cloud.test', '')
  }
  assert.deepEqual(seen.sort(), ['a', 'admin', 'b', 'c'])
  cloud.close()
})

test('each line of a list says what its user alone says, whatever is in it', async () => {
  const cloud = identityCloud({ identity: { password_expires_days: 90 } })
  const token = await cloud.admin()
  const { id: project } = (await cloud.call('GET', `${V3}/projects?name=admin`, { token })).body.projects[0]
  const strange = ['q"uote', 'back\\slash', 'line\nbreak\ttab', '\u0001 control', 'ünï – 雲 🦉', 'line\u2028separators', '{"json":1}', '%s \\u0041', "it's", '</script>']
  const more = [
    {}, { email: 'a@example.org' }, { description: 'd "quoted"', 'odd key "é"': { deep: [1, null, true, 'x'] } }, { enabled: false }, { default_project_id: project }, { password: 'Pass-word-1' },
    { options: { ignore_lockout_failure_attempts: true, multi_factor_auth_rules: [['password', 'totp']] } }, { password: 'Pass-word-2', options: { ignore_password_expiry: true } }, { nothing: null, links: { self: 'elsewhere' }, password_expires_at: 'never' }, { empty: '', origin: 'x', federated_by: [] },
  ]
  for (const [n, name] of strange.entries()) assert.equal((await cloud.call('POST', `${V3}/users`, { token, json: { user: { name, ...more[n] } } })).status, 201, name)
  const alone = async (id: string) => (await cloud.call('GET', `${V3}/users/${id}`, { token })).body.user
  const whole = await cloud.call('GET', `${V3}/users`, { token })
  assert.equal(whole.body.users.length, strange.length + 1)
  assert.deepEqual(new Set(whole.body.users.map((user: { name: string }) => user.name)), new Set([...strange, 'admin']))
  for (const user of whole.body.users) assert.deepEqual(user, await alone(user.id))
  assert.ok(whole.body.users.some((user: { password_expires_at: string | null }) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/.test(user.password_expires_at ?? '')))
  assert.deepEqual((await cloud.call('GET', `${V3}/users?limit=4&name__contains=%22`, { token })).body.users.map((user: { name: string }) => user.name).sort(), ['q"uote', '{"json":1}'])
  assert.deepEqual((await cloud.call('GET', `${V3}/users?name=nobody`, { token })).body.users, [])
  cloud.close()
})

test('a deployment that shows no more than so many says when there are others', async () => {
  const cloud = identityCloud({ identity: { list_limit: 3 } })
  const token = await cloud.admin()
  const list = async (query: string) => (await cloud.call('GET', `${V3}/users${query}`, { token })).body
  for (const name of ['a', 'b']) await cloud.call('POST', `${V3}/users`, { token, json: { user: { name } } })
  const exact = await list('')
  assert.deepEqual([exact.users.length, exact.truncated, exact.links.next], [3, undefined, null])
  await cloud.call('POST', `${V3}/users`, { token, json: { user: { name: 'c' } } })
  const cut = await list('')
  assert.deepEqual([cut.users.length, cut.truncated], [3, true])
  assert.equal((await list(new URL(cut.links.next).search)).users.length, 1)
  assert.equal((await list('?limit=2')).truncated, undefined)
  cloud.close()
})

test('bad input is 400 and names the field', async () => {
  const cloud = identityCloud()
  const token = await cloud.admin()
  for (const [user, field] of [[{ name: '' }, 'name'], [{}, 'name'], [{ name: 'x', enabled: 'False' }, 'enabled'], [{ name: 'x', password: 5 }, 'password'], [{ name: 'x'.repeat(256) }, 'name'], [{ name: 'x', options: { strange: true } }, 'strange']] as const) {
    const answer = await cloud.call('POST', `${V3}/users`, { token, json: { user } })
    assert.equal(answer.status, 400, JSON.stringify(user))
    assert.match(answer.body.error.message, new RegExp(field))
  }
  assert.equal((await cloud.call('POST', `${V3}/users`, { token, json: { user: { name: 'x', password: 'p'.repeat(5_000) } } })).status, 400)
  cloud.close()
})

test('a member sees itself and nobody else, and makes nobody', async () => {
  const cloud = identityCloud()
  const [ann, bob] = [await cloud.tenant('ann'), await cloud.tenant('bob')]
  assert.equal((await cloud.call('GET', `${V3}/users/${ann.user_id}`, { token: ann.token })).status, 200)
  assert.equal((await cloud.call('GET', `${V3}/users/${bob.user_id}`, { token: ann.token })).status, 403)
  assert.equal((await cloud.call('GET', `${V3}/users/${'f'.repeat(32)}`, { token: ann.token })).status, 403)
  assert.equal((await cloud.call('GET', `${V3}/users`, { token: ann.token })).status, 403)
  assert.equal((await cloud.call('POST', `${V3}/users`, { token: ann.token, json: { user: { name: 'evil' } } })).status, 403)
  assert.equal((await cloud.call('PATCH', `${V3}/users/${ann.user_id}`, { token: ann.token, json: { user: { enabled: true } } })).status, 403)
  assert.equal((await cloud.call('DELETE', `${V3}/users/${bob.user_id}`, { token: ann.token })).status, 403)
  assert.equal((await cloud.call('GET', `${V3}/users`, {})).status, 401)
  cloud.close()
})

test('the manager of a domain manages its users, and no others', async () => {
  const cloud = identityCloud()
  const admin = await cloud.admin()
  const post = async (path: string, json: unknown, token = admin) => await cloud.call('POST', `${V3}/${path}`, { token, json })
  const { domain } = (await post('domains', { domain: { name: 'd' } })).body
  const { user } = (await post('users', { user: { name: 'boss', domain_id: domain.id, password: 'pw' } })).body
  const role = async (name: string) => (await cloud.call('GET', `${V3}/roles?name=${name}`, { token: admin })).body.roles[0].id
  await cloud.call('PUT', `${V3}/domains/${domain.id}/users/${user.id}/roles/${await role('manager')}`, { token: admin })
  const { token } = await cloud.login({ user_id: user.id, password: 'pw', domain_id: domain.id })
  const mine = await post('users', { user: { name: 'clerk', domain_id: domain.id } }, token)
  assert.equal(mine.status, 201)
  assert.equal((await post('users', { user: { name: 'clerk', domain_id: 'default' } }, token)).status, 403)
  assert.deepEqual((await cloud.call('GET', `${V3}/users`, { token })).body.users.map((each: { name: string }) => each.name).sort(), ['boss', 'clerk'])
  const project = await post('projects', { project: { name: 'p', domain_id: domain.id } }, token)
  assert.equal(project.status, 201)
  const foreign = (await cloud.call('GET', `${V3}/projects?name=service`, { token: admin })).body.projects[0].id
  assert.equal((await post('projects', { project: { name: 'q', parent_id: foreign } }, token)).status, 403)
  const grant = async (name: string, target: string) => (await cloud.call('PUT', `${V3}/projects/${target}/users/${mine.body.user.id}/roles/${await role(name)}`, { token })).status
  assert.equal(await grant('member', project.body.project.id), 204)
  assert.equal(await grant('admin', project.body.project.id), 403)
  assert.equal(await grant('member', foreign), 403)
  cloud.close()
})

test('lockout: after the allowed failures even the right password is refused, alike, and later it is not', async () => {
  let now = Date.now()
  const cloud = identityCloud({ clock: { now_ms: () => now }, identity: { lockout_failure_attempts: 2, lockout_duration_ms: 5_000 } })
  const ann = await cloud.tenant('ann')
  const attempt = (password: string) => cloud.login({ user_id: ann.user_id, password })
  const [first, second] = [await attempt('wrong'), await attempt('wrong')]
  const locked = await attempt(ann.password)
  assert.deepEqual([first.status, second.status, locked.status], [401, 401, 401])
  assert.equal(locked.text, first.text)
  now += 6_000
  assert.equal((await attempt(ann.password)).status, 201)
  assert.equal((await attempt('wrong')).status, 401)
  assert.equal((await attempt(ann.password)).status, 201, 'the count starts again')
  cloud.close()
})

test('history, minimum age and strength hold for users, history not for admins', async () => {
  const cloud = identityCloud({ identity: { unique_last_password_count: 2, password_regex: '^.{4,}$', password_regex_description: 'four characters or more' } })
  const ann = await cloud.tenant('ann')
  const change = async (original_password: string, password: string) => (await cloud.call('POST', `${V3}/users/${ann.user_id}/password`, { json: { user: { original_password, password } } })).status
  assert.equal(await change('wrong', 'password one'), 401)
  assert.equal(await change(ann.password, 'abc'), 400)
  assert.equal(await change(ann.password, ann.password), 400)
  assert.equal(await change(ann.password, 'password one'), 204)
  assert.equal(await change('password one', ann.password), 400)
  assert.equal(await change('password one', 'password two'), 204)
  assert.equal(await change('password two', ann.password), 204)
  const admin = await cloud.admin()
  assert.equal((await cloud.call('PATCH', `${V3}/users/${ann.user_id}`, { token: admin, json: { user: { password: ann.password } } })).status, 200)
  cloud.close()
})

test('an expired password lets nobody in but can be changed', async () => {
  let now = Date.now()
  const cloud = identityCloud({ clock: { now_ms: () => now }, identity: { password_expires_days: 1 } })
  const ann = await cloud.tenant('ann')
  now += 2 * 86_400_000
  const refused = await cloud.login({ user_id: ann.user_id, password: ann.password })
  assert.equal(refused.status, 401)
  assert.match(refused.body.error.message, /expired/)
  assert.doesNotMatch((await cloud.login({ user_id: ann.user_id, password: 'wrong' })).body.error.message, /expired/)
  assert.equal((await cloud.call('POST', `${V3}/users/${ann.user_id}/password`, { json: { user: { original_password: ann.password, password: 'fresh' } } })).status, 204)
  assert.equal((await cloud.login({ user_id: ann.user_id, password: 'fresh' })).status, 201)
  cloud.close()
})

test('a hash under older parameters is replaced at login; neither password nor hash is in any answer or in the change log', async () => {
  const cloud = identityCloud()
  const ann = await cloud.tenant('ann')
  const identity = cloud.cluster.instance('IDENTITY', 'identity')
  const old = await hashPassword(ann.password, { ln: 3, r: 8, p: 1 })
  identity.deps.db.update(passwords).set({ hash: old }).where(eq(passwords.user_id, ann.user_id)).run()
  assert.equal((await cloud.login({ user_id: ann.user_id, password: ann.password })).status, 201)
  const [row] = identity.deps.storage.sql.exec('SELECT hash FROM passwords WHERE user_id = ?', ann.user_id).toArray()
  assert.equal(parseHash(String(row.hash))?.ln, 4)
  const log = JSON.stringify(identity.deps.storage.sql.exec('SELECT * FROM _changes').toArray())
  for (const secret of [ann.password, 'scrypt', String(row.hash)]) assert.ok(!log.includes(secret))
  cloud.close()
})

test('hashing goes to the hashing service where there is one, and its silence is a 503', async () => {
  const asked: string[] = []
  const cloud = identityCloud({
    hasher: async (request) => {
      asked.push(new URL(request.url).pathname)
      return new Response(null, { status: 503 })
    },
  })
  assert.equal((await cloud.login({ project: 'admin' })).status, 503)
  assert.deepEqual(asked, ['/hash'])
  cloud.close()
})

test('only the word for right is right: a hashing service that answers anything else lets nobody in', async () => {
  const { default: hasher } = await import('../../../workers/hasher/index.ts')
  let said: Response | null = null
  const cloud = identityCloud({ hasher: async (request) => (request.url.endsWith('/verify') && said !== null ? said.clone() : await hasher.fetch(request)) })
  assert.equal((await cloud.login({ project: 'admin' })).status, 201)
  for (const answer of [Response.json({ ok: false }), Response.json({ ok: true }), new Response(null, { status: 202 }), new Response(null, { status: 404 }), new Response(null, { status: 503 })]) {
    said = answer
    for (const password of [undefined, 'wrong']) assert.equal((await cloud.login({ project: 'admin', password })).status, 503, String(answer.status))
  }
  said = null
  assert.deepEqual([(await cloud.login({ project: 'admin' })).status, (await cloud.login({ project: 'admin', password: 'wrong' })).status], [201, 401])
  cloud.close()
})

test('an idempotent retry of a create answers the same and makes nothing twice', async () => {
  const cloud = identityCloud()
  const { token } = await cloud.login({ project: 'admin' })
  const create = (name: string) => cloud.call('POST', `${V3}/users`, { token, json: { user: { name } }, headers: { 'idempotency-key': 'k1' } })
  const [first, again] = [await create('ann'), await create('ann')]
  assert.equal(first.status, 201)
  assert.deepEqual(again.body, first.body)
  assert.equal((await create('bob')).status, 409)
  cloud.close()
})
