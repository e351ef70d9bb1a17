/** Carries out one action of a plan by the host's drivers, and notes in `actual` what is there after it. */
import type { DesiredItem, ImageRef, ServerSpec } from '../schema/agent/desired.ts'
import { Fault } from '../schema/values/fault.ts'
import type { DirectoryDriver } from './drivers/directory/driver.ts'
import type { DiskBacking, HypervisorDriver, Machine } from './drivers/hypervisor/driver.ts'
import type { NetworkDriver, NetworkView } from './drivers/network/driver.ts'
import type { ObjectDriver } from './drivers/object/driver.ts'
import type { VolumeDriver } from './drivers/volume/driver.ts'
import { type Action, type Actual, emptyActual, powerAgrees } from './plan.ts'
import { keyOf } from './state.ts'

export interface Drivers {
  hypervisor?: HypervisorDriver
  volume?: VolumeDriver
  network?: NetworkDriver
  object?: ObjectDriver
  directory?: DirectoryDriver
}

export interface Images {
  /** A verified local file of the image, in a format that a disk can stand on. */
  ensure(image: ImageRef): Promise<{ path: string; format: 'raw' | 'qcow2' }>
}

export interface Applier {
  drivers: Drivers
  images: Images
  desired(): Record<string, DesiredItem>
  actual: Actual
}

const GIB = 1024 ** 3

function driver<K extends keyof Drivers>(drivers: Drivers, kind: K): NonNullable<Drivers[K]> {
  const found = drivers[kind]
  if (!found) throw new Fault('not_implemented', `this host has no ${kind} driver`)
  return found as NonNullable<Drivers[K]>
}

/** Everything of the network kinds that should be here, as one picture. */
export function networkView(desired: Record<string, DesiredItem>): NetworkView {
  const view: NetworkView = { networks: {}, ports: {}, routers: {} }
  for (const item of Object.values(desired)) {
    if (item.state !== 'present') continue
    if (item.kind === 'network') view.networks[item.id] = (item as DesiredItem<'network'>).spec
    else if (item.kind === 'port') view.ports[item.id] = (item as DesiredItem<'port'>).spec
    else if (item.kind === 'router') view.routers[item.id] = (item as DesiredItem<'router'>).spec
  }
  return view
}

/** Finds where each disk's bytes are. A blank disk has no backing: the hypervisor makes it. */
export async function resolveMachine(id: string, generation: number, spec: ServerSpec, applier: Pick<Applier, 'drivers' | 'images'>): Promise<Machine> {
  const backing: Record<string, DiskBacking> = {}
  for (const disk of spec.disks) {
    const { source } = disk
    if (source.type === 'image') {
      const image = await applier.images.ensure(source.image)
      backing[disk.id] = { type: 'file', path: image.path, format: image.format, size_bytes: source.size_gib * GIB }
    } else if (source.type === 'volume' && source.connection.type === 'local') {
      backing[disk.id] = { type: 'file', ...(await driver(applier.drivers, 'volume').path(source.connection.volume_id)) }
    } else if (source.type === 'volume') {
      backing[disk.id] = { ...source.connection, type: 'iscsi', size_bytes: source.size_gib * GIB } as DiskBacking
    }
  }
  return { id, generation, spec, backing }
}

async function ensure(item: DesiredItem, applier: Applier): Promise<void> {
  const { drivers, actual } = applier
  const { id } = item
  switch (item.kind) {
    case 'network':
      await driver(drivers, 'network').ensureNetwork(id, networkView(applier.desired()))
      actual.networks.add(id)
      return
    case 'port':
      await driver(drivers, 'network').ensurePort(id, networkView(applier.desired()))
      actual.ports.add(id)
      return
    case 'router':
      await driver(drivers, 'network').ensureRouter(id, networkView(applier.desired()))
      actual.routers.add(id)
      return
    case 'volume': {
      const { spec } = item as DesiredItem<'volume'>
      const made = actual.volumes.has(id)
      const image = spec.source?.type === 'image' && !made ? await applier.images.ensure(spec.source.image) : null
      const state = await driver(drivers, 'volume').ensureVolume(id, spec, image)
      if (state.size_bytes < spec.size_gib * GIB) throw new Fault('internal', `the volume has ${state.size_bytes} bytes, not ${spec.size_gib} GiB`)
      actual.volumes.set(id, state.size_bytes)
      return
    }
    case 'snapshot':
      actual.snapshots.set(id, (await driver(drivers, 'volume').ensureSnapshot(id, (item as DesiredItem<'snapshot'>).spec)).size_bytes)
      return
    case 'export':
      await driver(drivers, 'volume').ensureExport(id, (item as DesiredItem<'export'>).spec)
      actual.exports.add(id)
      return
    case 'server': {
      const { spec } = item as DesiredItem<'server'>
      const state = await driver(drivers, 'hypervisor').ensure(await resolveMachine(id, item.generation, spec, applier))
      actual.servers.set(id, state)
      if (!powerAgrees(spec, state)) throw new Fault('internal', `the machine is ${state.power}, and should be ${spec.power}`)
      return
    }
    default:
      item.kind satisfies never
  }
}

async function remove(item: DesiredItem, applier: Applier): Promise<void> {
  const { drivers, actual } = applier
  const { id } = item
  switch (item.kind) {
    case 'network':
      await driver(drivers, 'network').removeNetwork(id)
      actual.networks.delete(id)
      return
    case 'port':
      await driver(drivers, 'network').removePort(id)
      actual.ports.delete(id)
      return
    case 'router':
      await driver(drivers, 'network').removeRouter(id)
      actual.routers.delete(id)
      return
    case 'volume':
      await driver(drivers, 'volume').removeVolume(id)
      actual.volumes.delete(id)
      return
    case 'snapshot':
      await driver(drivers, 'volume').removeSnapshot(id)
      actual.snapshots.delete(id)
      return
    case 'export':
      await driver(drivers, 'volume').removeExport(id)
      actual.exports.delete(id)
      return
    case 'server':
      await driver(drivers, 'hypervisor').remove(id)
      actual.servers.delete(id)
      return
    default:
      item.kind satisfies never
  }
}

export async function apply(action: Action, applier: Applier): Promise<void> {
  const item = applier.desired()[keyOf(action.kind, action.id)]
  if (!item || item.generation !== action.generation) return
  await (action.op === 'ensure' ? ensure(item, applier) : remove(item, applier))
}

/** Asks every driver what there is. */
export async function observe(drivers: Drivers): Promise<Actual> {
  const actual = emptyActual()
  const [network, volume, servers] = await Promise.all([drivers.network?.list(), drivers.volume?.list(), drivers.hypervisor?.list()])
  if (network) {
    actual.networks = new Set(network.networks)
    actual.ports = new Set(network.ports)
    actual.routers = new Set(network.routers)
  }
  if (volume) {
    actual.volumes = new Map(volume.volumes.map((one) => [one.id, one.size_bytes]))
    actual.snapshots = new Map(volume.snapshots.map((one) => [one.id, one.size_bytes]))
    actual.exports = new Set(volume.exports)
  }
  for (const state of servers ?? []) actual.servers.set(state.id, state)
  return actual
}
