/** Secrets at rest: what the object's database shows with a key, without one, and after a rotation. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type IdentityCloud, identityCloud } from './support.ts'

const V3 = '/identity/v3'
const key = (byte: number) => Buffer.alloc(32, byte).toString('base64url')
const CANARY = 'canary-of-a-credential'

const dump = (cloud: IdentityCloud): string => {
  const { storage } = cloud.cluster.instance('IDENTITY', 'identity').deps
  const tables = storage.sql.exec("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").toArray().map((row: { name: string }) => row.name)
  return JSON.stringify(tables.map((name: string) => storage.sql.exec(`SELECT * FROM "${name}"`).toArray()))
}

test('with a key neither blobs nor signing seeds are in the database; a new key seals everything anew, and then the old one can go', async () => {
  const cloud = identityCloud({ vars: { IDENTITY_KEYS: key(1) } })
  const ann = await cloud.tenant('ann')
  const list = async () => (await cloud.call('GET', `${V3}/credentials?user_id=${ann.user_id}`, { token: ann.token })).body.credentials.map((row: { blob: string }) => row.blob)
  const made = await cloud.call('POST', `${V3}/credentials`, { token: ann.token, json: { credential: { type: 'note', blob: CANARY, user_id: ann.user_id } } })
  assert.deepEqual([made.status, made.body.credential.blob, 'sealed' in made.body.credential], [201, CANARY, false])
  assert.ok(!dump(cloud).includes(CANARY))
  const seed = () => cloud.cluster.instance('IDENTITY', 'identity').deps.storage.sql.exec('SELECT seed, sealed FROM signing_keys ORDER BY kid').toArray() as { seed: string; sealed: string }[]
  assert.ok(seed().every((row) => Buffer.from(row.seed, 'base64url').length > 32 && row.sealed !== null))
  const before = seed()[0]?.sealed
  const reboot = (keys: string) => {
    cloud.env.IDENTITY_KEYS = keys
    cloud.cluster.crash('IDENTITY', 'identity')
  }
  reboot(`${key(2)},${key(1)}`)
  assert.deepEqual(await list(), [CANARY])
  assert.notEqual(seed()[0]?.sealed, before)
  reboot(key(2))
  assert.deepEqual(await list(), [CANARY])
  assert.equal((await cloud.login({ project: 'admin' })).status, 201)
  reboot(key(3))
  assert.throws(() => dump(cloud), /does not have/)
  cloud.close()
})

test('a first key seals what was plain', async () => {
  const cloud = identityCloud()
  const ann = await cloud.tenant('ann')
  const ec2 = (await cloud.call('POST', `${V3}/users/${ann.user_id}/credentials/OS-EC2`, { token: ann.token, json: { tenant_id: ann.project_id } })).body.credential
  assert.ok(dump(cloud).includes(ec2.secret))
  cloud.env.IDENTITY_KEYS = key(1)
  cloud.cluster.crash('IDENTITY', 'identity')
  assert.ok(!dump(cloud).includes(ec2.secret))
  assert.equal((await cloud.call('GET', `${V3}/users/${ann.user_id}/credentials/OS-EC2/${ec2.access}`, { token: ann.token })).body.credential.secret, ec2.secret)
  assert.equal((await cloud.call('GET', `${V3}/auth/projects`, { token: ann.token })).status, 200, 'signed by the key that is sealed now')
  cloud.close()
})

test('passwords of directories and secrets at identity providers: plain, then sealed, then under a new key', async () => {
  const cloud = identityCloud()
  const [inDirectory, atProvider] = ['canary-of-a-directory', 'canary-of-a-client']
  const token = await cloud.admin()
  const ok = async (method: string, path: string, json: unknown) => {
    const answer = await cloud.call(method, `${V3}${path}`, { token, json })
    assert.ok(answer.status < 300, answer.text)
    assert.ok(!answer.text.includes('canary'))
  }
  await ok('PUT', '/domains/default/config', { config: { ldap: { url: 'ldap://directory.test', password: inDirectory } } })
  await ok('PUT', '/OS-FEDERATION/mappings/people', { mapping: { rules: [{ local: [{ user: { name: '{0}' } }], remote: [{ type: 'sub' }] }] } })
  await ok('PUT', '/OS-FEDERATION/identity_providers/acme', { identity_provider: { enabled: true } })
  await ok('PUT', '/OS-FEDERATION/identity_providers/acme/protocols/openid', { protocol: { mapping_id: 'people' } })
  await ok('PUT', '/OS-FEDERATION/identity_providers/acme/protocols/openid/oidc', { oidc: { issuer: 'https://idp.example.org', client_id: 'x', client_secret: atProvider } })
  const ask = (part: string, path: string[], ...args: unknown[]) => cloud.cluster.instance('IDENTITY', 'identity').ask(part, path, args)
  const sealed = ask('federation', ['websso', 'begin'], { idp_id: 'acme', protocol_id: 'openid', dashboard: 'https://d.test' })
  const known = () => [ask('federation', ['facts'], 'acme', 'openid').client_secret, dump(cloud).includes(inDirectory), dump(cloud).includes(atProvider)]
  assert.deepEqual(known(), [atProvider, true, true])
  for (const keys of [key(1), `${key(2)},${key(1)}`, key(2)]) {
    cloud.env.IDENTITY_KEYS = keys
    cloud.cluster.crash('IDENTITY', 'identity')
    assert.deepEqual(known(), [atProvider, false, false])
  }
  await ok('PATCH', '/domains/default/config', { config: { identity: { driver: 'ldap' } } })
  assert.equal(ask('directories', ['domain'], 'default').options.password, inDirectory)
  assert.equal(ask('federation', ['websso', 'finish'], sealed.sealed, sealed.login.state).nonce, sealed.login.nonce, 'a login begun before')
  cloud.close()
})

test('secrets of OAuth1 consumers: plain without a key, then sealed; the change log never has them', async () => {
  const cloud = identityCloud()
  const token = await cloud.admin()
  const { consumer } = (await cloud.call('POST', `${V3}/OS-OAUTH1/consumers`, { token, json: { consumer: { description: 'a program' } } })).body
  const kept = () => {
    const { sql } = cloud.cluster.instance('IDENTITY', 'identity').deps.storage
    return [JSON.stringify(sql.exec('SELECT * FROM consumers').toArray()), JSON.stringify(sql.exec('SELECT * FROM _changes').toArray())].map((text) => text.includes(consumer.secret))
  }
  assert.deepEqual(kept(), [true, false])
  cloud.env.IDENTITY_KEYS = key(1)
  cloud.cluster.crash('IDENTITY', 'identity')
  assert.deepEqual(kept(), [false, false])
  cloud.close()
})

test('answers kept for an Idempotency-Key: nothing of them, of the key or of the request can be read; they are given again, also after a rotation, and refused without the key that sealed them', async () => {
  const cloud = identityCloud({ vars: { IDENTITY_KEYS: key(1) } })
  const ann = await cloud.tenant('ann')
  const [consumer, appCred] = [['OS-OAUTH1/consumers', { consumer: { description: 'x' } }], [`users/${ann.user_id}/application_credentials`, { application_credential: { name: 'ac', description: 'word-of-the-request' } }]] as const
  const admin = await cloud.admin()
  const post = (path: string, json: unknown, idempotencyKey: string, token = admin) => cloud.call('POST', `${V3}/${path}`, { token, json, headers: { 'idempotency-key': idempotencyKey } })
  const first = await post(...consumer, 'key-of-a-client-1')
  const second = await post(...appCred, 'key-of-a-client-2', ann.token)
  const again = await post('auth/tokens', { auth: { identity: { methods: ['token'], token: { id: ann.token } } } }, 'key-of-a-client-3', ann.token)
  assert.deepEqual([first.status, second.status, again.status], [201, 201, 201])
  const rows = () => [['IDENTITY', 'identity'], ['PROJECT', ann.project_id], ['PROJECT', 'admin']].map(([kind = '', name = '']) => {
    const { sql } = cloud.cluster.instance(kind, name).deps.storage
    return JSON.stringify(sql.exec('SELECT * FROM _idempotency').toArray())
  }).join()
  const secrets = [first.body.consumer.secret, second.body.application_credential.secret, again.headers.get('x-subject-token'), 'key-of-a-client', ann.user_id, 'word-of-the-request']
  for (const secret of secrets) assert.ok(typeof secret === 'string' && secret.length > 10 && !rows().includes(secret), String(secret))
  const replayed = async (keys: string) => {
    cloud.env.IDENTITY_KEYS = keys
    cloud.cluster.crash('PROJECT', ann.project_id)
    const answer = await post(...appCred, 'key-of-a-client-2', ann.token)
    return [answer.status, answer.body.application_credential?.secret === second.body.application_credential.secret, answer.headers.get('idempotency-replayed')]
  }
  assert.deepEqual(await replayed(key(1)), [201, true, 'true'])
  assert.deepEqual(await replayed(`${key(2)},${key(1)}`), [201, true, 'true'])
  assert.deepEqual(await replayed(key(2)), [409, false, null], 'carried out once: never again')
  assert.equal((await post(appCred[0], { application_credential: { name: 'another' } }, 'key-of-a-client-2', ann.token)).status, 409)
  cloud.close()
})

test('answers that an older release kept readable are sealed at boot, and given again', async () => {
  const cloud = identityCloud({ vars: { IDENTITY_KEYS: key(1) } })
  const ann = await cloud.tenant('ann')
  const post = () => cloud.call('POST', '/network/v2.0/networks', { token: ann.token, json: { network: { name: 'n' } }, headers: { 'idempotency-key': 'older' } })
  const made = await post()
  const object = () => cloud.cluster.instance('PROJECT', ann.project_id).deps.storage.sql
  const plain = object().exec('SELECT * FROM _idempotency').toArray()[0]
  // As it was written before: key and fingerprint as they are, the answer as JSON.
  const body = new TextEncoder().encode(`POST /network/v2.0/networks\n\n${JSON.stringify({ network: { name: 'n' } })}`)
  const fingerprint = Buffer.from(await crypto.subtle.digest('SHA-256', body)).toString('hex')
  object().exec('UPDATE _idempotency SET key = ?, fingerprint = ?, reply = ? WHERE key = ?', `neutron:${ann.user_id}:older`, fingerprint, JSON.stringify({ status: 201, headers: [], body: made.text }), plain.key)
  cloud.cluster.crash('PROJECT', ann.project_id)
  const answer = await post()
  assert.deepEqual([answer.status, answer.text, answer.headers.get('idempotency-replayed')], [201, made.text, 'true'])
  assert.ok(!JSON.stringify(object().exec('SELECT * FROM _idempotency').toArray()).includes(made.body.network.id))
  cloud.close()
})
