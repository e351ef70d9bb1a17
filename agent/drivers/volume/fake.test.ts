import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { volumeConformance } from './conformance.ts'
import { createFakeVolumeDisk, createFakeVolumeDriver } from './fake.ts'

volumeConformance('fake', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'fake-volumes-'))
  const disk = createFakeVolumeDisk()
  return { dir, driver: () => createFakeVolumeDriver({ disk, dir: join(dir, 'volumes') }), end: async () => rmSync(dir, { recursive: true, force: true }) }
})

it('fails as scripted: before the effect, or after it', async () => {
  const disk = createFakeVolumeDisk()
  const failing = (when: 'before' | 'after') =>
    createFakeVolumeDriver({
      disk,
      faults: (now, step, id) => {
        if (now === when && step === 'ensureVolume') throw new Error(`${when} ${id}`)
      },
    })
  await assert.rejects(failing('before').ensureVolume('v', { size_gib: 1, source: null }, null), /before v/)
  assert.equal(disk.volumes.size, 0)
  await assert.rejects(failing('after').ensureVolume('v', { size_gib: 1, source: null }, null), /after v/)
  assert.equal(disk.volumes.size, 1)
})

it('is full where its pool is', async () => {
  const driver = createFakeVolumeDriver({ total_gib: 2 })
  await driver.ensureVolume('a', { size_gib: 2, source: null }, null)
  await assert.rejects(driver.ensureVolume('b', { size_gib: 1, source: null }, null), { kind: 'insufficient_storage' })
})
