/**
 * The QEMU driver with a real guest, built here from Debian packages (SKYHOOK_GUEST_CACHE keeps the packages, SKYHOOK_GUEST_IMAGE an image built before). Under plain
 * emulation a boot takes ten seconds, on a busy machine a minute.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { hypervisorConformance, SERVER_ID, serverSpec, VOLUME_ID, volumeDisk, waitUntil } from '../../agent/drivers/hypervisor/conformance.ts'
import type { DiskBacking, Machine } from '../../agent/drivers/hypervisor/driver.ts'
import { probe } from '../../agent/drivers/hypervisor/qemu/acceleration.ts'
import { askGuest } from '../../agent/drivers/hypervisor/qemu/guest-agent.ts'
import { createQemuDriver, type QemuDriver } from '../../agent/drivers/hypervisor/qemu/index.ts'
import { findProcess } from '../../agent/drivers/hypervisor/qemu/process.ts'
import { createFileVolumeDriver } from '../../agent/drivers/volume/file/index.ts'
import { exec } from '../../agent/host/exec.ts'
import { systemTimers } from '../../agent/timers.ts'
import type { DiskSpec } from '../../schema/agent/desired.ts'

const GIB = 1024 ** 3
const ROOT = join(import.meta.dirname, '../..')
const missing = ['qemu-system-x86_64', 'qemu-img', 'genisoimage', 'mke2fs', 'dpkg', 'apt-get'].filter((program) => !['/usr/bin', '/usr/sbin', '/sbin', '/bin'].some((folder) => existsSync(join(folder, program))))
const skip = process.getuid?.() !== 0 ? 'needs root' : missing.length > 0 ? `missing: ${missing.join(', ')}` : false

let lab: { dir: string; image: string } | null = null

/** One folder and one image for all suites of this file. */
function labOf(): { dir: string; image: string } {
  if (lab) return lab
  const dir = mkdtempSync(join(tmpdir(), 'qemu-'))
  const ready = process.env.SKYHOOK_GUEST_IMAGE
  const image = ready && existsSync(ready) ? ready : join(dir, 'guest.qcow2')
  if (image !== ready) execFileSync(join(ROOT, 'bin/guest-image.sh'), [image, process.env.SKYHOOK_GUEST_CACHE ?? join(tmpdir(), 'skyhook-guest-cache')], { stdio: ['ignore', 'ignore', 'inherit'] })
  lab = { dir, image }
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }))
  return lab
}

const rootDisk: DiskSpec = { id: 'root', serial: 'root', boot: true, source: { type: 'image', size_gib: 1, image: { id: 'guest', owner_id: 'p', size_bytes: 1, sha512: '', disk_format: 'qcow2', properties: {} } } }
const imageBacking = (): DiskBacking => ({ type: 'file', path: labOf().image, format: 'qcow2', size_bytes: GIB })

function volumeFile(folder: string, id: string): DiskBacking {
  const path = join(folder, `${id}.raw`)
  writeFileSync(path, '')
  truncateSync(path, GIB)
  return { type: 'file', path, format: 'raw', size_bytes: GIB }
}

const logOf = (folder: string, id: string): string => {
  try {
    return readFileSync(join(folder, id, 'console.log'), 'utf8')
  } catch {
    return ''
  }
}

