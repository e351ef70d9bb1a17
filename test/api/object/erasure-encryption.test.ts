/** Encrypted erasure-coded objects: what hosts have of them and are told, root secrets that change or are gone, S3, what auditors meet. That they read and fail as plain ones do: erasure.test.ts. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { openText } from '../../../schema/agent/sealing.ts'
import { hostReseal } from '../../../workers/agents/objects/serve.ts'
import { rootIds } from '../../../workers/object/encryption/keymaster.ts'
import { checkListings } from '../../../workers/object/updates.ts'
import { onDisks } from '../../support/on-disks.ts'
import { type ErasureCloud, erasureCloud } from './erasure-cloud.ts'
import { withS3 } from './s3-cloud.ts'

const secret = (byte: number) => Buffer.alloc(32, byte).toString('base64url')
const md5 = (text: string | Uint8Array) => createHash('md5').update(text).digest('hex')
const SEGMENT = 64 * 1024
const MARKER = 'a body that nobody may read. '
/** Over several segments, and never the same in two places. */
const BODY = Array.from({ length: 6_000 }, (_, n) => `${n} ${MARKER}`).join('')

function encrypt(cloud: ErasureCloud, on: boolean, ...bytes: number[]): void {
  const options = JSON.parse(cloud.env.OPTIONS ?? '{}') as { swift?: object }
  cloud.env.OPTIONS = JSON.stringify({ ...options, swift: { ...options.swift, encryption: on } })
  cloud.env.OBJECT_KEYS = bytes.map(secret).join(',')
}

async function withCloud(work: (cloud: ErasureCloud) => Promise<void>, encrypted = true): Promise<void> {
  const cloud = await erasureCloud({ hosts: 5, data: 3, parity: 2, segment_bytes: SEGMENT, encrypted })
  try {
    await cloud.swift('PUT', '/c')
    await work(cloud)
    await new Promise((resolve) => setTimeout(resolve, 10))
    assert.equal(cloud.open(), 0, 'no body is left open')
  } finally {
    cloud.close()
  }
}

const rootsOn = async (cloud: ErasureCloud) => new Set([...(await onDisks(cloud.hosts.values())).matchAll(/"root":"([0-9a-f]{16})"/g)].map(([, root]) => root))

test('no fragment, record or word of a host shows anything of body, ETag or metadata; the API, listings and /info are as ever', async () => {
  await withCloud(async (cloud) => {
    const put = await cloud.swift('PUT', '/c/o', { body: BODY, headers: { 'x-object-meta-a': 'a-metadata-value', 'content-type': 'text/x-private', etag: md5(BODY) } })
    assert.deepEqual([put.status, put.headers.get('etag')], [201, md5(BODY)])
    await cloud.swift('PUT', '/c/short', { body: 'shortest-secret' })
    await cloud.swift('POST', '/c/o', { headers: { 'x-object-meta-a': 'posted-value' } })
    const shown = await onDisks(cloud.hosts.values())
    for (const text of [MARKER.slice(0, 12), 'nobody may', md5(BODY), 'a-metadata-value', 'posted-value', 'x-private', 'shortest', 'secret', md5('shortest-secret')]) assert.ok(!shown.includes(text), text)
    assert.ok(shown.includes('/AUTH_project-a/c/o') && shown.length > (BODY.length * 5) / 3, 'all five fragments were looked at')
    const got = await cloud.swift('GET', '/c/o')
    assert.deepEqual([got.text, got.headers.get('etag'), got.headers.get('x-object-meta-a'), got.headers.get('content-type')], [BODY, md5(BODY), 'posted-value', 'text/x-private'])
    const [row] = (await cloud.swift('GET', '/c?format=json')).body as { hash: string; bytes: number; content_type: string }[]
    assert.deepEqual([row?.hash, row?.bytes, row?.content_type], [md5(BODY), BODY.length, 'text/x-private'])
  })
})

test('no host is ever told what opens the bytes of its fragment', async () => {
  await withCloud(async (cloud) => {
    await cloud.swift('PUT', '/c/o', { body: BODY })
    await cloud.swift('POST', '/c/o', { headers: { 'x-object-meta-a': 'b' } })
    assert.equal((await cloud.swift('GET', '/c/o')).text, BODY)
    const [host] = cloud.hosts.values()
    const args = host?.calls.find(({ op }) => op === 'object.fragments')?.args
    assert.ok(host !== undefined && args?.sealing !== undefined)
    const { fragments: [found] } = await host.driver.fragments(args)
    assert.ok(found?.sealed !== undefined)
    const told = host.calls.flatMap(({ args: { sealing } }) => sealing?.keys ?? [])
    assert.ok(told.length > 0)
    for (const key of told) assert.throws(() => openText(found.sealed?.key ?? { root: '', text: '' }, [key], JSON.stringify(['segments', args.name, found.at, found.sealed?.mark])))
    for (const { op, args: { sealing } } of host.calls) if (op === 'object.get' || op === 'object.commit') assert.equal(sealing, undefined, `${op} needs no key`)
  })
})

