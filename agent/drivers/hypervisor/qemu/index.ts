/**
 * The hypervisor driver on QEMU. Each machine is a folder: its record, its own disks, its sockets and logs. QEMU processes outlive the agent; a new driver finds them by
 * pid file and takes up their control channel again.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { CommandResults } from '../../../../schema/agent/commands.ts'
import { tapName } from '../../../../schema/agent/desired.ts'
import type { ConsoleKind } from '../../../../schema/agent/protocol.ts'
import { Fault } from '../../../../schema/values/fault.ts'
import type { Exec } from '../../../host/exec.ts'
import { spawnDetached } from '../../../host/exec.ts'
import { type HostFiles, nodeFiles } from '../../../host/files.ts'
import { Lanes } from '../../../lanes.ts'
import { type Log, messageOf, silentLog } from '../../../log.ts'
import { systemTimers, type Timers } from '../../../timers.ts'
import type { ConsoleChannel, HypervisorDriver, Machine, MachineState } from '../driver.ts'
import { diskDevice, freeSlot, nicDevice, type QemuDisk, type QemuNic, qemuArgv, secretId } from './argv.ts'
import { Channels } from './channels.ts'
import { writeConfigDrive } from './config-drive.ts'
import { readConsole } from './console.ts'
import { diagnose } from './diagnostics.ts'
import { backingOf, ensureOwnDisks, ownDiskPath } from './disks.ts'
import { askGuest } from './guest-agent.ts'
import { growDisk, plugDisk, pluggedDevices, plugNic, serialOf, unplugDisk, unplugNic } from './hotplug.ts'
import { loadMemory, memoryPath, saveMemory } from './migration.ts'
import { bootId, findProcess, lastWords, startProcess } from './process.ts'
import { type MachineRecord, newRecord, powerOf, readRecord, stateOf, writeRecord } from './record.ts'
import { copyLive, copyOffline } from './snapshot.ts'
import { Viewers } from './viewers.ts'

export interface QemuOptions {
  exec: Exec
  /** One folder per machine in it. */
  folder: string
  acceleration: 'kvm' | 'tcg'
  /** True where the switch works in user space; see argv.ts. */
  plain_taps?: boolean
  files?: HostFiles
  timers?: Timers
  log?: Log
  spawn?: typeof spawnDetached
}

export interface QemuDriver extends HypervisorDriver {
  /** Lets go of the control channels; the machines go on. */
  close(): void
  /** Ends the machine's process and keeps all of its files: it starts again when wished for. */
  halt(id: string): Promise<void>
  /** Names of the image files that disks stand on. */
  imagesInUse(): Promise<Set<string>>
}

/** How long a guest has to power off by itself, unless its image says otherwise (os_shutdown_timeout, seconds). */
const SHUTDOWN_GRACE_MS = 10_000
const REBOOT_GRACE_MS = 30_000
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export const createQemuDriver = (options: QemuOptions): QemuDriver => new Qemu(options)

class Qemu implements QemuDriver {
  readonly name = 'qemu'
  private options: QemuOptions
  private files: HostFiles
  private timers: Timers
  private log: Log
  private lanes = new Lanes()
  private channels: Channels
  private viewers = new Viewers()
  private listeners: ((id: string) => void)[] = []

  constructor(options: QemuOptions) {
    this.options = options
    this.files = options.files ?? nodeFiles
    this.timers = options.timers ?? systemTimers
    this.log = options.log ?? silentLog
    this.channels = new Channels((id) => this.folder(id), this.timers, this.log, { guestShutdown: (id) => void this.guestShutdown(id), changed: (id) => this.changed(id) })
  }

  onChange(listener: (id: string) => void): void {
    this.listeners.push(listener)
  }

  close(): void {
    this.channels.close()
  }

  async list(): Promise<MachineState[]> {
    let names: string[] = []
    try {
      names = readdirSync(this.options.folder).filter((name) => UUID.test(name))
    } catch {
      return []
    }
    const states = await Promise.all(names.map(async (id) => {
      const record = await readRecord(this.files, this.folder(id)).catch(() => null)
      // A folder without a record: removed or made by half. ensure and remove both go on from there.
      return record ? await this.state(record) : null
    }))
    return states.filter((state) => state !== null)
  }

  ensure(machine: Machine): Promise<MachineState> {
    return this.lanes.run(machine.id, () => this.bring(machine))
  }

  remove(id: string): Promise<void> {
    return this.lanes.run(id, async () => {
      await this.channels.end(id)
      await this.files.remove(this.folder(id))
    })
  }

  halt(id: string): Promise<void> {
    return this.lanes.run(id, async () => this.shutDown(await this.record(id)))
  }

