/** Projects, their tree and tags, and domains. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type IdentityCloud, identityCloud } from './support.ts'

const V3 = '/identity/v3'

async function admin(cloud: IdentityCloud) {
  const token = await cloud.admin()
  return {
    token,
    get: (path: string) => cloud.call('GET', `${V3}/${path}`, { token }),
    post: (path: string, json: unknown) => cloud.call('POST', `${V3}/${path}`, { token, json }),
    patch: (path: string, json: unknown) => cloud.call('PATCH', `${V3}/${path}`, { token, json }),
    put: (path: string, json?: unknown) => cloud.call('PUT', `${V3}/${path}`, { token, json }),
    remove: (path: string) => cloud.call('DELETE', `${V3}/${path}`, { token }),
  }
}

test('a tree of projects: parents, subtree, depth, enabling and deleting from the leaves', async () => {
  const cloud = identityCloud({ identity: { max_project_tree_depth: 3 } })
  const as = await admin(cloud)
  const make = async (name: string, parent_id: string) => await as.post('projects', { project: { name, parent_id } })
  const top = (await make('top', 'default')).body.project
  const mid = (await make('mid', top.id)).body.project
  assert.deepEqual([top.parent_id, top.domain_id, mid.parent_id, mid.domain_id], ['default', 'default', top.id, 'default'])
  const low = (await make('low', mid.id)).body.project
  assert.equal((await make('too-low', low.id)).status, 403)
  assert.deepEqual((await as.get(`projects/${low.id}?parents_as_ids`)).body.project.parents, { [mid.id]: { [top.id]: { default: null } } })
  assert.deepEqual((await as.get(`projects/${top.id}?subtree_as_ids`)).body.project.subtree, { [mid.id]: { [low.id]: null } })
  assert.deepEqual((await as.get(`projects/${top.id}?subtree_as_list`)).body.project.subtree, [], 'only what the caller has a role on')
  assert.equal((await as.get(`projects/${top.id}?subtree_as_ids&subtree_as_list`)).status, 400)
  assert.equal((await as.patch(`projects/${top.id}`, { project: { enabled: false } })).status, 403)
  assert.equal((await as.patch(`projects/${low.id}`, { project: { parent_id: top.id } })).status, 403)
  for (const each of [low, mid, top]) assert.equal((await as.patch(`projects/${each.id}`, { project: { enabled: false } })).status, 200)
  assert.equal((await as.patch(`projects/${low.id}`, { project: { enabled: true } })).status, 403)
  assert.equal((await as.remove(`projects/${top.id}`)).status, 403)
  for (const each of [low, mid, top]) assert.equal((await as.remove(`projects/${each.id}`)).status, 204)
  cloud.close()
})

test('names are unique in a domain, bounded and not empty', async () => {
  const cloud = identityCloud()
  const as = await admin(cloud)
  const { domain } = (await as.post('domains', { domain: { name: 'other' } })).body
  assert.equal((await as.post('projects', { project: { name: 'p' } })).status, 201)
  assert.equal((await as.post('projects', { project: { name: 'p' } })).status, 409)
  assert.equal((await as.post('projects', { project: { name: 'p', domain_id: domain.id } })).status, 201)
  for (const name of ['', ' ', 'a'.repeat(65), 5]) assert.equal((await as.post('projects', { project: { name } })).status, 400)
  assert.equal((await as.post('projects', { project: { name: 'q', domain_id: 'nowhere' } })).status, 400)
  assert.equal((await as.post('domains', { domain: { name: 'other' } })).status, 409)
  cloud.close()
})

test('tags: set, add, check, remove, and filter by all, any, none', async () => {
  const cloud = identityCloud()
  const as = await admin(cloud)
  const make = async (name: string, tags: string[]) => (await as.post('projects', { project: { name, tags } })).body.project.id
  const [a, b] = [await make('a', ['red', 'big']), await make('b', ['red'])]
  const ids = async (query: string) => (await as.get(`projects?${query}`)).body.projects.map((each: { id: string }) => each.id).filter((id: string) => [a, b].includes(id)).sort()
  assert.deepEqual(await ids('tags=red,big'), [a])
  assert.deepEqual(await ids('tags-any=big,blue'), [a])
  assert.deepEqual(await ids('not-tags-any=big'), [b])
  assert.deepEqual(await ids('not-tags=red,big'), [b])
  assert.equal((await as.put(`projects/${b}/tags/new%20one`)).status, 201)
  assert.equal((await as.get(`projects/${b}/tags/new%20one`)).status, 204)
  assert.deepEqual((await as.get(`projects/${b}/tags`)).body.tags, ['new one', 'red'])
  assert.equal((await as.put(`projects/${b}/tags`, { tags: ['x', 'x'] })).status, 400)
  assert.equal((await as.put(`projects/${b}/tags`, { tags: ['a,b'] })).status, 400)
  assert.deepEqual((await as.put(`projects/${b}/tags`, { tags: ['x', 'y'] })).body.tags, ['x', 'y'])
  assert.equal((await as.remove(`projects/${b}/tags/x`)).status, 204)
  assert.equal((await as.remove(`projects/${b}/tags/x`)).status, 404)
  assert.equal((await as.remove(`projects/${b}/tags`)).status, 204)
  cloud.close()
})

test('immutable resources take one change: the one that makes them mutable', async () => {
  const cloud = identityCloud()
  const as = await admin(cloud)
  for (const [one, many] of [['project', 'projects'], ['domain', 'domains'], ['role', 'roles']] as const) {
    const { id } = (await as.post(many, { [one]: { name: 'fixed', options: { immutable: true } } })).body[one]
    assert.equal((await as.patch(`${many}/${id}`, { [one]: { name: 'changed' } })).status, 403)
    assert.equal((await as.remove(`${many}/${id}`)).status, 403)
    assert.equal((await as.patch(`${many}/${id}`, { [one]: { options: { immutable: false }, ...(one === 'domain' ? { enabled: false } : {}) } })).status, 200)
    assert.equal((await as.remove(`${many}/${id}`)).status, 204)
  }
  cloud.close()
})

test('a tenant sees its own project and no other, and finds its scopes', async () => {
  const cloud = identityCloud()
  const [ann, bob] = [await cloud.tenant('ann'), await cloud.tenant('bob')]
  assert.equal((await cloud.call('GET', `${V3}/projects/${ann.project_id}`, { token: ann.token })).status, 200)
  for (const id of [bob.project_id, 'f'.repeat(32)]) assert.equal((await cloud.call('GET', `${V3}/projects/${id}`, { token: ann.token })).status, 403)
  assert.equal((await cloud.call('GET', `${V3}/projects`, { token: ann.token })).status, 403)
  assert.deepEqual((await cloud.call('GET', `${V3}/users/${ann.user_id}/projects`, { token: ann.token })).body.projects.map((each: { id: string }) => each.id), [ann.project_id])
  assert.equal((await cloud.call('GET', `${V3}/users/${bob.user_id}/projects`, { token: ann.token })).status, 403)
  assert.deepEqual((await cloud.call('GET', `${V3}/auth/projects`, { token: ann.token })).body.projects.map((each: { id: string }) => each.id), [ann.project_id])
  for (const [method, path] of [['PATCH', `projects/${ann.project_id}`], ['DELETE', `projects/${ann.project_id}`], ['POST', 'domains'], ['DELETE', 'domains/default']]) {
    const json = method === 'PATCH' ? { project: { name: 'x' } } : method === 'POST' ? { domain: { name: 'x' } } : undefined
    assert.equal((await cloud.call(method ?? '', `${V3}/${path}`, { token: ann.token, json })).status, 403)
  }
  cloud.close()
})
