/**
 * S3's real clients as judges, on the shipped cloud with simulated hosts: each makes a bucket, carries a large file in parts and many small ones there and back, compares every byte,
 * and cleans up. Debian's aws-cli, boto3, s3cmd, rclone, restic and s3fs; @aws-sdk/client-s3 and minio from npm.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { type Shipped, freePort, shipped } from '../support/shipped.ts'

const BIG_BYTES = 24_000_000
const SMALL_FILES = 100
const MANY_FILES = 1_000
const REGION = 'us-east-1'

/** By a host's door: its disks instead of the cloud's address, the same clients (s3-door.test.ts). */
const BY_DOOR = process.env.SKYHOOK_TEST_S3_DOOR === '1'

let cloud: Shipped
/** What the clients are told. */
let endpoint = ''
let dir = ''
let keys = { access: '', secret: '' }
let env: NodeJS.ProcessEnv = {}

/** Fails with what the program said. */
function run(program: string, args: string[], more: NodeJS.ProcessEnv = {}): string {
  const done = spawnSync(program, args, { cwd: dir, env: { ...env, ...more }, encoding: 'utf8', timeout: 240_000, maxBuffer: 64 * 1024 * 1024 })
  assert.equal(done.status, 0, `${program} ${args.join(' ')}: ${done.error ?? ''}${done.stdout.slice(-2_000)}${done.stderr.slice(-2_000)}`)
  return done.stdout
}

const path = (...parts: string[]) => join(dir, ...parts)
const sameTree = (copy: string) => {
  const names = readdirSync(path('small')).sort()
  assert.deepEqual(readdirSync(path(copy)).sort(), names)
  for (const name of names) assert.ok(readFileSync(path(copy, name)).equals(readFileSync(path('small', name))), `${copy}/${name}`)
}
const sameBig = (copy: string) => assert.ok(readFileSync(path(copy)).equals(readFileSync(path('big'))), copy)

/** Simulated hosts have theirs side by side, a port each. */
async function openDoor(): Promise<string> {
  const port = await freePort()
  cloud.stop()
  assert.equal(cloud.start(['--door', `127.0.0.1:${port}`]).status, 0)
  await cloud.until('the door to be online', async () => ((await (await fetch(`http://127.0.0.1:${port}/door/v1/health`)).json()) as { online: boolean }).online)
  return `http://127.0.0.1:${port}`
}

before(async () => {
  cloud = await shipped('sim:3')
  endpoint = cloud.url
  if (BY_DOOR) endpoint = await openDoor()
  dir = mkdtempSync(join(tmpdir(), 'skyhook-s3-'))
  mkdirSync(path('small'))
  mkdirSync(path('many'))
  writeFileSync(path('big'), randomBytes(BIG_BYTES))
  for (let n = 0; n < SMALL_FILES; n++) writeFileSync(path('small', `f${n}`), randomBytes((n * 331) % 20_000))
  for (let n = 0; n < MANY_FILES; n++) writeFileSync(path('many', `m${n}`), randomBytes(100 + n))
  const made = JSON.parse(run('openstack', ['ec2', 'credentials', 'create', '-f', 'json'], cloud.env)) as { access: string; secret: string }
  keys = { access: made.access, secret: made.secret }
  const { AWS_CA_BUNDLE: _, ...rest } = process.env
  env = { ...rest, PATH: `/usr/bin:${process.env.PATH ?? ''}`, AWS_ACCESS_KEY_ID: keys.access, AWS_SECRET_ACCESS_KEY: keys.secret, AWS_DEFAULT_REGION: REGION, AWS_EC2_METADATA_DISABLED: 'true', HOME: dir, no_proxy: '127.0.0.1', NO_PROXY: '127.0.0.1' }
}, { timeout: 300_000 })
after(() => {
  rmSync(dir, { recursive: true, force: true })
  cloud.remove()
})

test('aws-cli', { timeout: 300_000 }, () => {
  const aws = (...args: string[]) => run('/usr/bin/aws', ['--endpoint-url', endpoint, ...args])
  aws('s3', 'mb', 's3://aws-cli')
  aws('s3', 'cp', 'big', 's3://aws-cli/big', '--quiet')
  aws('s3', 'cp', 's3://aws-cli/big', 'big.aws', '--quiet')
  sameBig('big.aws')
  aws('s3', 'sync', 'small', 's3://aws-cli/small', '--quiet')
  aws('s3', 'sync', 's3://aws-cli/small', 'small.aws', '--quiet')
  sameTree('small.aws')
  assert.match(JSON.parse(aws('s3api', 'head-object', '--bucket', 'aws-cli', '--key', 'big')).ETag, /^"[0-9a-f]{32}-\d+"$/)
  assert.equal(JSON.parse(aws('s3api', 'list-objects-v2', '--bucket', 'aws-cli')).Contents.length, SMALL_FILES + 1)
  aws('s3', 'rb', 's3://aws-cli', '--force')
  assert.doesNotMatch(aws('s3', 'ls'), /aws-cli/)
})

