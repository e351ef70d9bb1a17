/** Role assignments: direct, by group, inherited, implied, on the system; listed plainly and as they take effect. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { identityCloud } from './support.ts'

const V3 = '/identity/v3'

async function world() {
  const cloud = identityCloud()
  const token = await cloud.admin()
  const post = async (path: string, json: unknown) => (await cloud.call('POST', `${V3}/${path}`, { token, json })).body
  const put = async (path: string) => (await cloud.call('PUT', `${V3}/${path}`, { token })).status
  const roles: Record<string, string> = {}
  for (const role of (await cloud.call('GET', `${V3}/roles`, { token })).body.roles) roles[role.name] = role.id
  const { domain } = await post('domains', { domain: { name: 'd' } })
  const top = (await post('projects', { project: { name: 'top', domain_id: domain.id } })).project
  const low = (await post('projects', { project: { name: 'low', domain_id: domain.id, parent_id: top.id } })).project
  const { user } = await post('users', { user: { name: 'u', domain_id: domain.id, password: 'pw' } })
  const { group } = await post('groups', { group: { name: 'g', domain_id: domain.id } })
  const list = async (query: string) => (await cloud.call('GET', `${V3}/role_assignments?${query}`, { token })).body.role_assignments
  const rolesOn = async (project_id: string) => ((await cloud.login({ user_id: user.id, password: 'pw', project_id })).body.token?.roles ?? []).map((role: { name: string }) => role.name)
  return { cloud, token, post, put, roles, domain, top, low, user, group, list, rolesOn }
}

test('an inherited role reaches projects below, not where it was given', async () => {
  const { cloud, put, roles, top, low, user, rolesOn, list } = await world()
  assert.equal(await put(`OS-INHERIT/projects/${top.id}/users/${user.id}/roles/${roles.member}/inherited_to_projects`), 204)
  assert.deepEqual(await rolesOn(top.id), [])
  assert.deepEqual(await rolesOn(low.id), ['member', 'reader'])
  const [direct] = await list(`user.id=${user.id}`)
  assert.deepEqual(direct.scope, { project: { id: top.id }, 'OS-INHERIT:inherited_to': 'projects' })
  assert.match(direct.links.assignment, /OS-INHERIT\/projects\/.*\/inherited_to_projects$/)
  const effective = await list(`user.id=${user.id}&effective`)
  assert.deepEqual(effective.map((line: { scope: { project: { id: string } } }) => line.scope.project.id), [low.id, low.id])
  assert.equal((await list(`scope.project.id=${top.id}&include_subtree&effective`)).length, 2)
  cloud.close()
})

test('a role inherited from a domain by a group reaches every project of its members', async () => {
  const { cloud, token, put, roles, domain, top, low, user, group, rolesOn, list } = await world()
  assert.equal(await put(`OS-INHERIT/domains/${domain.id}/groups/${group.id}/roles/${roles.reader}/inherited_to_projects`), 204)
  assert.equal(await put(`groups/${group.id}/users/${user.id}`), 204)
  for (const project of [top, low]) assert.deepEqual(await rolesOn(project.id), ['reader'])
  assert.equal((await cloud.login({ user_id: user.id, password: 'pw', domain_id: domain.id })).status, 401)
  const lines = await list(`user.id=${user.id}&effective&include_names`)
  assert.equal(lines.length, 2)
  assert.equal(lines[0].user.name, 'u')
  assert.equal(lines[0].user.domain.name, 'd')
  assert.match(lines[0].links.membership, new RegExp(`/groups/${group.id}/users/${user.id}$`))
  const named = (await cloud.call('GET', `${V3}/role_assignments?group.id=${group.id}&include_names`, { token })).body.role_assignments
  assert.deepEqual([named[0].group.name, named[0].scope.domain.name, named[0].role.name], ['g', 'd', 'reader'])
  cloud.close()
})

test('a role of a domain implies others but is in no token itself', async () => {
  const { cloud, post, put, roles, domain, top, user, rolesOn, list } = await world()
  const { role } = await post('roles', { role: { name: 'local', domain_id: domain.id } })
  assert.equal(await put(`projects/${top.id}/users/${user.id}/roles/${role.id}`), 204)
  assert.deepEqual(await rolesOn(top.id), [])
  assert.equal(await put(`roles/${role.id}/implies/${roles.reader}`), 201)
  assert.deepEqual(await rolesOn(top.id), ['reader'])
  assert.deepEqual((await list(`user.id=${user.id}&effective`)).map((line: { role: { id: string } }) => line.role.id), [roles.reader])
  assert.equal(await put(`roles/${roles.reader}/implies/${roles.admin}`), 403)
  assert.equal(await put(`roles/${roles.reader}/implies/${role.id}`), 403)
  cloud.close()
})

test('taking back an implication ends the tokens that it widened', async () => {
  const { cloud, token, put, roles, top, user } = await world()
  await put(`projects/${top.id}/users/${user.id}/roles/${roles.member}`)
  const before = await cloud.login({ user_id: user.id, password: 'pw', project_id: top.id })
  assert.equal((await cloud.call('DELETE', `${V3}/roles/${roles.member}/implies/${roles.reader}`, { token })).status, 204)
  assert.equal((await cloud.call('GET', `${V3}/auth/projects`, { token: before.token })).status, 401)
  cloud.close()
})

test('grants on the system, and what is missing is 404', async () => {
  const { cloud, token, put, roles, user, top } = await world()
  assert.equal(await put(`system/users/${user.id}/roles/${roles.reader}`), 204)
  const { body, token: systemToken } = await cloud.login({ user_id: user.id, password: 'pw', system: true })
  assert.deepEqual(body.token.roles.map((role: { name: string }) => role.name), ['reader'])
  assert.equal((await cloud.call('GET', `${V3}/users`, { token: systemToken })).status, 200, 'a system reader reads')
  assert.equal((await cloud.call('POST', `${V3}/users`, { token: systemToken, json: { user: { name: 'x' } } })).status, 403, 'and writes nothing')
  const grant = `${V3}/system/users/${user.id}/roles/${roles.reader}`
  assert.equal((await cloud.call('HEAD', grant, { token })).status, 204)
  assert.equal((await cloud.call('DELETE', grant, { token })).status, 204)
  assert.equal((await cloud.call('HEAD', grant, { token })).status, 404)
  assert.equal((await cloud.call('GET', `${V3}/users`, { token: systemToken })).status, 401)
  const none = 'f'.repeat(32)
  for (const path of [`projects/${none}/users/${user.id}/roles/${roles.member}`, `projects/${top.id}/users/${none}/roles/${roles.member}`, `projects/${top.id}/users/${user.id}/roles/${none}`]) assert.equal(await put(path), 404)
  cloud.close()
})

test('contradicting filters are 400, tenants may not list', async () => {
  const { cloud, token, user, group, top, domain } = await world()
  const status = async (query: string) => (await cloud.call('GET', `${V3}/role_assignments?${query}`, { token })).status
  for (const query of [`user.id=${user.id}&group.id=${group.id}`, `scope.project.id=${top.id}&scope.domain.id=${domain.id}`, 'include_subtree', `effective&group.id=${group.id}`]) assert.equal(await status(query), 400, query)
  const ann = await cloud.tenant('ann')
  assert.equal((await cloud.call('GET', `${V3}/role_assignments`, { token: ann.token })).status, 403)
  assert.equal((await cloud.call('PUT', `${V3}/projects/${ann.project_id}/users/${ann.user_id}/roles/${'f'.repeat(32)}`, { token: ann.token })).status, 403)
  cloud.close()
})
