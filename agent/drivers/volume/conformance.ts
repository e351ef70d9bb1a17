/** What every volume driver must do, the fake like the real ones. Run with node:test by the drivers' own tests. */
import assert from 'node:assert/strict'
import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { ExportSpec, VolumeSpec } from '../../../schema/agent/desired.ts'
import { isFault } from '../../../schema/values/fault.ts'
import type { VolumeDriver } from './driver.ts'

const GIB = 1024 ** 3

export interface VolumeLab {
  /** A driver on this lab's disk; a second call is the driver of a restarted agent. */
  driver(): VolumeDriver
  /** A folder for images. */
  dir: string
  end(): Promise<void>
}

const blank = (size_gib: number): VolumeSpec => ({ size_gib, source: null })
const from = (type: 'volume' | 'snapshot', id: string, size_gib: number): VolumeSpec => ({ size_gib, source: { type, id } })
const fromImage = (size_gib: number): VolumeSpec => ({
  size_gib,
  source: { type: 'image', image: { id: 'i', owner_id: 'p', size_bytes: 0, sha512: '', disk_format: 'raw', properties: {} } },
})
const exportOf = (volume_id: string, extra: Partial<ExportSpec> = {}): ExportSpec => ({
  volume_id,
  iqn: `iqn.2026-01.org.skyhook:${volume_id}`,
  lun: 1,
  chap_user: `user-${volume_id}`,
  chap_secret: 'secret-of-sixteen',
  ...extra,
})

async function readAt(driver: VolumeDriver, id: string, at: number, length: number): Promise<string> {
  const handle = await open((await driver.path(id)).path, 'r')
  try {
    const buffer = Buffer.alloc(length)
    const { bytesRead } = await handle.read(buffer, 0, length, at)
    return buffer.subarray(0, bytesRead).toString()
  } finally {
    await handle.close()
  }
}

async function writeAt(driver: VolumeDriver, id: string, at: number, text: string): Promise<void> {
  const handle = await open((await driver.path(id)).path, 'r+')
  try {
    await handle.write(text, at)
  } finally {
    await handle.close()
  }
}

const sizes = (states: { id: string; size_bytes: number }[]) => Object.fromEntries(states.map(({ id, size_bytes }) => [id, size_bytes / GIB]))
const fault = (kind: Parameters<typeof isFault>[1]) => (error: unknown) => isFault(error, kind)

