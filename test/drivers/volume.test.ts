/**
 * The file volume driver against real files, a real tgtd and QEMU's own iSCSI initiator. tgtd wants root; without it only
 * what needs no target runs here (the conformance suite exports, so it needs it too).
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, describe, it } from 'node:test'
import { volumeConformance } from '../../agent/drivers/volume/conformance.ts'
import { createFileVolumeDriver, type FileVolumeDriver } from '../../agent/drivers/volume/file/index.ts'
import { ExecError, exec } from '../../agent/host/exec.ts'

const GIB = 1024 ** 3
const MIB = 1024 ** 2

const missing = ['tgtd', 'tgtadm', 'qemu-img', 'qemu-io'].filter((program) => {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore', env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` } })
    return false
  } catch {
    return true
  }
})
const skip = process.getuid?.() !== 0 ? 'tgtd needs root' : missing.length > 0 ? `missing: ${missing.join(', ')}` : false

/** A port nobody has now; the system gives it. */
const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })

interface Lab {
  dir: string
  port: number
  make(): FileVolumeDriver
  tgtdPids(): number[]
  end(): Promise<void>
}

async function createLab(): Promise<Lab> {
  const dir = mkdtempSync(join(tmpdir(), 'file-volumes-'))
  const port = await freePort()
  const make = () => createFileVolumeDriver({ exec, dir: join(dir, 'data'), portal_ip: '127.0.0.1', portal_port: port, state_dir: join(dir, 'state') })
  return {
    dir,
    port,
    make,
    tgtdPids: () =>
      readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .filter((pid) => {
          try {
            return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`portal=127.0.0.1:${port}\0`)
          } catch {
            return false
          }
        })
        .map(Number),
    end: async () => {
      try {
        await make().stopTargets()
      } finally {
        rmSync(dir, { recursive: true, force: true })
      }
    },
  }
}

if (skip === false) {
  volumeConformance('file', async () => {
    const lab = await createLab()
    return { dir: lab.dir, driver: lab.make, end: lab.end }
  })
}

describe('file volumes and their targets', { skip }, () => {
  let lab: Lab
  let driver: FileVolumeDriver
  const volume = '8a1f0c9e-1111-4222-8333-444455556666'
  const spec = { volume_id: volume, iqn: `iqn.2026-01.org.skyhook:${volume}`, lun: 1, chap_user: 'attachment-1', chap_secret: 'p4ssword/with=signs' }

  before(async () => {
    lab = await createLab()
    driver = lab.make()
    await driver.ensureVolume(volume, { size_gib: 1, source: null }, null)
  })
  after(() => lab.end())

  const qemuIo = (secret: string, commands: string[], user = spec.chap_user): Promise<string> => {
    const options = `driver=iscsi,transport=tcp,portal=127.0.0.1:${lab.port},target=${spec.iqn},lun=${spec.lun},user=${user},password-secret=chap`
    return exec(['qemu-io', '--object', `secret,id=chap,data=${secret}`, '--image-opts', options, ...commands.flatMap((command) => ['-c', command])], { timeout_ms: 30_000 }).then(({ stdout }) => stdout)
  }
  const refused = (error: unknown) => error instanceof ExecError && /log in|authentication|connect/i.test(error.stderr)

  it('is read and written by QEMU over iSCSI with CHAP, and by nobody with a wrong secret or user', async () => {
    await driver.ensureExport('ex', spec)
    assert.match(await qemuIo(spec.chap_secret, ['length', 'write -P 0x5a 1M 64k', 'flush', 'read -P 0x5a 1M 64k']), /1 GiB/)
    await assert.rejects(qemuIo('wrong-secret-0000', ['length']), refused)
    await assert.rejects(qemuIo(spec.chap_secret, ['length'], 'somebody'), refused)
    await assert.rejects(exec(['qemu-io', '--image-opts', `driver=iscsi,transport=tcp,portal=127.0.0.1:${lab.port},target=${spec.iqn},lun=1`, '-c', 'length'], { timeout_ms: 30_000 }), refused)
    const { path } = await driver.path(volume)
    await exec(['qemu-io', '-f', 'raw', '-c', 'read -P 0x5a 1M 64k', path])
  })

  it('replaces the secret, also as another process', async () => {
    await driver.ensureExport('ex', { ...spec, chap_secret: 'second-secret-16' })
    await assert.rejects(qemuIo(spec.chap_secret, ['length']), refused)
    await qemuIo('second-secret-16', ['length'])
    await lab.make().ensureExport('ex', spec)
    await qemuIo(spec.chap_secret, ['length'])
    await assert.rejects(qemuIo('second-secret-16', ['length']), refused)
  })

  it('offers the new size once nobody is connected', async () => {
    await driver.ensureVolume(volume, { size_gib: 2, source: null }, null)
    await driver.ensureExport('ex', spec)
    assert.match(await qemuIo(spec.chap_secret, ['length', 'read -P 0x5a 1M 64k']), /2 GiB/)
  })

  it('starts a killed target daemon again with all exports', async () => {
    const [pid] = lab.tgtdPids()
    assert.ok(pid !== undefined)
    process.kill(pid, 'SIGKILL')
    await sleep(200)
    assert.deepEqual((await driver.list()).exports, ['ex'])
    assert.notDeepEqual(lab.tgtdPids(), [pid])
    await qemuIo(spec.chap_secret, ['read -P 0x5a 1M 64k'])
    assert.deepEqual(await lab.make().list().then(({ exports }) => exports), ['ex'])
  })

  it('lets nobody in once the export is gone, connected or not', async () => {
    const options = `driver=iscsi,transport=tcp,portal=127.0.0.1:${lab.port},target=${spec.iqn},lun=1,user=${spec.chap_user},password-secret=chap`
    const connected = spawn('qemu-io', ['--object', `secret,id=chap,data=${spec.chap_secret}`, '--image-opts', options], { stdio: ['pipe', 'ignore', 'ignore'] })
    try {
      await sleep(1000)
      await driver.removeExport('ex')
      await driver.removeExport('ex')
      await assert.rejects(qemuIo(spec.chap_secret, ['length']), refused)
      await driver.removeVolume(volume)
      assert.deepEqual(await driver.list(), { volumes: [], snapshots: [], exports: [] })
    } finally {
      connected.kill('SIGKILL')
    }
  })

  it('says in one sentence that its port is taken', async () => {
    const holder = createServer()
    const other = await createLab()
    await new Promise<void>((resolve) => holder.listen(other.port, '127.0.0.1', () => resolve()))
    try {
      await other.make().ensureVolume('v', { size_gib: 1, source: null }, null)
      await assert.rejects(other.make().ensureExport('ex', { ...spec, volume_id: 'v' }), { kind: 'unavailable', message: /in use/ })
      assert.deepEqual((await other.make().list()).exports, [])
    } finally {
      await new Promise((resolve) => holder.close(resolve))
      await other.end()
    }
  })
})

