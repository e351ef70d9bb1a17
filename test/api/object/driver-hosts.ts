/**
 * Hosts whose replicas lie on simulated disks, written by the real driver: for tests of what is on the disks. They keep the same books as MemoryHosts, so that every test of the object
 * store can run on them, with encryption on (SKYHOOK_TEST_ENCRYPTED=1, encrypted.test.ts).
 */
import { createFakeObjectDisk, createFakeObjectDriver, type FakeObjectDisk } from '../../../agent/drivers/object/fake.ts'
import type { ObjectDriver } from '../../../agent/drivers/object/driver.ts'
import { findOneByOne } from '../../../durable-objects/host/find.ts'
import { SkyObject } from '../../../durable-objects/kernel/object.ts'
import type { Env } from '../../../durable-objects/kernel/env.ts'
import type { FindArgs, ObjectArgs, ObjectHead, ObjectOpArgs } from '../../../schema/agent/protocol.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { MemoryHosts } from './cloud.ts'

export interface DriverHost {
  disk: FakeObjectDisk
  driver: ObjectDriver
}

export const driverHosts = (ids: Iterable<string>): Map<string, DriverHost> =>
  new Map([...ids].map((id) => {
    const disk = createFakeObjectDisk()
    return [id, { disk, driver: createFakeObjectDriver({ disk, devices: ['d1'] }) }]
  }))

/** Whatever the test sets, with encryption on. */
export function alwaysEncrypted(env: Env, key: string): void {
  let given = env.OPTIONS ?? ''
  Object.defineProperty(env, 'OPTIONS', {
    enumerable: true,
    get: () => {
      const options = given === '' ? {} : (JSON.parse(given) as { swift?: object })
      return JSON.stringify({ ...options, swift: { ...options.swift, encryption: true } })
    },
    set: (value: string | undefined) => {
      given = value ?? ''
    },
  })
  env.OBJECT_KEYS = key
}

export function driverHostClass(hosts: MemoryHosts, drivers: Map<string, DriverHost>) {
  return class DriverBackedHost extends SkyObject {
    constructor(state: DurableObjectState, env: Env) {
      super(state, env, [], {})
    }
    #at(op: string, args: ObjectArgs): ObjectDriver {
      hosts.calls.push({ host: this.deps.name, op, args })
      const found = drivers.get(this.deps.name)
      if (found === undefined || hosts.down.has(this.deps.name)) throw new Fault('unavailable', 'the host is down')
      return found.driver
    }
    /** What MemoryHosts would show. */
    #note(args: ObjectArgs, head: ObjectHead | null): void {
      hosts.disks.get(this.deps.name)?.set(`${args.device}/${args.hash}`, { data: head === null ? null : new Uint8Array(head.size_bytes), head: head ?? { timestamp: args.timestamp, size_bytes: 0, etag: '', metadata: {} } })
    }
    status() {
      const up = !hosts.down.has(this.deps.name)
      return { connected: up, up, seen_ms: 0, version: 0, facts: null }
    }
    async objectPut(args: ObjectArgs, body: ReadableStream<Uint8Array>): Promise<ObjectHead> {
      const head = await this.#at('put', args).put(args, body as never)
      this.#note(args, head)
      return head
    }
    async objectHead(args: ObjectArgs): Promise<ObjectHead> {
      return await this.#at('head', args).head(args)
    }
    objectsFind(args: FindArgs) {
      return findOneByOne(this as never, args)
    }
    async objectGet(args: ObjectArgs) {
      const { head, body } = await this.#at('get', args).get(args)
      hosts.open++
      const chunks = body[Symbol.asyncIterator]()
      const stream = new ReadableStream<Uint8Array>({
        async pull(controller) {
          const next = await chunks.next()
          if (next.done !== true) return controller.enqueue(next.value)
          hosts.open--
          controller.close()
        },
        async cancel() {
          hosts.open--
          await chunks.return?.()
        },
      }, { highWaterMark: 0 })
      return { head, body: stream }
    }
    async objectPost(args: ObjectArgs): Promise<ObjectHead> {
      const head = await this.#at('post', args).post(args)
      this.#note(args, head)
      return head
    }
    async objectDoubt(args: ObjectArgs) {
      return await this.#at('doubt', args).doubt(args)
    }
    async objectDelete(args: ObjectArgs): Promise<{ timestamp: string; existed: boolean }> {
      const answer = await this.#at('delete', args).delete(args)
      this.#note(args, null)
      return answer
    }
    async objectDefer({ update, ...at }: ObjectOpArgs['object.defer']): Promise<void> {
      await drivers.get(this.deps.name)?.driver.replicas.defer(at, update)
    }
  }
}
