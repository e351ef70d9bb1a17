import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serverSpec } from '../conformance.ts'
import { emptyQcow2 } from '../qcow2.ts'
import { blockdev, freeSlot, nicDeviceObject, type QemuMachine, qemuArgv } from './argv.ts'
import { powerOf, newRecord } from './record.ts'

const ID = '11111111-1111-4111-8111-111111111111'
const PORT = '33333333-3333-4333-8333-333333333333'
const root = { id: 'root', serial: 'root', boot: true, source: { type: 'blank' as const, size_gib: 1 } }

const machine = (change: Partial<QemuMachine> = {}): QemuMachine => ({
  id: ID, spec: serverSpec(root, { name: 'a,b;$(c)\n' }), acceleration: 'tcg', incoming: false, plain_taps: true, config_drive: true,
  disks: [
    { id: 'root', serial: 'root', boot: true, slot: 1, backing: { type: 'file', path: '/m/root.qcow2', format: 'qcow2', size_bytes: 1 } },
    { id: 'v1', serial: 'v1', boot: false, slot: 2, backing: { type: 'iscsi', portal: '127.0.0.1:3260', iqn: 'iqn.x', lun: 1, chap_user: 'u', chap_secret: 'TOPSECRET', size_bytes: 1 } },
  ],
  nics: [{ port_id: PORT, mac_address: 'fa:16:3e:00:00:01', mtu: 1450, slot: 3 }],
  ...change,
})

const FIXED = [
  'qemu-system-x86_64', '-name', `guest=${ID},debug-threads=on`, '-uuid', ID, '-nodefaults', '-no-user-config', '-display', 'none', '-msg', 'timestamp=on',
  '-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny', '-machine', 'q35,usb=off,vmport=off,hpet=off,dump-guest-core=off',
  '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '1,sockets=1,cores=1,threads=1', '-m', '128M', '-rtc', 'base=utc', '-boot', 'strict=on', '-action', 'shutdown=pause,reboot=reset,panic=pause',
  '-smbios', `type=1,manufacturer=Skyhook,product=OpenStack Compute,version=1,serial=${ID},uuid=${ID},family=Virtual Machine`, '-pidfile', 'qemu.pid',
  '-chardev', 'socket,id=control,path=qmp.sock,server=on,wait=off', '-mon', 'chardev=control,mode=control',
  '-chardev', 'socket,id=console,path=serial.sock,server=on,wait=off,logfile=console.log,logappend=on', '-serial', 'chardev:console', '-vnc', 'unix:vnc.sock',
  '-device', 'VGA,id=video,bus=pcie.0,addr=0x2,vgamem_mb=16', '-device', 'virtio-serial-pci,id=serials,bus=pcie.0,addr=0x3', '-chardev', 'socket,id=agent,path=agent.sock,server=on,wait=off',
  '-device', 'virtserialport,bus=serials.0,chardev=agent,name=org.qemu.guest_agent.0', '-device', 'virtio-balloon-pci,id=balloon,bus=pcie.0,addr=0x4', '-object', 'rng-random,id=entropy,filename=/dev/urandom',
  '-device', 'virtio-rng-pci,rng=entropy,bus=pcie.0,addr=0x5',
]

const DEVICES = [
  '-object', 'secret,id=chap2,file=chap2',
  '-blockdev', '{"node-name":"disk1","driver":"qcow2","discard":"unmap","file":{"node-name":"disk1-file","driver":"file","filename":"/m/root.qcow2","discard":"unmap"}}',
  '-device', '{"driver":"virtio-blk-pci","id":"disk-root","bus":"port1","drive":"disk1","serial":"root","bootindex":1}',
  '-blockdev', '{"node-name":"disk2","driver":"raw","discard":"unmap","file":{"node-name":"disk2-file","driver":"iscsi","transport":"tcp","portal":"127.0.0.1:3260","target":"iqn.x","lun":1,"user":"u","password-secret":"chap2","timeout":30}}',
  '-device', '{"driver":"virtio-blk-pci","id":"disk-v1","bus":"port2","drive":"disk2","serial":"v1"}',
  '-netdev', 'tap,id=net3,ifname=tap33333333-33,script=no,downscript=no,vhost=off,vnet_hdr=off',
  '-device', `{"driver":"virtio-net-pci","id":"nic-${PORT}","bus":"port3","netdev":"net3","mac":"fa:16:3e:00:00:01","host_mtu":1450,"romfile":""}`,
  '-blockdev', '{"node-name":"config","driver":"raw","read-only":true,"file":{"driver":"file","filename":"config.iso"}}',
  '-device', 'virtio-blk-pci,id=config-drive,bus=pcie.0,addr=0x6,drive=config,serial=config-drive',
]