const BOTO = `
import boto3, sys
from boto3.s3.transfer import TransferConfig
from botocore.client import Config
url, region = sys.argv[1:3]
# With version 2 botocore signs 'key?uploads?uploads': only whole uploads can be right.
def round_trip(bucket, threshold, **more):
    s3 = boto3.client('s3', endpoint_url=url, region_name=region, **more)
    s3.create_bucket(Bucket=bucket)
    s3.upload_file('big', bucket, 'big', Config=TransferConfig(multipart_threshold=threshold, multipart_chunksize=8 << 20), ExtraArgs={'Metadata': {'a': 'b'}})
    s3.download_file(bucket, 'big', 'big.' + bucket)
    assert s3.head_object(Bucket=bucket, Key='big')['Metadata'] == {'a': 'b'}
    return s3
s3 = round_trip('boto3', 5 << 20)
for algorithm in ['CRC32', 'SHA1', 'SHA256']:
    put = s3.put_object(Bucket='boto3', Key='sum', Body=b'hello', ChecksumAlgorithm=algorithm)
    got = s3.get_object(Bucket='boto3', Key='sum', ChecksumMode='ENABLED')
    assert got['Body'].read() == b'hello' and got['Checksum' + algorithm] == put['Checksum' + algorithm]
s3.put_bucket_versioning(Bucket='boto3', VersioningConfiguration={'Status': 'Enabled'})
old = s3.put_object(Bucket='boto3', Key='sum', Body=b'newer')
s3.delete_object(Bucket='boto3', Key='sum')
assert s3.get_object(Bucket='boto3', Key='sum', VersionId=old['VersionId'])['Body'].read() == b'newer'
post = s3.generate_presigned_post('boto3', 'form', Conditions=[['content-length-range', 1, 100]])
mark = 'a-boundary'
body = ''.join('--%s\\r\\nContent-Disposition: form-data; name="%s"\\r\\n\\r\\n%s\\r\\n' % (mark, k, v) for k, v in post['fields'].items())
body += '--%s\\r\\nContent-Disposition: form-data; name="file"; filename="f"\\r\\n\\r\\nform data\\r\\n--%s--\\r\\n' % (mark, mark)
import urllib.request
assert urllib.request.urlopen(urllib.request.Request(post['url'], body.encode(), {'Content-Type': 'multipart/form-data; boundary=' + mark})).status == 204
assert s3.get_object(Bucket='boto3', Key='form')['Body'].read() == b'form data'
bucket = boto3.resource('s3', endpoint_url=url, region_name=region).Bucket('boto3')
bucket.object_versions.delete()
bucket.delete()
two = round_trip('boto3-v2', 1 << 30, config=Config(signature_version='s3'))
two.delete_object(Bucket='boto3-v2', Key='big')
two.delete_bucket(Bucket='boto3-v2')
`

test('boto3: parts, checksums, versions, forms; signature 4 and 2', { timeout: 300_000 }, () => {
  writeFileSync(path('boto.py'), BOTO)
  run('/usr/bin/python3', ['boto.py', endpoint, REGION])
  sameBig('big.boto3')
  sameBig('big.boto3-v2')
})

test('s3cmd: signature 4 and 2, public objects', { timeout: 300_000 }, async () => {
  const host = new URL(endpoint).host
  const config = (v2: boolean) => writeFileSync(path('s3cfg'), `[default]\naccess_key = ${keys.access}\nsecret_key = ${keys.secret}\nhost_base = ${host}\nhost_bucket = ${host}\nuse_https = False\nsignature_v2 = ${v2 ? 'True' : 'False'}\n`)
  const s3cmd = (...args: string[]) => run('s3cmd', ['-c', 's3cfg', '-q', ...args])
  config(false)
  s3cmd('mb', 's3://s3cmd')
  s3cmd('--multipart-chunk-size-mb=5', 'put', 'big', 's3://s3cmd/big')
  s3cmd('get', 's3://s3cmd/big', 'big.s3cmd')
  sameBig('big.s3cmd')
  s3cmd('sync', 'small/', 's3://s3cmd/small/')
  s3cmd('sync', 's3://s3cmd/small/', 'small.s3cmd/')
  sameTree('small.s3cmd')
  s3cmd('setacl', '--acl-public', 's3://s3cmd/small/f1')
  assert.equal((await fetch(`${endpoint}/s3/s3cmd/small/f1`)).status, 200)
  assert.equal((await fetch(`${endpoint}/s3/s3cmd/small/f2`)).status, 403)
  config(true)
  s3cmd('put', 'small/f9', 's3://s3cmd/v2')
  s3cmd('get', 's3://s3cmd/v2', 'v2.s3cmd')
  assert.ok(readFileSync(path('v2.s3cmd')).equals(readFileSync(path('small/f9'))))
  s3cmd('rb', '-r', '--force', 's3://s3cmd')
})

