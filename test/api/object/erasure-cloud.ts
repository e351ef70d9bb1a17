/** A cloud whose one policy is erasure-coded, with object hosts that are real drivers on disks in memory, and ways to hurt them. */
import { findOneByOne } from '../../../durable-objects/host/find.ts'
import { SkyObject } from '../../../durable-objects/kernel/object.ts'
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { createFakeObjectDriver, FakeObjectDisk } from '../../../agent/drivers/object/fake.ts'
import type { ObjectDriver } from '../../../agent/drivers/object/driver.ts'
import type { FindArgs, ObjectArgs, ObjectOp } from '../../../schema/agent/protocol.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { type Answer, mintedCloud, type TestCloud } from '../../support/cloud.ts'
import { ROOT } from './cloud.ts'

export interface ErasureHost {
  disk: FakeObjectDisk
  driver: ObjectDriver
  down: boolean
  /** Called before each operation; what it throws is the answer, what it waits for delays it. */
  before: (op: ObjectOp, args: ObjectArgs) => void | Promise<void>
  /** What becomes of a body that is read from here. */
  through: (body: AsyncIterable<Uint8Array>, args: ObjectArgs) => AsyncIterable<Uint8Array>
  calls: { op: ObjectOp; args: ObjectArgs }[]
}

export interface ErasureCloud extends TestCloud {
  hosts: Map<string, ErasureHost>
  /** Bodies given out and neither read to their end nor cancelled. */
  open(): number
  swift(method: string, path: string, options?: { headers?: Record<string, string>; body?: BodyInit }): Promise<Answer>
  bytes(path: string, headers?: Record<string, string>): Promise<{ status: number; bytes: Uint8Array; headers: Headers }>
}

const makeHost = (): ErasureHost => {
  const disk = new FakeObjectDisk()
  return { disk, driver: createFakeObjectDriver({ disk, devices: ['d1'] }), down: false, before: () => {}, through: (body) => body, calls: [] }
}

function hostClass(hosts: Map<string, ErasureHost>, open: { count: number }) {
  return class DriverHost extends SkyObject {
    constructor(state: DurableObjectState, env: Env) {
      super(state, env, [], {})
    }
    async #host(op: ObjectOp, args: ObjectArgs): Promise<ErasureHost> {
      const host = hosts.get(this.deps.name)
      if (host === undefined || host.down) throw new Fault('unavailable', 'the host is down')
      host.calls.push({ op, args })
      await host.before(op, args)
      return host
    }
    status() {
      return { connected: hosts.get(this.deps.name)?.down === false }
    }
    async objectPut(args: ObjectArgs, body: ReadableStream<Uint8Array>) {
      const host = await this.#host('object.put', args)
      const chunks = (async function* () {
        for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
          if (host.down) throw new Fault('unavailable', 'the host is down')
          yield chunk
        }
      })()
      return await host.driver.put(args, chunks)
    }
    objectHead = async (args: ObjectArgs) => (await this.#host('object.head', args)).driver.head(args)
    objectPost = async (args: ObjectArgs) => (await this.#host('object.post', args)).driver.post(args)
    objectDelete = async (args: ObjectArgs) => (await this.#host('object.delete', args)).driver.delete(args)
    objectFragments = async (args: ObjectArgs) => (await this.#host('object.fragments', args)).driver.fragments(args)
    objectDoubt = async (args: ObjectArgs) => (await this.#host('object.doubt', args)).driver.doubt(args)
    objectCommit = async (args: ObjectArgs) => (await this.#host('object.commit', args)).driver.commit(args)
    objectsFind(args: FindArgs) {
      return findOneByOne(this as never, args)
    }
    async objectGet(args: ObjectArgs) {
      const host = await this.#host('object.get', args)
      const { head, body } = await host.driver.get(args)
      const chunks = host.through(body, args)[Symbol.asyncIterator]()
      open.count++
      let isOpen = true
      const close = () => {
        if (isOpen) open.count--
        isOpen = false
      }
      const stream = new ReadableStream<Uint8Array>({
        async pull(controller) {
          const { done, value } = await chunks.next().catch((error: unknown) => {
            close()
            throw error
          })
          if (!done) return controller.enqueue(value)
          close()
          controller.close()
        },
        async cancel() {
          close()
          await chunks.return?.()
        },
      }, { highWaterMark: 0 })
      return { head, body: stream }
    }
  }
}

/** `encrypted`: all that is written. */
export async function erasureCloud(options: { hosts: number; data: number; parity: number; segment_bytes?: number; encrypted?: boolean }): Promise<ErasureCloud> {
  const hosts = new Map(Array.from({ length: options.hosts }, (_, n) => [`host-${n}`, makeHost()]))
  const open = { count: 0 }
  const policy = { index: 0, name: 'ec', default: true, policy_type: 'erasure_coding', ec_num_data_fragments: options.data, ec_num_parity_fragments: options.parity, ...(options.segment_bytes === undefined ? {} : { ec_object_segment_size: options.segment_bytes }) }
  const cloud = await mintedCloud({ classes: { HOST: hostClass(hosts, open) as never }, vars: { OPTIONS: JSON.stringify({ swift: { storage_policies: [policy], encryption: options.encrypted === true } }), OBJECT_KEYS: Buffer.alloc(32, 1).toString('base64url') } })
  const region = cloud.cluster.instance('REGION', 'region')
  for (const id of hosts.keys()) {
    region.deps.storage.sql.exec('INSERT INTO hosts (id, name, public_key, joined_ms, facts, up) VALUES (?, ?, ?, 0, ?, 1)', id, id, id, JSON.stringify({ roles: ['object'], object_devices: [{ name: 'd1', total_bytes: 100 * 1024 ** 3, free_bytes: 1 }] }))
  }
  await cloud.env.RING.getByName('0').refresh()
  const token = await cloud.token({ role: 'member' })
  return {
    ...cloud, hosts,
    open: () => open.count,
    swift: (method, path, { headers, body } = {}) => cloud.call(method, `${ROOT}${path}`, { token, ...(headers === undefined ? {} : { headers }), ...(body === undefined ? {} : { body }) }),
    bytes: async (path, headers = {}) => {
      const { default: worker } = await import('../../../workers/index.ts')
      const response = await worker.fetch(new Request(`http://cloud.test${ROOT}${path}`, { headers: { 'x-auth-token': token, ...headers } }) as never, cloud.env, { waitUntil: () => {} })
      return { status: response.status, bytes: new Uint8Array(await response.arrayBuffer()), headers: response.headers as unknown as Headers }
    },
  }
}
