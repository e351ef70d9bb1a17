/** The agent of a real host: which drivers its roles need, made from what was found on it. */
import { mkdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { HostRole } from '../schema/agent/observed.ts'
import { systemRandom } from '../schema/values/random.ts'
import { Fault } from '../schema/values/fault.ts'
import { systemClock } from '../schema/values/time.ts'
import { Agent } from './agent.ts'
import type { Drivers } from './apply.ts'
import { createLdapDirectoryDriver } from './drivers/directory/ldap/index.ts'
import { findAcceleration } from './drivers/hypervisor/qemu/acceleration.ts'
import { createQemuDriver, type QemuDriver } from './drivers/hypervisor/qemu/index.ts'
import { createOvsNetworkDriver, networkFacts, type OvsNetworkDriver } from './drivers/network/ovs/index.ts'
import { createXfsObjectDriver } from './drivers/object/xfs/index.ts'
import { createFileVolumeDriver, type FileVolumeDriver } from './drivers/volume/file/index.ts'
import { exec } from './host/exec.ts'
import { FILE_STORE_DEVICE, gatherFacts, parseVersion } from './host/facts.ts'
import { nodeFiles } from './host/files.ts'
import { type Identity, joinOverHttp, loadIdentity } from './identity.ts'
import { ImageCache, qemuImageTool } from './images.ts'
import { webSocketTransport } from './link.ts'
import { type Log, messageOf } from './log.ts'
import { metadataSource } from './metadata.ts'
import { openDoor } from './open-door.ts'
import { ObjectServices } from './object-services/index.ts'
import { createLan, type LanServer, serveLan } from './object-services/lan.ts'
import { type PlaneHttp, planeHttp } from './plane.ts'
import { type DesiredState, fileStore, type StateStore } from './state.ts'
import { systemTimers } from './timers.ts'

const GIB = 1024 ** 3
const IMAGE_CACHE_BYTES = 40 * GIB
const ISCSI_PORT = 3260

export interface LocalOptions {
  plane: string
  state: string
  token: string | null
  roles: HostRole[]
  name: string
  /** ADDR:PORT of the object store on site; null: none. */
  door: string | null
  /** Where object disks are mounted, each in a folder of its name; null: one device, a folder of the state. */
  objects: string | null
  log: Log
}

interface LocalDrivers extends Drivers {
  hypervisor?: QemuDriver
  network?: OvsNetworkDriver
  volume?: FileVolumeDriver
}

const at = (state: string) => ({
  machines: join(state, 'machines'), images: join(state, 'images'), scratch: join(state, 'scratch'), agent: join(state, 'agent'), network: join(state, 'network'),
  volumes: join(state, 'volumes'), door: join(state, 'door'), targets: join(state, 'targets'), objects: join(state, 'objects'),
})

/** Environment of an operator who has more than one host: addresses that other hosts reach this one at. */
const address = (name: string): string | null => process.env[name] ?? null

const storageIp = () => address('SKYHOOK_STORAGE_IP') ?? '127.0.0.1'
const networked = (roles: readonly HostRole[]) => roles.includes('compute') || roles.includes('gateway')

function makeDrivers(state: string, roles: readonly HostRole[], desired: DesiredState, found: { acceleration: 'kvm' | 'tcg'; tunnel_ip: string | null; objects: string | null }, log: Log): LocalDrivers {
  const paths = at(state)
  const drivers: LocalDrivers = {}
  if (roles.includes('compute')) drivers.hypervisor = createQemuDriver({ exec, folder: paths.machines, acceleration: found.acceleration, log })
  if (networked(roles)) {
    drivers.network = createOvsNetworkDriver({ exec, state_dir: paths.network, metadata: metadataSource(desired), options: { tunnel_ip: found.tunnel_ip } })
  }
  if (roles.includes('volume')) drivers.volume = createFileVolumeDriver({ exec, dir: paths.volumes, state_dir: paths.targets, portal_ip: storageIp(), portal_port: ISCSI_PORT })
  if (roles.includes('directory')) drivers.directory = createLdapDirectoryDriver()
  if (roles.includes('object') || roles.includes('image')) {
    const devices_dir = found.objects ?? paths.objects
    if (roles.includes('object') && found.objects === null) mkdirSync(join(devices_dir, 'd1'), { recursive: true, mode: 0o700 })
    if (roles.includes('image')) mkdirSync(join(devices_dir, FILE_STORE_DEVICE), { recursive: true, mode: 0o700 })
    drivers.object = createXfsObjectDriver({ devices_dir, mount_check: found.objects !== null, plain: [FILE_STORE_DEVICE] })
  }
  return drivers
}

export async function runLocal(options: LocalOptions): Promise<{ stop(): Promise<void> }> {
  const { state, plane, roles, log } = options
  const paths = at(state)
  for (const folder of [paths.machines, paths.images, paths.agent]) mkdirSync(folder, { recursive: true, mode: 0o700 })
  const version = roles.includes('compute') ? (await exec(['qemu-system-x86_64', '--version'])).stdout : ''
  const found = roles.includes('compute') ? findAcceleration(state, version.split('\n')[0] ?? '', exec, nodeFiles) : Promise.resolve('tcg' as const)
  const identity: Identity = await loadIdentity({ folder: paths.agent, plane, hostname: options.name, token: options.token, clock: systemClock, join: joinOverHttp(plane) })
  const acceleration = await found
  const network = networked(roles) ? await networkFacts(exec) : { physical_networks: [], tunnel_ip: null, missing: [] }
  if (network.missing.length > 0) throw new Fault('unavailable', `networks need programs that are not installed: ${network.missing.join(', ')}`)
  const tunnel_ip = address('SKYHOOK_TUNNEL_IP') ?? network.tunnel_ip
  const desired: DesiredState = { version: 0, items: {} }
  const drivers = makeDrivers(state, roles, desired, { acceleration, tunnel_ip, objects: options.objects }, log)
  const http = planeHttp(plane, identity)
  const tool = qemuImageTool(exec)
  const images = new ImageCache({ folder: paths.images, files: nodeFiles, http, tool, clock: systemClock, log, limit_bytes: IMAGE_CACHE_BYTES, inUse: async () => (await drivers.hypervisor?.imagesInUse()) ?? new Set() })
  const store = fileStore(paths.agent)
  const objects = await startObjects(roles, drivers, { identity, http, store, log })
  const agent = new Agent({
    drivers, images, state: desired, store, ...(objects === null ? {} : { objects: objects.services }), files: nodeFiles, http, transport: webSocketTransport(plane, identity), scratch: paths.scratch,
    convert: async (from, format, to) => {
      await exec(['qemu-img', 'convert', '-f', 'raw', '-O', format, from, to], { timeout_ms: 3_600_000 })
    },
    facts: () => gatherFacts({
      hostname: options.name, roles, drivers, folder: state, acceleration: async () => (roles.includes('compute') ? acceleration : 'none'), hypervisorVersion: async () => parseVersion(version),
      tunnel_ip, storage_ip: storageIp(), object_port: objects?.lan?.port ?? null, physical_networks: network.physical_networks,
    }),
    clock: systemClock, timers: systemTimers, random: systemRandom, log, clockOffset: (offset_ms) => identity.setOffset(offset_ms),
  })
  await agent.start()
  const door = options.door === null ? null : await openDoor(options.door, { plane, identity, driver: drivers.object, folder: paths.door, log })
  log('agent_up', { host_id: identity.host_id, roles, acceleration, state: basename(state) })
  return {
    async stop() {
      await door?.stop()
      await agent.stop()
      await objects?.lan?.close()
      drivers.hypervisor?.close()
      drivers.network?.close()
    },
  }
}

interface LocalObjects {
  services: ObjectServices
  lan: LanServer | null
}

/** The consistency services, and the door for other hosts on the storage network; without that they go through the plane. */
async function startObjects(roles: readonly HostRole[], drivers: Drivers, { identity, http, store, log }: { identity: Identity; http: PlaneHttp; store: StateStore; log: Log }): Promise<LocalObjects | null> {
  const driver = drivers.object
  if (!roles.includes('object') || driver === undefined) return null
  const { host_id } = identity
  const services = new ObjectServices({ driver, host_id, http, store, clock: systemClock, timers: systemTimers, random: systemRandom, log, lan: createLan(identity), storage_ip: storageIp() })
  const keyOf = (id: string) => services.rings.keyOf(id)
  const mayRead = (id: string, { policy, partition }: { policy: number; partition: number }) => services.rings.get(policy)?.primaries(partition).some((one) => one.host_id === id) === true
  const lan = await serveLan({ host_id, replicas: driver.replicas, keyOf, mayRead, now_ms: () => services.now(), log }, storageIp(), Number(process.env.SKYHOOK_OBJECT_PORT ?? 0)).catch((error: unknown) => {
    log('lan_not_served', { error: messageOf(error) })
    return null
  })
  return { services, lan }
}

/** An explicit order to end what outlives the agent: machines, targets, networks. Disks and volumes stay. */
export async function teardown({ state, log }: { state: string; log: Log }): Promise<void> {
  const drivers = makeDrivers(state, ['compute', 'volume', 'gateway'], { version: 0, items: {} }, { acceleration: 'tcg', tunnel_ip: null, objects: null }, log)
  for (const machine of (await drivers.hypervisor?.list()) ?? []) {
    await drivers.hypervisor?.halt(machine.id)
    log('machine_ended', { id: machine.id })
  }
  await drivers.volume?.stopTargets()
  await drivers.network?.purge()
  drivers.hypervisor?.close()
  log('torn_down', {})
}
