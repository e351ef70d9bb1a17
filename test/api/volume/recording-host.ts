/**
 * A recording stand-in for the Host object, for tests of the plane alone: it remembers desired items and commands, says `ready` or `gone` as it is told to, and keeps
 * objects in memory with the hashes and the inspection a real host would give.
 */
import { createHash } from 'node:crypto'
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { SkyObject } from '../../../durable-objects/kernel/object.ts'
import type { DesiredItem } from '../../../schema/agent/desired.ts'
import type { HostFacts, HostRole, ObservedItem } from '../../../schema/agent/observed.ts'
import type { ObjectArgs, ObjectHead } from '../../../schema/agent/protocol.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { Clock } from '../../../schema/values/time.ts'
import { createInspector } from '../../../schema/values/image-format.ts'
import { mintedCloud, type TestCloud } from '../../support/cloud.ts'

export interface HostBehaviour {
  /** What is reported of an item; null is silence. */
  report(item: DesiredItem): ObservedItem['status'] | null
  error: string
  /** Answers commands; throws to fail them. */
  command(hostId: string, name: string, args: Record<string, unknown>): Promise<unknown>
}

export interface Recorded {
  items: (DesiredItem & { host_id: string })[]
  commands: { host_id: string; name: string; args: Record<string, unknown> }[]
  objects: Map<string, { bytes: Uint8Array; head: ObjectHead }>
  transfers: { host_id: string; transfer: Record<string, unknown> }[]
  behaviour: HostBehaviour
}

export const newRecord = (): Recorded => ({
  items: [], commands: [], objects: new Map(), transfers: [],
  behaviour: { report: (item) => (item.state === 'absent' ? 'gone' : 'ready'), error: 'the driver said no', command: async () => ({ size_bytes: 0, sha512: '', md5: '' }) },
})

export function recordingHost(record: Recorded) {
  return class RecordingHost extends SkyObject {
    constructor(state: DurableObjectState, env: Env) {
      super(state, env, [], {})
    }

    put(items: DesiredItem[]): void {
      for (const item of items) {
        record.items.push({ ...item, host_id: this.deps.name })
        const status = record.behaviour.report(item)
        if (status === null) continue
        const observed: ObservedItem = { kind: item.kind, id: item.id, generation: item.generation, status, ...(status === 'failed' ? { error: record.behaviour.error } : {}) }
        setTimeout(() => void this.env.PROJECT.getByName(item.project_id).observed(this.deps.name, [observed]), 1)
      }
    }

    async command(name: string, args: Record<string, unknown>): Promise<unknown> {
      record.commands.push({ host_id: this.deps.name, name, args })
      return await record.behaviour.command(this.deps.name, name, args)
    }

    grantTransfer(transfer: Record<string, unknown>): { path: string } {
      record.transfers.push({ host_id: this.deps.name, transfer })
      return { path: `/agents/v1/transfers/${record.transfers.length}` }
    }

    async objectPut(args: ObjectArgs, body: ReadableStream<Uint8Array>): Promise<ObjectHead> {
      const parts: Uint8Array[] = []
      const inspector = createInspector()
      for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
        parts.push(chunk)
        inspector.push(chunk)
      }
      const bytes = Buffer.concat(parts)
      const head: ObjectHead = {
        timestamp: args.timestamp, size_bytes: bytes.length, etag: createHash('md5').update(bytes).digest('hex'), metadata: args.metadata ?? {}, sha512: createHash('sha512').update(bytes).digest('hex'), inspection: inspector.finish(),
      }
      record.objects.set(`${this.deps.name}${args.name}`, { bytes, head })
      return head
    }

    async objectGet(args: ObjectArgs): Promise<{ head: ObjectHead; body: ReadableStream<Uint8Array> }> {
      const found = record.objects.get(`${this.deps.name}${args.name}`)
      if (found === undefined) throw new Fault('not_found', 'no such object')
      const [from, to] = args.range ?? [0, found.bytes.length - 1]
      return { head: found.head, body: new Blob([found.bytes.slice(from, to + 1) as never]).stream() as ReadableStream<Uint8Array> }
    }

    async objectDelete(args: ObjectArgs): Promise<{ timestamp: string; existed: boolean }> {
      return { timestamp: args.timestamp, existed: record.objects.delete(`${this.deps.name}${args.name}`) }
    }
  }
}

export const facts = (hostname: string, roles: HostRole[], more: Partial<HostFacts> = {}): HostFacts => ({
  hostname, agent_version: '0', roles, drivers: { volume: 'fake' }, simulated: true, cpu: { cores: 4, model: 'fake', arch: 'x86_64' }, ram_mib: 8192, disk_gib: 100, acceleration: 'none', hypervisor_version: 0, tunnel_ip: null,
  storage_ip: `10.0.0.${hostname.length}:3260`, physical_networks: [], volume_pools: [{ name: 'pool', total_gib: 500, free_gib: 400 }], object_devices: [], uptime_s: 1, ...more,
})

/** A minted cloud with `names.length` recording hosts that are up with all roles. */
export async function recordingCloud(options: { hosts?: string[]; vars?: Record<string, string>; facts?: Partial<HostFacts>; clock?: Clock } = {}): Promise<{ cloud: TestCloud; record: Recorded; hosts: Record<string, string>; settle(): Promise<void> }> {
  const record = newRecord()
  const cloud = await mintedCloud({ ...(options.clock === undefined ? {} : { clock: options.clock }), vars: { OPTIONS: JSON.stringify({ image: { default_store: 'file' } }), ...options.vars }, classes: { HOST: recordingHost(record) as never } })
  const hosts: Record<string, string> = {}
  const region = cloud.env.REGION.getByName('region')
  const { token } = cloud.cluster.instance('REGION', 'region').system('test').hosts.createJoinToken({ uses: 100 })
  for (const name of options.hosts ?? ['alpha', 'beta']) {
    const host = await region.join(token, `key-${name}`, name)
    await region.hostReport(host.id, true, facts(name, ['compute', 'volume', 'image'], options.facts))
    hosts[name] = host.id
  }
  return { cloud, record, hosts, settle: () => new Promise((done) => setTimeout(done, 30)) }
}

/** Asks until `done` holds. */
export async function until<T>(ask: () => Promise<T>, done: (value: T) => boolean, what: string): Promise<T> {
  for (let turn = 0; turn < 200; turn++) {
    const value = await ask()
    if (done(value)) return value
    await new Promise((next) => setTimeout(next, 10))
  }
  throw new Error(`never: ${what}`)
}
