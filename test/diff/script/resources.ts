/** Domains, projects and their tags, users, groups. */
import { type Side, inProject, password } from '../side.ts'
import { type Furniture, LONG, NOBODY, mistakes } from './furniture.ts'

export async function domains(s: Side, f: Furniture): Promise<void> {
  s.area('domains')
  const domain = await s.make('POST', '/v3/domains', 'domain', 'domain two', { name: s.name('two'), description: 'the second', enabled: true, colour: 'green', tags: ['a', 'b'] })
  await mistakes(s, f, {
    path: '/v3/domains', kind: 'domain', id: domain.id, valid: { name: s.name('three') }, bad: [{}, { name: '' }, { name: 7 }, { name: LONG }, { name: s.name('two') }, { name: s.name('x'), enabled: 'yes' }, { name: s.name('x'), description: 5 }, { name: s.name('x'), explicit_domain_id: 'zz' }, { name: s.name('x'), options: { nonsense: 1 } }, { name: s.name('x'), options: { immutable: 'x' } }],
  })
  await s.call('GET', `/v3/domains?name=${s.name('two')}`)
  await s.call('GET', '/v3/domains?enabled=false')
  await s.call('GET', '/v3/domains/default')
  await s.call('PATCH', `/v3/domains/${domain.id}`, { json: { domain: { description: 'changed', name: s.name('zwei'), size: 3 } } })
  await s.call('PATCH', `/v3/domains/${domain.id}`, { json: { domain: { name: s.name('domain') } }, label: 'taken name' })
  await s.call('PATCH', `/v3/domains/${domain.id}`, { json: { domain: { id: NOBODY } }, label: 'other id' })
  await s.call('PATCH', `/v3/domains/${domain.id}`, { json: { domain: {} }, label: 'empty' })
  const stone = await s.make('POST', '/v3/domains', 'domain', 'domain of stone', { name: s.name('stone'), options: { immutable: true } })
  await s.call('PATCH', `/v3/domains/${stone.id}`, { json: { domain: { description: 'no' } }, label: 'while immutable' })
  await s.call('DELETE', `/v3/domains/${stone.id}`, { label: 'while immutable' })
  await s.call('PATCH', `/v3/domains/${stone.id}`, { json: { domain: { options: { immutable: null } } }, label: 'immutable, null' })
  await s.call('DELETE', `/v3/domains/${domain.id}`, { label: 'enabled' })
  await s.call('PATCH', `/v3/domains/${domain.id}`, { json: { domain: { enabled: false } }, label: 'disable' })
  await s.call('GET', `/v3/domains?enabled=false&name=${s.name('zwei')}`)
  await s.call('POST', '/v3/projects', { json: { project: { name: s.name('inside'), domain_id: domain.id } }, label: 'in a disabled domain' })
  await s.call('DELETE', `/v3/domains/${domain.id}`)
  await s.call('GET', `/v3/domains/${domain.id}`, { label: 'gone' })
  await s.call('DELETE', '/v3/domains/default', { label: 'the default one' })
}

