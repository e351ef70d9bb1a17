/** `skyhook import keystone`: the tables of a real Keystone (Debian's 22.0.2, SQLite: keystone-22-dump.json) brought over, and what those people can do then. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Tally, carry, parseDump, planOf } from '../../../bin/lib/keystone-dump.ts'
import { type IdentityCloud, identityCloud } from './support.ts'

const V3 = '/identity/v3'
const DUMP = readFileSync(join(import.meta.dirname, 'keystone-22-dump.json'), 'utf8')

async function bring(cloud: IdentityCloud, text = DUMP): Promise<{ tallies: Map<string, Tally>; notes: string[] }> {
  const token = await cloud.admin()
  const notes: string[] = []
  const tallies = await carry(planOf(parseDump(text)), async (batch) => {
    const answer = await cloud.call('POST', '/identity/skyhook/import', { token, json: batch })
    assert.equal(answer.status, 200, answer.text)
    return answer.body.results
  }, (note) => notes.push(note))
  return { tallies, notes }
}

const idIn = (table: string, name: string): string => parseDump(DUMP)[table]?.find((row) => row.name === name)?.id as string
const userIn = (name: string): string => parseDump(DUMP).local_user?.find((row) => row.name === name)?.user_id as string

test('everybody of the old cloud logs in with the old password on the old ids, with the old roles', async () => {
  const cloud = identityCloud()
  const { tallies, notes } = await bring(cloud)
  assert.deepEqual(notes, [])
  assert.equal([...tallies.values()].reduce((sum, tally) => sum + tally.refused, 0), 0)
  assert.deepEqual(tallies.get('user'), { made: 5, kept: 0, mapped: 1, refused: 0 }, 'the admin of the old cloud is ours, with our password')
  const web = idIn('project', 'web')
  for (const kind of ['scrypt', 'bcrypt', 'pbkdf2_sha512']) {
    const answer = await cloud.login({ user_id: userIn(`user-${kind}`), password: `password of ${kind}`, project_id: web })
    assert.equal(answer.status, 201, `${kind}: ${answer.text}`)
    assert.equal((await cloud.login({ user_id: userIn(`user-${kind}`), password: 'wrong', project_id: web })).status, 401)
  }
  const roles = (await cloud.login({ user_id: userIn('user-scrypt'), password: 'password of scrypt', project_id: web })).body.token.roles.map((role: { name: string }) => role.name).sort()
  assert.deepEqual(roles, ['member', 'operator', 'reader'], 'the old operator implies our member, which implies our reader')
  assert.equal((await cloud.login({ user_id: userIn('user-scrypt'), password: 'password of scrypt', system: true })).status, 201)
  assert.equal((await cloud.login({ user_id: userIn('disabled'), password: 'x' })).status, 401)
  assert.equal((await cloud.login({ user_id: userIn('no-password'), password: '' })).status, 401)
  const token = await cloud.admin()
  const { project } = (await cloud.call('GET', `${V3}/projects/${web}`, { token })).body
  assert.deepEqual([project.name, project.description, project.tags.sort(), project.options, project.enabled], ['web', 'Web shop', ['eu', 'prod'], { immutable: true }, true])
  const staging = (await cloud.call('GET', `${V3}/projects/${idIn('project', 'web-staging')}`, { token })).body.project
  assert.deepEqual([staging.parent_id, staging.enabled, staging.cost_centre], [web, false, '42'])
  const { user } = (await cloud.call('GET', `${V3}/users/${userIn('user-scrypt')}`, { token })).body
  assert.deepEqual([user.email, user.options, user.default_project_id], ['scrypt@acme.test', { ignore_password_expiry: true, lock_password: false }, web])
  assert.equal((await cloud.call('GET', `${V3}/groups/${idIn('group', 'staff')}/users`, { token })).body.users.length, 2)
  cloud.close()
})

test('a hash of the old cloud is written anew at the first login', async () => {
  const cloud = identityCloud()
  await bring(cloud)
  const hashOf = () => cloud.cluster.instance('IDENTITY', 'identity').deps.storage.sql.exec('SELECT hash FROM passwords WHERE user_id = ?', userIn('user-bcrypt')).toArray()[0].hash as string
  assert.match(hashOf(), /^\$2b\$/)
  for (let n = 0; n < 2; n++) assert.equal((await cloud.login({ user_id: userIn('user-bcrypt'), password: 'password of bcrypt' })).status, 201)
  assert.match(hashOf(), /^\$scrypt\$ln=4,/)
  cloud.close()
})

test('a second run makes nothing, changes nothing that was changed here, and takes no password back', async () => {
  const cloud = identityCloud()
  await bring(cloud)
  const token = await cloud.admin()
  const id = userIn('user-scrypt')
  await cloud.call('PATCH', `${V3}/users/${id}`, { token, json: { user: { password: 'a newer one', name: 'renamed' } } })
  const { tallies } = await bring(cloud)
  for (const [kind, tally] of tallies) assert.deepEqual([tally.made, tally.refused], [0, 0], kind)
  assert.equal((await cloud.login({ user_id: id, password: 'password of scrypt' })).status, 401)
  assert.equal((await cloud.login({ user_id: id, password: 'a newer one' })).status, 201)
  assert.equal((await cloud.call('GET', `${V3}/users/${id}`, { token })).body.user.name, 'renamed')
  cloud.close()
})

test('what hangs on nothing is refused by itself and told; what is not brought over is told too', async () => {
  const cloud = identityCloud()
  const dump = parseDump(DUMP)
  const users = dump.user ?? []
  dump.assignment?.push({ type: 'UserProject', actor_id: 'ghost', target_id: idIn('project', 'web'), role_id: idIn('role', 'operator'), inherited: 0 })
  dump.implied_role?.push({ prior_role_id: idIn('role', 'reader'), implied_role_id: idIn('role', 'operator') })
  for (const row of dump.password ?? []) row.password_hash = String(row.password_hash).replace(/^\$2b\$.*/, '$6$old$hash')
  dump.user = [...users, { ...users[0], id: 'from-ldap' }]
  dump.endpoint = [{ id: 'x' }]
  const { tallies, notes } = await bring(cloud, JSON.stringify(dump))
  assert.deepEqual([tallies.get('assignment')?.refused, tallies.get('implied_role')?.refused, tallies.get('user')?.made], [1, 1, 5])
  assert.equal(notes.length, 3, notes.join('\n'))
  assert.equal((await cloud.login({ user_id: userIn('user-bcrypt'), password: 'password of bcrypt' })).status, 401)
  assert.deepEqual(planOf(dump).left, ["1 users that have no local name (they come from LDAP or an identity provider)", "table 'endpoint' (1 rows)"])
  cloud.close()
})

