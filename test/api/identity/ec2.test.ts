/** Requests signed with EC2 credentials: ec2tokens and s3tokens for services, and what our own S3 asks of Identity. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '../../../schema/values/fault.ts'
import { ec2QuerySignature, hmacBase64 } from '../../../workers/http/sigv2.ts'
import { amzDate, sha256Hex, sign, signatureOf, signingKey } from '../../../workers/http/sigv4.ts'
import { type IdentityCloud, type Tenant, identityCloud } from './support.ts'

const V3 = '/identity/v3'

interface Key {
  access: string
  secret: string
}

async function keyOf(cloud: IdentityCloud, tenant: Tenant): Promise<Key> {
  const made = await cloud.call('POST', `${V3}/users/${tenant.user_id}/credentials/OS-EC2`, { token: tenant.token, json: { tenant_id: tenant.project_id } })
  assert.equal(made.status, 201, made.text)
  return made.body.credential
}

/** A version 4 request as a service would hand it in. */
function version4({ access, secret }: Key, change: { at_ms?: number; body?: string; path?: string } = {}) {
  const amz_date = amzDate(change.at_ms ?? Date.now())
  const scope = { date: amz_date.slice(0, 8), region: 'RegionOne', service: 'ec2' }
  const headers = new Headers({ host: 'cloud.test:8788', 'x-amz-date': amz_date })
  const body_hash = sha256Hex('Action=DescribeInstances')
  const signature = signatureOf(signingKey(secret, scope), amz_date, scope, { method: 'POST', path: '/', query: '', headers, signed_headers: ['host', 'x-amz-date'], payload_hash: body_hash, service: 'ec2' })
  const authorization = `AWS4-HMAC-SHA256 Credential=${access}/${scope.date}/${scope.region}/ec2/aws4_request,SignedHeaders=host;x-amz-date,Signature=${signature}`
  return {
    access, signature, host: 'cloud.test:8788', verb: 'POST', path: change.path ?? '/', params: { Action: 'DescribeInstances' }, headers: { Host: 'cloud.test:8788', 'X-Amz-Date': amz_date, Authorization: authorization },
    body_hash: change.body === undefined ? body_hash : sha256Hex(change.body),
  }
}

function version2({ access, secret }: Key, at_ms = Date.now()) {
  const params = { AWSAccessKeyId: access, Action: 'DescribeInstances', SignatureMethod: 'HmacSHA256', SignatureVersion: '2', Timestamp: new Date(at_ms).toISOString().slice(0, 19), Version: '2014-10-01' }
  const signature = ec2QuerySignature(secret, { method: 'GET', host: 'cloud.test', path: '/', params }) ?? ''
  return { access, signature, host: 'cloud.test', verb: 'GET', path: '/', params }
}

function s3({ access, secret }: Key, at_ms = Date.now()) {
  const amz_date = amzDate(at_ms)
  const scope = { date: amz_date.slice(0, 8), region: 'us-east-1', service: 's3' }
  const text = ['AWS4-HMAC-SHA256', amz_date, `${scope.date}/us-east-1/s3/aws4_request`, sha256Hex('a request')].join('\n')
  return { access, token: Buffer.from(text).toString('base64'), signature: sign(signingKey(secret, scope), text) }
}

async function setting() {
  const cloud = identityCloud()
  const [ann, service] = [await cloud.tenant('ann'), await cloud.tenant('ec2-api', 'service')]
  const ask = (path: 'ec2tokens' | 's3tokens', credentials: unknown, token: string | undefined = service.token) => cloud.call('POST', `${V3}/${path}`, { token, json: { credentials } })
  return { cloud, ann, service, ask, key: await keyOf(cloud, ann) }
}

test('a signed EC2 request, versions 2 and 4, is a token of who signed it, on the credential\'s project', async () => {
  const { cloud, ann, ask, key } = await setting()
  for (const credentials of [version4(key), version2(key)]) {
    const answer = await ask('ec2tokens', credentials)
    assert.equal(answer.status, 200, answer.text)
    const { token } = answer.body
    assert.deepEqual([token.user.id, token.project.id, token.methods], [ann.user_id, ann.project_id, ['ec2credential']])
    const bearer = answer.headers.get('x-subject-token') ?? ''
    assert.equal((await cloud.call('GET', '/compute/v2.1/servers', { token: bearer })).status, 200)
    const rescoped = await cloud.login({ token: bearer, project_id: ann.project_id })
    assert.equal(rescoped.status, 403, 'a key is for its project alone')
    assert.equal((await cloud.call('POST', `${V3}/users/${ann.user_id}/credentials/OS-EC2`, { token: bearer, json: { tenant_id: ann.project_id } })).status, 403)
    assert.equal((await cloud.call('POST', `${V3}/users/${ann.user_id}/application_credentials`, { token: bearer, json: { application_credential: { name: 'x' } } })).status, 403)
  }
  cloud.close()
})