  reboot(id: string, hard: boolean): Promise<void> {
    return this.lanes.run(id, async () => {
      const record = await this.record(id)
      if (!hard && (await this.softReboot(record))) return
      await this.channels.end(id)
      await this.discardMemory(record)
      await this.start(record, await this.machineAgain(record))
    })
  }

  consoleLog(id: string, lines: number | null): Promise<string> {
    return readConsole(this.folder(id), lines)
  }

  async openConsole(id: string, kind: ConsoleKind): Promise<ConsoleChannel> {
    await this.record(id)
    if (findProcess(this.folder(id), id) === null) throw new Fault('conflict', `server ${id} is not running`)
    return await this.viewers.open(this.folder(id), id, kind)
  }

  async snapshotRoot(id: string, path: string): Promise<void> {
    const record = await this.record(id)
    const source = ownDiskPath(this.folder(id), 'root')
    if ((await this.files.size(source)) === null) throw new Fault('not_found', `server ${id} has no root disk of its own`)
    const live = await this.channels.get(id)
    const slot = record.slots[diskDevice('root')]
    if (live && slot !== undefined) await copyLive(live.qmp, this.folder(id), slot, source, path, this.options.exec, this.timers)
    else await this.lanes.run(id, () => copyOffline(source, path, this.options.exec))
  }

  async diagnostics(id: string): Promise<CommandResults['server.diagnostics']> {
    const record = await this.record(id)
    const live = await this.channels.get(id)
    const { power } = await this.state(record)
    return diagnose(record, power, live?.qmp ?? null, live ? findProcess(this.folder(id), id) : null, tapName)
  }

  async setPassword(id: string, user: string, password: string): Promise<void> {
    await this.record(id)
    const answer = await askGuest(this.folder(id), this.timers, 'guest-set-user-password', { username: user, password: Buffer.from(password).toString('base64'), crypted: false }, { sync_ms: 5_000, answer_ms: 20_000 })
    if (!answer) throw new Fault('conflict', `the guest of server ${id} runs no agent that answers`)
  }

  async imagesInUse(): Promise<Set<string>> {
    const used = new Set<string>()
    for (const { id } of await this.list()) {
      const record = await readRecord(this.files, this.folder(id))
      for (const disk of record?.spec.disks ?? []) if (disk.source.type === 'image') used.add(disk.source.image.sha512.slice(0, 64))
    }
    return used
  }

  // ---------------------------------------------------------------- one machine

  private folder(id: string): string {
    if (!UUID.test(id)) throw new Fault('bad_request', `not a server id: ${JSON.stringify(id)}`)
    return join(this.options.folder, id)
  }

  private async record(id: string): Promise<MachineRecord> {
    const record = await readRecord(this.files, this.folder(id))
    if (!record) throw new Fault('not_found', `there is no server ${id} on this host`)
    return record
  }

  private save(record: MachineRecord): Promise<void> {
    return writeRecord(this.files, this.folder(record.id), record)
  }

  private async state(record: MachineRecord): Promise<MachineState> {
    const live = await this.channels.get(record.id)
    const status = live ? ((await live.qmp.execute<{ status: string }>('query-status').catch(() => null))?.status ?? null) : null
    if (status === 'shutdown' && !record.guest_shutdown && !live?.ending) {
      record.guest_shutdown = true
      await this.save(record)
    }
    return stateOf(record, powerOf(record, status, bootId()))
  }

  private changed(id: string): void {
    for (const listener of this.listeners) listener(id)
  }

  /** The guest powered off by itself: noted before the process is let go. */
  private async guestShutdown(id: string): Promise<void> {
    await this.lanes.run(id, async () => {
      const record = await readRecord(this.files, this.folder(id))
      if (!record) return
      record.guest_shutdown = true
      await this.save(record)
      await this.channels.end(id)
    }).catch((error: unknown) => this.log('guest_shutdown_failed', { id, error: messageOf(error) }))
    this.changed(id)
  }

