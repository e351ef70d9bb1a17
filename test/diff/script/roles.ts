/** Roles, what they imply, grants of every kind, assignments. */
import { type Side, inProject, password } from '../side.ts'
import { type Furniture, LONG, NOBODY, mistakes } from './furniture.ts'

export async function roles(s: Side, f: Furniture): Promise<void> {
  s.area('roles')
  const path = '/v3/roles'
  const role = await s.make('POST', path, 'role', 'role one', { name: s.name('one'), description: 'of one', colour: 'red' })
  const two = await s.make('POST', path, 'role', 'role two', { name: s.name('two') })
  const local = await s.make('POST', path, 'role', 'role local', { name: s.name('local'), domain_id: f.domain_id })
  await mistakes(s, f, { path, kind: 'role', id: role.id, valid: { name: s.name('valid') }, bad: [{}, { name: '' }, { name: 7 }, { name: LONG }, { name: s.name('one') }, { name: s.name('x'), domain_id: NOBODY }, { name: s.name('x'), description: 5 }, { name: s.name('x'), options: { immutable: 'x' } }] })
  for (const query of [`name=${s.name('one')}`, `domain_id=${f.domain_id}`, `name__contains=${s.name('one').slice(1)}`]) await s.call('GET', `${path}?${query}`)
  await s.call('GET', `${path}/${local.id}`, { label: 'of a domain' })
  for (const [label, change] of Object.entries({ 'name': { name: s.name('uno') }, 'taken': { name: s.name('two') }, 'domain': { domain_id: f.domain_id }, 'more': { size: 3 }, 'empty': {}, 'immutable': { options: { immutable: true } }, 'while immutable': { description: 'x' }, 'mutable': { options: { immutable: false } } })) await s.call('PATCH', `${path}/${role.id}`, { json: { role: change }, label })
  await implied(s, f, role.id, two.id, local.id)
  await s.call('DELETE', `${path}/${local.id}`, { label: 'of a domain' })
  await s.call('DELETE', `${path}/${role.id}`)
  await s.call('DELETE', `${path}/${two.id}`)
  await s.call('GET', `${path}/${role.id}`, { label: 'gone' })
}

async function implied(s: Side, f: Furniture, prior: string, other: string, local: string): Promise<void> {
  s.area('implied roles')
  const path = `/v3/roles/${prior}/implies`
  await s.call('GET', path, { label: 'none' })
  await s.call('PUT', `${path}/${other}`)
  await s.call('PUT', `${path}/${other}`, { label: 'again' })
  await s.call('PUT', `${path}/${f.roles.reader}`)
  await s.call('PUT', `${path}/${prior}`, { label: 'itself' })
  await s.call('PUT', `${path}/${local}`, { label: 'of a domain' })
  await s.call('PUT', `/v3/roles/${local}/implies/${other}`, { label: 'from a domain' })
  await s.call('PUT', `${path}/${NOBODY}`)
  await s.call('PUT', `/v3/roles/${NOBODY}/implies/${other}`)
  await s.call('PUT', `${path}/${f.roles.admin}`, { label: 'admin' })
  await s.call('PUT', `${path}/${other}`, { as: f.member.token, label: 'as member' })
  for (const method of ['GET', 'HEAD']) {
    await s.call(method, path)
    await s.call(method, `${path}/${other}`)
    await s.call(method, `${path}/${f.roles.member}`, { label: 'not implied' })
    await s.call(method, '/v3/role_inferences')
  }
  await s.call('GET', path, { as: f.member.token, label: 'as member' })
  await s.call('GET', '/v3/role_inferences', { as: f.member.token, label: 'as member' })
  await s.call('GET', `/v3/roles/${NOBODY}/implies`)
  await s.call('DELETE', `${path}/${other}`)
  await s.call('DELETE', `${path}/${other}`, { label: 'gone' })
  await s.call('DELETE', `${path}/${f.roles.reader}`)
  s.area('roles')
}

