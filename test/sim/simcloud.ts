/** A whole cloud under virtual time: the real Worker and objects, N real agents with fake drivers, and a network between them that can be made bad. */
import { createIdentity } from '../../agent/identity.ts'
import type { PlaneHttp } from '../../agent/plane.ts'
import { SimHost } from '../../agent/sim/index.ts'
import { type FakeObjectDisk, createFakeObjectDisk, createFakeObjectDriver } from '../../agent/drivers/object/fake.ts'
import { imageBytes, receiveImage } from '../../workers/image/internal.ts'
import { callerOfToken } from '../../workers/http/auth.ts'
import { getInternal, putInternal } from '../../workers/object/internal.ts'
import { generateKeyPairSync } from 'node:crypto'
import { Readable } from 'node:stream'
import type { Cluster } from '../support/platform/cluster.ts'
import { resetError } from '../support/platform/storage.ts'
import { type Answer, type TestCloud, mintedCloud } from '../support/cloud.ts'
import { serveFragment, serveHost } from './host-calls.ts'
import { NO_LINK_FAULTS, SimNet } from './link.ts'
import { EPOCH_MS, World } from './world.ts'

export const TENANTS = ['project-a', 'project-b', 'project-c']

export interface ObjectFaults {
  /** One call in so many crashes the object it goes to: before the work, or after it with the answer lost. 0 is never. */
  crash_one_in: number
  delay_max_ms: number
}

export class SimCloud {
  readonly world: World
  readonly hosts: SimHost[] = []
  readonly disks: FakeObjectDisk[] = []
  hostIds: string[] = []
  net!: SimNet
  #cloud!: TestCloud
  /** False while the cloud is made: what uses real threads (signatures) is done by then. */
  #virtual = false
  objectFaults: ObjectFaults = { crash_one_in: 0, delay_max_ms: 2 }
  /** Asked at each hop of a call or its answer: true ends the object that is called. */
  crashAt: (where: string) => boolean = () => false
  readonly tokens = new Map<string, string>()
  readonly log: string[] = []
  /** How often which request was answered how. */
  readonly answers = new Map<string, number>()

  constructor(seed: number) {
    this.world = new World(seed)
  }

  /** `object_services`: hosts run auditor, replicator and updater. `away`: hosts that have joined and are not started. */
  static async start(seed: number, hosts: number, options: { trace?: boolean; object_services?: boolean; away?: number[]; vars?: Record<string, string> } = {}): Promise<SimCloud> {
    const sim = new SimCloud(seed)
    if (options.trace) sim.world.trace = []
    await sim.#start(hosts, options)
    return sim
  }

  get cluster(): Cluster {
    return this.#cloud.cluster
  }