test('rclone: a large file and a thousand small ones', { timeout: 400_000 }, () => {
  writeFileSync(path('rclone.conf'), `[sky]\ntype = s3\nprovider = Other\naccess_key_id = ${keys.access}\nsecret_access_key = ${keys.secret}\nendpoint = ${endpoint}\nregion = ${REGION}\n`)
  const rclone = (...args: string[]) => run('rclone', ['--config', 'rclone.conf', '--s3-upload-cutoff', '5M', '--transfers', '8', '--checkers', '8', ...args])
  rclone('mkdir', 'sky:rclone')
  rclone('copyto', 'big', 'sky:rclone/big')
  rclone('copyto', 'sky:rclone/big', 'big.rclone')
  sameBig('big.rclone')
  rclone('copy', 'many', 'sky:rclone/many')
  rclone('check', 'many', 'sky:rclone/many', '--download')
  assert.equal(rclone('lsf', 'sky:rclone/many').trim().split('\n').length, MANY_FILES)
  rclone('purge', 'sky:rclone')
})

test('restic: a backup is checked whole and restored', { timeout: 300_000 }, () => {
  const restic = (...args: string[]) => run('restic', ['--no-cache', ...args], { RESTIC_PASSWORD: 'secret', RESTIC_REPOSITORY: `s3:${endpoint}/restic` })
  restic('init')
  restic('backup', 'big', 'small')
  assert.match(restic('check', '--read-data'), /no errors were found/)
  restic('restore', 'latest', '--target', 'restored')
  sameTree('restored/small')
  sameBig('restored/big')
})

test('s3fs: files as files, renamed and read again after another mount', { timeout: 300_000 }, () => {
  writeFileSync(path('passwd-s3fs'), `${keys.access}:${keys.secret}`, { mode: 0o600 })
  mkdirSync(path('mnt'))
  run('/usr/bin/aws', ['--endpoint-url', endpoint, 's3', 'mb', 's3://s3fs'])
  const mounted = (work: () => void) => {
    run('s3fs', ['s3fs', path('mnt'), '-o', `passwd_file=${path('passwd-s3fs')},url=${endpoint},use_path_request_style,multipart_size=10`])
    try {
      run('sh', ['-c', 'for i in $(seq 100); do mountpoint -q mnt && exit 0; sleep 0.1; done; exit 1'])
      work()
    } finally {
      run('umount', [path('mnt')])
    }
  }
  mounted(() => run('sh', ['-c', 'cp big mnt/first && cp -r small mnt/small && mv mnt/first mnt/big']))
  mounted(() => {
    sameBig('mnt/big')
    sameTree('mnt/small')
    run('rm', ['-rf', 'mnt/big', 'mnt/small'])
  })
})

