/**
 * QEMU's command line, and the objects that QMP takes for the same devices: pure, so that golden tests hold them. Sockets and files of the machine are
 * relative: QEMU runs in the machine's folder (a Unix socket's path has room for 107 characters only). Nothing that a tenant
 * typed gets in here.
 */
import { type ServerSpec, tapName } from '../../../../schema/agent/desired.ts'
import { Fault } from '../../../../schema/values/fault.ts'
import type { DiskBacking } from '../driver.ts'

/** Root ports, each takes one disk or one card: 0x10.0 to 0x11.7. */
export const SLOTS = 16

export interface QemuDisk {
  id: string
  serial: string
  boot: boolean
  slot: number
  backing: DiskBacking
}

export interface QemuNic {
  port_id: string
  mac_address: string
  mtu: number
  slot: number
}

export interface QemuMachine {
  id: string
  spec: ServerSpec
  disks: QemuDisk[]
  nics: QemuNic[]
  config_drive: boolean
  acceleration: 'kvm' | 'tcg'
  /** Wait for a suspended machine's state. */
  incoming: boolean
  /** The switch's data path is in user space: it takes no half-made checksums. */
  plain_taps: boolean
}

export const diskDevice = (id: string): string => `disk-${id}`
export const nicDevice = (portId: string): string => `nic-${portId}`
export const formatNode = (slot: number): string => `disk${slot}`
export const fileNode = (slot: number): string => `disk${slot}-file`
export const secretId = (slot: number): string => `chap${slot}`

/** The lowest free root port. */
export function freeSlot(slots: Record<string, number>): number {
  const used = new Set(Object.values(slots))
  for (let slot = 1; slot <= SLOTS; slot++) if (!used.has(slot)) return slot
  throw new Fault('bad_request', `a machine has room for ${SLOTS} disks and network cards`)
}

type Json = Record<string, unknown>

/** The two nodes of a disk: format over protocol. The format is always said, never guessed from the bytes. */
export function blockdev(disk: QemuDisk): Json {
  const { backing, slot } = disk
  if (backing.type === 'file') return { 'node-name': formatNode(slot), driver: backing.format, discard: 'unmap', file: { 'node-name': fileNode(slot), driver: 'file', filename: backing.path, discard: 'unmap' } }
  return {
    'node-name': formatNode(slot), driver: 'raw', discard: 'unmap',
    file: { 'node-name': fileNode(slot), driver: 'iscsi', transport: 'tcp', portal: backing.portal, target: backing.iqn, lun: backing.lun, user: backing.chap_user, 'password-secret': secretId(slot), timeout: 30 },
  }
}

export function diskDeviceObject(disk: QemuDisk): Json {
  return { driver: 'virtio-blk-pci', id: diskDevice(disk.id), bus: `port${disk.slot}`, drive: formatNode(disk.slot), serial: disk.serial, ...(disk.boot ? { bootindex: 1 } : {}) }
}

export function netdev(nic: QemuNic, plainTaps: boolean): Json {
  return { type: 'tap', id: `net${nic.slot}`, ifname: tapName(nic.port_id), script: 'no', downscript: 'no', vhost: false, ...(plainTaps ? { vnet_hdr: false } : {}) }
}

export function nicDeviceObject(nic: QemuNic, properties: Record<string, string>): Json {
  const card = { id: nicDevice(nic.port_id), bus: `port${nic.slot}`, netdev: `net${nic.slot}`, mac: nic.mac_address }
  if (properties.hw_vif_model === 'e1000' || properties.hw_vif_model === 'e1000e') return { driver: 'e1000e', ...card }
  return { driver: 'virtio-net-pci', ...card, host_mtu: nic.mtu, romfile: '' }
}

/** `-netdev` of QEMU 7 reads key=value; true and false are on and off. */
const keyValue = (object: Json): string => Object.entries(object).map(([key, value]) => (key === 'type' ? String(value) : `${key}=${value === true ? 'on' : value === false ? 'off' : value}`)).join(',')

