/** Requests signed by an EC2 credential, shown to Keystone by a service: each version of the signature, and what is refused. */
import { createHash, createHmac } from 'node:crypto'
import { type Side, inProject, password } from '../side.ts'
import type { Furniture } from './furniture.ts'

const hmac = (hash: string, key: string | Buffer, text: string) => createHmac(hash, key).update(text).digest()
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const amz = (at_ms: number) => new Date(at_ms).toISOString().replace(/[-:]|\.\d+/g, '')
const stamp = (at_ms: number) => new Date(at_ms).toISOString().replace(/\.\d+/, '')

interface Key {
  access: string
  secret: string
}

/** Versions 0 to 2 sign the parameters of a query. */
function byQuery({ access, secret }: Key, version: '0' | '1' | '2', at_ms: number, host = 'ec2.example.org:8773') {
  const params: Record<string, string> = { Action: 'DescribeInstances', AWSAccessKeyId: access, SignatureVersion: version, Timestamp: stamp(at_ms), ...(version === '2' ? { SignatureMethod: 'HmacSHA256' } : {}) }
  const names = Object.keys(params).sort((a, b) => (version === '1' ? (a.toLowerCase() < b.toLowerCase() ? -1 : 1) : a < b ? -1 : 1))
  const text = version === '0' ? `${params.Action}${params.Timestamp}` : version === '1' ? names.map((name) => name + params[name]).join('') : `GET\n${host}\n/services/Cloud\n${names.map((name) => `${encodeURIComponent(name)}=${encodeURIComponent(params[name] ?? '')}`).join('&')}`
  return { access, host, verb: 'GET', path: '/services/Cloud', params, signature: hmac(version === '2' ? 'sha256' : 'sha1', secret, text).toString('base64') }
}

const scopeKey = (secret: string, day: string, region: string, service: string) => ['aws4_request'].reduce<Buffer>((key, part) => hmac('sha256', key, part), hmac('sha256', hmac('sha256', hmac('sha256', `AWS4${secret}`, day), region), service))