export async function projects(s: Side, f: Furniture): Promise<void> {
  s.area('projects')
  const path = '/v3/projects'
  const top = await s.make('POST', path, 'project', 'top', { name: s.name('top'), domain_id: f.domain_id, description: 'the top', enabled: true, tags: ['red', 'blue'], colour: 'green' })
  const child = await s.make('POST', path, 'project', 'child', { name: s.name('child'), parent_id: top.id, domain_id: f.domain_id })
  const leaf = await s.make('POST', path, 'project', 'leaf', { name: s.name('leaf'), parent_id: child.id, domain_id: f.domain_id, tags: ['red'] })
  await s.make('POST', path, 'project', 'without domain', { name: s.name('without-domain') })
  await mistakes(s, f, {
    path, kind: 'project', id: top.id, valid: { name: s.name('valid') },
    bad: [{}, { name: '' }, { name: '   ' }, { name: 7 }, { name: null }, { name: LONG }, { name: s.name('top'), domain_id: f.domain_id }, { name: s.name('x'), enabled: 'yes' }, { name: s.name('x'), domain_id: NOBODY }, { name: s.name('x'), parent_id: NOBODY }, { name: s.name('x'), tags: 'red' },
      { name: s.name('x'), tags: ['a,b'] }, { name: s.name('x'), tags: ['a', 'a'] }, { name: s.name('x'), description: 5 }, { name: s.name('x'), is_domain: 'no' }, { name: s.name('x'), parent_id: child.id, domain_id: 'default' }, { name: s.name('x'), is_domain: true, parent_id: top.id }, { name: s.name('x'), options: { immutable: 'x' } }],
  })
  for (const query of [`domain_id=${f.domain_id}`, `parent_id=${top.id}`, `name=${s.name('leaf')}`, 'enabled=false', 'enabled=0', 'is_domain=true', 'tags=red', 'tags=red,blue', 'tags-any=red,blue', 'not-tags=red', 'not-tags-any=red,blue', `name__contains=${s.name('leaf').slice(1)}`, `name__icontains=LEAF-${s.run}`, `name__startswith=${s.name('leaf')}`, `domain_id=${NOBODY}`, `nonsense=1&parent_id=${child.id}`]) await s.call('GET', `${path}?${query}`)
  for (const query of ['parents_as_list', 'subtree_as_list', 'parents_as_ids', 'subtree_as_ids', 'parents_as_list&subtree_as_list', 'parents_as_ids&subtree_as_ids', 'parents_as_list&parents_as_ids', 'subtree_as_list&subtree_as_ids']) await s.call('GET', `${path}/${child.id}?${query}`)
  await s.call('GET', `${path}/${leaf.id}?subtree_as_ids`)
  await s.call('GET', `${path}/${top.id}?parents_as_ids`)
  for (const [label, change] of Object.entries({ 'another name': { name: s.name('TOP') }, 'more': { size: 5, description: '' }, 'domain': { domain_id: 'default' }, 'parent': { parent_id: leaf.id }, 'is_domain': { is_domain: true }, 'empty': {}, 'taken': { name: s.name('child') }, 'id': { id: NOBODY }, 'tags': { tags: ['green'] }, 'no description': { description: null }, 'bad enabled': { enabled: 'no' }, 'blank name': { name: ' ' } })) await s.call('PATCH', `${path}/${top.id}`, { json: { project: change }, label })
  await s.call('PATCH', `${path}/${child.id}`, { json: { project: { options: { immutable: true } } }, label: 'immutable' })
  await s.call('PATCH', `${path}/${child.id}`, { json: { project: { description: 'x' } }, label: 'while immutable' })
  await s.call('DELETE', `${path}/${child.id}`, { label: 'while immutable' })
  await s.call('PATCH', `${path}/${child.id}`, { json: { project: { options: { immutable: false } } }, label: 'mutable again' })
  await s.call('DELETE', `${path}/${child.id}`, { label: 'with children' })
  await s.call('PATCH', `${path}/${child.id}`, { json: { project: { enabled: false } }, label: 'disable with enabled children' })
  await s.call('PATCH', `${path}/${leaf.id}`, { json: { project: { enabled: false } }, label: 'disable' })
  await s.call('GET', `${path}?enabled=false&domain_id=${f.domain_id}`)
  await tags(s, f, top.id)
  await s.call('DELETE', `${path}/${leaf.id}`)
  await s.call('DELETE', `${path}/${child.id}`)
  await s.call('GET', `${path}/${leaf.id}`, { label: 'gone' })
  await s.call('GET', `${path}?limit=1&domain_id=${f.domain_id}`)
  await s.call('DELETE', `${path}/${top.id}`)
}