describe('file volumes and images', { skip }, () => {
  let lab: Lab
  let driver: FileVolumeDriver
  before(async () => {
    lab = await createLab()
    driver = lab.make()
    const raw = Buffer.alloc(16 * MIB)
    raw.write('bytes of the image', 5 * MIB)
    writeFileSync(join(lab.dir, 'raw'), raw)
  })
  after(() => lab.end())

  const image = (disk_format: string) => ({ size_gib: 1, source: { type: 'image' as const, image: { id: 'i', owner_id: 'p', size_bytes: 0, sha512: '', disk_format, properties: {} } } })

  for (const [diskFormat, qemu] of [['qcow2', 'qcow2'], ['vmdk', 'vmdk'], ['vdi', 'vdi'], ['vhdx', 'vhdx'], ['vhd', 'vpc'], ['raw', 'raw']] as const) {
    it(`writes a ${diskFormat} image as sparse raw`, async () => {
      const path = join(lab.dir, diskFormat)
      if (diskFormat !== 'raw') await exec(['qemu-img', 'convert', '-f', 'raw', '-O', qemu, join(lab.dir, 'raw'), path])
      await driver.ensureVolume(`from-${diskFormat}`, image(diskFormat), { path, format: diskFormat })
      const made = await driver.path(`from-${diskFormat}`)
      assert.equal(made.size_bytes, GIB)
      assert.ok(statSync(made.path).blocks * 512 < 20 * MIB, 'sparse')
      await exec(['cmp', '-n', String(16 * MIB), join(lab.dir, 'raw'), made.path])
    })
  }

  it('refuses an image that reaches out, lies about its format, or is too large, and leaves nothing', async () => {
    const hostile = join(lab.dir, 'hostile')
    await exec(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', join(lab.dir, 'raw'), '-F', 'raw', hostile])
    await assert.rejects(driver.ensureVolume('bad', image('qcow2'), { path: hostile, format: 'qcow2' }), { kind: 'bad_request', message: /backing file/ })
    await assert.rejects(driver.ensureVolume('bad', image('raw'), { path: join(lab.dir, 'qcow2'), format: 'raw' }), { kind: 'bad_request', message: /claims to be raw and is qcow2/ })
    const large = join(lab.dir, 'large')
    await exec(['qemu-img', 'create', '-q', '-f', 'qcow2', large, '2G'])
    await assert.rejects(driver.ensureVolume('bad', image('qcow2'), { path: large, format: 'qcow2' }), { kind: 'bad_request', message: /more than/ })
    await assert.rejects(driver.path('bad'), { kind: 'not_found' })
    assert.deepEqual(readdirSync(join(lab.dir, 'data', 'tmp')), [])
  })

  it('leaves nothing or the whole wherever it dies, and the next agent tidies up', async () => {
    // The copier dies in the middle, as with a killed agent: nothing is cleaned, because nobody is there to do it.
    let died = false
    const dying = createFileVolumeDriver({
      exec: async (argv, options) => {
        if (argv[0] !== 'cp') return exec(argv, options)
        writeFileSync(argv.at(-1) ?? '', 'half')
        died = true
        return new Promise(() => {})
      },
      dir: join(lab.dir, 'data'),
      portal_ip: '127.0.0.1',
      portal_port: lab.port,
      state_dir: join(lab.dir, 'state'),
    })
    void dying.ensureSnapshot('torn', { volume_id: 'from-raw' })
    while (!died) await sleep(10)
    const next = lab.make()
    assert.deepEqual((await next.list()).snapshots, [])
    assert.deepEqual(readdirSync(join(lab.dir, 'data', 'tmp')), [])
    assert.equal((await next.ensureSnapshot('torn', { volume_id: 'from-raw' })).size_bytes, GIB)
  })

  it('calls a full disk by its name', async () => {
    const full = createFileVolumeDriver({
      exec: async (argv, options) => (argv[0] === 'cp' ? Promise.reject(new ExecError(argv, 1, '', 'cp: error writing: No space left on device')) : exec(argv, options)),
      dir: join(lab.dir, 'data'),
      portal_ip: '127.0.0.1',
      portal_port: lab.port,
      state_dir: join(lab.dir, 'state'),
    })
    await assert.rejects(full.ensureSnapshot('full', { volume_id: 'from-raw' }), { kind: 'insufficient_storage' })
  })
})
