/** Objects that are encrypted on the disks: what the disks show, rotation, off again, damage, keys that are gone, what hosts tell of them; and how S3 speaks of it. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { applyUpdate, checkListings } from '../../../workers/object/updates.ts'
import { PREFIX } from '../../../workers/object/names.ts'
import { onDisks } from '../../support/on-disks.ts'
import { type ObjectCloud, objectCloud } from './cloud.ts'
import { type S3Cloud, s3Cloud, xmlText } from './s3-cloud.ts'

const secret = (byte: number) => Buffer.alloc(32, byte).toString('base64url')
const md5 = (text: string | Uint8Array) => createHash('md5').update(text).digest('hex')
const BODY = 'a body that nobody may read'

let cloud: ObjectCloud
const encrypt = (env: Env, on: boolean, ...bytes: number[]) => {
  env.OPTIONS = on ? JSON.stringify({ swift: { encryption: true } }) : ''
  env.OBJECT_KEYS = bytes.map(secret).join(',')
}

before(async () => {
  cloud = await objectCloud({ hosts: 3, drivers: true })
  encrypt(cloud.env, true, 1)
  await cloud.swift('PUT', '/c')
})
after(() => cloud.close())

test('bodies, ETags and metadata are on no disk; the API, listings and /info are as ever', async () => {
  const put = await cloud.swift('PUT', '/c/o', { body: BODY, headers: { 'x-object-meta-a': 'a-metadata-value', 'content-type': 'text/x-private', etag: md5(BODY) } })
  assert.deepEqual([put.status, put.headers.get('etag')], [201, md5(BODY)])
  await cloud.swift('POST', '/c/o', { headers: { 'x-object-meta-a': 'posted-value' } })
  const shown = await onDisks(cloud.drivers.values())
  for (const text of [BODY, md5(BODY), 'a-metadata-value', 'posted-value', 'x-private']) assert.ok(!shown.includes(text), text)
  assert.ok(shown.includes('/AUTH_project-a/c/o'), 'names are not hidden')
  const got = await cloud.swift('GET', '/c/o')
  assert.deepEqual([got.text, got.headers.get('etag'), got.headers.get('x-object-meta-a'), got.headers.get('content-type')], [BODY, md5(BODY), 'posted-value', 'text/x-private'])
  assert.equal((await cloud.swift('GET', '/c/o', { headers: { range: 'bytes=2-5' } })).text, 'body')
  const [row] = (await cloud.swift('GET', '/c?format=json')).body as { hash: string; bytes: number; content_type: string }[]
  assert.deepEqual([row?.hash, row?.bytes, row?.content_type], [md5(BODY), BODY.length, 'text/x-private'])
  assert.deepEqual((await cloud.call('GET', `${PREFIX}/info`)).body.encryption, { enabled: true })
  assert.equal((await cloud.swift('PUT', '/c/wrong', { body: 'x', headers: { etag: md5('y') } })).status, 422)
})

test('a new root secret seals what is written from then on, and what the old one sealed stays readable; so it does when encryption is off again', async () => {
  await cloud.swift('PUT', '/c/old', { body: 'of the first' })
  encrypt(cloud.env, true, 2, 1)
  await cloud.swift('PUT', '/c/new', { body: 'of the second' })
  const roots = async () => new Set([...(await onDisks(cloud.drivers.values())).matchAll(/"root":"([0-9a-f]{16})"/g)].map(([, root]) => root))
  assert.equal((await roots()).size, 2)
  encrypt(cloud.env, false, 2, 1)
  await cloud.swift('PUT', '/c/plain', { body: 'for everybody to see' })
  assert.ok((await onDisks(cloud.drivers.values())).includes('for everybody to see'))
  assert.equal((await cloud.call('GET', `${PREFIX}/info`)).body.encryption, undefined)
  for (const [name, body] of [['old', 'of the first'], ['new', 'of the second'], ['plain', 'for everybody to see']] as const) assert.equal((await cloud.swift('GET', `/c/${name}`)).text, body, name)
  assert.equal((await cloud.swift('POST', '/c/old', { headers: { 'x-object-meta-a': 'still-hidden' } })).status, 202)
  assert.ok(!(await onDisks(cloud.drivers.values())).includes('still-hidden'), 'metadata over an encrypted object is encrypted')
  assert.equal((await cloud.swift('HEAD', '/c/old')).headers.get('x-object-meta-a'), 'still-hidden')
  encrypt(cloud.env, true, 2, 1)
  assert.equal((await cloud.swift('GET', '/c/plain')).text, 'for everybody to see')
})

test('a root secret that is gone is said by its name; nothing is lost, and its return brings all back', async () => {
  encrypt(cloud.env, true, 3)
  const answer = await cloud.swift('GET', '/c/old')
  assert.equal(answer.status, 503)
  assert.match(answer.text, /root secret [0-9a-f]{16}, whose keys are not here: the deployment does not have it/)
  assert.equal((await cloud.swift('HEAD', '/c/old')).status, 503)
  assert.equal((await cloud.swift('GET', '/c/plain')).text, 'for everybody to see')
  for (const { driver } of cloud.drivers.values()) assert.equal(await driver.replicas.quarantined('d1'), 0)
  encrypt(cloud.env, true)
  assert.equal((await cloud.swift('PUT', '/c/none', { body: 'x' })).status, 503, 'never plainly for want of a key')
  assert.equal((await cloud.swift('GET', '/c/plain')).text, 'for everybody to see')
  assert.ok(!(await onDisks(cloud.drivers.values())).includes('/c/none'))
  encrypt(cloud.env, true, 2, 1)
  assert.equal((await cloud.swift('GET', '/c/old')).text, 'of the first')
})

test('a damaged replica is never given out, and is put aside by an auditor without any key', async () => {
  const own = await objectCloud({ hosts: 3, drivers: true })
  encrypt(own.env, true, 1)
  await own.swift('PUT', '/c')
  await own.swift('PUT', '/c/o', { body: BODY })
  const [first, second] = [...own.drivers.values()]
  assert.ok(first !== undefined && second !== undefined && first.disk.flipBit('d1', () => 0) && second.disk.flipBit('d1', () => 0))
  for (let n = 0; n < 3; n++) assert.equal((await own.swift('GET', '/c/o')).text, BODY)
  let aside = 0
  for (const { driver } of own.drivers.values()) {
    for (const at of await driver.replicas.partitions('d1')) {
      const place = { device: 'd1', ...at }
      for (const { hash } of await driver.replicas.versions({ ...place, suffixes: Object.keys(await driver.replicas.suffixes(place)) })) await driver.replicas.audit(place, hash, async () => {})
    }
    aside += await driver.replicas.quarantined('d1')
  }
  assert.equal(aside, 2)
  own.close()
})

test('what auditors tell of an encrypted object, and what hosts keep for a container, is readable at the plane alone', async () => {
  const own = await objectCloud({ hosts: 1, drivers: true })
  encrypt(own.env, true, 1)
  await own.swift('PUT', '/c')
  const container = own.cluster.instance('CONTAINER', 'AUTH_project-a/c')
  const plain = container.putObject
  container.putObject = () => {
    throw new Error('not now')
  }
  assert.equal((await own.swift('PUT', '/c/o', { body: BODY, headers: { 'content-type': 'text/x-private' } })).status, 201)
  container.putObject = plain
  const [host] = [...own.drivers.values()]
  assert.ok(host !== undefined)
  const [pending] = await host.driver.replicas.pending('d1')
  assert.ok(pending !== undefined && !(await onDisks(own.drivers.values())).includes(md5(BODY)))
  const list = async () => ((await own.swift('GET', '/c?format=json')).body as { name: string; hash: string; content_type: string }[]).map(({ name, hash, content_type }) => [name, hash, content_type])
  const row = ['o', md5(BODY), 'text/x-private']
  assert.deepEqual(await list(), [])
  const now_ms = Date.now()
  encrypt(own.env, true, 9)
  assert.equal(await applyUpdate(own.env, 'host-0', pending.update, now_ms), false, 'kept until its key is back')
  encrypt(own.env, true, 1)
  assert.equal(await applyUpdate(own.env, 'host-0', pending.update, now_ms), true)
  assert.deepEqual(await list(), [row])
  container.deps.storage.sql.exec('DELETE FROM objects')
  const [at] = await host.driver.replicas.partitions('d1')
  const place = { device: 'd1', policy: at?.policy ?? 0, partition: at?.partition ?? 0 }
  const [set] = await host.driver.replicas.versions({ ...place, suffixes: Object.keys(await host.driver.replicas.suffixes(place)) })
  const { entry } = await host.driver.replicas.audit(place, set?.hash ?? '', async () => {})
  assert.ok(entry !== null && entry.etag === '' && !JSON.stringify(entry).includes('private'))
  assert.deepEqual(await checkListings(own.env, 'host-0', [entry], now_ms + 1_000), { changed: 1, orphans: 0 })
  assert.deepEqual(await list(), [row])
  own.close()
})

// ---------------------------------------------------------------- S3

const SSE = 'x-amz-server-side-encryption'
const configOf = (algorithm: string) => `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>${algorithm}</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`

async function withS3(work: (own: S3Cloud) => Promise<void>): Promise<void> {
  const own = await s3Cloud({ hosts: 1, drivers: true })
  encrypt(own.env, false, 1)
  await own.s3('PUT', '/bucket')
  try {
    await work(own)
  } finally {
    own.close()
  }
}

test('S3: a request may ask for encryption, is told so, and reads are told too; other keys than ours are refused', async () => {
  await withS3(async (own) => {
    const put = await own.s3('PUT', '/bucket/one', { body: BODY, headers: { [SSE]: 'AES256', 'x-amz-meta-a': 'a-metadata-value' } })
    assert.deepEqual([put.status, put.headers.get(SSE), put.headers.get('etag')], [200, 'AES256', `"${md5(BODY)}"`])
    const shown = await onDisks(own.drivers.values())
    for (const text of [BODY, md5(BODY), 'a-metadata-value']) assert.ok(!shown.includes(text), text)
    for (const method of ['GET', 'HEAD']) assert.equal((await own.s3(method, '/bucket/one')).headers.get(SSE), 'AES256')
    await own.s3('PUT', '/bucket/plain', { body: 'seen by all' })
    assert.equal((await own.s3('GET', '/bucket/plain')).headers.get(SSE), null)
    const copied = await own.s3('PUT', '/bucket/plain', { headers: { 'x-amz-copy-source': '/bucket/plain', [SSE]: 'AES256' } })
    assert.deepEqual([copied.status, copied.headers.get(SSE)], [200, 'AES256'], 'a copy onto itself may change how it lies')
    assert.deepEqual([(await own.s3('GET', '/bucket/plain')).text, (await onDisks(own.drivers.values())).includes('seen by all')], ['seen by all', false])
    for (const [name, value] of [[SSE, 'aws:kms'], [`${SSE}-aws-kms-key-id`, 'k'], [`${SSE}-customer-algorithm`, 'AES256']] as const) assert.equal((await own.s3('PUT', '/bucket/no', { body: 'x', headers: { [name]: value } })).status, 501, name)
  })
})

test('S3: an upload in parts that began with encryption has it in every part and in its manifest', async () => {
  await withS3(async (own) => {
    const begun = await own.s3('POST', '/bucket/big', { query: { uploads: '' }, headers: { [SSE]: 'AES256' } })
    assert.equal(begun.headers.get(SSE), 'AES256')
    const uploadId = xmlText(begun.text, 'UploadId') ?? ''
    const piece = Buffer.alloc(5 * 1024 * 1024, 'repeated over and over. ')
    const etags: string[] = []
    for (const partNumber of ['1', '2']) {
      const part = await own.s3('PUT', '/bucket/big', { query: { partNumber, uploadId }, body: piece })
      assert.equal(part.headers.get(SSE), 'AES256')
      etags.push(part.headers.get('etag') ?? '')
    }
    const body = `<CompleteMultipartUpload>${etags.map((etag, n) => `<Part><PartNumber>${n + 1}</PartNumber><ETag>${etag.replace(/"/g, '')}</ETag></Part>`).join('')}</CompleteMultipartUpload>`
    const done = await own.s3('POST', '/bucket/big', { query: { uploadId }, body })
    assert.deepEqual([done.status, done.headers.get(SSE)], [200, 'AES256'])
    const shown = await onDisks(own.drivers.values())
    for (const text of ['repeated over', md5(piece)]) assert.ok(!shown.includes(text), text)
    const got = await own.s3('GET', '/bucket/big', { headers: { range: 'bytes=5242870-5242890' } })
    assert.equal(got.text, Buffer.concat([piece, piece]).subarray(5242870, 5242891).toString())
    assert.equal((await own.s3('HEAD', '/bucket/big')).headers.get(SSE), 'AES256')
  })
})

test('S3: a bucket\'s default encryption holds for both dialects, and is not taken off what is there', async () => {
  await withS3(async (own) => {
    const get = () => own.s3('GET', '/bucket', { query: { encryption: '' } })
    assert.equal(xmlText((await get()).text, 'Code'), 'ServerSideEncryptionConfigurationNotFoundError')
    for (const [body, status] of [[configOf('aws:kms'), 501], ['<ServerSideEncryptionConfiguration/>', 400], ['nonsense', 400]] as const) assert.equal((await own.s3('PUT', '/bucket', { query: { encryption: '' }, body })).status, status, body)
    assert.equal((await own.s3('PUT', '/bucket', { query: { encryption: '' }, body: configOf('AES256') })).status, 200)
    assert.equal(xmlText((await get()).text, 'SSEAlgorithm'), 'AES256')
    assert.equal((await own.s3('PUT', '/bucket/a', { body: 'written by S3' })).headers.get(SSE), 'AES256')
    await own.swift('PUT', '/bucket/b', { body: 'written by Swift' })
    const head = await own.swift('HEAD', '/bucket')
    assert.ok(![...head.headers.keys()].some((name) => name.includes('sysmeta')), 'no client sees how')
    await own.swift('POST', '/bucket', { headers: { 'x-container-sysmeta-encryption': 'no' } })
    assert.equal((await own.s3('DELETE', '/bucket', { query: { encryption: '' } })).status, 204)
    await own.s3('PUT', '/bucket/c', { body: 'written afterwards' })
    const shown = await onDisks(own.drivers.values())
    assert.deepEqual(['written by S3', 'written by Swift', 'written afterwards'].map((text) => shown.includes(text)), [false, false, true])
    for (const [name, text] of [['a', 'written by S3'], ['b', 'written by Swift'], ['c', 'written afterwards']] as const) assert.equal((await own.s3('GET', `/bucket/${name}`)).text, text)
    encrypt(own.env, true, 1)
    assert.equal(xmlText((await get()).text, 'SSEAlgorithm'), 'AES256', 'the deployment\'s own setting shows too')
  })
})