async function tags(s: Side, f: Furniture, id: string): Promise<void> {
  s.area('tags')
  const path = `/v3/projects/${id}/tags`
  for (const method of ['GET', 'HEAD']) await s.call(method, path)
  await s.call('PUT', path, { json: { tags: ['one', 'two'] } })
  await s.call('PUT', path, { json: { tags: ['with,comma'] }, label: 'comma' })
  await s.call('PUT', path, { json: { tags: ['one', 'one'] }, label: 'twice' })
  await s.call('PUT', path, { json: { tags: [5] }, label: 'number' })
  await s.call('PUT', path, { json: {}, label: 'nothing' })
  await s.call('PUT', path, { json: { tags: ['x'] }, as: f.member.token, label: 'as member' })
  await s.call('PUT', path, { json: { tags: Array.from({ length: 81 }, (_, n) => `t${n}`) }, label: 'too many' })
  await s.call('PUT', `${path}/three`)
  await s.call('PUT', `${path}/three`, { label: 'again' })
  await s.call('PUT', `${path}/${LONG}`, { label: 'long' })
  await s.call('PUT', `${path}/a%2Cb`, { label: 'comma' })
  for (const method of ['GET', 'HEAD']) {
    await s.call(method, `${path}/three`)
    await s.call(method, `${path}/missing`)
  }
  await s.call('GET', path, { as: f.other.token, label: 'as other' })
  await s.call('DELETE', `${path}/missing`)
  await s.call('DELETE', `${path}/three`)
  await s.call('DELETE', path)
  await s.call('GET', path, { label: 'empty' })
  await s.call('GET', `/v3/projects/${NOBODY}/tags`)
  await s.call('PUT', `/v3/projects/${NOBODY}/tags/x`)
  s.area('projects')
}

export async function users(s: Side, f: Furniture): Promise<void> {
  s.area('users')
  const path = '/v3/users'
  const user = await s.make('POST', path, 'user', 'user one', { name: s.name('one'), domain_id: f.domain_id, password: 'first secret', email: 'one@example.org', description: 'of one', default_project_id: f.project_id, enabled: true })
  await s.make('POST', path, 'user', 'user plain', { name: s.name('plain'), domain_id: f.domain_id })
  await s.make('POST', path, 'user', 'user with options', { name: s.name('options'), domain_id: f.domain_id, password: 'x', options: { ignore_change_password_upon_first_use: true, ignore_password_expiry: true, ignore_lockout_failure_attempts: false, lock_password: true, multi_factor_auth_enabled: false, multi_factor_auth_rules: [['password', 'totp']] } })
  await mistakes(s, f, {
    path, kind: 'user', id: user.id, valid: { name: s.name('valid') },
    bad: [{}, { name: '' }, { name: 7 }, { name: LONG }, { name: s.name('one'), domain_id: f.domain_id }, { name: s.name('x'), enabled: 'yes' }, { name: s.name('x'), domain_id: NOBODY }, { name: s.name('x'), password: 7 }, { name: s.name('x'), default_project_id: 7 }, { name: s.name('x'), options: { nonsense: true } }, { name: s.name('x'), options: { lock_password: 'x' } },
      { name: s.name('x'), options: { multi_factor_auth_rules: 'x' } }],
  })
  await s.call('POST', path, { json: { user: { name: s.name('x'), default_project_id: 'default', domain_id: 'default' } }, label: 'a domain as default project' })
  for (const query of [`domain_id=${f.domain_id}`, `name=${s.name('one')}`, `domain_id=${f.domain_id}&enabled=true`, `domain_id=${f.domain_id}&enabled=false`, `name__contains=${s.name('one').slice(1)}`, 'password_expires_at=lt:2000-01-01T00:00:00Z', 'password_expires_at=nonsense', `domain_id=${NOBODY}`]) await s.call('GET', `${path}?${query}`)
  for (const [label, change] of Object.entries({ 'email': { email: 'uno@example.org' }, 'disable': { enabled: false }, 'enable': { enabled: true }, 'name': { name: s.name('uno') }, 'taken': { name: s.name('plain') }, 'domain': { domain_id: 'default' }, 'id': { id: NOBODY }, 'empty': {}, 'options': { options: { ignore_password_expiry: true } }, 'fewer options': { options: { ignore_password_expiry: null } }, 'bad option': { options: { nonsense: 1 } }, 'no default project': { default_project_id: null }, 'password': { password: 'second secret' }, 'number': { password: 5 }, 'description': { description: null } })) await s.call('PATCH', `${path}/${user.id}`, { json: { user: change }, label })
  for (const sub of ['groups', 'projects']) {
    for (const method of ['GET', 'HEAD']) await s.call(method, `${path}/${f.member.id}/${sub}`)
    await s.call('GET', `${path}/${f.member.id}/${sub}`, { as: f.member.token, label: 'own' })
    await s.call('GET', `${path}/${f.member.id}/${sub}`, { as: f.other.token, label: 'as other' })
    await s.call('GET', `${path}/${NOBODY}/${sub}`)
  }
  await s.call('GET', `${path}/${f.member.id}`, { as: f.member.token, label: 'own' })
  await s.call('PATCH', `${path}/${f.member.id}`, { as: f.member.token, json: { user: { email: 'x' } }, label: 'own' })
  await passwords(s, user.id)
  await s.call('DELETE', `${path}/${user.id}`)
  await s.call('GET', `${path}/${user.id}`, { label: 'gone' })
  await s.call('DELETE', `${path}/${user.id}`, { label: 'gone' })
}