test('only an administrator imports, hashes are in no answer and no log, and a dump that is none is refused in a sentence', async () => {
  const cloud = identityCloud()
  const ann = await cloud.tenant('ann', 'manager')
  for (const token of [undefined, ann.token]) assert.ok([401, 403].includes((await cloud.call('POST', '/identity/skyhook/import', { token, json: { kind: 'role', rows: [] } })).status))
  await bring(cloud)
  const changes = JSON.stringify(cloud.cluster.instance('IDENTITY', 'identity').deps.storage.sql.exec('SELECT * FROM _changes').toArray())
  for (const row of parseDump(DUMP).password ?? []) assert.ok(!changes.includes(String(row.password_hash)))
  const token = await cloud.admin()
  for (const rows of [[{ id: '../x', name: 'n' }], [{ id: 'x', name: '', options: {}, extra: {}, domain_id: null, description: null }], 'x']) assert.equal((await cloud.call('POST', '/identity/skyhook/import', { token, json: { kind: 'role', rows } })).status, 400)
  for (const [text, why] of [['{', /no JSON/], ['[]', /must be an object/], ['{}', /lacks the table 'project'/], [JSON.stringify({ ...parseDump(DUMP), user: 'x' }), /list of rows/]] as const) assert.throws(() => parseDump(text), why)
  cloud.close()
})