test('the command line of a whole machine', () => {
  const argv = qemuArgv(machine())
  assert.deepEqual(argv.slice(0, FIXED.length), FIXED)
  const ports = argv.slice(FIXED.length, FIXED.length + 32)
  assert.deepEqual(ports.slice(0, 4), ['-device', 'pcie-root-port,id=port1,bus=pcie.0,addr=0x10.0,chassis=1,port=1,multifunction=on', '-device', 'pcie-root-port,id=port2,bus=pcie.0,addr=0x10.1,chassis=2,port=2'])
  assert.equal(ports.at(-1), 'pcie-root-port,id=port16,bus=pcie.0,addr=0x11.7,chassis=16,port=16')
  assert.deepEqual(argv.slice(FIXED.length + 32), DEVICES)
})

test('neither secrets nor what a tenant typed are on the command line, and no format is left to be guessed', () => {
  const line = qemuArgv(machine()).join('\n')
  assert.doesNotMatch(line, /TOPSECRET/)
  assert.doesNotMatch(line, /a,b/)
  assert.doesNotMatch(line, /format=|file=\/|"driver":"host_device"/)
})

test('kvm, and a machine that waits for its memory', () => {
  const argv = qemuArgv(machine({ acceleration: 'kvm', incoming: true, config_drive: false }))
  assert.equal(argv[argv.indexOf('-accel') + 1], 'kvm')
  assert.equal(argv[argv.indexOf('-cpu') + 1], 'host')
  assert.deepEqual(argv.slice(-2), ['-incoming', 'defer'])
  assert.ok(!argv.join(' ').includes('config.iso'))
})

test('a raw volume is opened as raw', () => {
  const node = blockdev({ id: 'v', serial: 'v', boot: false, slot: 4, backing: { type: 'file', path: '/v', format: 'raw', size_bytes: 1 } })
  assert.equal(node.driver, 'raw')
})

test("the card's model follows the image", () => {
  const nic = { port_id: PORT, mac_address: 'fa:16:3e:00:00:01', mtu: 1450, slot: 3 }
  assert.equal(nicDeviceObject(nic, { hw_vif_model: 'e1000' }).driver, 'e1000e')
  assert.equal(nicDeviceObject(nic, { hw_vif_model: 'virtio' }).driver, 'virtio-net-pci')
})

test('slots are reused, and there are sixteen', () => {
  assert.equal(freeSlot({ a: 1, b: 3 }), 2)
  assert.throws(() => freeSlot(Object.fromEntries(Array.from({ length: 16 }, (_, n) => [String(n), n + 1]))), /room for 16/)
})

test('a process that is gone was a crash, unless the host booted since or the guest ended it', () => {
  const record = { ...newRecord(ID, serverSpec(root)), expected: true, boot_id: 'b1' }
  assert.equal(powerOf(record, null, 'b1'), 'crashed')
  assert.equal(powerOf(record, null, 'b2'), 'shutdown')
  assert.equal(powerOf({ ...record, guest_shutdown: true }, null, 'b1'), 'shutdown')
  assert.equal(powerOf({ ...record, suspended: true }, null, 'b2'), 'suspended')
  assert.equal(powerOf(record, 'running', 'b1'), 'running')
  assert.equal(powerOf(record, 'shutdown', 'b1'), 'shutdown')
})

test('the empty qcow2 of simulated hosts has the size it says', () => {
  for (const gib of [1, 20, 10_000]) {
    const bytes = emptyQcow2(gib * 1024 ** 3, 'x')
    assert.equal(new DataView(bytes.buffer).getBigUint64(24), BigInt(gib * 1024 ** 3))
    assert.ok(bytes.byteLength <= 11 * 1024 * 1024)
  }
})
