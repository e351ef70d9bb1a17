/** Programs that speak Swift, as judges: the swift command and rclone move large and many files to the shipped cloud and back, and every byte is compared. */
import assert from 'node:assert/strict'
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Shipped, shipped } from '../support/shipped.ts'

const MIB = 1024 * 1024
const LARGE_BYTES = 20 * MIB + 12_345
const SMALL_FILES = 1_000

let cloud: Shipped
let dir: string
let env: NodeJS.ProcessEnv
let large: Buffer
before(async () => {
  cloud = await shipped('sim:3')
  dir = mkdtempSync(join(tmpdir(), 'skyhook-swift-'))
  const { OS_CLOUD: _, OS_CLIENT_CONFIG_FILE: __, ...plain } = cloud.env
  env = {
    ...plain, OS_AUTH_URL: `${cloud.url}/identity/v3`, OS_USERNAME: 'admin', OS_PASSWORD: cloud.password, OS_PROJECT_NAME: 'admin', OS_USER_DOMAIN_NAME: 'Default', OS_PROJECT_DOMAIN_NAME: 'Default', OS_IDENTITY_API_VERSION: '3', ST_AUTH_VERSION: '3', OS_REGION_NAME: 'RegionOne',
    RCLONE_CONFIG: '/dev/null', RCLONE_CONFIG_SKY_TYPE: 'swift', RCLONE_CONFIG_SKY_ENV_AUTH: 'true', RCLONE_CONFIG_SKY_AUTH_VERSION: '3', RCLONE_CONFIG_SKY_CHUNK_SIZE: '5M',
  }
  large = randomBytes(LARGE_BYTES)
  writeFileSync(join(dir, 'large.bin'), large)
  mkdirSync(join(dir, 'small/deep/er'), { recursive: true })
  for (let n = 0; n < SMALL_FILES; n++) writeFileSync(join(dir, n % 3 === 0 ? 'small/deep/er' : 'small', `file ${n} ü.txt`), `content of ${n}\n`.repeat(n % 50))
})
after(() => {
  cloud?.remove()
  if (dir !== undefined) rmSync(dir, { recursive: true, force: true })
})

const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

function run(program: string, args: string[], cwd = dir): SpawnSyncReturns<string> {
  const done = spawnSync(program, args, { env, cwd, encoding: 'utf8', timeout: 300_000, maxBuffer: 64 * MIB })
  assert.equal(done.status, 0, `${program} ${args.join(' ')}: ${done.stdout.slice(-2_000)}${done.stderr.slice(-2_000)}`)
  return done
}

for (const [kind, flags] of [['static', ['--use-slo']], ['dynamic', []]] as const) {
  test(`swift: a large file in segments under a ${kind} manifest comes back as it went`, () => {
    run('swift', ['upload', ...flags, '-S', String(4 * MIB), '--segment-container', `${kind}_segments`, kind, 'large.bin'])
    const stat = run('swift', ['stat', kind, 'large.bin']).stdout
    assert.match(stat, new RegExp(`Content Length: ${LARGE_BYTES}\\b`))
    run('swift', ['download', kind, 'large.bin', '-o', `${kind}.out`])
    assert.equal(sha(readFileSync(join(dir, `${kind}.out`))), sha(large))
    assert.equal(run('swift', ['list', `${kind}_segments`]).stdout.trim().split('\n').length, 6)
    run('swift', ['delete', kind, 'large.bin'])
    assert.equal(run('swift', ['list', `${kind}_segments`]).stdout.trim(), '', 'its segments went with it')
  })
}

test('swift: a thousand small files go, are listed, come back equal and are deleted', () => {
  run('swift', ['upload', 'many', 'small', '--object-threads', '4'])
  assert.equal(run('swift', ['list', 'many']).stdout.trim().split('\n').length, SMALL_FILES)
  run('swift', ['download', 'many', '-D', 'back', '--object-threads', '4'])
  run('diff', ['-r', 'small', 'back/small'])
  run('swift', ['delete', 'many'])
  assert.ok(!run('swift', ['list']).stdout.split('\n').includes('many'))
})

test('swift: metadata, copies, capabilities and temporary URLs', async () => {
  writeFileSync(join(dir, 'note.txt'), 'a note')
  run('swift', ['upload', 'misc', 'note.txt', '-H', 'X-Object-Meta-Colour: red'])
  run('swift', ['copy', '-d', '/misc/copied', 'misc', 'note.txt'])
  assert.match(run('swift', ['stat', 'misc', 'copied']).stdout, /Meta Colour: red/)
  run('swift', ['post', '-m', 'Temp-URL-Key:secret'])
  const { pathname } = new URL(/StorageURL: (\S+)|OS_STORAGE_URL=(\S+)/.exec(run('swift', ['auth']).stdout)?.slice(1).find((one) => one !== undefined) ?? '')
  const signed = run('swift', ['tempurl', 'GET', '600', `${pathname}/misc/note.txt`, 'secret']).stdout.trim()
  assert.equal(await (await fetch(`${cloud.url}${signed}`)).text(), 'a note')
  assert.equal((await fetch(`${cloud.url}${signed.replace('note.txt', 'copied')}`)).status, 401)
  assert.match(run('swift', ['capabilities']).stdout, /Additional middleware: symlink/)
})

test('rclone: large files in chunks and many small ones, checked by their bytes, then synced and purged', () => {
  run('rclone', ['copy', 'large.bin', 'sky:rclone/big'])
  run('rclone', ['check', '--download', '--one-way', '--include', 'large.bin', dir, 'sky:rclone/big'])
  run('rclone', ['copy', '--transfers', '4', 'small', 'sky:rclone/small'])
  run('rclone', ['check', 'small', 'sky:rclone/small'])
  run('rclone', ['copy', '--transfers', '4', 'sky:rclone/small', 'again'])
  run('diff', ['-r', 'small', 'again'])
  for (const name of readdirSync(join(dir, 'again')).filter((one) => one.startsWith('file 1'))) rmSync(join(dir, 'again', name))
  run('rclone', ['sync', 'again', 'sky:rclone/small'])
  run('rclone', ['check', 'again', 'sky:rclone/small'])
  run('rclone', ['purge', 'sky:rclone'])
  assert.ok(!run('rclone', ['lsd', 'sky:']).stdout.includes('rclone\n'))
})