  async #start(count: number, { object_services = false, away = [], vars = {} }: { object_services?: boolean; away?: number[]; vars?: Record<string, string> }): Promise<void> {
    const { world } = this
    const log = (event: string, fields: Record<string, unknown> = {}) => {
      if (this.log.length < 5_000) this.log.push(`${((world.clock.now_ms() - START_MS) / 1000).toFixed(3)} ${event} ${JSON.stringify(fields).slice(0, 300)}`)
    }
    this.#cloud = await mintedCloud({ clock: world.clock, random: world.random, timers: world.timers, log, hop: (where) => this.#hop(where), vars: { REGION_NAME: 'RegionOne', ...vars } })
    this.net = new SimNet(world, this.cluster)
    const region = this.cluster.instance('REGION', 'region')
    const { token } = region.system('sim').hosts.createJoinToken({ uses: count })
    for (let n = 0; n < count; n++) {
      const row = region.join(token, `key-${n}`.padEnd(43, 'A'), `sim-${n}`) as { id: string }
      this.hostIds.push(row.id)
      const identity = createIdentity(row.id, generateKeyPairSync('ed25519').privateKey, world.clock)
      const disk = createFakeObjectDisk()
      const object = createFakeObjectDriver({ disk, devices: ['d1'], faults: (when, step, args) => host.faults.hook(() => host.agent !== null)(when, step, args.hash) })
      const host: SimHost = new SimHost({ name: `sim-${n}`, identity, clock: world.clock, timers: world.timers, random: world.random, transport: this.net.transport(() => row.id), http: this.#http(row.id), object, object_services, log })
      this.hosts.push(host)
      this.disks.push(disk)
    }
    for (const tenant of TENANTS) this.tokens.set(tenant, await this.#cloud.token({ role: 'member', project_id: tenant, user_id: `user-of-${tenant}`, expires_ms: START_MS + 30 * 86_400_000 }))
    this.tokens.set('admin', await this.#cloud.token({ role: 'admin', project_id: 'project-admin', user_id: 'admin', expires_ms: START_MS + 30 * 86_400_000 }))
    // Signatures are checked in real time: done once here, so that virtual time never waits for them.
    for (const token of this.tokens.values()) await callerOfToken(this.#cloud.env, token, 'warm', START_MS)
    this.#virtual = true
    await Promise.all(this.hosts.map((host, n) => (away.includes(n) ? Promise.resolve() : host.start())))
    await this.run(10_000)
  }

  /** An API call as a tenant; its answer comes in virtual time. */
  async call(tenant: string, method: string, path: string, json?: unknown, options: { body?: BodyInit; headers?: Record<string, string> } = {}): Promise<Answer> {
    const answer = await this.#cloud.call(method, path, { token: this.tokens.get(tenant), json, ...options })
    const what = `${method} ${path.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, ':id').replace(/project-./g, ':project')} ${typeof json === 'object' && json !== null ? Object.keys(json).join() : ''}`.trim()
    this.answers.set(`${what} ${answer.status}`, (this.answers.get(`${what} ${answer.status}`) ?? 0) + 1)
    return answer
  }

  /** Runs a call to its end while virtual time goes on. */
  async finish<T>(work: Promise<T>, limit_ms = 600_000): Promise<T> {
    let done = false
    const watched = work.finally(() => {
      done = true
    })
    watched.catch(() => {})
    if (!(await this.run(limit_ms, () => done))) throw new Error(`a call did not end within ${limit_ms} ms of virtual time`)
    return await watched
  }

  /** Lets virtual time pass, alarms included. */
  async run(limit_ms: number, until: () => boolean = () => false, each: () => void = () => {}): Promise<boolean> {
    const end = this.world.clock.now_ms() + limit_ms
    for (;;) {
      this.#armAlarm()
      const left = end - this.world.clock.now_ms()
      if (left <= 0) return until()
      const step = Math.min(left, ALARM_STEP_MS)
      if (await this.world.run(step, until, () => {
        this.#armAlarm()
        each()
      })) return true
    }
  }

  #alarm: { at_ms: number; cancel: () => void } | null = null
  #armAlarm(): void {
    const next = this.cluster.nextAlarm_ms()
    if (next === null || (this.#alarm !== null && this.#alarm.at_ms <= next)) return
    this.#alarm?.cancel()
    const cancel = this.world.after(next - this.world.clock.now_ms(), () => {
      this.#alarm = null
      void this.cluster.fireAlarms().catch(() => {}).finally(() => this.#armAlarm())
    })
    this.#alarm = { at_ms: next, cancel }
  }

  /** Machines and agent of a host are gone, and whatever its disks were not told to keep. */
  powerFailure(n: number): void {
    this.hosts[n]?.powerFailure()
    this.disks[n]?.cutPower()
  }

  /** No more trouble from now on; what is down comes up. */
  async heal(): Promise<void> {
    this.net.faults = NO_LINK_FAULTS
    this.objectFaults = { crash_one_in: 0, delay_max_ms: 2 }
    for (const id of [...this.net.cut]) this.net.mend(id)
    for (const host of this.hosts) {
      host.faults.clear()
      if (host.agent === null) await host.start()
    }
  }

  close(): void {
    for (const host of this.hosts) host.crash()
    this.#cloud.close()
  }

  async #hop(where: string): Promise<void> {
    if (!this.#virtual) return
    const { world, objectFaults } = this
    world.note(where)
    const [kind = '', rest = ''] = where.replace(/^!/, '').split('/')
    const crash = (objectFaults.crash_one_in > 0 && world.oneIn(objectFaults.crash_one_in)) || this.crashAt(where)
    await world.sleep(world.random.below(objectFaults.delay_max_ms + 1))
    if (!crash || kind === 'IDENTITY') return
    const id = rest.split('.')[0] ?? ''
    this.log.push(`${((world.clock.now_ms() - START_MS) / 1000).toFixed(3)} crash ${kind}/${id} at ${where}`)
    this.cluster.crash(kind, id)
    throw resetError(`${kind}/${id} was reset`)
  }

  /** What agents fetch and send by HTTP, without the signature: the handlers behind it. */
  #http(hostId: string): PlaneHttp {
    const { env } = this.#cloud
    return {
      get: async (path) => {
        await this.world.sleep(5)
        if (this.net.cut.has(hostId)) throw new Error('no route')
        const url = new URL(path, 'http://plane')
        const fragment = await serveFragment(env, hostId, url, this.world.clock.now_ms())
        if (fragment !== null) return { size_bytes: null, body: fragment }
        const image = /^\/agents\/v1\/images\/([^/]+)\/file$/.exec(url.pathname)
        if (image !== null) {
          const { body, size_bytes } = await imageBytes(env, url.searchParams.get('owner') ?? '', image[1] ?? '')
          return { size_bytes, body: body as unknown as AsyncIterable<Uint8Array> }
        }
        const transfer = await env.HOST.getByName(hostId).transfer(url.pathname.split('/').at(-1) ?? '')
        if (transfer.kind !== 'object') throw new Error('not readable')
        const { head, body } = await getInternal(env, transfer.account, transfer.container, transfer.object)
        return { size_bytes: head.size_bytes, body: body as unknown as AsyncIterable<Uint8Array> }
      },
      put: async (path, body, size_bytes) => {
        await this.world.sleep(5)
        if (this.net.cut.has(hostId)) throw new Error('no route')
        const transfer = await env.HOST.getByName(hostId).transfer(path.split('/').at(-1) ?? '')
        const stream = Readable.toWeb(Readable.from(body, { objectMode: false })) as never
        if (transfer.kind === 'image') await receiveImage(env, transfer.project_id, transfer.image_id, stream, size_bytes)
        else await putInternal(env, transfer.account, transfer.container, transfer.object, stream, { size: size_bytes, want: { sha512: true } })
      },
      call: async (path, body) => {
        await this.world.sleep(5)
        if (this.net.cut.has(hostId)) throw new Error('no route')
        return structuredClone(await serveHost(env, hostId, path, JSON.parse(JSON.stringify(body)), this.world.clock.now_ms()))
      },
    }
  }
}

const ALARM_STEP_MS = 1_000
export const START_MS = EPOCH_MS