  private async bring(machine: Machine): Promise<MachineState> {
    const { id, spec, generation } = machine
    await this.files.makeFolder(this.folder(id))
    const record = (await readRecord(this.files, this.folder(id))) ?? newRecord(id, spec)
    const sameWish = record.generation >= generation && record.generation > 0
    const anew = record.incarnation !== spec.incarnation || record.root_generation !== spec.root_generation
    if (anew) await this.renew(record, machine)
    await this.save(record)
    let { power } = await this.state(record)
    // The process of a guest that powered off, or of a machine that broke, is of no more use.
    if ((power === 'shutdown' || power === 'crashed' || power === 'nostate') && findProcess(this.folder(id), id) !== null) await this.channels.end(id)
    const running = power === 'running' || power === 'paused'
    await ensureOwnDisks(this.folder(id), machine, running, this.options.exec, this.files)
    record.spec = spec
    await this.files.replace(join(this.folder(id), 'backing.json'), JSON.stringify(machine.backing))
    if (running) await this.replug(record, machine)
    else this.assignSlots(record, machine)
    if (!(record.guest_shutdown && sameWish && !anew)) await this.setPower(record, machine, power)
    Object.assign(record, { generation: Math.max(generation, record.generation), incarnation: spec.incarnation, root_generation: spec.root_generation })
    await this.save(record)
    power = (await this.state(record)).power
    return stateOf(record, power)
  }

  /** Resize or rebuild: the machine starts from nothing but its disks, or from its image. */
  private async renew(record: MachineRecord, { id, spec }: Machine): Promise<void> {
    await this.shutDown(record)
    await this.discardMemory(record)
    await this.files.remove(join(this.folder(id), 'config.iso'))
    if (record.root_generation !== spec.root_generation) await this.files.remove(ownDiskPath(this.folder(id), 'root'))
    Object.assign(record, { guest_shutdown: false, slots: {}, disks: [], nics: [], incarnation: spec.incarnation, root_generation: spec.root_generation })
  }

  private async setPower(record: MachineRecord, machine: Machine, power: MachineState['power']): Promise<void> {
    const wanted = machine.spec.power
    if (wanted === 'off') {
      if (power === 'running' || power === 'paused') await this.shutDown(record)
      if (power === 'suspended') await this.discardMemory(record)
      Object.assign(record, { expected: false, guest_shutdown: false })
      return
    }
    if (power !== 'running' && power !== 'paused') {
      if (wanted === 'suspended') return
      await this.start(record, machine)
    }
    const live = await this.channels.get(record.id)
    if (!live) throw new Fault('internal', `QEMU did not stay: ${lastWords(this.folder(record.id))}`)
    if (wanted === 'suspended') {
      await saveMemory(live.qmp, this.folder(record.id), this.files, this.timers)
      record.suspended = true
      await this.save(record)
      await this.channels.end(record.id)
    } else await live.qmp.execute(wanted === 'paused' ? 'stop' : 'cont')
  }

  // ---------------------------------------------------------------- starting and ending

  private async start(record: MachineRecord, machine: Machine): Promise<void> {
    const { id, spec } = machine
    const folder = this.folder(id)
    if (spec.config_drive && (await this.files.size(join(folder, 'config.iso'))) === null) await writeConfigDrive(folder, spec.metadata, this.files, this.options.exec)
    const disks = this.disksOf(record, machine)
    for (const disk of disks) if (disk.backing.type === 'iscsi') await this.files.replace(join(folder, secretId(disk.slot)), disk.backing.chap_secret)
    for (const name of ['qmp.sock', 'agent.sock', 'serial.sock', 'vnc.sock', 'qemu.pid']) await this.files.remove(join(folder, name))
    Object.assign(record, { expected: true, guest_shutdown: false, boot_id: bootId() })
    await this.save(record)
    const argv = qemuArgv({ id, spec, disks, nics: this.nicsOf(record, machine), config_drive: spec.config_drive, acceleration: this.options.acceleration, incoming: record.suspended, plain_taps: this.options.plain_taps ?? true })
    const pid = await startProcess(argv, folder, this.options.spawn ?? spawnDetached)
    const live = await this.channels.first(id, pid)
    // QEMU has read them.
    for (const disk of disks) if (disk.backing.type === 'iscsi') await this.files.remove(join(folder, secretId(disk.slot)))
    if (!record.suspended) return
    try {
      await loadMemory(live.qmp, folder, this.files, this.timers)
    } catch (error) {
      await this.channels.end(id)
      throw error
    }
    await this.discardMemory(record)
    await live.qmp.execute('cont')
  }

  /** Asks the guest first; ends the process in any case. */
  private async shutDown(record: MachineRecord): Promise<void> {
    const { id } = record
    const live = await this.channels.get(id).catch(() => null)
    const grace_ms = record.spec.properties.os_shutdown_timeout === undefined ? SHUTDOWN_GRACE_MS : Math.min(600_000, Math.max(0, Number(record.spec.properties.os_shutdown_timeout) * 1000 || 0))
    if (live && grace_ms > 0 && (await live.qmp.execute<{ status: string }>('query-status').catch(() => null))?.status === 'running') {
      live.ending = true
      const down = live.qmp.wait((event) => event.event === 'SHUTDOWN', grace_ms)
      await live.qmp.execute('system_powerdown').catch(() => {})
      await askGuest(this.folder(id), this.timers, 'guest-shutdown', { mode: 'powerdown' }, { sync_ms: 1_000, answer_ms: 0, answers: false }).catch(() => null)
      await down
    }
    record.expected = false
    await this.save(record)
    await this.channels.end(id)
  }

