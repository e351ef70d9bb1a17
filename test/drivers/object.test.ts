/** The object driver on real disks: whatever file system the temporary folder has, and XFS on a loop device where root may mount one. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { at, bodyOf, md5, objectConformance, textOf } from '../../agent/drivers/object/conformance.ts'
import { fragmentConformance } from '../../agent/drivers/object/fragment-conformance.ts'
import { replicaConformance } from '../../agent/drivers/object/replica-conformance.ts'
import { resealConformance } from '../../agent/drivers/object/reseal-conformance.ts'
import type { ObjectDriver } from '../../agent/drivers/object/driver.ts'
import { createNodeFs } from '../../agent/drivers/object/xfs/fs.ts'
import { createXfsObjectDriver, LONG_BYTES } from '../../agent/drivers/object/xfs/index.ts'
import { loadXattr } from '../../agent/drivers/object/xfs/xattr.ts'
import { wholePages } from '../../agent/pages.ts'
import type { ObjectArgs } from '../../schema/agent/protocol.ts'
import { systemRandom } from '../../schema/values/random.ts'

const MIB = 1024 ** 2

const argsOf = (object: string, n: number, extra: Partial<ObjectArgs> = {}): ObjectArgs => {
  const name = `/AUTH_a/c/${object}`
  return { device: 'd1', policy: 0, partition: 17, hash: md5(name), name, timestamp: at(n), ...extra }
}

const folderOf = (devices: string, object: string): string => {
  const hash = md5(`/AUTH_a/c/${object}`)
  return join(devices, 'd1', 'objects', '17', hash.slice(-3), hash)
}

const sealing = { seal: true, keys: [{ root: '00112233445566aa', key: Buffer.from(systemRandom.bytes(32)).toString('base64url') }] }

for (const [name, fs, extra] of [['xfs, on a plain folder', undefined, {}], ['xfs, without attributes', createNodeFs(null), {}], ['xfs, encrypted', undefined, { sealing }], ['xfs, encrypted, without attributes', createNodeFs(null), { sealing }]] as const) {
  const make = async () => {
    const root = mkdtempSync(join(tmpdir(), 'objects-'))
    const devices_dir = join(root, 'devices')
    mkdirSync(join(devices_dir, 'd1'), { recursive: true })
    return {
      driver: () => createXfsObjectDriver({ devices_dir, ...(fs === undefined ? {} : { fs }) }),
      device: 'd1',
      unmount: async () => renameSync(join(devices_dir, 'd1'), join(root, 'away')),
      mount: async () => renameSync(join(root, 'away'), join(devices_dir, 'd1')),
      end: async () => rmSync(root, { recursive: true, force: true }),
      ...extra,
    }
  }
  objectConformance(name, make)
  fragmentConformance(name, make)
  if (!('sealing' in extra)) resealConformance(name, make)
  replicaConformance(name, make)
}

/** A long body in pieces of which some are whole pages and some are not, however the file system takes them. */
async function keepsLongBodies(driver: ObjectDriver): Promise<void> {
  const pages = wholePages(MIB) as Uint8Array
  pages.set(systemRandom.bytes(65_536))
  pages.copyWithin(65_536, 0, MIB - 65_536)
  const plain = new Uint8Array(100_000).fill(7)
  // At a page's start, after something that is not one, with an end in the middle of a page, and whole to the end.
  for (const [n, pattern] of [[pages, pages, plain], [plain, pages, pages], [pages, pages.subarray(0, 4096 * 3 + 17), pages], [pages]].entries()) {
    const parts: Uint8Array[] = []
    for (let at = 0, size = 0; size < LONG_BYTES + MIB; at++) {
      const part = pattern[at % pattern.length] as Uint8Array
      parts.push(part)
      size += part.length
    }
    const body = Buffer.concat(parts)
    const args = argsOf(`long-${n}`, 1, { size_bytes: body.length })
    const head = await driver.put(args, (async function* () {
      yield* parts
    })())
    assert.equal(head.etag, md5(body))
    const { body: there } = await driver.get(args)
    const got: Uint8Array[] = []
    for await (const chunk of there) got.push(chunk)
    assert.ok(Buffer.concat(got).equals(body))
  }
}