export function volumeConformance(name: string, make: () => Promise<VolumeLab>): void {
  describe(`volume driver ${name}`, () => {
    let lab: VolumeLab
    let driver: VolumeDriver
    before(async () => {
      lab = await make()
      driver = lab.driver()
    })
    after(() => lab.end())

    it('makes a blank volume once, and reads it as zeros', async () => {
      assert.deepEqual(await driver.ensureVolume('blank', blank(1), null), { id: 'blank', size_bytes: GIB })
      await writeAt(driver, 'blank', 0, 'kept')
      assert.deepEqual(await driver.ensureVolume('blank', blank(1), null), { id: 'blank', size_bytes: GIB })
      assert.equal(await readAt(driver, 'blank', 0, 8), 'kept\0\0\0\0')
      assert.deepEqual(sizes((await driver.list()).volumes), { blank: 1 })
    })

    it('grows and never shrinks', async () => {
      assert.equal((await driver.ensureVolume('blank', blank(3), null)).size_bytes, 3 * GIB)
      assert.equal((await driver.ensureVolume('blank', blank(2), null)).size_bytes, 3 * GIB)
      assert.equal((await driver.path('blank')).size_bytes, 3 * GIB)
      assert.equal(await readAt(driver, 'blank', 0, 4), 'kept')
      assert.equal(await readAt(driver, 'blank', 3 * GIB - 4, 8), '\0\0\0\0')
    })

    it('takes a snapshot that later writes do not change', async () => {
      assert.equal((await driver.ensureSnapshot('snap', { volume_id: 'blank' })).size_bytes, 3 * GIB)
      await writeAt(driver, 'blank', 0, 'over')
      assert.equal((await driver.ensureSnapshot('snap', { volume_id: 'blank' })).size_bytes, 3 * GIB)
      assert.equal(await readAt(driver, 'snap', 0, 4), 'kept')
      assert.deepEqual(sizes((await driver.list()).snapshots), { snap: 3 })
    })

    it('clones from a volume and from a snapshot, larger if asked, independent of both', async () => {
      await driver.ensureVolume('clone', from('volume', 'blank', 4), null)
      await driver.ensureVolume('restored', from('snapshot', 'snap', 3), null)
      await writeAt(driver, 'clone', 0, 'mine')
      assert.deepEqual([await readAt(driver, 'blank', 0, 4), await readAt(driver, 'clone', 0, 4), await readAt(driver, 'restored', 0, 4)], ['over', 'mine', 'kept'])
      assert.equal((await driver.path('clone')).size_bytes, 4 * GIB)
      await assert.rejects(driver.ensureVolume('small', from('snapshot', 'snap', 2), null), fault('bad_request'))
      await assert.rejects(driver.ensureVolume('none', from('volume', 'nobody', 2), null), fault('not_found'))
      await assert.rejects(driver.ensureSnapshot('none', { volume_id: 'nobody' }), fault('not_found'))
      assert.deepEqual(Object.keys(sizes((await driver.list()).volumes)), ['blank', 'clone', 'restored'])
    })

    it('makes a volume from an image', async () => {
      const path = join(lab.dir, 'image.raw')
      await writeFile(path, 'content of the image'.padEnd(4096, '.'))
      await driver.ensureVolume('imaged', fromImage(1), { path, format: 'raw' })
      assert.equal(await readAt(driver, 'imaged', 0, 20), 'content of the image')
      assert.equal((await driver.path('imaged')).size_bytes, GIB)
      await writeAt(driver, 'imaged', 0, 'changed')
      assert.equal((await readFile(path, 'utf8')).startsWith('content'), true)
      await assert.rejects(driver.ensureVolume('imageless', fromImage(1), null), fault('bad_request'))
    })

    it('exports a volume, with another secret too, and refuses what cannot be', async () => {
      await driver.ensureExport('ex', exportOf('blank'))
      await driver.ensureExport('ex', exportOf('blank'))
      await driver.ensureExport('ex', exportOf('blank', { chap_secret: 'another-secret-16' }))
      assert.deepEqual((await driver.list()).exports, ['ex'])
      await assert.rejects(driver.ensureExport('other', exportOf('nobody')), fault('not_found'))
      await assert.rejects(driver.ensureExport('other', exportOf('clone', { iqn: exportOf('blank').iqn })), fault('conflict'))
      for (const extra of [{ lun: 0 }, { iqn: '--op' }, { chap_secret: 'with,comma,in,it' }, { chap_user: '' }]) await assert.rejects(driver.ensureExport('other', exportOf('clone', extra)), fault('bad_request'))
      await assert.rejects(driver.removeVolume('blank'), fault('conflict'))
    })

    it('has everything again after a restart of the agent', async () => {
      const next = lab.driver()
      assert.deepEqual(sizes((await next.list()).volumes), { blank: 3, clone: 4, imaged: 1, restored: 3 })
      assert.deepEqual((await next.list()).exports, ['ex'])
      await next.ensureExport('ex', exportOf('blank'))
      assert.equal(await readAt(next, 'blank', 0, 4), 'over')
      driver = next
    })

    it('removes, again and again, and leaves no bytes behind', async () => {
      for (let again = 0; again < 2; again++) {
        await driver.removeExport('ex')
        for (const id of ['blank', 'clone', 'imaged', 'restored']) await driver.removeVolume(id)
      }
      assert.equal(await readAt(driver, 'snap', 0, 4), 'kept', 'a snapshot outlives its volume')
      for (let again = 0; again < 2; again++) await driver.removeSnapshot('snap')
      assert.deepEqual(await driver.list(), { volumes: [], snapshots: [], exports: [] })
      await assert.rejects(driver.path('blank'), fault('not_found'))
      await driver.ensureVolume('blank', blank(1), null)
      assert.equal(await readAt(driver, 'blank', 0, 4), '\0\0\0\0')
      await driver.removeVolume('blank')
    })

    it('refuses ids that are paths, and sizes that are none', async () => {
      for (const id of ['', '.', '../etc', 'a/b', 'a\0b', '-f']) await assert.rejects(async () => driver.ensureVolume(id, blank(1), null), fault('bad_request'))
      for (const size of [0, -1, 1.5, Number.NaN, 1e9]) await assert.rejects(async () => driver.ensureVolume('sized', blank(size), null), fault('bad_request'))
    })

    it('says what room it has', async () => {
      const [pool] = await driver.pools()
      assert.ok(pool !== undefined && pool.total_gib >= pool.free_gib && pool.free_gib >= 0)
      assert.equal(typeof (await driver.capabilities()).instant_copies, 'boolean')
    })
  })
}
