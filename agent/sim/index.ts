/**
 * A whole host from the four fakes: the same agent as on a real one, in this process. Its "disk" outlives the agent, so a crash, a restart and a reboot of the
 * host are all one call. Thousands fit in a process.
 */
import { generateKeyPairSync } from 'node:crypto'
import type { HostFacts, HostRole } from '../../schema/agent/observed.ts'
import type { ObjectArgs } from '../../schema/agent/protocol.ts'
import type { Random } from '../../schema/values/random.ts'
import { systemRandom } from '../../schema/values/random.ts'
import type { Clock } from '../../schema/values/time.ts'
import { systemClock } from '../../schema/values/time.ts'
import { Agent } from '../agent.ts'
import type { Drivers } from '../apply.ts'
import { createFakeHypervisorDriver, type FakeHypervisor, type FakeHypervisorDisk } from '../drivers/hypervisor/fake.ts'
import { emptyQcow2 } from '../drivers/hypervisor/qcow2.ts'
import { createFakeNetworkDisk, createFakeNetworkDriver, type FakeNetworkDisk } from '../drivers/network/fake.ts'
import type { DirectoryDriver } from '../drivers/directory/driver.ts'
import type { ObjectDriver } from '../drivers/object/driver.ts'
import { createFakeObjectDisk, createFakeObjectDriver, type FakeObjectDisk } from '../drivers/object/fake.ts'
import { createFakeVolumeDisk, createFakeVolumeDriver, type FakeVolumeDisk } from '../drivers/volume/fake.ts'
import { VERSION } from '../../schema/values/version.ts'
import { FILE_STORE_DEVICE } from '../host/facts.ts'
import { type HostFiles, type MemoryDisk, memoryFiles } from '../host/files.ts'
import { createIdentity, type Identity, type Join, joinOverHttp, publicKeyOf } from '../identity.ts'
import { ImageCache } from '../images.ts'
import { type LinkTransport, webSocketTransport } from '../link.ts'
import { type Log, silentLog } from '../log.ts'
import { type PlaneHttp, planeHttp } from '../plane.ts'
import { type DesiredState, memoryStore, type StateStore } from '../state.ts'
import { systemTimers, type Timers } from '../timers.ts'
import { ObjectServices } from '../object-services/index.ts'
import { FaultScript } from './faults.ts'

const GIB = 1024 ** 3

/** All that a simulated host keeps when its agent, or its power, goes. */
export interface SimDisk {
  files: MemoryDisk
  documents: Map<string, string>
  hypervisor: FakeHypervisorDisk
  volume: FakeVolumeDisk
  network: FakeNetworkDisk
  object: FakeObjectDisk
}

export const createSimDisk = (): SimDisk => ({ files: new Map(), documents: new Map(), hypervisor: new Map(), volume: createFakeVolumeDisk(), network: createFakeNetworkDisk(), object: createFakeObjectDisk() })

export interface SimHostOptions {
  name: string
  /** Origin of the plane; only the real transports use it. */
  plane?: string
  /** One of both: an identity that has joined, or a token to join with. */
  token?: string
  identity?: Identity
  join?: Join
  disk?: SimDisk
  clock?: Clock
  timers?: Timers
  random?: Random
  transport?: LinkTransport
  http?: PlaneHttp
  log?: Log
  roles?: HostRole[]
  capacity?: { cores?: number; ram_mib?: number; disk_gib?: number; volume_gib?: number }
  /** Runs auditor, replicator and updater. */
  object_services?: boolean
  /** In place of the fake object driver. */
  object?: ObjectDriver
  /** For the role directory, which has no fake of its own: a directory is somewhere else. */
  directory?: DirectoryDriver
}

/** The fake volumes' paths lead to no file: this leads them to the content that is kept of each. */
function simFiles(disk: SimDisk): HostFiles {
  const files = memoryFiles(disk.files)
  const volume = (path: string) => {
    const id = /^\/nowhere\/(.+)$/.exec(path)?.[1]
    return id === undefined ? undefined : (disk.volume.volumes.get(id) ?? disk.volume.snapshots.get(id))
  }
  return {
    ...files,
    async read(path) {
      const found = volume(path)
      if (!found) return files.read(path)
      const bytes = found.content.byteLength > 0 ? found.content : new Uint8Array(512)
      return { size_bytes: bytes.byteLength, body: (async function* () { yield bytes })() }
    },
    async overwrite(path, body) {
      const found = volume(path)
      if (!found) return files.overwrite(path, body)
      let total = 0
      const head: Uint8Array[] = []
      for await (const chunk of body) {
        if (total < 64 * 1024) head.push(chunk)
        total += chunk.byteLength
      }
      found.content = new Uint8Array(Buffer.concat(head).subarray(0, 64 * 1024))
      return total
    },
    size: async (path) => volume(path)?.size_bytes ?? (await files.size(path)),
  }
}

export class SimHost {
  readonly disk: SimDisk
  readonly faults: FaultScript
  identity: Identity | null
  agent: Agent | null = null
  hypervisor: FakeHypervisor | null = null
  drivers: Drivers = {}
  objects: ObjectServices | null = null
  private options: SimHostOptions
  private timers: Timers
  private clock: Clock
  private life = 0

  constructor(options: SimHostOptions) {
    this.options = options
    this.disk = options.disk ?? createSimDisk()
    this.timers = options.timers ?? systemTimers
    this.clock = options.clock ?? systemClock
    this.faults = new FaultScript(this.timers)
    this.identity = options.identity ?? null
  }

  get name(): string {
    return this.options.name
  }