describe('objects on a plain folder', () => {
  let devices = ''
  let driver: ObjectDriver
  before(() => {
    devices = mkdtempSync(join(tmpdir(), 'objects-'))
    mkdirSync(join(devices, 'd1'))
    driver = createXfsObjectDriver({ devices_dir: devices })
  })
  after(() => rmSync(devices, { recursive: true, force: true }))

  it('lies where Swift would look for it, one file per version', async () => {
    await driver.put(argsOf('a', 1), bodyOf('x'))
    await driver.put(argsOf('a', 2), bodyOf('y'))
    await driver.post(argsOf('a', 3, { metadata: { a: 'b' } }))
    assert.deepEqual(readdirSync(folderOf(devices, 'a')).sort(), [`${at(2)}.data`, `${at(3)}.meta`])
    await driver.delete(argsOf('a', 4))
    assert.deepEqual(readdirSync(folderOf(devices, 'a')), [`${at(4)}.ts`])
    assert.deepEqual(readdirSync(join(devices, 'd1', 'tmp')), [])
  })

  it('removes what an earlier process left unfinished', async () => {
    writeFileSync(join(devices, 'd1', 'tmp', 'half'), 'half')
    await assert.rejects(createXfsObjectDriver({ devices_dir: devices }).head(argsOf('none', 1)), { kind: 'not_found' })
    assert.deepEqual(readdirSync(join(devices, 'd1', 'tmp')), [])
  })

  it('tells a damaged body and a cut one from a good one', async () => {
    await driver.put(argsOf('rot', 1), bodyOf('some bytes'))
    const file = join(folderOf(devices, 'rot'), `${at(1)}.data`)
    const bytes = readFileSync(file)
    bytes[3] = 0
    writeFileSync(file, bytes)
    await assert.rejects(driver.get(argsOf('rot', 9)).then(({ body }) => textOf(body)), { kind: 'internal', message: /check sum/ })
    await assert.rejects(driver.head(argsOf('rot', 9)), { kind: 'not_found' }, 'it was put aside')
    await driver.put(argsOf('rot', 2), bodyOf('some bytes'))
    truncateSync(join(folderOf(devices, 'rot'), `${at(2)}.data`), 4)
    await assert.rejects(driver.get(argsOf('rot', 9)).then(({ body }) => textOf(body)), { kind: 'internal', message: /shorter/ })
  })

  it('streams: memory does not grow with the body', async () => {
    const chunk = new Uint8Array(256 * 1024).fill(3)
    const body = async function* () {
      for (let n = 0; n < 800; n++) yield chunk
    }
    const start = process.memoryUsage.rss()
    const head = await driver.put(argsOf('long', 1, { want: { sha512: true, inspect: true } }), body())
    let read = 0
    for await (const piece of (await driver.get(argsOf('long', 9))).body) read += piece.length
    assert.deepEqual([head.size_bytes, read], [200 * MIB, 200 * MIB])
    assert.ok(process.memoryUsage.rss() - start < 120 * MIB)
    await driver.delete(argsOf('long', 2))
  })

  it('keeps long bodies, in whatever pieces they come', () => keepsLongBodies(driver))

  it('keeps them where the file system knows no way past its cache, and with metadata in the file', async () => {
    const memory = mkdtempSync('/dev/shm/objects-')
    try {
      mkdirSync(join(memory, 'd1'))
      await keepsLongBodies(createXfsObjectDriver({ devices_dir: memory, fs: createNodeFs(null) }))
    } finally {
      rmSync(memory, { recursive: true, force: true })
    }
  })

  it('closes what it opened', async () => {
    const opened = (): number => readdirSync('/proc/self/fd').length
    await driver.put(argsOf('fd', 1), bodyOf('abc'))
    const start = opened()
    for (let n = 0; n < 20; n++) {
      await textOf((await driver.get(argsOf('fd', 9))).body)
      await (await driver.get(argsOf('fd', 9))).body[Symbol.asyncIterator]().return?.()
      await driver.head(argsOf('fd', 9))
      await driver.get(argsOf('fd', 9, { range: [5, 6] })).catch(() => {})
      await driver.put(argsOf('fd', 2, { etag: md5('no') }), bodyOf('abc')).catch(() => {})
    }
    assert.ok(opened() <= start + 1)
  })

  it('shows nothing of an encrypted object: no body, no ETag, no metadata, no key, in no file and no attribute', async () => {
    const secrets = ['a body that nobody may read', 'a-metadata-value', 'text/x-private', 'posted-value', md5('a body that nobody may read'), sealing.keys[0]?.key ?? '']
    const devices_dir = mkdtempSync(join(tmpdir(), 'objects-'))
    const bytesOf = (path: string): string[] => {
      const fd = openSync(path, 'r')
      try {
        const attribute = loadXattr()?.get(fd, 'user.skyhook.metadata') ?? null
        // A key may lie there in other clothes, too.
        return [readFileSync(path).toString('latin1'), attribute === null ? '' : Buffer.from(attribute).toString('latin1')]
      } finally {
        closeSync(fd)
      }
    }
    const found = () => readdirSync(devices_dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).flatMap((entry) => bytesOf(join(entry.parentPath, entry.name)))
    for (const [device, fs] of [['d1', undefined], ['d2', createNodeFs(null)]] as const) {
      mkdirSync(join(devices_dir, device))
      const own = createXfsObjectDriver({ devices_dir, ...(fs === undefined ? {} : { fs }) })
      const at_device = { device, metadata: { 'Content-Type': 'text/x-private', 'X-Object-Meta-A': 'a-metadata-value' } }
      await own.put(argsOf('plain', 1, at_device), bodyOf('a body that nobody may read'))
      await own.post(argsOf('plain', 2, { device, metadata: { 'X-Object-Meta-A': 'posted-value' } }))
      const shown = found().join('\n')
      for (const secret of secrets.slice(0, -1)) assert.ok(shown.includes(secret), `${secret} is found where it is not encrypted`)
      rmSync(join(devices_dir, device, 'objects'), { recursive: true })
      await own.put(argsOf('secret', 1, { ...at_device, sealing }), bodyOf('a body that ', 'nobody may read'))
      await own.post(argsOf('secret', 2, { device, metadata: { 'X-Object-Meta-A': 'posted-value' }, sealing }))
      const hidden = found().join('\n')
      assert.ok(hidden.includes('/AUTH_a/c/secret'), 'its name is not hidden')
      for (const secret of [...secrets, Buffer.from(secrets[5] ?? '', 'base64url').toString('latin1'), Buffer.from(secrets[5] ?? '', 'base64url').toString('base64')]) assert.ok(!hidden.includes(secret), secret)
      assert.equal(await textOf((await own.get(argsOf('secret', 9, { device, sealing }))).body), 'a body that nobody may read')
      rmSync(join(devices_dir, device), { recursive: true })
    }
    rmSync(devices_dir, { recursive: true })
  })

  it('counts a folder that is no mount as missing, where devices are mounts', async () => {
    const strict = createXfsObjectDriver({ devices_dir: devices, mount_check: true })
    assert.deepEqual(await strict.devices(), [])
    await assert.rejects(strict.put(argsOf('a', 9), bodyOf('x')), { kind: 'unavailable' })
  })
})