test('a signature over anything else is refused: other secret, path, body, host, parameters', async () => {
  const { cloud, ask, key } = await setting()
  const good = version4(key)
  const bad = [version4({ ...key, secret: 'other' }), version4(key, { path: '/other' }), version4(key, { body: 'Action=TerminateInstances' }), { ...good, host: 'evil.test', headers: { ...good.headers, Host: 'evil.test' } }, { ...good, verb: 'GET' }, { ...good, signature: '' }]
  for (const credentials of bad) assert.equal((await ask('ec2tokens', credentials)).status, 401)
  assert.equal((await ask('ec2tokens', { ...version2(key), params: { ...version2(key).params, Action: 'TerminateInstances' } })).status, 401)
  assert.equal((await ask('ec2tokens', version4({ access: 'nobody', secret: 'x' }))).status, 404)
  assert.equal((await cloud.call('POST', `${V3}/ec2tokens`, { token: (await setting()).service.token, json: {} })).status, 401)
  cloud.close()
})

test('S16: ec2tokens and s3tokens are for services: strangers, users and administrators are refused, and an s3token is no bearer', async () => {
  const { cloud, ann, ask, key } = await setting()
  for (const [path, credentials] of [['ec2tokens', version4(key)], ['s3tokens', s3(key)]] as const) {
    assert.equal((await cloud.call('POST', `${V3}/${path}`, { json: { credentials } })).status, 401, 'anonymous')
    assert.equal((await ask(path, credentials, ann.token)).status, 403, 'the user itself')
    assert.equal((await ask(path, credentials, await cloud.admin())).status, 403, 'an administrator')
  }
  const answer = await ask('s3tokens', s3(key))
  assert.equal(answer.status, 200, answer.text)
  assert.equal(answer.headers.get('x-subject-token'), null)
  assert.deepEqual([answer.body.token.user.id, answer.body.token.project.id], [ann.user_id, ann.project_id])
  for (const bearer of [...(answer.body.token.audit_ids as string[]), s3(key).token, s3(key).signature]) assert.equal((await cloud.call('GET', `${V3}/auth/projects`, { token: bearer })).status, 401)
  assert.equal((await ask('s3tokens', { ...s3(key), signature: s3({ ...key, secret: 'x' }).signature })).status, 401)
  const old = { access: key.access, token: Buffer.from('GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/b/k').toString('base64') }
  assert.equal((await ask('s3tokens', { ...old, signature: hmacBase64('sha1', key.secret, 'GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/b/k') })).status, 200)
  cloud.close()
})

test('S17: a signature sixteen minutes old, or ahead, or without a time, is refused', async () => {
  const { cloud, ask, key } = await setting()
  const minute = 60_000
  assert.equal((await ask('ec2tokens', version4(key, { at_ms: Date.now() - 14 * minute }))).status, 200)
  for (const off of [-16, 16]) {
    assert.equal((await ask('ec2tokens', version4(key, { at_ms: Date.now() + off * minute }))).status, 401)
    assert.equal((await ask('ec2tokens', version2(key, Date.now() + off * minute))).status, 401)
  }
  const { Timestamp: _, ...params } = version2(key).params
  assert.equal((await ask('ec2tokens', { ...version2(key), params, signature: ec2QuerySignature(key.secret, { method: 'GET', host: 'cloud.test', path: '/', params }) })).status, 401)
  assert.equal((await ask('s3tokens', s3(key, Date.now() - 8 * 86_400_000))).status, 401)
  cloud.close()
})

/** Name -> what ends the signer's right; each must end signed requests, tokens made by them, and what S3 keeps, before it is answered. */
const ENDS: Record<string, (cloud: IdentityCloud, admin: string, ann: Tenant, key: Key) => Promise<{ status: number }>> = {
  'user disabled': (cloud, token, ann) => cloud.call('PATCH', `${V3}/users/${ann.user_id}`, { token, json: { user: { enabled: false } } }),
  'user deleted': (cloud, token, ann) => cloud.call('DELETE', `${V3}/users/${ann.user_id}`, { token }),
  'project disabled': (cloud, token, ann) => cloud.call('PATCH', `${V3}/projects/${ann.project_id}`, { token, json: { project: { enabled: false } } }),
  'project deleted': (cloud, token, ann) => cloud.call('DELETE', `${V3}/projects/${ann.project_id}`, { token }),
  'role removed': async (cloud, token, ann) => cloud.call('DELETE', `${V3}/projects/${ann.project_id}/users/${ann.user_id}/roles/${(await cloud.call('GET', `${V3}/roles?name=member`, { token })).body.roles[0].id}`, { token }),
  'credential deleted': (cloud, token, ann, key) => cloud.call('DELETE', `${V3}/users/${ann.user_id}/credentials/OS-EC2/${key.access}`, { token }),
  'secret changed': (cloud, token, _ann, key) => cloud.call('PATCH', `${V3}/credentials/${sha256Hex(key.access)}`, { token, json: { credential: { blob: JSON.stringify({ access: key.access, secret: 'another' }) } } }),
}

