/** A cloud with object hosts that keep replicas in memory (MemoryHosts: a double of Host objects with their agents), for tests of the object store. */
import { createHash } from 'node:crypto'
import { findOneByOne } from '../../../durable-objects/host/find.ts'
import { SkyObject } from '../../../durable-objects/kernel/object.ts'
import type { Env } from '../../../durable-objects/kernel/env.ts'
import type { FindArgs, ObjectArgs, ObjectHead } from '../../../schema/agent/protocol.ts'
import { type DigestName, digestOf } from '../../../schema/values/digests.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { Clock } from '../../../schema/values/time.ts'
import { type Answer, type TestCloud, mintedCloud } from '../../support/cloud.ts'
import { alwaysEncrypted, type DriverHost, driverHostClass, driverHosts } from './driver-hosts.ts'

export interface Replica {
  data: Uint8Array | null
  head: ObjectHead
}

export interface MemoryHosts {
  /** host id -> `${device}/${hash}` -> replica or tombstone (data null). */
  disks: Map<string, Map<string, Replica>>
  down: Set<string>
  /** Bodies that were opened and neither read to their end nor cancelled. */
  open: number
  calls: { host: string; op: string; args: ObjectArgs }[]
}

export const ACCOUNT = 'AUTH_project-a'
export const ROOT = `/object-store/v1/${ACCOUNT}`

const md5 = (data: Uint8Array | string): string => createHash('md5').update(data).digest('hex')

const CHUNK_BYTES = 16 * 1024

/** A body in small pieces that is known to be open until it ends. */
function counted(hosts: MemoryHosts, bytes: Uint8Array): ReadableStream<Uint8Array> {
  let at = 0
  hosts.open++
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= bytes.byteLength) {
        hosts.open--
        controller.close()
        return
      }
      controller.enqueue(bytes.slice(at, at + CHUNK_BYTES))
      at += CHUNK_BYTES
    },
    cancel() {
      hosts.open--
    },
  }, { highWaterMark: 0 })
}