test('root secrets change, encryption goes off and on: what is there stays readable; one that is gone is said by its name', async () => {
  await withCloud(async (cloud) => {
    await cloud.swift('PUT', '/c/old', { body: BODY })
    encrypt(cloud, true, 2, 1)
    await cloud.swift('PUT', '/c/new', { body: `new ${BODY}` })
    assert.equal((await rootsOn(cloud)).size, 2)
    encrypt(cloud, false, 2, 1)
    await cloud.swift('PUT', '/c/plain', { body: 'for everybody to see' })
    assert.equal((await cloud.swift('POST', '/c/old', { headers: { 'x-object-meta-a': 'still-hidden' } })).status, 202)
    assert.ok(!(await onDisks(cloud.hosts.values())).includes('still-hidden'), 'metadata over an encrypted object is encrypted')
    for (const [name, body] of [['old', BODY], ['new', `new ${BODY}`], ['plain', 'for everybody to see']] as const) assert.equal((await cloud.swift('GET', `/c/${name}`)).text, body, name)
    encrypt(cloud, true, 3)
    for (const method of ['GET', 'HEAD']) assert.equal((await cloud.swift(method, '/c/old')).status, 503)
    assert.match((await cloud.swift('GET', '/c/old')).text, /root secret [0-9a-f]{16}, whose keys are not here/)
    assert.equal((await cloud.swift('GET', '/c/plain')).text, 'for everybody to see')
    encrypt(cloud, true)
    assert.equal((await cloud.swift('PUT', '/c/none', { body: 'x' })).status, 503, 'never plainly for want of a key')
    for (const { driver } of cloud.hosts.values()) assert.equal(await driver.replicas.quarantined('d1'), 0)
    encrypt(cloud, true, 2, 1)
    assert.equal((await cloud.swift('HEAD', '/c/old')).headers.get('x-object-meta-a'), 'still-hidden')
    assert.equal((await cloud.swift('GET', '/c/old')).text, BODY)
  })
})

test('COPY encrypts what was plain and the other way about; large objects, versions and several ranges at once', async () => {
  await withCloud(async (cloud) => {
    await cloud.swift('PUT', '/c/plain', { body: BODY })
    encrypt(cloud, true, 1)
    assert.equal((await cloud.swift('COPY', '/c/plain', { headers: { destination: 'c/sealed' } })).status, 201)
    await cloud.swift('DELETE', '/c/plain')
    assert.ok(!(await onDisks(cloud.hosts.values())).includes('nobody may'))
    encrypt(cloud, false, 1)
    await cloud.swift('COPY', '/c/sealed', { headers: { destination: 'c/again' } })
    assert.ok((await onDisks(cloud.hosts.values())).includes('nobody may'))
    for (const name of ['sealed', 'again']) assert.equal((await cloud.swift('GET', `/c/${name}`)).text, BODY)
    encrypt(cloud, true, 1)
    const ranges = await cloud.swift('GET', '/c/sealed', { headers: { range: `bytes=0-9,${SEGMENT - 5}-${SEGMENT + 4},-7` } })
    assert.equal(ranges.status, 206)
    for (const part of [BODY.slice(0, 10), BODY.slice(SEGMENT - 5, SEGMENT + 5), BODY.slice(-7)]) assert.ok(ranges.text.includes(part))
    assert.equal((await cloud.swift('GET', '/c/sealed', { headers: { 'if-none-match': md5(BODY) } })).status, 304)
    const manifest = JSON.stringify([{ path: '/c/sealed', etag: md5(BODY), size_bytes: BODY.length }, { path: '/c/again' }])
    assert.equal((await cloud.swift('PUT', '/c/slo?multipart-manifest=put', { body: manifest })).status, 201)
    assert.equal((await cloud.swift('GET', '/c/slo')).text, BODY + BODY)
    await cloud.swift('POST', '/c', { headers: { 'x-versions-enabled': 'true' } })
    const first = await cloud.swift('PUT', '/c/v', { body: 'first version' })
    await cloud.swift('PUT', '/c/v', { body: 'second version' })
    assert.equal((await cloud.swift('GET', `/c/v?version-id=${first.headers.get('x-object-version-id')}`)).text, 'first version')
  }, false)
})