export async function grants(s: Side, f: Furniture): Promise<void> {
  s.area('grants')
  const role = await s.make('POST', '/v3/roles', 'role', 'role granted', { name: s.name('granted') })
  const local = await s.make('POST', '/v3/roles', 'role', 'role of the domain', { name: s.name('localgrant'), domain_id: f.domain_id })
  const actors = [['users', f.other.id], ['groups', f.group_id]] as const
  const targets = [`/v3/projects/${f.project_id}`, `/v3/domains/${f.domain_id}`, `/v3/OS-INHERIT/projects/${f.project_id}`, `/v3/OS-INHERIT/domains/${f.domain_id}`, '/v3/system']
  for (const target of targets) {
    for (const [kind, id] of actors) {
      const tail = target.includes('OS-INHERIT') ? '/inherited_to_projects' : ''
      const list = `${target}/${kind}/${id}/roles${tail}`
      const one = (roleId: string, actor: string = id) => `${target}/${kind}/${actor}/roles/${roleId}${tail}`
      await s.call('GET', list, { label: 'none' })
      for (const method of ['HEAD', 'GET', 'DELETE']) await s.call(method, one(role.id), { label: 'not granted' })
      await s.call('PUT', one(role.id))
      await s.call('PUT', one(role.id), { label: 'again' })
      await s.call('PUT', one(NOBODY))
      await s.call('PUT', one(role.id, NOBODY))
      await s.call('PUT', one(local.id), { label: 'role of a domain' })
      await s.call('PUT', one(role.id), { as: f.member.token, label: 'as member' })
      for (const method of ['HEAD', 'GET']) {
        await s.call(method, list)
        await s.call(method, one(role.id))
        await s.call(method, one(role.id), { as: f.member.token, label: 'as member' })
      }
      await s.call('GET', list, { as: f.member.token, label: 'as member' })
    }
  }
  await s.call('PUT', `/v3/projects/${NOBODY}/users/${f.other.id}/roles/${role.id}`)
  await s.call('PUT', `/v3/domains/${NOBODY}/users/${f.other.id}/roles/${role.id}`)
  await s.call('GET', `/v3/projects/${NOBODY}/users/${f.other.id}/roles`)
  await assignments(s, f, role.id)
  s.area('grants')
  for (const target of targets) {
    for (const [kind, id] of actors) {
      const one = `${target}/${kind}/${id}/roles/${role.id}${target.includes('OS-INHERIT') ? '/inherited_to_projects' : ''}`
      await s.call('DELETE', one)
      await s.call('DELETE', one, { label: 'gone' })
    }
  }
  await s.call('DELETE', `/v3/roles/${role.id}`, { quiet: true })
  f.other.token = await s.again(password({ id: f.other.id } as never, f.other.password, inProject(f.other_project_id)))
}

async function assignments(s: Side, f: Furniture, roleId: string): Promise<void> {
  s.area('assignments')
  await s.call('PUT', `/v3/groups/${f.group_id}/users/${f.member.id}`, { quiet: true })
  const base = '/v3/role_assignments'
  const queries = [
    `user.id=${f.member.id}`, `user.id=${f.other.id}`, `group.id=${f.group_id}`, `role.id=${roleId}`, `scope.project.id=${f.project_id}`, `scope.domain.id=${f.domain_id}`, `scope.system=all&user.id=${f.other.id}`,
    `user.id=${f.member.id}&effective`, `user.id=${f.other.id}&effective`, `scope.project.id=${f.project_id}&effective`, `scope.domain.id=${f.domain_id}&effective`, `user.id=${f.member.id}&effective&include_names`,
    `user.id=${f.other.id}&include_names`, `group.id=${f.group_id}&include_names=true`, `scope.project.id=${f.project_id}&include_subtree`, `scope.project.id=${f.project_id}&include_subtree=true&include_names`,
    `user.id=${f.other.id}&scope.OS-INHERIT:inherited_to=projects`, `scope.system=all&include_names&user.id=${f.other.id}`, `user.id=${f.member.id}&scope.project.id=${f.project_id}&effective=0`, `user.id=${NOBODY}`, `role.id=${NOBODY}`, `scope.project.id=${NOBODY}`,
    `user.id=${f.member.id}&group.id=${f.group_id}`, `scope.project.id=${f.project_id}&scope.domain.id=${f.domain_id}`, `scope.system=all&scope.domain.id=${f.domain_id}`, 'scope.system=all&effective', 'scope.OS-INHERIT:inherited_to=nonsense', 'include_subtree', `group.id=${f.group_id}&effective`,
    `effective&scope.domain.id=${f.domain_id}&scope.OS-INHERIT:inherited_to=projects`, `user.id=${f.other.id}&effective&scope.OS-INHERIT:inherited_to=projects`,
  ]
  for (const query of queries) await s.call('GET', `${base}?${query}`)
  await s.call('HEAD', `${base}?user.id=${f.member.id}`)
  await s.call('GET', base, { as: f.member.token, label: 'as member' })
  await s.call('GET', `${base}?scope.project.id=${f.project_id}&include_subtree`, { as: f.member.token, label: 'as member' })
  await s.call('DELETE', `/v3/groups/${f.group_id}/users/${f.member.id}`, { quiet: true })
  f.member.token = await s.again(password({ id: f.member.id } as never, f.member.password, inProject(f.project_id)))
}