const noLoop = ((): string | false => {
  if (process.getuid?.() !== 0) return 'mounting needs root'
  try {
    execFileSync('losetup', ['--find'], { stdio: 'ignore' })
    execFileSync('mkfs.xfs', ['-V'], { stdio: 'ignore' })
    return readFileSync('/proc/filesystems', 'utf8').includes('xfs') ? false : 'the kernel has no XFS'
  } catch {
    return 'no loop device or no mkfs.xfs'
  }
})()

/** An XFS of its own in a file. `-o loop` gives the loop device back at umount, also a lazy one. */
function mountXfs(): { root: string; devices: string; mount(): void; unmount(): void; end(): void } {
  const root = mkdtempSync(join(tmpdir(), 'objects-xfs-'))
  const devices = join(root, 'devices')
  const image = join(root, 'disk')
  mkdirSync(join(devices, 'd1'), { recursive: true })
  writeFileSync(image, '')
  truncateSync(image, 320 * MIB)
  execFileSync('mkfs.xfs', ['-q', image])
  const mount = () => execFileSync('mount', ['-o', 'loop', image, join(devices, 'd1')])
  const unmount = () => execFileSync('umount', [join(devices, 'd1')])
  mount()
  return {
    root,
    devices,
    mount,
    unmount,
    end: () => {
      try {
        execFileSync('umount', ['-l', join(devices, 'd1')], { stdio: 'ignore' })
      } catch {
        // A test has unmounted it already.
      }
      rmSync(root, { recursive: true, force: true })
    },
  }
}

if (noLoop === false) {
  const make = async () => {
    const disk = mountXfs()
    return {
      driver: () => createXfsObjectDriver({ devices_dir: disk.devices, mount_check: true }),
      device: 'd1',
      unmount: async () => disk.unmount(),
      mount: async () => disk.mount(),
      end: async () => disk.end(),
    }
  }
  objectConformance('xfs, on XFS', make)
  fragmentConformance('xfs, on XFS', make)
  resealConformance('xfs, on XFS', make)
  replicaConformance('xfs, on XFS', make)
}

describe('objects on XFS', { skip: noLoop }, () => {
  let disk: ReturnType<typeof mountXfs>
  let driver: ObjectDriver
  before(() => {
    disk = mountXfs()
    driver = createXfsObjectDriver({ devices_dir: disk.devices, mount_check: true })
  })
  after(() => disk.end())

  it('keeps long bodies, in whatever pieces they come', () => keepsLongBodies(driver))

  it('keeps metadata of any size in attributes, never in the file', async () => {
    assert.notEqual(loadXattr(), null, 'the foreign-function module works here')
    await driver.put(argsOf('m', 1, { metadata: { long: 'x'.repeat(150_000) } }), bodyOf('body'))
    assert.deepEqual(readdirSync(folderOf(disk.devices, 'm')), [`${at(1)}.data`])
    assert.equal(readFileSync(join(folderOf(disk.devices, 'm'), `${at(1)}.data`), 'utf8'), 'body')
  })

  it('says when the disk is full, keeps the old version, and takes writes again', async () => {
    await driver.put(argsOf('old', 1), bodyOf('old'))
    const chunk = new Uint8Array(MIB).fill(9)
    const endless = async function* () {
      for (;;) yield chunk
    }
    await assert.rejects(driver.put(argsOf('old', 2), endless()), { kind: 'insufficient_storage' })
    assert.equal(await textOf((await driver.get(argsOf('old', 9))).body), 'old')
    assert.deepEqual(readdirSync(join(disk.devices, 'd1', 'tmp')), [])
    await driver.put(argsOf('old', 3), bodyOf('new'))
    assert.equal(await textOf((await driver.get(argsOf('old', 9))).body), 'new')
  })
})