  /** Starts an agent on this host's disk; joins first where it has not. */
  async start(): Promise<void> {
    if (this.agent) return
    const life = ++this.life
    const identity = await this.identify()
    const { options, clock, timers, disk } = this
    const alive = () => this.life === life
    const files = simFiles(disk)
    const http = options.http ?? planeHttp(this.plane(), identity)
    const log: Log = (event, fields) => (options.log ?? silentLog)(event, { host: options.name, ...fields })
    const drivers = this.makeDrivers(alive, files)
    const images = new ImageCache({ folder: '/images', files, http, clock, log, limit_bytes: 64 * 1024 * 1024, inUse: async () => new Set(), tool: { check: async () => {}, convert: async (from, _format, to) => files.write(to, (await files.read(from)).body).then(() => {}) } })
    const state: DesiredState = { version: 0, items: {} }
    const store = mortal(memoryStore(disk.documents), alive)
    const random = options.random ?? systemRandom
    const objects = options.object_services && drivers.object ? new ObjectServices({ driver: drivers.object, host_id: identity.host_id, http, store, clock, timers, random, log }) : undefined
    this.drivers = drivers
    this.objects = objects ?? null
    this.agent = new Agent({
      drivers, images, state, store, ...(objects === undefined ? {} : { objects }), files, http, transport: options.transport ?? webSocketTransport(this.plane(), identity),
      facts: () => this.facts(drivers), scratch: '/scratch', clock, timers, random, log,
      convert: async (from, format, to) => {
        const size = (await files.size(from)) ?? GIB
        await files.replace(to, format === 'qcow2' ? emptyQcow2(size, from) : new Uint8Array(512))
      },
      clockOffset: (offset_ms) => identity.setOffset(offset_ms),
    })
    await this.agent.start()
  }

  /** A clean end of the agent; what it runs goes on. */
  async stop(): Promise<void> {
    const { agent } = this
    this.agent = null
    await agent?.stop()
    this.life++
  }

  /** kill -9 of the agent: nothing it had begun is finished. */
  crash(): void {
    this.life++
    void this.agent?.stop()
    this.agent = null
  }

  /** Power failure: agent and machines are gone, disks stay. start() is the boot. */
  powerFailure(): void {
    this.crash()
    this.hypervisor?.hostReboot()
    this.disk.network.networks.clear()
    this.disk.network.ports.clear()
    this.disk.network.routers.clear()
    this.disk.volume.exports.clear()
  }

  private plane(): string {
    if (!this.options.plane) throw new Error('a simulated host without transports of its own needs the plane')
    return this.options.plane
  }

  private async identify(): Promise<Identity> {
    if (this.identity) return this.identity
    const { name, token, join } = this.options
    if (!token) throw new Error('a simulated host needs an identity or a token')
    const key = generateKeyPairSync('ed25519').privateKey
    const { host_id } = await (join ?? joinOverHttp(this.plane()))({ token, public_key: publicKeyOf(key), hostname: name })
    this.identity = createIdentity(host_id, key, this.clock)
    return this.identity
  }

  private makeDrivers(alive: () => boolean, files: HostFiles): Drivers {
    const { disk, clock, options } = this
    const faults = this.faults.hook(alive)
    const roles = this.roles()
    const drivers: Drivers = {}
    if (roles.includes('compute')) {
      this.hypervisor = createFakeHypervisorDriver({ disk: disk.hypervisor, faults, clock, writeFile: (path, bytes) => files.replace(path, bytes) })
      drivers.hypervisor = this.hypervisor
    }
    if (roles.includes('compute') || roles.includes('gateway')) drivers.network = createFakeNetworkDriver({ disk: disk.network, faults })
    if (roles.includes('volume')) drivers.volume = createFakeVolumeDriver({ disk: disk.volume, faults, total_gib: options.capacity?.volume_gib ?? 10_000 })
    if (roles.includes('object')) {
      const objectFaults = (when: 'before' | 'after', step: string, args: ObjectArgs) => faults(when, step, args.hash)
      drivers.object = options.object ?? createFakeObjectDriver({ disk: disk.object, faults: objectFaults, devices: ['d1', FILE_STORE_DEVICE] })
    }
    if (roles.includes('directory') && options.directory !== undefined) drivers.directory = options.directory
    return drivers
  }

  private roles(): HostRole[] {
    return this.options.roles ?? ['compute', 'volume', 'gateway', 'object', 'image']
  }

  private async facts(drivers: Drivers): Promise<HostFacts> {
    const { name, capacity = {} } = this.options
    return {
      hostname: name, agent_version: VERSION, roles: this.roles(), simulated: true,
      drivers: Object.fromEntries(Object.entries(drivers).flatMap(([kind, driver]) => (driver ? [[kind, (driver as { name: string }).name]] : []))),
      cpu: { cores: capacity.cores ?? 64, model: 'simulated', arch: 'x86_64' }, ram_mib: capacity.ram_mib ?? 262_144, disk_gib: capacity.disk_gib ?? 10_000,
      acceleration: 'none', hypervisor_version: 7_002_000, tunnel_ip: null, storage_ip: null, object_port: null, physical_networks: ['public'],
      volume_pools: (await drivers.volume?.pools()) ?? [], object_devices: ((await drivers.object?.devices()) ?? []).filter((device) => device.name !== FILE_STORE_DEVICE), uptime_s: 1,
    }
  }
}

/** A dead agent writes nothing more. */
function mortal(store: StateStore, alive: () => boolean): StateStore {
  return {
    load: (name) => store.load(name),
    async save(name, value) {
      if (!alive()) throw new Error('the agent has crashed')
      await store.save(name, value)
    },
  }
}
