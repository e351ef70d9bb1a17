/** Disks and cards of a running machine: plugged and unplugged until QEMU has what the spec says. Each step may be repeated. */
import { Fault } from '../../../../schema/values/fault.ts'
import { blockdev, diskDevice, diskDeviceObject, fileNode, formatNode, netdev, nicDevice, nicDeviceObject, type QemuDisk, type QemuNic, secretId } from './argv.ts'
import type { Qmp } from './qmp.ts'
import { QmpError } from './qmp.ts'

/** A guest that is still booting does not hear of an unplug: it is asked again. */
const UNPLUG_ASK_EVERY_MS = 5_000
const UNPLUG_TIMEOUT_MS = 60_000

/** Ids of the devices that can come and go, as QEMU has them now. */
export async function pluggedDevices(qmp: Qmp): Promise<Set<string>> {
  const list = await qmp.execute<{ name: string }[]>('qom-list', { path: '/machine/peripheral' })
  return new Set(list.map((entry) => entry.name).filter((name) => name.startsWith('disk-') || name.startsWith('nic-')))
}

/** Runs what may already be so. */
async function tolerant(work: Promise<unknown>, fine: RegExp): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!(error instanceof QmpError && fine.test(error.message))) throw error
  }
}

/** Removes what a disk left in QEMU besides its device. */
export async function dropDiskNodes(qmp: Qmp, slot: number): Promise<void> {
  await tolerant(qmp.execute('blockdev-del', { 'node-name': formatNode(slot) }), /[Ff]ailed to find node|not found/)
  await tolerant(qmp.execute('blockdev-del', { 'node-name': fileNode(slot) }), /[Ff]ailed to find node|not found/)
  await tolerant(qmp.execute('object-del', { id: secretId(slot) }), /not found/)
}

export async function plugDisk(qmp: Qmp, disk: QemuDisk): Promise<void> {
  await dropDiskNodes(qmp, disk.slot)
  if (disk.backing.type === 'iscsi') await qmp.execute('object-add', { 'qom-type': 'secret', id: secretId(disk.slot), data: disk.backing.chap_secret })
  try {
    await qmp.execute('blockdev-add', blockdev(disk), 60_000)
    const { bootindex: _, ...device } = diskDeviceObject(disk)
    await qmp.execute('device_add', device)
  } catch (error) {
    await dropDiskNodes(qmp, disk.slot).catch(() => {})
    throw error
  }
}

export async function plugNic(qmp: Qmp, nic: QemuNic, properties: Record<string, string>, plainTaps: boolean): Promise<void> {
  await tolerant(qmp.execute('netdev_del', { id: `net${nic.slot}` }), /not found/)
  await qmp.execute('netdev_add', netdev(nic, plainTaps))
  try {
    await qmp.execute('device_add', nicDeviceObject(nic, properties))
  } catch (error) {
    await qmp.execute('netdev_del', { id: `net${nic.slot}` }).catch(() => {})
    throw error
  }
}

/** Asks the guest for the device until it lets go. */
async function unplug(qmp: Qmp, device: string): Promise<void> {
  for (let waited = 0; waited < UNPLUG_TIMEOUT_MS; waited += UNPLUG_ASK_EVERY_MS) {
    const gone = qmp.wait((event) => event.event === 'DEVICE_DELETED' && event.data.device === device, UNPLUG_ASK_EVERY_MS)
    try {
      await qmp.execute('device_del', { id: device })
    } catch (error) {
      if (error instanceof QmpError && error.kind === 'DeviceNotFound') return
      // "already in the process of unplug": it was asked before.
      if (!(error instanceof QmpError)) throw error
    }
    if ((await gone) !== null || !(await pluggedDevices(qmp)).has(device)) return
  }
  throw new Fault('conflict', `the guest does not let go of ${device}`)
}

export async function unplugDisk(qmp: Qmp, id: string, slot: number): Promise<void> {
  await unplug(qmp, diskDevice(id))
  await dropDiskNodes(qmp, slot)
}

export async function unplugNic(qmp: Qmp, portId: string, slot: number): Promise<void> {
  await unplug(qmp, nicDevice(portId))
  await tolerant(qmp.execute('netdev_del', { id: `net${slot}` }), /not found/)
}

/** The serial that the device itself has. */
export async function serialOf(qmp: Qmp, id: string): Promise<string> {
  return await qmp.execute<string>('qom-get', { path: `/machine/peripheral/${diskDevice(id)}`, property: 'serial' })
}

/** A volume that grew under a running machine: the guest is told. */
export async function growDisk(qmp: Qmp, disk: QemuDisk): Promise<void> {
  const nodes = await qmp.execute<{ 'node-name': string; image?: { 'virtual-size': number } }[]>('query-named-block-nodes', { flat: true })
  const size = nodes.find((node) => node['node-name'] === formatNode(disk.slot))?.image?.['virtual-size']
  if (size !== undefined && size < disk.backing.size_bytes) await qmp.execute('block_resize', { 'node-name': formatNode(disk.slot), size: disk.backing.size_bytes })
}