test('S3: a request asks for encryption and is told so, uploads in parts too', async () => {
  await withCloud(async (cloud) => {
    const { s3 } = withS3(cloud)
    const headers = { 'x-amz-server-side-encryption': 'AES256' }
    await s3('PUT', '/bucket')
    const put = await s3('PUT', '/bucket/one', { body: BODY, headers: { ...headers, 'x-amz-checksum-sha256': createHash('sha256').update(BODY).digest('base64') } })
    assert.deepEqual([put.status, put.headers.get('x-amz-server-side-encryption')], [200, 'AES256'])
    const got = await s3('GET', '/bucket/one', { headers: { 'x-amz-checksum-mode': 'ENABLED' } })
    assert.deepEqual([got.text, got.headers.get('x-amz-server-side-encryption'), got.headers.get('x-amz-checksum-sha256')], [BODY, 'AES256', createHash('sha256').update(BODY).digest('base64')])
    const uploadId = /<UploadId>([^<]*)</.exec((await s3('POST', '/bucket/big', { query: { uploads: '' }, headers })).text)?.[1] ?? ''
    const piece = MARKER.repeat(200_000)
    const etags: string[] = []
    for (const partNumber of ['1', '2']) etags.push((await s3('PUT', '/bucket/big', { query: { partNumber, uploadId }, body: piece })).headers.get('etag') ?? '')
    const done = await s3('POST', '/bucket/big', { query: { uploadId }, body: `<CompleteMultipartUpload>${etags.map((etag, n) => `<Part><PartNumber>${n + 1}</PartNumber><ETag>${etag}</ETag></Part>`).join('')}</CompleteMultipartUpload>` })
    assert.deepEqual([done.status, done.headers.get('x-amz-server-side-encryption')], [200, 'AES256'])
    assert.equal(md5((await s3('GET', '/bucket/big')).text), md5(piece + piece))
    assert.ok(!(await onDisks(cloud.hosts.values())).includes('nobody may'))
  }, false)
})

test('what an auditor tells of an encrypted fragment is readable at the plane alone, and believed where the others say the same', async () => {
  await withCloud(async (cloud) => {
    await cloud.swift('PUT', '/c/o', { body: BODY, headers: { 'content-type': 'text/x-private' } })
    cloud.cluster.instance('CONTAINER', 'AUTH_project-a/c').deps.storage.sql.exec('DELETE FROM objects')
    const [host] = cloud.hosts.values()
    assert.ok(host !== undefined)
    const [at] = await host.driver.replicas.partitions('d1')
    const place = { device: 'd1', policy: at?.policy ?? 0, partition: at?.partition ?? 0 }
    const [set] = await host.driver.replicas.versions({ ...place, suffixes: Object.keys(await host.driver.replicas.suffixes(place)) })
    const { entry } = await host.driver.replicas.audit(place, set?.hash ?? '', async () => {})
    assert.ok(entry !== null && entry.etag === '' && !JSON.stringify(entry).includes('private'))
    assert.deepEqual(await checkListings(cloud.env, 'host-0', [entry], Date.now() + 1_000), { changed: 1, orphans: 0 })
    const [row] = (await cloud.swift('GET', '/c?format=json')).body as { hash: string; bytes: number; content_type: string }[]
    assert.deepEqual([row?.hash, row?.bytes, row?.content_type], [md5(BODY), BODY.length, 'text/x-private'])
  })
})

test('a host has its records sealed anew by the plane, learns nothing by it, and must be in a ring for it', async () => {
  await withCloud(async (cloud) => {
    await cloud.swift('PUT', '/c/o', { body: BODY, headers: { 'x-object-meta-a': 'a-metadata-value' } })
    const [host] = cloud.hosts.values()
    assert.ok(host !== undefined)
    const [at] = await host.driver.replicas.partitions('d1')
    const place = { device: 'd1', policy: at?.policy ?? 0, partition: at?.partition ?? 0 }
    const [set] = await host.driver.replicas.versions({ ...place, suffixes: Object.keys(await host.driver.replicas.suffixes(place)) })
    const [found] = await host.driver.replicas.sealed({ ...place, hash: set?.hash ?? '' })
    assert.ok(found?.entry.segments !== undefined)
    encrypt(cloud, true, 2, 1)
    const [fresh] = rootIds(cloud.env)
    const now_ms = Date.now()
    await assert.rejects(hostReseal(cloud.env, 'host-of-another-ring', [found.entry], now_ms), { kind: 'forbidden' })
    const other = { ...found.entry, timestamp: '1700000000.00000' }
    const { segments: { mark, key } } = found.entry
    const swapped = { ...found.entry, segments: { mark: md5(mark), key } }
    const { entries: [made, ...refused] } = await hostReseal(cloud.env, 'host-0', [found.entry, other, swapped, { ...found.entry, name: 'none' }], now_ms)
    assert.deepEqual([made?.sealed.root, made?.key?.root, refused], [fresh, fresh, [null, null, null]], 'what is bound to something else is not sealed again')
    assert.ok(!JSON.stringify(made).includes('a-metadata-value') && made?.sealed.text !== found.entry.sealed.text)
    assert.equal(await host.driver.replicas.reseal(found.at, found.entry.sealed.text, made ?? { sealed: key }), true)
    encrypt(cloud, true, 2)
    assert.equal((await cloud.swift('HEAD', '/c/o')).status, 503, 'one fragment alone is not enough')
    encrypt(cloud, true, 2, 1)
    assert.equal((await cloud.swift('GET', '/c/o')).text, BODY, 'its fragments are under both')
  })
})
