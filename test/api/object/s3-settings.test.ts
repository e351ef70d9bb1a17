/** What a bucket is set to, and what comes of it: lists, policies, CORS, tags, versions, locks, lifecycle, forms. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, test } from 'node:test'
import { amzDate, sign, signingKey } from '../../../workers/http/sigv4.ts'
import { MEMBER, OTHER, READER, type S3Cloud, type S3Options, s3Cloud, xmlText, xmlTexts } from './s3-cloud.ts'

const DAY_MS = 86_400_000
let cloud: S3Cloud
let now = Date.UTC(2026, 10, 22, 12)
before(async () => {
  cloud = await s3Cloud({ hosts: 1, clock: { now_ms: () => now } })
})
after(() => cloud.close())

const code = async (method: string, path: string, options: S3Options = {}) => xmlText((await cloud.s3(method, path, options)).text, 'Code')
const set = async (bucket: string, name: string, body: string) => {
  const answer = await cloud.s3('PUT', `/${bucket}`, { query: { [name]: '' }, body })
  assert.ok(answer.status < 300, answer.text)
}
const versioning = (bucket: string, status: string) => set(bucket, 'versioning', `<VersioningConfiguration><Status>${status}</Status></VersioningConfiguration>`)
const fire = async (bucket: string) => await cloud.cluster.instance('CONTAINER', `AUTH_project-a/${bucket}`).alarm()

test('lists: canned, by header, by XML; anonymous reads, other projects, single objects; Swift sees the same', async () => {
  await cloud.s3('PUT', '/acls', { headers: { 'x-amz-acl': 'public-read' } })
  await cloud.s3('PUT', '/acls/a', { body: 'a' })
  assert.equal((await cloud.raw('GET', '/s3/acls/a')).text, 'a')
  assert.deepEqual(xmlTexts((await cloud.raw('GET', '/s3/acls')).text, 'Key'), ['a'])
  assert.equal((await cloud.raw('PUT', '/s3/acls/b', { body: 'b' })).status, 403)
  assert.deepEqual(xmlTexts((await cloud.s3('GET', '/acls', { query: { acl: '' } })).text, 'Permission'), ['FULL_CONTROL', 'READ'])
  assert.equal((await cloud.swift('GET', '/acls/a', { token: '' })).status, 200)
  await cloud.s3('PUT', '/acls', { query: { acl: '' }, headers: { 'x-amz-acl': 'private' } })
  assert.equal((await cloud.raw('GET', '/s3/acls/a')).status, 403)
  const xml = `<AccessControlPolicy><Owner><ID>project-a</ID></Owner><AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>project-b</ID></Grantee><Permission>WRITE</Permission></Grant></AccessControlList></AccessControlPolicy>`
  await set('acls', 'acl', xml)
  assert.equal((await cloud.s3('PUT', '/acls/from-b', { key: OTHER, body: 'b' })).status, 200)
  assert.equal((await cloud.s3('GET', '/acls/a', { key: OTHER })).status, 403)
  await cloud.s3('PUT', '/acls/open', { body: 'open', headers: { 'x-amz-acl': 'public-read' } })
  assert.deepEqual([(await cloud.raw('GET', '/s3/acls/open')).text, (await cloud.raw('GET', '/s3/acls/a')).status], ['open', 403])
  await cloud.s3('PUT', '/acls/a', { query: { acl: '' }, headers: { 'x-amz-grant-read': 'id="project-b"' } })
  assert.equal((await cloud.s3('GET', '/acls/a', { key: OTHER })).text, 'a')
  assert.equal(await code('PUT', '/acls', { query: { acl: '' }, headers: { 'x-amz-acl': 'nonsense' } }), 'InvalidArgument')
  assert.equal(await code('PUT', '/acls', { query: { acl: '' } }), 'MissingSecurityHeader')
  assert.equal(await code('GET', '/acls', { query: { acl: '' }, key: OTHER }), 'AccessDenied')
})

test('policies: principals, resources, conditions; Deny wins, also over the owner; broken ones are refused', async () => {
  await cloud.s3('PUT', '/policed')
  for (const key of ['open/x', 'secret/x']) await cloud.s3('PUT', `/policed/${key}`, { body: key, headers: { 'x-amz-tagging': 'class=red' } })
  const put = async (...statements: unknown[]) => await cloud.s3('PUT', '/policed', { query: { policy: '' }, body: JSON.stringify({ Version: '2012-10-17', Statement: statements }) })
  const allow = (more: object) => ({ Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: 'arn:aws:s3:::policed/open/*', ...more })
  assert.equal((await put(allow({}))).status, 204)
  assert.deepEqual([(await cloud.raw('GET', '/s3/policed/open/x')).status, (await cloud.raw('GET', '/s3/policed/secret/x')).status, (await cloud.raw('GET', '/s3/policed')).status], [200, 403, 403])
  assert.equal(xmlText((await cloud.s3('GET', '/policed', { query: { policyStatus: '' } })).text, 'IsPublic'), 'true')
  await put(allow({ Principal: { AWS: 'arn:aws:iam::project-b:user/user-b' }, Action: ['s3:GetObject', 's3:PutObject'] }), { Effect: 'Deny', Principal: '*', Action: 's3:DeleteObject', Resource: 'arn:aws:s3:::policed/*' })
  assert.equal((await cloud.s3('GET', '/policed/open/x', { key: OTHER })).text, 'open/x')
  assert.equal((await cloud.s3('PUT', '/policed/open/y', { key: OTHER, body: 'y' })).status, 200)
  assert.equal((await cloud.raw('GET', '/s3/policed/open/x')).status, 403)
  assert.equal(await code('DELETE', '/policed/open/x'), 'AccessDenied')
  await put(allow({ Condition: { StringEquals: { 's3:ExistingObjectTag/class': 'red' }, StringLike: { 'aws:Referer': 'https://good.example/*' } } }))
  assert.equal((await cloud.raw('GET', '/s3/policed/open/x', { headers: { referer: 'https://good.example/page' } })).status, 200)
  assert.equal((await cloud.raw('GET', '/s3/policed/open/x', { headers: { referer: 'https://bad.example/' } })).status, 403)
  await put({ Effect: 'Deny', Principal: '*', Action: 's3:*', Resource: ['arn:aws:s3:::policed', 'arn:aws:s3:::policed/*'] })
  assert.equal(await code('GET', '/policed/open/x'), 'AccessDenied')
  assert.equal((await cloud.s3('DELETE', '/policed', { query: { policy: '' } })).status, 204, 'the owner can always take it away')
  for (const bad of [allow({ Resource: 'arn:aws:s3:::another/*' }), allow({ Effect: 'allow' }), allow({ Action: 'ec2:Run' }), allow({ Condition: { StringEquals: { 'aws:unknown': 'x' } } }), allow({ Condition: { Sometimes: { 'aws:Referer': 'x' } } }), allow({ Extra: 1 })]) assert.equal(xmlText((await put(bad)).text, 'Code'), 'MalformedPolicy', JSON.stringify(bad))
  assert.equal(await code('PUT', '/policed', { query: { policy: '' }, key: READER, body: '{}' }), 'AccessDenied')
  assert.equal(await code('GET', '/policed', { query: { policy: '' } }), 'NoSuchBucketPolicy')
})

test('CORS: rules, preflights, and headers for the page that asks', async () => {
  await cloud.s3('PUT', '/shared', { headers: { 'x-amz-acl': 'public-read' } })
  await cloud.s3('PUT', '/shared/x', { body: 'x' })
  await set('shared', 'cors', '<CORSConfiguration><CORSRule><AllowedOrigin>https://*.example</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>x-*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds></CORSRule></CORSConfiguration>')
  const ask = (origin: string, method: string, headers = 'x-a') => cloud.raw('OPTIONS', '/shared/x', { headers: { origin, 'access-control-request-method': method, 'access-control-request-headers': headers } })
  const good = await ask('https://a.example', 'GET')
  assert.deepEqual([good.status, good.headers.get('access-control-allow-origin'), good.headers.get('access-control-max-age'), good.headers.get('access-control-allow-headers')], [200, 'https://a.example', '60', 'x-a'])
  for (const [origin, method, headers] of [['https://a.test', 'GET', 'x-a'], ['https://a.example', 'PUT', 'x-a'], ['https://a.example', 'GET', 'y-a']] as const) assert.equal((await ask(origin, method, headers)).status, 403)
  assert.equal((await cloud.raw('GET', '/s3/shared/x', { headers: { origin: 'https://b.example' } })).headers.get('access-control-expose-headers'), 'ETag')
  assert.equal((await cloud.raw('GET', '/s3/shared/x', { headers: { origin: 'https://b.test' } })).headers.get('access-control-allow-origin'), null)
  assert.equal(xmlText((await cloud.s3('GET', '/shared', { query: { cors: '' } })).text, 'AllowedOrigin'), 'https://*.example')
  assert.equal((await cloud.s3('DELETE', '/shared', { query: { cors: '' } })).status, 204)
  assert.equal(await code('GET', '/shared', { query: { cors: '' } }), 'NoSuchCORSConfiguration')
})

test('tags of buckets and objects', async () => {
  await cloud.s3('PUT', '/tagged')
  const tagging = (pairs: [string, string][]) => `<Tagging><TagSet>${pairs.map(([key, value]) => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`).join('')}</TagSet></Tagging>`
  await set('tagged', 'tagging', tagging([['team', 'a b']]))
  assert.equal(xmlText((await cloud.s3('GET', '/tagged', { query: { tagging: '' } })).text, 'Value'), 'a b')
  await cloud.s3('PUT', '/tagged/x', { body: 'x' })
  assert.equal((await cloud.s3('PUT', '/tagged/x', { query: { tagging: '' }, body: tagging([['k', 'v'], ['n', '1']]) })).status, 200)
  assert.equal((await cloud.s3('HEAD', '/tagged/x')).headers.get('x-amz-tagging-count'), '2')
  assert.deepEqual(xmlTexts((await cloud.s3('GET', '/tagged/x', { query: { tagging: '' } })).text, 'Key'), ['k', 'n'])
  assert.equal(await code('PUT', '/tagged/x', { query: { tagging: '' }, body: tagging([['k', '1'], ['k', '2']]) }), 'InvalidTag')
  assert.equal(await code('PUT', '/tagged/x', { query: { tagging: '' }, body: tagging(Array.from({ length: 11 }, (_, n) => [`k${n}`, 'v'])) }), 'InvalidTag')
  assert.equal((await cloud.s3('DELETE', '/tagged/x', { query: { tagging: '' } })).status, 204)
  assert.deepEqual(xmlTexts((await cloud.s3('GET', '/tagged/x', { query: { tagging: '' } })).text, 'Key'), [])
  assert.equal(await code('GET', '/tagged/none', { query: { tagging: '' } }), 'NoSuchKey')
})

test('versions: kept, listed, read, marked, removed for good; suspended; Swift has the same', async () => {
  await cloud.s3('PUT', '/kept')
  await cloud.s3('PUT', '/kept/x', { body: 'null' })
  await versioning('kept', 'Enabled')
  const write = async (body: string) => {
    now += 1_000
    return (await cloud.s3('PUT', '/kept/x', { body })).headers.get('x-amz-version-id') ?? ''
  }
  const [one, two] = [await write('one'), await write('two')]
  const get = async (id?: string) => (await cloud.s3('GET', '/kept/x', id === undefined ? {} : { query: { versionId: id } })).text
  assert.deepEqual([await get(), await get(one), await get(two), await get('null')], ['two', 'one', 'two', 'null'])
  now += 1_000
  const gone = await cloud.s3('DELETE', '/kept/x')
  assert.deepEqual([gone.status, gone.headers.get('x-amz-delete-marker')], [204, 'true'])
  const marker = gone.headers.get('x-amz-version-id') ?? ''
  const missing = await cloud.s3('GET', '/kept/x')
  assert.deepEqual([missing.status, missing.headers.get('x-amz-delete-marker'), xmlText(missing.text, 'Code')], [404, 'true', 'NoSuchKey'])
  assert.equal((await cloud.s3('GET', '/kept/x', { query: { versionId: marker } })).status, 405)
  const listed = await cloud.s3('GET', '/kept', { query: { versions: '' } })
  assert.deepEqual([xmlTexts(listed.text, 'VersionId'), xmlTexts(listed.text, 'IsLatest')], [[marker, two, one, 'null'], ['true', 'false', 'false', 'false']])
  const page = await cloud.s3('GET', '/kept', { query: { versions: '', 'max-keys': '2' } })
  const rest = await cloud.s3('GET', '/kept', { query: { versions: '', 'key-marker': xmlText(page.text, 'NextKeyMarker') ?? '', 'version-id-marker': xmlText(page.text, 'NextVersionIdMarker') ?? '' } })
  assert.deepEqual([...xmlTexts(page.text, 'VersionId').slice(0, 2), ...xmlTexts(rest.text, 'VersionId')].length, 4)
  assert.equal(await code('DELETE', '/kept'), 'BucketNotEmpty')
  await cloud.s3('DELETE', '/kept/x', { query: { versionId: marker } })
  assert.equal(await get(), 'two', 'the newest that is left is current')
  await cloud.s3('DELETE', '/kept/x', { query: { versionId: two } })
  assert.equal(await get(), 'one')
  assert.equal((await cloud.swift('GET', '/kept/x', { token: await cloud.token({ role: 'member' }) })).text, 'one')
  await versioning('kept', 'Suspended')
  assert.equal(await write('new null'), 'null')
  assert.deepEqual([await get(), await get('null'), await get(one)], ['new null', 'new null', 'one'])
  const copy = await cloud.s3('PUT', '/kept/y', { headers: { 'x-amz-copy-source': `/kept/x?versionId=${one}` } })
  assert.equal(copy.headers.get('x-amz-copy-source-version-id'), one)
  assert.equal((await cloud.s3('GET', '/kept/y')).text, 'one')
})

test('object lock: retention in both modes, holds, defaults; neither dialect removes what is locked', async () => {
  assert.equal((await cloud.s3('PUT', '/locked', { headers: { 'x-amz-bucket-object-lock-enabled': 'true' } })).status, 200)
  assert.equal(await code('PUT', '/locked', { query: { versioning: '' }, body: '<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>' }), 'InvalidBucketState')
  const until = new Date(now + 10 * DAY_MS).toISOString()
  const lock = (mode: string) => ({ 'x-amz-object-lock-mode': mode, 'x-amz-object-lock-retain-until-date': until })
  const put = async (key: string, headers: Record<string, string>) => (await cloud.s3('PUT', `/locked/${key}`, { body: key, headers })).headers.get('x-amz-version-id') ?? ''
  const [governed, strict, held] = [await put('g', lock('GOVERNANCE')), await put('c', lock('COMPLIANCE')), await put('h', { 'x-amz-object-lock-legal-hold': 'ON' })]
  assert.deepEqual([(await cloud.s3('HEAD', '/locked/g')).headers.get('x-amz-object-lock-mode'), (await cloud.s3('HEAD', '/locked/h')).headers.get('x-amz-object-lock-legal-hold')], ['GOVERNANCE', 'ON'])
  const remove = async (key: string, id: string, bypass = false, as = MEMBER) => (await cloud.s3('DELETE', `/locked/${key}`, { query: { versionId: id }, key: as, ...(bypass ? { headers: { 'x-amz-bypass-governance-retention': 'true' } } : {}) })).status
  assert.deepEqual([await remove('g', governed), await remove('c', strict), await remove('c', strict, true), await remove('h', held, true)], [403, 403, 403, 403])
  const token = await cloud.token({ role: 'member' })
  await cloud.s3('PUT', '/locked', { query: { acl: '' }, headers: { 'x-amz-acl': 'public-read-write' } })
  assert.equal(await remove('g', governed, true, OTHER), 403, 'who may write may not pass over a lock')
  assert.equal((await cloud.s3('PUT', '/locked/g', { key: OTHER, query: { retention: '' }, body: '<Retention/>' })).status, 403)
  assert.equal((await cloud.swift('DELETE', `/locked/c?version-id=${strict}`, { token })).status, 403)
  assert.equal((await cloud.s3('DELETE', '/locked/c')).status, 204, 'a marker hides it; the version stays')
  assert.equal((await cloud.s3('GET', '/locked/c', { query: { versionId: strict } })).text, 'c')
  assert.equal(await remove('g', governed, true), 204)
  const retain = (mode: string, at: number) => `<Retention><Mode>${mode}</Mode><RetainUntilDate>${new Date(at).toISOString()}</RetainUntilDate></Retention>`
  const retention = { retention: '', versionId: strict }
  assert.equal(await code('PUT', '/locked/c', { query: retention, body: retain('COMPLIANCE', now + DAY_MS), headers: { 'x-amz-bypass-governance-retention': 'true' } }), 'AccessDenied')
  assert.equal((await cloud.s3('PUT', '/locked/c', { query: retention, body: retain('COMPLIANCE', now + 20 * DAY_MS) })).status, 200)
  assert.equal((await cloud.s3('PUT', '/locked/h', { query: { 'legal-hold': '' }, body: '<LegalHold><Status>OFF</Status></LegalHold>' })).status, 200)
  assert.equal(await remove('h', held), 204)
  await set('locked', 'object-lock', '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>')
  const byDefault = await put('d', {})
  assert.equal(await remove('d', byDefault), 403)
  now += 21 * DAY_MS
  assert.deepEqual([await remove('d', byDefault), await remove('c', strict)], [204, 204])
  assert.equal(await code('PUT', '/kept/x', { body: 'x', headers: { 'x-amz-object-lock-legal-hold': 'ON' } }), 'InvalidRequest')
})

test('lifecycle: objects, old versions, lone markers and uploads go when their time has come', async () => {
  await cloud.s3('PUT', '/aging')
  await set('aging', 'lifecycle', `<LifecycleConfiguration>
    <Rule><ID>tmp</ID><Status>Enabled</Status><Filter><Prefix>tmp/</Prefix></Filter><Expiration><Days>2</Days></Expiration></Rule>
    <Rule><ID>tagged</ID><Status>Enabled</Status><Filter><Tag><Key>short</Key><Value>yes</Value></Tag></Filter><Expiration><Days>1</Days></Expiration></Rule>
    <Rule><ID>parts</ID><Status>Enabled</Status><Filter/><AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>`)
  for (const key of ['tmp/a', 'keep/a']) await cloud.s3('PUT', `/aging/${key}`, { body: 'x' })
  await cloud.s3('PUT', '/aging/tagged', { body: 'x', headers: { 'x-amz-tagging': 'short=yes' } })
  await cloud.s3('POST', '/aging/unfinished', { query: { uploads: '' } })
  const keys = async () => xmlTexts((await cloud.s3('GET', '/aging')).text, 'Key')
  now += DAY_MS + 3_600_000
  await fire('aging')
  assert.deepEqual(await keys(), ['keep/a', 'tagged', 'tmp/a'], 'days end at midnight')
  now += DAY_MS
  await fire('aging')
  assert.deepEqual(await keys(), ['keep/a', 'tmp/a'])
  assert.deepEqual(xmlTexts((await cloud.s3('GET', '/aging', { query: { uploads: '' } })).text, 'Key'), [])
  now += DAY_MS
  await fire('aging')
  assert.deepEqual(await keys(), ['keep/a'])
  await cloud.s3('PUT', '/aging-versions')
  await versioning('aging-versions', 'Enabled')
  await set('aging-versions', 'lifecycle', '<LifecycleConfiguration><Rule><ID>v</ID><Status>Enabled</Status><Filter/><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration></Rule></LifecycleConfiguration>')
  for (const body of ['1', '2']) await cloud.s3('PUT', '/aging-versions/x', { body })
  await cloud.s3('PUT', '/aging-versions/gone', { body: 'x' })
  await cloud.s3('DELETE', '/aging-versions/gone')
  const versions = async () => xmlTexts((await cloud.s3('GET', '/aging-versions', { query: { versions: '' } })).text, 'Key')
  assert.deepEqual(await versions(), ['gone', 'gone', 'x', 'x'])
  now += 3 * DAY_MS
  await fire('aging-versions')
  assert.deepEqual(await versions(), ['gone', 'x'], 'what was hidden goes first')
  now += DAY_MS
  await fire('aging-versions')
  assert.deepEqual(await versions(), ['x'])
  assert.equal((await cloud.s3('GET', '/aging-versions/x')).text, '2')
  assert.equal(await code('PUT', '/aging', { query: { lifecycle: '' }, body: '<LifecycleConfiguration><Rule><ID>t</ID><Status>Enabled</Status><Filter/><Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition></Rule></LifecycleConfiguration>' }), 'NotImplemented')
})

test('forms: signed policies are held to, by version 4 and 2', async () => {
  await cloud.s3('PUT', '/forms')
  const send = async (conditions: unknown[], fields: Record<string, string>, file = 'the file', change: Record<string, string> = {}, v2 = false) => {
    const date = amzDate(now)
    const credential = `${MEMBER.access}/${date.slice(0, 8)}/us-east-1/s3/aws4_request`
    const own: Record<string, string> = v2 ? { AWSAccessKeyId: MEMBER.access } : { 'x-amz-algorithm': 'AWS4-HMAC-SHA256', 'x-amz-credential': credential, 'x-amz-date': date }
    const policy = Buffer.from(JSON.stringify({ expiration: new Date(now + 60_000).toISOString(), conditions: [...conditions, ...(v2 ? [] : Object.entries(own).map(([name, value]) => ({ [name]: value })))] })).toString('base64')
    const signature = v2 ? { signature: createHmac('sha1', MEMBER.secret).update(policy).digest('base64') } : { 'x-amz-signature': sign(signingKey(MEMBER.secret, { date: date.slice(0, 8), region: 'us-east-1', service: 's3' }), policy) }
    const all = { ...fields, ...own, policy, ...signature, ...change }
    const body = `${Object.entries(all).map(([name, value]) => `--XX\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`).join('')}--XX\r\nContent-Disposition: form-data; name="file"; filename="photo.txt"\r\nContent-Type: text/photo\r\n\r\n${file}\r\n--XX--\r\n`
    return await cloud.raw('POST', '/forms', { headers: { 'content-type': 'multipart/form-data; boundary=XX' }, body })
  }
  const conditions = [{ bucket: 'forms' }, ['starts-with', '$key', 'up/'], ['content-length-range', 1, 20], { success_action_status: '201' }]
  const fields = { key: ['up/$', '{filename}'].join(''), success_action_status: '201' }
  for (const v2 of [false, true]) {
    const made = await send(conditions, fields, 'the file', {}, v2)
    assert.deepEqual([made.status, xmlText(made.text, 'Key')], [201, 'up/photo.txt'], made.text)
  }
  const got = await cloud.s3('GET', '/forms/up/photo.txt')
  assert.deepEqual([got.text, got.headers.get('content-type')], ['the file', 'text/photo'])
  const refused = async (...args: Parameters<typeof send>) => xmlText((await send(...args)).text, 'Code')
  assert.equal(await refused(conditions, { ...fields, key: 'elsewhere/x' }), 'AccessDenied')
  assert.equal(await refused(conditions, { ...fields, acl: 'public-read' }), 'AccessDenied', 'a field without a condition')
  assert.equal(await refused(conditions, fields, 'x'.repeat(21)), 'EntityTooLarge')
  assert.equal(await refused(conditions, fields, 'x', { 'x-amz-signature': '0'.repeat(64) }), 'SignatureDoesNotMatch')
  assert.equal(await refused([{ bucket: 'other' }], fields), 'AccessDenied')
  assert.equal((await cloud.raw('POST', '/forms', { headers: { 'content-type': 'multipart/form-data; boundary=XX' }, body: '--XX\r\nContent-Disposition: form-data; name="key"\r\n\r\nk\r\n--XX\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--XX--\r\n' })).status, 403)
})

test('read-only accounts and rate limits hold for S3, too', async () => {
  await cloud.s3('PUT', '/gated')
  await cloud.s3('PUT', '/gated/x', { body: 'x' })
  const before = cloud.env.OPTIONS
  try {
    cloud.env.OPTIONS = JSON.stringify({ swift: { read_only: true } })
    assert.equal((await cloud.s3('PUT', '/gated/y', { body: 'y' })).status, 405)
    assert.equal((await cloud.s3('DELETE', '/gated/x')).status, 405)
    assert.equal((await cloud.s3('GET', '/gated/x')).text, 'x')
  } finally {
    cloud.env.OPTIONS = before ?? ''
  }
})

test('buckets have a name for everybody, first come; others are reached by their project', async () => {
  await cloud.s3('PUT', '/common-name', { headers: { 'x-amz-acl': 'public-read' } })
  await cloud.s3('PUT', '/common-name', { key: OTHER, headers: { 'x-amz-acl': 'public-read' } })
  await cloud.s3('PUT', '/common-name/x', { body: 'a' })
  await cloud.s3('PUT', '/common-name/x', { key: OTHER, body: 'b' })
  const read = async (path: string) => (await cloud.raw('GET', path)).text
  assert.deepEqual([await read('/s3/common-name/x'), await read('/s3/project-a:common-name/x'), await read('/s3/project-b:common-name/x')], ['a', 'a', 'b'])
  assert.deepEqual([(await cloud.s3('GET', '/common-name/x', { key: OTHER })).text, (await cloud.s3('GET', '/project-a:common-name/x', { key: OTHER })).text], ['b', 'a'])
  await cloud.s3('DELETE', '/common-name/x')
  assert.equal((await cloud.s3('DELETE', '/common-name')).status, 204)
  now += 2_000
  assert.equal((await cloud.raw('GET', '/s3/common-name/x')).status, 404)
  assert.equal((await cloud.s3('PUT', '/common-name', { key: MEMBER })).status, 200)
  assert.equal((await cloud.s3('GET', '/only-mine/x', { key: OTHER })).status, 404)
})