function fixedDevices(): string[] {
  const ports: string[] = []
  for (let slot = 1; slot <= SLOTS; slot++) {
    const index = slot - 1
    ports.push('-device', `pcie-root-port,id=port${slot},bus=pcie.0,addr=0x${(0x10 + (index >> 3)).toString(16)}.${index & 7},chassis=${slot},port=${slot}${(index & 7) === 0 ? ',multifunction=on' : ''}`)
  }
  return [
    '-device', 'VGA,id=video,bus=pcie.0,addr=0x2,vgamem_mb=16',
    '-device', 'virtio-serial-pci,id=serials,bus=pcie.0,addr=0x3',
    '-chardev', 'socket,id=agent,path=agent.sock,server=on,wait=off',
    '-device', 'virtserialport,bus=serials.0,chardev=agent,name=org.qemu.guest_agent.0',
    '-device', 'virtio-balloon-pci,id=balloon,bus=pcie.0,addr=0x4',
    '-object', 'rng-random,id=entropy,filename=/dev/urandom',
    '-device', 'virtio-rng-pci,rng=entropy,bus=pcie.0,addr=0x5',
    ...ports,
  ]
}

export function qemuArgv(machine: QemuMachine): string[] {
  const { id, spec, disks, nics } = machine
  const kvm = machine.acceleration === 'kvm'
  return [
    'qemu-system-x86_64', '-name', `guest=${id},debug-threads=on`, '-uuid', id,
    '-nodefaults', '-no-user-config', '-display', 'none', '-msg', 'timestamp=on',
    '-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
    '-machine', 'q35,usb=off,vmport=off,hpet=off,dump-guest-core=off',
    ...(kvm ? ['-accel', 'kvm', '-cpu', 'host'] : ['-accel', 'tcg,thread=multi', '-cpu', 'max']),
    '-smp', `${spec.vcpus},sockets=1,cores=${spec.vcpus},threads=1`, '-m', `${spec.ram_mib}M`, '-rtc', 'base=utc', '-boot', 'strict=on',
    // A guest that powers off leaves its process for us to see; cloud-init knows an OpenStack machine by its product name.
    '-action', 'shutdown=pause,reboot=reset,panic=pause',
    '-smbios', `type=1,manufacturer=Skyhook,product=OpenStack Compute,version=1,serial=${id},uuid=${id},family=Virtual Machine`,
    '-pidfile', 'qemu.pid',
    '-chardev', 'socket,id=control,path=qmp.sock,server=on,wait=off', '-mon', 'chardev=control,mode=control',
    '-chardev', 'socket,id=console,path=serial.sock,server=on,wait=off,logfile=console.log,logappend=on', '-serial', 'chardev:console',
    '-vnc', 'unix:vnc.sock',
    ...fixedDevices(),
    ...disks.filter((disk) => disk.backing.type === 'iscsi').flatMap((disk) => ['-object', `secret,id=${secretId(disk.slot)},file=${secretId(disk.slot)}`]),
    ...disks.flatMap((disk) => ['-blockdev', JSON.stringify(blockdev(disk)), '-device', JSON.stringify(diskDeviceObject(disk))]),
    ...nics.flatMap((nic) => ['-netdev', keyValue(netdev(nic, machine.plain_taps)), '-device', JSON.stringify(nicDeviceObject(nic, spec.properties))]),
    ...(machine.config_drive ? ['-blockdev', JSON.stringify({ 'node-name': 'config', driver: 'raw', 'read-only': true, file: { driver: 'file', filename: 'config.iso' } }), '-device', 'virtio-blk-pci,id=config-drive,bus=pcie.0,addr=0x6,drive=config,serial=config-drive'] : []),
    ...(machine.incoming ? ['-incoming', 'defer'] : []),
  ]
}