export function hostClass(hosts: MemoryHosts) {
  return class MemoryHost extends SkyObject {
    constructor(state: DurableObjectState, env: Env) {
      super(state, env, [], {})
    }
    #disk(op: string, args: ObjectArgs): Map<string, Replica> {
      hosts.calls.push({ host: this.deps.name, op, args })
      if (hosts.down.has(this.deps.name)) throw new Fault('unavailable', 'the host is down')
      const disk = hosts.disks.get(this.deps.name)
      if (disk === undefined) throw new Fault('unavailable', 'no such host')
      if (!/^\d{10}\.\d{5}$/.test(args.timestamp)) throw new Fault('bad_request', `timestamp ${args.timestamp}`)
      return disk
    }
    #key = (args: ObjectArgs) => `${args.device}/${args.hash}`
    status() {
      return { connected: !hosts.down.has(this.deps.name), up: !hosts.down.has(this.deps.name), seen_ms: 0, version: 0, facts: null }
    }
    async objectPut(args: ObjectArgs, body: ReadableStream<Uint8Array>): Promise<ObjectHead> {
      const disk = this.#disk('put', args)
      const data = new Uint8Array(await new Response(body as never).arrayBuffer())
      if (typeof args.size_bytes === 'number' && args.size_bytes !== data.byteLength) throw new Fault('client_closed', 'the body ended early')
      const etag = md5(data)
      if (args.etag != null && args.etag !== etag) throw new Fault('unprocessable', 'another MD5')
      const digests = Object.fromEntries(Object.keys(args.want?.digests ?? {}).map((name) => [name, digestOf(name as DigestName, data)])) as ObjectHead['digests']
      for (const [name, digest] of Object.entries(args.want?.digests ?? {})) if (digest !== null && digests?.[name as DigestName] !== digest) throw new Fault('unprocessable', `another ${name}`)
      const before = disk.get(this.#key(args))
      if (before !== undefined && before.head.timestamp >= args.timestamp) throw new Fault('conflict', 'newer', { details: { timestamp: before.head.timestamp } })
      const head: ObjectHead = { timestamp: args.timestamp, size_bytes: data.byteLength, etag, metadata: args.metadata ?? {}, ...(args.want?.digests === undefined ? {} : { digests }), ...(args.want?.sha512 ? { sha512: createHash('sha512').update(data).digest('hex') } : {}) }
      disk.set(this.#key(args), { data, head })
      return head
    }
    #read(op: string, args: ObjectArgs): Replica & { data: Uint8Array } {
      const found = this.#disk(op, args).get(this.#key(args))
      if (found === undefined || found.data === null) throw new Fault('not_found', 'no such object', { details: { timestamp: found?.head.timestamp ?? null } })
      return found as Replica & { data: Uint8Array }
    }
    objectHead(args: ObjectArgs): ObjectHead {
      return this.#read('head', args).head
    }
    objectsFind(args: FindArgs) {
      return findOneByOne(this as never, args)
    }
    objectGet(args: ObjectArgs): { head: ObjectHead; body: ReadableStream<Uint8Array> } {
      const { head, data } = this.#read('get', args)
      const bytes = args.range == null ? data : data.slice(args.range[0], args.range[1] + 1)
      return { head, body: counted(hosts, bytes) }
    }
    objectPost(args: ObjectArgs): ObjectHead {
      const found = this.#read('post', args)
      const kept = Object.fromEntries(Object.entries(found.head.metadata).filter(([name]) => /^(x-static-large-object|x-object-sysmeta-.*)$/i.test(name)))
      found.head = { ...found.head, timestamp: args.timestamp, metadata: { ...args.metadata, ...kept } }
      return found.head
    }
    objectDelete(args: ObjectArgs): { timestamp: string; existed: boolean } {
      const disk = this.#disk('delete', args)
      const before = disk.get(this.#key(args))
      if (before !== undefined && before.head.timestamp > args.timestamp) throw new Fault('conflict', 'newer')
      disk.set(this.#key(args), { data: null, head: { timestamp: args.timestamp, size_bytes: 0, etag: '', metadata: {} } })
      return { timestamp: args.timestamp, existed: before?.data != null }
    }
  }
}

export interface ObjectCloud extends TestCloud {
  hosts: MemoryHosts
  /** Where the hosts have disks (`drivers`, or every test is run with encryption on). */
  drivers: Map<string, DriverHost>
  /** As a member of project-a, unless another token is given ('' is none). Paths are below the account. */
  swift(method: string, path: string, options?: { headers?: Record<string, string>; body?: BodyInit; token?: string }): Promise<Answer>
}

/** Every test of the object store once more, with all that is written encrypted. */
export const ENCRYPTED = process.env.SKYHOOK_TEST_ENCRYPTED === '1'

/** `drivers`: replicas are written by the real driver. */
export async function objectCloud(options: { hosts?: number; hop?: (where: string) => Promise<void>; clock?: Clock; drivers?: boolean } = {}): Promise<ObjectCloud> {
  const count = options.hosts ?? 1
  const hosts: MemoryHosts = { disks: new Map(Array.from({ length: count }, (_, n) => [`host-${n}`, new Map()])), down: new Set(), open: 0, calls: [] }
  const drivers = options.drivers === true || ENCRYPTED ? driverHosts(hosts.disks.keys()) : new Map<string, DriverHost>()
  const cloud = await mintedCloud({ ...(options.hop === undefined ? {} : { hop: options.hop }), ...(options.clock === undefined ? {} : { clock: options.clock }), classes: { HOST: (drivers.size > 0 ? driverHostClass(hosts, drivers) : hostClass(hosts)) as never } })
  if (ENCRYPTED) alwaysEncrypted(cloud.env, Buffer.alloc(32, 7).toString('base64url'))
  const region = cloud.cluster.instance('REGION', 'region')
  for (const id of hosts.disks.keys()) {
    region.deps.storage.sql.exec('INSERT INTO hosts (id, name, public_key, joined_ms, facts, up) VALUES (?, ?, ?, 0, ?, 1)', id, id, id, JSON.stringify({ roles: ['object'], object_devices: [{ name: 'd1', total_bytes: 100 * 1024 ** 3, free_bytes: 1 }] }))
  }
  cloud.cluster.instance('IDENTITY', 'identity').revocations ??= (cursor: number) => ({ cursor, events: [] })
  await cloud.env.RING.getByName('0').refresh()
  const member = await cloud.token({ role: 'member' })
  return {
    ...cloud, hosts, drivers,
    swift: (method, path, { headers, body, token } = {}) => cloud.call(method, `${ROOT}${path}`, { token: token ?? member, ...(headers === undefined ? {} : { headers }), ...(body === undefined ? {} : { body }) }),
  }
}