/** Runs a program in the guest by its agent; output and exit code. */
async function inGuest(folder: string, id: string, script: string): Promise<{ code: number; output: string }> {
  const times = { sync_ms: 30_000, answer_ms: 60_000 }
  const started = await askGuest<{ pid: number }>(join(folder, id), systemTimers, 'guest-exec', { path: '/bin/sh', arg: ['-c', script], 'capture-output': true }, times)
  assert.ok(started, 'the guest agent answers')
  for (;;) {
    const status = await askGuest<{ exited: boolean; exitcode?: number; 'out-data'?: string; 'err-data'?: string }>(join(folder, id), systemTimers, 'guest-exec-status', { pid: started.value.pid }, times)
    assert.ok(status)
    if (status.value.exited) return { code: status.value.exitcode ?? -1, output: [status.value['out-data'], status.value['err-data']].map((data) => Buffer.from(data ?? '', 'base64').toString()).join('') }
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

/** The prompt is the last thing that a boot prints. */
const ready = (folder: string, id: string, boots = 1) => waitUntil('the guest is up', async () => logOf(folder, id).split('login:').length > boots)

hypervisorConformance('qemu', async () => {
  const { dir } = labOf()
  const folder = join(dir, 'machines')
  let current: QemuDriver | null = null
  let paths = 0
  return {
    driver: () => {
      current?.close()
      current = createQemuDriver({ exec, folder, acceleration: 'tcg' })
      return current
    },
    image: { backing: imageBacking(), disk: rootDisk },
    volume: async (id) => volumeFile(dir, id),
    booted: (id) => ready(folder, id),
    guestShutdown: async (id) => {
      assert.ok(await askGuest(join(folder, id), systemTimers, 'guest-shutdown', { mode: 'powerdown' }, { sync_ms: 60_000, answer_ms: 0, answers: false }))
    },
    kill: async (id) => {
      process.kill(findProcess(join(folder, id), id) ?? 0, 'SIGKILL')
    },
    snapshotPath: () => join(dir, `snapshot-${paths++}.qcow2`),
    isQcow2: async (path) => !JSON.parse((await exec(['qemu-img', 'info', '-f', 'qcow2', '--output', 'json', path])).stdout)['backing-filename'],
    end: async () => {
      await current?.remove(SERVER_ID)
      current?.close()
    },
  }
}, { skip })

describe('qemu with a guest', { skip }, () => {
  let folder = ''
  let dir = ''
  let driver: QemuDriver
  let generation = 0
  let backing: Record<string, DiskBacking>
  const machine = (disks: DiskSpec[]): Machine => {
    const spec = serverSpec(rootDisk, { disks, metadata: { ...serverSpec(rootDisk).metadata, hostname: 'conf', public_keys: { k: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEexample me@here' }, user_data_base64: Buffer.from('#!/bin/sh\necho user-data-ran\n').toString('base64') } })
    return { id: SERVER_ID, generation: ++generation, spec, backing }
  }
  before(async () => {
    dir = labOf().dir
    folder = join(dir, 'guests')
    driver = createQemuDriver({ exec, folder, acceleration: 'tcg' })
    backing = { root: imageBacking(), [VOLUME_ID]: volumeFile(dir, 'data') }
  })
  after(async () => {
    await driver?.remove(SERVER_ID)
    driver?.close()
  })

  it('the probe of acceleration works where the processor is emulated', async () => {
    assert.equal(await probe('tcg', dir, exec), true)
  })

  it('is started in less than two seconds', async () => {
    const began = performance.now()
    await driver.ensure(machine([rootDisk]))
    const took = performance.now() - began
    assert.ok(took < 2_000, `${took} ms`)
  })

  it('gets its name, key and user data from the config drive', async () => {
    await ready(folder, SERVER_ID)
    const log = await driver.consoleLog(SERVER_ID, null)
    assert.match(log, /metadata from config-drive, name conf, 1 keys/)
    assert.match(log, /user-data-ran/)
    assert.match(log, /conf login:/)
    const keys = await inGuest(folder, SERVER_ID, 'cat /home/guest/.ssh/authorized_keys')
    assert.equal(keys.output.trim(), 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEexample me@here')
  })

  it('keeps what the guest wrote on a volume over detach and attach, and names it by its serial', async () => {
    const link = `/dev/disk/by-id/virtio-${VOLUME_ID.slice(0, 20)}`
    await driver.ensure(machine([rootDisk, volumeDisk(VOLUME_ID)]))
    await waitUntil('the link is there', async () => (await inGuest(folder, SERVER_ID, `ls ${link}`)).code === 0, 60_000)
    const written = await inGuest(folder, SERVER_ID, `mkfs.ext4 ${link} && mount ${link} /mnt && echo kept > /mnt/file && umount /mnt`)
    assert.equal(written.code, 0, written.output)
    await driver.ensure(machine([rootDisk]))
    await waitUntil('the link is gone', async () => (await inGuest(folder, SERVER_ID, `ls ${link}`)).code !== 0, 60_000)
    await driver.ensure(machine([rootDisk, volumeDisk(VOLUME_ID)]))
    await waitUntil('the link is back', async () => (await inGuest(folder, SERVER_ID, `ls ${link}`)).code === 0, 60_000)
    assert.equal((await inGuest(folder, SERVER_ID, `mount ${link} /mnt && cat /mnt/file && umount /mnt`)).output.trim(), 'kept')
  })

  it('attaches a volume over iSCSI with CHAP, plugged and from the start, its secret nowhere on the command line', { skip: existsSync('/usr/sbin/tgtd') ? false : 'tgtd is missing' }, async () => {
    const port = 33_260 + (process.pid % 1_000)
    const volumes = createFileVolumeDriver({ exec, dir: join(dir, 'volumes'), state_dir: join(dir, 'targets'), portal_ip: '127.0.0.1', portal_port: port })
    const id = '44444444-4444-4444-8444-444444444444'
    const iqn = `iqn.2026-01.test.skyhook:${id}`
    const connection = { type: 'iscsi' as const, portal: `127.0.0.1:${port}`, iqn, lun: 1, chap_user: 'initiator', chap_secret: 'averysecretword' }
    const remote: DiskSpec = { id, serial: id, boot: false, source: { type: 'volume', size_gib: 1, connection } }
    const link = `/dev/disk/by-id/virtio-${id.slice(0, 20)}`
    const local = backing
    try {
      await volumes.ensureVolume(id, { size_gib: 1, source: null }, null)
      await volumes.ensureExport('55555555-5555-4555-8555-555555555555', { volume_id: id, iqn, lun: 1, chap_user: connection.chap_user, chap_secret: connection.chap_secret })
      backing = { ...local, [id]: { ...connection, size_bytes: GIB } }
      const state = await driver.ensure(machine([rootDisk, remote]))
      assert.deepEqual(state.disks.at(-1), { id, serial: id })
      await waitUntil('the link is there', async () => (await inGuest(folder, SERVER_ID, `ls ${link}`)).code === 0, 60_000)
      assert.equal((await inGuest(folder, SERVER_ID, `mkfs.ext4 ${link} && mount ${link} /mnt && echo far > /mnt/file && umount /mnt`)).code, 0)
      const prompts = logOf(folder, SERVER_ID).split('login:').length
      await driver.reboot(SERVER_ID, true)
      assert.doesNotMatch(readFileSync(`/proc/${findProcess(join(folder, SERVER_ID), SERVER_ID)}/cmdline`, 'utf8'), /averysecretword/)
      await ready(folder, SERVER_ID, prompts)
      assert.equal((await inGuest(folder, SERVER_ID, `mount ${link} /mnt && cat /mnt/file && umount /mnt`)).output.trim(), 'far')
      assert.deepEqual((await driver.ensure(machine([rootDisk]))).disks, [{ id: 'root', serial: 'root' }])
    } finally {
      backing = local
      await volumes.stopTargets()
    }
  })

  it('sets a password by the guest agent', async () => {
    await driver.setPassword(SERVER_ID, 'guest', "it's new")
    const line = await inGuest(folder, SERVER_ID, 'grep ^guest: /etc/shadow | cut -d: -f2')
    assert.match(line.output, /^\$6\$/)
  })

  it('reboots softly by the guest agent, and powers off by the power button', async () => {
    const prompts = logOf(folder, SERVER_ID).split('login:').length
    await driver.reboot(SERVER_ID, false)
    await ready(folder, SERVER_ID, prompts)
    const began = performance.now()
    const spec = machine([rootDisk])
    const state = await driver.ensure({ ...spec, spec: { ...spec.spec, power: 'off' } })
    assert.equal(state.power, 'shutdown')
    assert.ok(performance.now() - began < 9_000, 'the guest did it, not the end of patience')
  })
})
