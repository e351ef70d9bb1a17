/**
 * The object driver of simulated hosts: the real one's logic on a disk in memory, so that what a simulation finds is true of the real
 * one. The disk is passed in and outlives the driver: a simulated agent may crash, and the power of its host be cut.
 */
import type { ObjectArgs, ObjectHead } from '../../../schema/agent/protocol.ts'
import type { Ids } from '../../../schema/values/ids.ts'
import type { ObjectDriver } from './driver.ts'
import type { ObjectReplicas } from './replicas.ts'
import { MemoryFs, type MemoryFsOptions } from './memory-fs.ts'
import { createXfsObjectDriver } from './xfs/index.ts'

const DEVICES_DIR = '/devices'

/** A host's object disks. cutPower() loses what was not synced, unmount('sda') takes a device away. */
export class FakeObjectDisk {
  readonly fs: MemoryFs

  constructor(options: MemoryFsOptions = {}) {
    this.fs = new MemoryFs(options)
  }

  addDevice(name: string): Promise<void> {
    return this.fs.makeDevice(`${DEVICES_DIR}/${name}`)
  }

  cutPower(): void {
    this.fs.cutPower()
  }

  unmount(name: string): void {
    this.fs.unmount(`${DEVICES_DIR}/${name}`)
  }

  /** The disk dies: every call on it fails. */
  breakDown(name: string): void {
    this.fs.breakDown(`${DEVICES_DIR}/${name}`)
  }

  repair(name: string): void {
    this.fs.repair(`${DEVICES_DIR}/${name}`)
  }

  /** One bit of one object's data turns; false where the device has none. */
  flipBit(name: string, choose: (count: number) => number, policy = 0): boolean {
    return this.fs.flipBit(`${DEVICES_DIR}/${name}/objects${policy === 0 ? '' : `-${policy}`}`, '.data', choose)
  }

  mount(name: string): void {
    this.fs.mount(`${DEVICES_DIR}/${name}`)
  }
}

export type ObjectStep = 'put' | 'head' | 'get' | 'post' | 'delete' | 'fragments' | 'commit' | 'doubt'

/** Scripted trouble, called around each operation; what it throws is what the caller sees. A throw from `after` is a lost answer. May wait. */
export type ObjectFaults = (when: 'before' | 'after', step: ObjectStep, args: ObjectArgs) => void | Promise<void>

export interface FakeObjectOptions {
  disk?: FakeObjectDisk
  faults?: ObjectFaults
  /** Names of the host's devices; those the disk has already are kept. */
  devices?: readonly string[]
  ids?: Pick<Ids, 'hex'>
}

export const createFakeObjectDisk = (options: MemoryFsOptions = {}): FakeObjectDisk => new FakeObjectDisk(options)

export function createFakeObjectDriver({ disk = new FakeObjectDisk(), faults = () => {}, devices = ['d1'], ids }: FakeObjectOptions = {}): ObjectDriver {
  let made = 0
  const inner = createXfsObjectDriver({ name: 'fake', devices_dir: DEVICES_DIR, fs: disk.fs, ids: ids ?? { hex: () => (made++).toString(16).padStart(32, '0') } })
  let ready: Promise<unknown> | null = null
  const prepare = () => (ready ??= Promise.all(devices.map((name) => disk.addDevice(name))))
  const around = async <T>(step: ObjectStep, args: ObjectArgs, work: () => Promise<T>): Promise<T> => {
    await prepare()
    await faults('before', step, args)
    const answer = await work()
    await faults('after', step, args)
    return answer
  }
  return {
    name: 'fake',
    replicas: prepared(inner.replicas, prepare),
    devices: async () => {
      await prepare()
      return inner.devices()
    },
    put: (args, body, intake): Promise<ObjectHead> => around('put', args, () => inner.put(args, body, intake)),
    head: (args) => around('head', args, () => inner.head(args)),
    get: (args) => around('get', args, () => inner.get(args)),
    post: (args) => around('post', args, () => inner.post(args)),
    fragments: (args) => around('fragments', args, () => inner.fragments(args)),
    commit: (args) => around('commit', args, () => inner.commit(args)),
    doubt: (args) => around('doubt', args, () => inner.doubt(args)),
    delete: (args) => around('delete', args, () => inner.delete(args)),
  }
}

/** The devices are made with the first use, whoever comes first. */
function prepared(replicas: ObjectReplicas, prepare: () => Promise<unknown>): ObjectReplicas {
  return new Proxy(replicas, {
    get: (target, name) => {
      const method = Reflect.get(target, name, target) as (...rest: unknown[]) => unknown
      return name === 'failures' ? () => target.failures() : async (...rest: unknown[]) => {
        await prepare()
        return await method.apply(target, rest)
      }
    },
  })
}