for (const [name, end] of Object.entries(ENDS)) {
  test(`S21: ${name}: signed requests, tokens made by them and kept signing keys end at once`, async () => {
    const { cloud, ann, ask, key } = await setting()
    const bearer = (await ask('ec2tokens', version4(key))).headers.get('x-subject-token') ?? ''
    const identity = cloud.env.IDENTITY.getByName('identity')
    const asked = { access: key.access, date: '20260101', region: 'us-east-1', service: 's3' }
    const { caller, signing_key } = await identity.s3SigningKey(asked)
    assert.deepEqual([caller.user_id, caller.project_id, Buffer.from(signing_key).toString('hex')], [ann.user_id, ann.project_id, Buffer.from(signingKey(key.secret, asked)).toString('hex')])
    assert.ok((await end(cloud, await cloud.admin(), ann, key)).status < 300)
    assert.ok([401, 404].includes((await ask('ec2tokens', version4(key))).status))
    assert.ok([401, 404].includes((await ask('s3tokens', s3(key))).status))
    assert.equal((await cloud.call('GET', '/compute/v2.1/servers', { token: bearer })).status, 401)
    await assert.rejects(async () => await cloud.env.PROJECT.getByName(ann.project_id).call(caller, [], []), /requires authentication/)
    if (name !== 'secret changed') await assert.rejects(async () => await identity.s3SigningKey(asked), (error) => isFault(error) && error.type === 'InvalidAccessKeyId')
    await assert.rejects(async () => await identity.s3Verify({ access: key.access, string_to_sign: 'x', signature: hmacBase64('sha1', key.secret, 'x') }), (error) => isFault(error))
    cloud.close()
  })
}

test('S18: a restricted application credential makes no key; an unrestricted one makes keys with its own roles at most; a key keeps its owner', async () => {
  const cloud = identityCloud()
  const ann = await cloud.tenant('ann', 'manager')
  const service = await cloud.tenant('ec2-api', 'service')
  const login = async (unrestricted: boolean) => {
    const made = (await cloud.call('POST', `${V3}/users/${ann.user_id}/application_credentials`, { token: ann.token, json: { application_credential: { name: String(unrestricted), unrestricted, roles: [{ name: 'reader' }] } } })).body.application_credential
    const issued = await cloud.call('POST', `${V3}/auth/tokens`, { json: { auth: { identity: { methods: ['application_credential'], application_credential: { id: made.id, secret: made.secret } } } } })
    return { id: made.id, token: issued.headers.get('x-subject-token') ?? '' }
  }
  const keys = `${V3}/users/${ann.user_id}/credentials/OS-EC2`
  const [closed, open] = [await login(false), await login(true)]
  assert.equal((await cloud.call('POST', keys, { token: closed.token, json: { tenant_id: ann.project_id } })).status, 403)
  assert.equal((await cloud.call('POST', `${V3}/credentials`, { token: closed.token, json: { credential: { type: 'ec2', blob: '{"access":"a","secret":"b"}', project_id: ann.project_id } } })).status, 403)
  const made = await cloud.call('POST', keys, { token: open.token, json: { tenant_id: ann.project_id } })
  assert.equal(made.status, 201, made.text)
  const key = made.body.credential as Key
  const answer = await cloud.call('POST', `${V3}/ec2tokens`, { token: service.token, json: { credentials: version4(key) } })
  assert.deepEqual(answer.body.token.roles.map((role: { name: string }) => role.name), ['reader'])
  const id = sha256Hex(key.access)
  for (const change of [{ user_id: service.user_id }, { project_id: service.project_id }]) assert.equal((await cloud.call('PATCH', `${V3}/credentials/${id}`, { token: ann.token, json: { credential: change } })).status, 403)
  assert.equal((await cloud.call('PATCH', `${V3}/credentials/${id}`, { token: ann.token, json: { credential: { blob: JSON.stringify({ ...key, app_cred_id: 'other' }) } } })).status, 400)
  assert.equal((await cloud.call('DELETE', `${V3}/users/${ann.user_id}/application_credentials/${open.id}`, { token: ann.token })).status, 204)
  assert.equal((await cloud.call('POST', `${V3}/ec2tokens`, { token: service.token, json: { credentials: version4(key) } })).status, 401, 'the key ends with its application credential')
  cloud.close()
})

test('S18: a key for a project where the user has no role signs for nothing, whoever made it', async () => {
  const cloud = identityCloud()
  const [ann, bob, service] = [await cloud.tenant('ann'), await cloud.tenant('bob'), await cloud.tenant('ec2-api', 'service')]
  const made = await cloud.call('POST', `${V3}/users/${ann.user_id}/credentials/OS-EC2`, { token: ann.token, json: { tenant_id: bob.project_id } })
  assert.equal(made.status, 201, made.text)
  assert.equal((await cloud.call('POST', `${V3}/ec2tokens`, { token: service.token, json: { credentials: version4(made.body.credential) } })).status, 401)
  assert.equal((await cloud.call('POST', `${V3}/users/${bob.user_id}/credentials/OS-EC2`, { token: ann.token, json: { tenant_id: bob.project_id } })).status, 403)
  cloud.close()
})