test('@aws-sdk/client-s3: its own checksums in trailers, every algorithm, parts with a checksum of the whole', { timeout: 300_000 }, async () => {
  const aws = await import('@aws-sdk/client-s3')
  const s3 = new aws.S3Client({ endpoint: endpoint, region: REGION, forcePathStyle: true, credentials: { accessKeyId: keys.access, secretAccessKey: keys.secret } })
  const [Bucket, big] = ['aws-sdk', readFileSync(path('big'))]
  const read = async (Key: string) => Buffer.from((await (await s3.send(new aws.GetObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }))).Body?.transformToByteArray()) ?? [])
  await s3.send(new aws.CreateBucketCommand({ Bucket }))
  for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const) {
    await s3.send(new aws.PutObjectCommand({ Bucket, Key: ChecksumAlgorithm, Body: Readable.from([big.subarray(0, 3_000_000)]), ContentLength: 3_000_000, ChecksumAlgorithm }))
    assert.ok((await read(ChecksumAlgorithm)).equals(big.subarray(0, 3_000_000)), ChecksumAlgorithm)
  }
  const { UploadId } = await s3.send(new aws.CreateMultipartUploadCommand({ Bucket, Key: 'big', ChecksumAlgorithm: 'CRC32', ChecksumType: 'FULL_OBJECT' }))
  const Parts: { PartNumber: number; ETag?: string; ChecksumCRC32?: string }[] = []
  for (let at = 0; at < big.length; at += 8_000_000) {
    const PartNumber = Parts.length + 1
    const part = await s3.send(new aws.UploadPartCommand({ Bucket, Key: 'big', UploadId, PartNumber, Body: big.subarray(at, at + 8_000_000), ChecksumAlgorithm: 'CRC32' }))
    Parts.push({ PartNumber, ...(part.ETag === undefined ? {} : { ETag: part.ETag }), ...(part.ChecksumCRC32 === undefined ? {} : { ChecksumCRC32: part.ChecksumCRC32 }) })
  }
  const whole = await s3.send(new aws.CompleteMultipartUploadCommand({ Bucket, Key: 'big', UploadId, MultipartUpload: { Parts } }))
  assert.equal(whole.ChecksumType, 'FULL_OBJECT')
  assert.ok((await read('big')).equals(big))
  const names = Array.from({ length: SMALL_FILES }, (_, n) => `small/ключ ${n}+&`)
  for (let at = 0; at < names.length; at += 10) await Promise.all(names.slice(at, at + 10).map((Key) => s3.send(new aws.PutObjectCommand({ Bucket, Key, Body: Key }))))
  const listed = await s3.send(new aws.ListObjectsV2Command({ Bucket, Prefix: 'small/' }))
  assert.deepEqual(listed.Contents?.map(({ Key }) => Key), [...names].sort())
  assert.equal((await read(names[7] ?? '')).toString(), names[7])
  const all = (await s3.send(new aws.ListObjectsV2Command({ Bucket }))).Contents ?? []
  await s3.send(new aws.DeleteObjectsCommand({ Bucket, Delete: { Objects: all.map(({ Key }) => ({ Key: Key ?? '' })) } }))
  await s3.send(new aws.DeleteBucketCommand({ Bucket }))
})

test('minio: files, streams, URLs', { timeout: 300_000 }, async () => {
  const { Client } = await import('minio')
  const url = new URL(endpoint)
  const minio = new Client({ endPoint: url.hostname, port: Number(url.port), useSSL: false, accessKey: keys.access, secretKey: keys.secret, region: REGION, partSize: 8 * 1024 * 1024 })
  await minio.makeBucket('minio', REGION)
  await minio.fPutObject('minio', 'big', path('big'), { 'X-Amz-Meta-A': 'b' })
  await minio.fGetObject('minio', 'big', path('big.minio'))
  sameBig('big.minio')
  assert.equal((await minio.statObject('minio', 'big')).metaData.a, 'b')
  for (let n = 0; n < SMALL_FILES; n++) await minio.putObject('minio', `s${n}`, Readable.from([Buffer.from(`small ${n}`)]), Buffer.byteLength(`small ${n}`))
  assert.equal(await (await fetch(await minio.presignedGetObject('minio', 's7'))).text(), 'small 7')
  assert.equal((await fetch(await minio.presignedPutObject('minio', 'put'), { method: 'PUT', body: 'by URL' })).status, 200)
  const names: string[] = []
  for await (const { name } of minio.listObjectsV2('minio', '', true)) names.push(name ?? '')
  assert.equal(names.length, SMALL_FILES + 2)
  await minio.removeObjects('minio', names)
  await minio.removeBucket('minio')
})

test('keys keep their dots and slashes, which clients send as they are', async () => {
  const aws = await import('@aws-sdk/client-s3')
  const s3 = new aws.S3Client({ endpoint: endpoint, region: REGION, forcePathStyle: true, credentials: { accessKeyId: keys.access, secretAccessKey: keys.secret } })
  const Bucket = 'odd-names'
  await s3.send(new aws.CreateBucketCommand({ Bucket }))
  const names = ['a//b', '//x', 'tr/', '<&>"\'', 'a+b c%d', '%2F', '~(x)*!', 'ü/🗝']
  for (const Key of names) await s3.send(new aws.PutObjectCommand({ Bucket, Key, Body: Key }))
  for (const Key of names) assert.equal(await (await s3.send(new aws.GetObjectCommand({ Bucket, Key }))).Body?.transformToString(), Key)
  assert.deepEqual((await s3.send(new aws.ListObjectsV2Command({ Bucket }))).Contents?.map(({ Key }) => Key).sort(), [...names].sort())
})
