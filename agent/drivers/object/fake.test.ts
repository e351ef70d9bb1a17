import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { ObjectArgs } from '../../../schema/agent/protocol.ts'
import { systemRandom } from '../../../schema/values/random.ts'
import { at, bodyOf, md5, objectConformance } from './conformance.ts'
import { fragmentConformance } from './fragment-conformance.ts'
import { replicaConformance } from './replica-conformance.ts'
import { resealConformance } from './reseal-conformance.ts'
import { createFakeObjectDisk, createFakeObjectDriver } from './fake.ts'

const sealing = { seal: true, keys: [{ root: '00112233445566aa', key: Buffer.from(systemRandom.bytes(32)).toString('base64url') }] }

for (const [name, options, extra] of [['fake', {}, {}], ['fake, attributes as on ext4', { xattr_bytes: 4096 }, {}], ['fake, encrypted', {}, { sealing }], ['fake, encrypted, attributes as on ext4', { xattr_bytes: 4096 }, { sealing }]] as const) {
  const make = async () => {
    const disk = createFakeObjectDisk(options)
    return {
      driver: () => createFakeObjectDriver({ disk, devices: ['d1'] }),
      device: 'd1',
      unmount: async () => disk.unmount('d1'),
      mount: async () => disk.mount('d1'),
      end: async () => {},
      ...extra,
    }
  }
  objectConformance(name, make)
  replicaConformance(name, make)
  fragmentConformance(name, make)
  if (!('sealing' in extra)) resealConformance(name, make)
}

const args: ObjectArgs = { device: 'd1', policy: 0, partition: 1, hash: md5('x'), name: '/a/c/o', timestamp: at(1) }

it('fails as scripted: before the effect, or after it', async () => {
  const disk = createFakeObjectDisk()
  const failing = (when: 'before' | 'after') =>
    createFakeObjectDriver({
      disk,
      faults: (now, step) => {
        if (now === when && step === 'put') throw new Error(when)
      },
    })
  await assert.rejects(failing('before').put(args, bodyOf('x')), /before/)
  await assert.rejects(createFakeObjectDriver({ disk }).head(args), { kind: 'not_found' })
  await assert.rejects(failing('after').put(args, bodyOf('x')), /after/)
  assert.equal((await createFakeObjectDriver({ disk }).head(args)).size_bytes, 1)
})

it('keeps what it acknowledged over a power cut', async () => {
  const disk = createFakeObjectDisk()
  await createFakeObjectDriver({ disk }).put(args, bodyOf('x'))
  disk.cutPower()
  assert.equal((await createFakeObjectDriver({ disk }).head(args)).size_bytes, 1)
})

it('is full where its device is', async () => {
  const disk = createFakeObjectDisk({ device_bytes: 100 })
  await assert.rejects(createFakeObjectDriver({ disk }).put(args, bodyOf(new Uint8Array(101))), { kind: 'insufficient_storage' })
})