async function passwords(s: Side, id: string): Promise<void> {
  const path = `/v3/users/${id}/password`
  const change = (user: unknown, label: string) => s.call('POST', path, { as: null, json: { user }, label })
  await change({ password: 'third secret', original_password: 'wrong' }, 'wrong')
  await change({ password: 'third secret' }, 'no original')
  await change({ original_password: 'second secret' }, 'no new one')
  await change({ password: 7, original_password: 'second secret' }, 'number')
  await change({ password: '', original_password: 'second secret' }, 'empty')
  await change({ password: 'third secret', original_password: 'second secret' }, 'right')
  await s.call('POST', `/v3/users/${NOBODY}/password`, { as: null, json: { user: { password: 'a', original_password: 'b' } }, label: 'nobody' })
  await s.login(password({ id } as never, 'second secret'), { label: 'old password' })
  await s.login(password({ id } as never, 'third secret'), { label: 'new password' })
}

export async function groups(s: Side, f: Furniture): Promise<void> {
  s.area('groups')
  const path = '/v3/groups'
  const group = await s.make('POST', path, 'group', 'group one', { name: s.name('group-one'), domain_id: f.domain_id, description: 'of one', colour: 'red' })
  await s.make('POST', path, 'group', 'group without domain', { name: s.name('nodomain') })
  await mistakes(s, f, { path, kind: 'group', id: group.id, valid: { name: s.name('valid') }, bad: [{}, { name: '' }, { name: 7 }, { name: LONG }, { name: s.name('group-one'), domain_id: f.domain_id }, { name: s.name('x'), domain_id: NOBODY }, { name: s.name('x'), description: 5 }] })
  for (const query of [`domain_id=${f.domain_id}`, `name=${s.name('group-one')}`, `name__startswith=${s.name('group-one')}`]) await s.call('GET', `${path}?${query}`)
  for (const [label, change] of Object.entries({ 'name': { name: s.name('g1') }, 'more': { size: 4 }, 'domain': { domain_id: 'default' }, 'empty': {}, 'null': { description: null }, 'id': { id: NOBODY } })) await s.call('PATCH', `${path}/${group.id}`, { json: { group: change }, label })
  const users = `${path}/${group.id}/users`
  for (const method of ['HEAD', 'GET']) await s.call(method, `${users}/${f.member.id}`, { label: 'not a member' })
  await s.call('DELETE', `${users}/${f.member.id}`, { label: 'not a member' })
  await s.call('PUT', `${users}/${f.member.id}`)
  await s.call('PUT', `${users}/${f.member.id}`, { label: 'again' })
  await s.call('PUT', `${users}/${NOBODY}`)
  await s.call('PUT', `${path}/${NOBODY}/users/${f.member.id}`)
  await s.call('PUT', `${users}/${f.other.id}`, { as: f.member.token, label: 'as member' })
  for (const method of ['HEAD', 'GET']) {
    await s.call(method, `${users}/${f.member.id}`)
    await s.call(method, `${users}/${NOBODY}`)
    await s.call(method, users)
  }
  await s.call('GET', users, { as: f.other.token, label: 'as other' })
  await s.call('GET', `${users}?name=${f.member.name}`)
  await s.call('GET', `${path}/${NOBODY}/users`)
  await s.call('GET', `/v3/users/${f.member.id}/groups`)
  await s.call('GET', `/v3/users/${f.member.id}/groups`, { as: f.member.token, label: 'own' })
  await s.call('GET', `${users}/${f.member.id}`, { as: f.member.token, label: 'own' })
  await s.call('DELETE', `${users}/${f.member.id}`)
  await s.call('DELETE', `${path}/${group.id}`)
  await s.call('GET', `${path}/${group.id}`, { label: 'gone' })
  // Leaving a group ended the member's tokens.
  f.member.token = await s.again(password({ id: f.member.id } as never, f.member.password, inProject(f.project_id)))
}