  /** True where the guest rebooted by itself. */
  private async softReboot(record: MachineRecord): Promise<boolean> {
    const live = await this.channels.get(record.id)
    if (!live || (await this.state(record)).power !== 'running') return false
    const reset = live.qmp.wait((event) => event.event === 'RESET' && event.data.guest === true, REBOOT_GRACE_MS)
    const asked = await askGuest(this.folder(record.id), this.timers, 'guest-shutdown', { mode: 'reboot' }, { sync_ms: 1_000, answer_ms: 0, answers: false }).catch(() => null)
    if (asked && (await reset) !== null) return true
    await this.shutDown(record)
    return false
  }

  private async discardMemory(record: MachineRecord): Promise<void> {
    if (!record.suspended) return
    record.suspended = false
    await this.save(record)
    await this.files.remove(memoryPath(this.folder(record.id)))
  }

  /** The machine as it was last resolved: own disks are in the folder, volumes where they were. */
  private async machineAgain(record: MachineRecord): Promise<Machine> {
    const kept = await this.files.readText(join(this.folder(record.id), 'backing.json'))
    return { id: record.id, generation: record.generation, spec: record.spec, backing: JSON.parse(kept ?? '{}') }
  }

  // ---------------------------------------------------------------- devices

  private assignSlots(record: MachineRecord, { spec }: Machine): void {
    const wanted = [...spec.disks.map((disk) => diskDevice(disk.id)), ...spec.nics.map((nic) => nicDevice(nic.port_id))]
    for (const device of Object.keys(record.slots)) if (!wanted.includes(device)) delete record.slots[device]
    for (const device of wanted) record.slots[device] ??= freeSlot(record.slots)
    record.disks = spec.disks.map(({ id, serial, boot }) => ({ id, serial, boot }))
    record.nics = spec.nics.map(({ port_id, mac_address }) => ({ port_id, mac_address }))
  }

  private disksOf(record: MachineRecord, machine: Machine): QemuDisk[] {
    return machine.spec.disks.map((disk) => ({ id: disk.id, serial: disk.serial, boot: disk.boot, slot: record.slots[diskDevice(disk.id)] ?? 0, backing: backingOf(this.folder(machine.id), disk, machine) }))
  }

  private nicsOf(record: MachineRecord, machine: Machine): QemuNic[] {
    return machine.spec.nics.map((nic) => ({ ...nic, slot: record.slots[nicDevice(nic.port_id)] ?? 0 }))
  }

  /** Brings a running machine's disks and cards to the spec. What goes, goes first: it makes room. */
  private async replug(record: MachineRecord, machine: Machine): Promise<void> {
    const live = await this.channels.get(machine.id)
    if (!live) throw new Fault('unavailable', `QEMU of ${machine.id} is gone`)
    const { qmp } = live
    const wanted = new Set([...machine.spec.disks.map((disk) => diskDevice(disk.id)), ...machine.spec.nics.map((nic) => nicDevice(nic.port_id))])
    for (const [device, slot] of Object.entries(record.slots)) {
      if (wanted.has(device)) continue
      if (device.startsWith('disk-')) await unplugDisk(qmp, device.slice(5), slot)
      else await unplugNic(qmp, device.slice(4), slot)
      delete record.slots[device]
      record.disks = record.disks.filter((disk) => diskDevice(disk.id) !== device)
      record.nics = record.nics.filter((nic) => nicDevice(nic.port_id) !== device)
      await this.save(record)
    }
    const plugged = await pluggedDevices(qmp)
    this.assignSlots(record, machine)
    // Noted first: a crash in between leaves a slot that is looked at again, never a device that nobody knows.
    await this.save(record)
    for (const disk of this.disksOf(record, machine)) {
      if (plugged.has(diskDevice(disk.id))) await growDisk(qmp, disk)
      else await plugDisk(qmp, disk)
      const serial = await serialOf(qmp, disk.id)
      if (serial !== disk.serial) throw new Fault('internal', `disk ${disk.id} shows the serial ${serial}, not ${disk.serial}`)
    }
    for (const nic of this.nicsOf(record, machine)) if (!plugged.has(nicDevice(nic.port_id))) await plugNic(qmp, nic, machine.spec.properties, this.options.plain_taps ?? true)
  }
}
