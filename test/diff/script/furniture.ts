/** What every area of the script stands on: a domain, projects, users with roles, a group. Made by the API itself, so that it is compared too. */
import { type Side, inProject, password } from '../side.ts'

export interface Furniture {
  admin_id: string
  admin_project_id: string
  roles: Record<'admin' | 'member' | 'reader', string>
  domain_id: string
  project_id: string
  other_project_id: string
  member: { id: string; name: string; password: string; token: string }
  other: { id: string; name: string; password: string; token: string }
  group_id: string
}

export const NOBODY = '0badf00d0badf00d0badf00d0badf00d'
export const LONG = 'x'.repeat(300)

export async function furnish(s: Side): Promise<Furniture> {
  s.area('furniture')
  const scope = { project: { name: 'admin', domain: { id: 'default' } } }
  const answer = await s.call('POST', '/v3/auth/tokens', { as: null, quiet: true, json: { auth: password('admin', s.cloud.password, scope) } })
  s.token = answer.headers.get('x-subject-token') ?? ''
  if (s.token === '') throw new Error(`no login at ${s.cloud.root}: ${answer.status}`)
  const { user, project } = answer.body.token
  s.learn(user.id, 'user admin')
  s.learn(project.id, 'project admin')
  const found = (await s.call('GET', '/v3/roles', { quiet: true })).body.roles as { id: string; name: string }[]
  const role = (name: string) => found.find((each) => each.name === name)?.id ?? ''
  const roles = { admin: role('admin'), member: role('member'), reader: role('reader') }
  for (const [name, id] of Object.entries(roles)) s.learn(id, `role ${name}`)
  const domain = await s.make('POST', '/v3/domains', 'domain', 'domain', { name: s.name('domain') })
  const p1 = await s.make('POST', '/v3/projects', 'project', 'project', { name: s.name('project'), domain_id: 'default' })
  const p2 = await s.make('POST', '/v3/projects', 'project', 'other project', { name: s.name('other'), domain_id: 'default' })
  const person = async (word: string, projectId: string, roleId: string) => {
    const secret = `secret of ${word}`
    const user = await s.make('POST', '/v3/users', 'user', word, { name: s.name(word), domain_id: 'default', password: secret })
    await s.call('PUT', `/v3/projects/${projectId}/users/${user.id}/roles/${roleId}`)
    return { id: user.id as string, name: s.name(word), password: secret, token: await s.login(password({ id: user.id } as never, secret, inProject(projectId)), { label: word }) }
  }
  const member = await person('user member', p1.id, roles.member)
  const other = await person('user other', p2.id, roles.reader)
  const group = await s.make('POST', '/v3/groups', 'group', 'group', { name: s.name('group'), domain_id: 'default' })
  return { admin_id: user.id, admin_project_id: project.id, roles, domain_id: domain.id, project_id: p1.id, other_project_id: p2.id, member, other, group_id: group.id }
}

/** The same mistakes, made at every resource: an id that is not there, bodies of the wrong shape, the wrong person, nobody. */
export async function mistakes(s: Side, f: Furniture, spec: { path: string; kind: string; id: string; valid: Record<string, unknown>; bad: Record<string, unknown>[]; patch?: Record<string, unknown>; noPatch?: boolean; noList?: boolean }): Promise<void> {
  const { path, kind, id, valid, bad } = spec
  const label = (text: string) => ({ label: text })
  await s.call('GET', `${path}/${NOBODY}`, label('missing'))
  await s.call('HEAD', `${path}/${NOBODY}`, label('missing'))
  await s.call('DELETE', `${path}/${NOBODY}`, label('missing'))
  if (!spec.noPatch) {
    await s.call('PATCH', `${path}/${NOBODY}`, { ...label('missing'), json: { [kind]: spec.patch ?? { description: 'x' } } })
    await s.call('PATCH', `${path}/${id}`, { ...label('no body'), json: {} })
    await s.call('PATCH', `${path}/${id}`, { ...label('as member'), as: f.member.token, json: { [kind]: spec.patch ?? { description: 'x' } } })
  }
  await s.call('POST', path, { ...label('nothing inside'), json: {} })
  await s.call('POST', path, { ...label('not an object'), json: { [kind]: 'text' } })
  for (const [at, body] of bad.entries()) await s.call('POST', path, { ...label(`bad ${at}`), json: { [kind]: body } })
  for (const key of Object.keys(valid)) {
    const { [key]: _gone, ...rest } = valid
    if (bad.some((each) => JSON.stringify(each) === JSON.stringify(rest))) await s.call('POST', path, { ...label(`without ${key}`), json: { [kind]: rest } })
  }
  await s.call('GET', `${path}/${id}`)
  await s.call('HEAD', `${path}/${id}`)
  await s.call('POST', path, { ...label('as member'), as: f.member.token, json: { [kind]: valid } })
  await s.call('GET', `${path}/${id}`, { ...label('as other'), as: f.other.token })
  await s.call('GET', `${path}/${NOBODY}`, { ...label('missing, as other'), as: f.other.token })
  await s.call('DELETE', `${path}/${id}`, { ...label('as other'), as: f.other.token })
  await s.call('GET', `${path}/${id}`, { ...label('nobody'), as: null })
  await s.call('PUT', `${path}/${id}`, { ...label('wrong method'), json: { [kind]: valid } })
  if (!spec.noList) {
    await s.call('GET', path)
    await s.call('HEAD', path)
    await s.call('GET', path, { ...label('as other'), as: f.other.token })
    await s.call('GET', path, { ...label('nobody'), as: null })
    await s.call('PATCH', path, { ...label('wrong method'), json: {} })
  }
}