/** Version 4 signs a header. */
function byHeader({ access, secret }: Key, at_ms: number, host = 'ec2.example.org:8773') {
  const date = amz(at_ms)
  const scope = `${date.slice(0, 8)}/RegionOne/ec2/aws4_request`
  const body_hash = sha256('Action=DescribeInstances')
  const canonical = `POST\n/\n\nhost:${host}\nx-amz-date:${date}\n\nhost;x-amz-date\n${body_hash}`
  const text = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${sha256(canonical)}`
  const signature = hmac('sha256', scopeKey(secret, date.slice(0, 8), 'RegionOne', 'ec2'), text).toString('hex')
  const headers = { Host: host, 'X-Amz-Date': date, Authorization: `AWS4-HMAC-SHA256 Credential=${access}/${scope}, SignedHeaders=host;x-amz-date, Signature=${signature}` }
  return { access, host, verb: 'POST', path: '/', params: {}, headers, body_hash, signature }
}

function forS3({ access, secret }: Key, version: 'two' | 'four', at_ms: number, service = 's3') {
  const date = amz(at_ms)
  const text = version === 'two' ? `GET\n\n\n${new Date(at_ms).toUTCString()}\n/bucket/object` : `AWS4-HMAC-SHA256\n${date}\n${date.slice(0, 8)}/RegionOne/${service}/aws4_request\n${sha256('canonical')}`
  const signature = version === 'two' ? hmac('sha1', secret, text).toString('base64') : hmac('sha256', scopeKey(secret, date.slice(0, 8), 'RegionOne', service), text).toString('hex')
  return { access, signature, token: Buffer.from(text).toString('base64url') }
}

/** Somebody with the role that services have. */
async function serviceToken(s: Side, f: Furniture): Promise<{ token: string; user_id: string }> {
  const named = (await s.call('GET', '/v3/roles?name=service', { quiet: true })).body?.roles?.[0]
  const role = named ?? (await s.call('POST', '/v3/roles', { quiet: true, json: { role: { name: 'service' } } })).body?.role
  s.learn(role?.id, 'role service')
  const user = await s.make('POST', '/v3/users', 'user', 'user service', { name: s.name('service'), domain_id: 'default', password: 'of the service' })
  await s.call('PUT', `/v3/projects/${f.other_project_id}/users/${user.id}/roles/${role?.id}`)
  return { token: await s.login(password({ id: user.id } as never, 'of the service', inProject(f.other_project_id)), { label: 'service' }), user_id: user.id }
}

export async function signatures(s: Side, f: Furniture): Promise<void> {
  s.area('signatures')
  const service = await serviceToken(s, f)
  const made = await s.call('POST', `/v3/users/${f.member.id}/credentials/OS-EC2`, { quiet: true, json: { tenant_id: f.project_id }, as: f.member.token })
  const key: Key = { access: made.body?.credential?.access ?? '', secret: made.body?.credential?.secret ?? '' }
  s.learn(key.access, 'access')
  const now = Date.now()
  const hour = 3_600_000
  const ec2 = (credentials: unknown, label: string, as: string | null = service.token) => s.call('POST', '/v3/ec2tokens', { as, label, json: { credentials } })
  for (const version of ['0', '1', '2'] as const) {
    await ec2(byQuery(key, version, now), `version ${version}`)
    await ec2(byQuery({ ...key, secret: 'wrong' }, version, now), `version ${version}, wrong secret`)
    await ec2(byQuery(key, version, now - hour), `version ${version}, an hour ago`)
  }
  await ec2(byHeader(key, now), 'version 4')
  await ec2({ ...byQuery(key, '2', now, 'ec2.example.org'), host: 'ec2.example.org:8773' }, 'signed without the port')
  await ec2(byHeader({ ...key, secret: 'wrong' }, now), 'version 4, wrong secret')
  await ec2(byHeader(key, now - hour), 'version 4, an hour ago')
  await ec2(byQuery({ ...key, access: 'nobody' }, '2', now), 'unknown access')
  await ec2({ ...byQuery(key, '2', now), signature: undefined }, 'no signature')
  await ec2({ ...byQuery(key, '2', now), access: undefined }, 'no access')
  for (const name of ['credential', 'ec2Credentials']) await s.call('POST', '/v3/ec2tokens', { as: service.token, label: `as ${name}`, json: { [name]: byQuery(key, '2', now) } })
  const s3 = (credentials: unknown, label: string, as: string | null = service.token) => s.call('POST', '/v3/s3tokens', { as, label, json: { credentials } })
  for (const version of ['two', 'four'] as const) {
    await s3(forS3(key, version, now), `version ${version}`)
    await s3(forS3({ ...key, secret: 'wrong' }, version, now), `version ${version}, wrong secret`)
    await s3(forS3({ ...key, access: 'nobody' }, version, now), `version ${version}, unknown access`)
  }
  for (const kind of ['iam', 'sts', 'ec2']) await s3(forS3(key, 'four', now, kind), `of ${kind}`)
  await s3({ ...forS3(key, 'four', now), signature: 'nonsense' }, 'nonsense')
  for (const [path, signed] of [['/v3/ec2tokens', byQuery(key, '2', now)], ['/v3/s3tokens', forS3(key, 'four', now)]] as const) {
    for (const [label, as] of [['as member', f.member.token], ['as admin', s.token], ['nobody', null]] as const) await s.call('POST', path, { as, label, json: { credentials: signed } })
    await s.call('POST', path, { as: service.token, label: 'nothing' , json: {} })
    await s.call('POST', path, { as: service.token, label: 'nothing inside', json: { credentials: {} } })
    await s.call('POST', path, { as: service.token, label: 'not json', body: '{', headers: { 'content-type': 'application/json' } })
    await s.call('GET', path, { as: service.token, label: 'wrong method' })
  }
  await s.call('PATCH', `/v3/users/${f.member.id}`, { quiet: true, json: { user: { enabled: false } } })
  await ec2(byQuery(key, '2', now), 'of a disabled user')
  await s3(forS3(key, 'four', now), 'of a disabled user')
  await s.call('PATCH', `/v3/users/${f.member.id}`, { quiet: true, json: { user: { enabled: true } } })
  await s.call('PATCH', `/v3/projects/${f.project_id}`, { quiet: true, json: { project: { enabled: false } } })
  await ec2(byQuery(key, '2', now), 'in a disabled project')
  await s3(forS3(key, 'four', now), 'in a disabled project')
  await s.call('PATCH', `/v3/projects/${f.project_id}`, { quiet: true, json: { project: { enabled: true } } })
  await s.call('DELETE', `/v3/users/${f.member.id}/credentials/OS-EC2/${key.access}`, { quiet: true })
  await ec2(byQuery(key, '2', now), 'of a deleted credential')
  await s3(forS3(key, 'four', now), 'of a deleted credential')
  await s.call('DELETE', `/v3/users/${service.user_id}`, { quiet: true })
  f.member.token = await s.again(password({ id: f.member.id } as never, f.member.password, inProject(f.project_id)))
}
