/**
 * The hypervisor of simulated hosts. Its machines live in the `disk` object that is passed in, as QEMU processes live beside the agent: a new driver on the same
 * disk finds them again. Behaves as the conformance suite demands, without a guest.
 */
import type { CommandResults } from '../../../schema/agent/commands.ts'
import type { ServerSpec } from '../../../schema/agent/desired.ts'
import type { PowerState } from '../../../schema/agent/observed.ts'
import type { ConsoleKind } from '../../../schema/agent/protocol.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { Clock } from '../../../schema/values/time.ts'
import { systemClock } from '../../../schema/values/time.ts'
import { tailLines } from './console.ts'
import type { ConsoleChannel, HypervisorDriver, Machine, MachineState } from './driver.ts'
import { FakeConsoles } from './fake-console.ts'
import { emptyQcow2 } from './qcow2.ts'

export interface FakeMachine {
  spec: ServerSpec
  state: MachineState
  console: string
  started_ms: number
  passwords: Record<string, string>
}

export type FakeHypervisorDisk = Map<string, FakeMachine>

export type HypervisorStep = 'ensure' | 'remove' | 'reboot' | 'consoleLog' | 'snapshotRoot' | 'diagnostics' | 'setPassword'
/** Scripted trouble, as in the volume driver: throws before the deed, or after it (a crash between deed and report). May wait. */
export type HypervisorFaults = (when: 'before' | 'after', step: HypervisorStep, id: string) => void | Promise<void>

export interface FakeHypervisorOptions {
  disk?: FakeHypervisorDisk
  faults?: HypervisorFaults
  clock?: Clock
  /** Where snapshots go; without it they are only pretended. */
  writeFile?: (path: string, bytes: Uint8Array) => Promise<void>
  /** A simulated host has as much memory as its facts say. */
  ram_mib?: number
}

export interface FakeHypervisor extends HypervisorDriver {
  /** The guest powers off by itself. */
  guestShutdown(id: string): void
  /** The machine's process dies. */
  crash(id: string): void
  /** The whole host lost power: nothing runs, and nobody is told. */
  hostReboot(): void
}

const GIB = 1024 ** 3
const POWER: Record<ServerSpec['power'], PowerState> = { on: 'running', off: 'shutdown', paused: 'paused', suspended: 'suspended' }

export function bootLog(hostname: string): string {
  const lines = ['Linux version 6.1.0-simulated (skyhook) #1 SMP', 'Command line: console=ttyS0', 'x86/fpu: x87 FPU will use FXSAVE', 'DMI: OpenStack Compute', 'tsc: Detected 2000.000 MHz processor', 'Memory: available',
    'virtio_blk virtio1: [vda]', 'virtio_net virtio0 eth0: renamed', 'EXT4-fs (vda1): mounted filesystem', 'Run /sbin/init as init process']
  const kernel = lines.map((line, index) => `[    ${index}.${String(index * 37_119 % 1_000_000).padStart(6, '0')}] ${line}`)
  return `${[...kernel, 'guest: DHCP lease obtained', 'guest: metadata read', 'guest: ssh server started', '', `Skyhook simulated guest ${hostname} ttyS0`, ''].join('\n')}\n${hostname} login: `
}

export function createFakeHypervisorDriver(options: FakeHypervisorOptions = {}): FakeHypervisor {
  return new FakeMachines(options)
}

class FakeMachines implements FakeHypervisor {
  readonly name = 'fake'
  private disk: FakeHypervisorDisk
  private faults: HypervisorFaults
  private clock: Clock
  private writeFile: (path: string, bytes: Uint8Array) => Promise<void>
  private listeners: ((id: string) => void)[] = []
  private consoles = new FakeConsoles()

  constructor(options: FakeHypervisorOptions) {
    this.disk = options.disk ?? new Map()
    this.faults = options.faults ?? (() => {})
    this.clock = options.clock ?? systemClock
    this.writeFile = options.writeFile ?? (async () => {})
  }

  async list(): Promise<MachineState[]> {
    return [...this.disk.values()].map((machine) => structuredClone(machine.state))
  }

  ensure(machine: Machine): Promise<MachineState> {
    return this.step('ensure', machine.id, () => {
      const { id, generation, spec } = machine
      for (const disk of spec.disks) if (disk.source.type !== 'blank' && !machine.backing[disk.id]) throw new Fault('bad_request', `disk ${disk.id} has no backing`)
      let found = this.disk.get(id)
      if (!found) {
        found = { spec, state: { id, power: 'shutdown', generation: 0, incarnation: 0, root_generation: 0, guest_shutdown: false, disks: [], nics: [] }, console: '', started_ms: 0, passwords: {} }
        this.disk.set(id, found)
      }
      const { state } = found
      const anew = state.incarnation !== spec.incarnation || state.root_generation !== spec.root_generation
      if (anew && state.power !== 'shutdown') state.power = 'shutdown'
      if (anew) this.consoles.end(id)
      if (state.root_generation !== spec.root_generation) found.console = ''
      found.spec = structuredClone(spec)
      state.disks = spec.disks.map((disk) => ({ id: disk.id, serial: disk.serial }))
      state.nics = spec.nics.map((nic) => ({ port_id: nic.port_id, mac_address: nic.mac_address }))
      if (!(state.guest_shutdown && !anew && state.generation >= generation)) this.bring(found, POWER[spec.power])
      Object.assign(state, { generation: Math.max(generation, state.generation), incarnation: spec.incarnation, root_generation: spec.root_generation })
      if (state.power !== 'running' && state.power !== 'paused') this.consoles.end(id)
      return structuredClone(state)
    })
  }

  remove(id: string): Promise<void> {
    return this.step('remove', id, () => {
      this.disk.delete(id)
      this.consoles.end(id)
    })
  }

  reboot(id: string, _hard: boolean): Promise<void> {
    return this.step('reboot', id, () => {
      const machine = this.get(id)
      machine.state.power = 'shutdown'
      this.consoles.end(id)
      this.bring(machine, 'running')
    })
  }

  consoleLog(id: string, lines: number | null): Promise<string> {
    return this.step('consoleLog', id, () => tailLines(this.get(id).console, lines))
  }

  async openConsole(id: string, kind: ConsoleKind): Promise<ConsoleChannel> {
    const { state, spec, console } = this.get(id)
    if (state.power !== 'running' && state.power !== 'paused') throw new Fault('conflict', `server ${id} is not running`)
    return this.consoles.open(id, spec.metadata.hostname, kind, console)
  }

  async snapshotRoot(id: string, path: string): Promise<void> {
    await this.faults('before', 'snapshotRoot', id)
    const { spec } = this.get(id)
    const root = spec.disks.find((disk) => disk.id === 'root')
    if (!root) throw new Fault('not_found', `server ${id} has no root disk of its own`)
    await this.writeFile(path, emptyQcow2(root.source.size_gib * GIB, `snapshot of ${id} at ${this.clock.now_ms()}`))
    await this.faults('after', 'snapshotRoot', id)
  }

  diagnostics(id: string): Promise<CommandResults['server.diagnostics']> {
    return this.step('diagnostics', id, () => {
      const { spec, state, started_ms } = this.get(id)
      const uptime_s = state.power === 'running' ? Math.floor((this.clock.now_ms() - started_ms) / 1000) : 0
      return {
        state: state.power, uptime_s, memory_mib: spec.ram_mib, cpu_time_ns: uptime_s * 1e7,
        nics: state.nics.map((nic) => ({ mac_address: nic.mac_address, rx_octets: 0, tx_octets: 0 })),
        disks: state.disks.map(() => ({ read_bytes: 0, write_bytes: 0, read_requests: 0, write_requests: 0 })),
      }
    })
  }

  setPassword(id: string, user: string, password: string): Promise<void> {
    return this.step('setPassword', id, () => {
      const machine = this.get(id)
      if (machine.state.power !== 'running') throw new Fault('conflict', `server ${id} is not running`)
      machine.passwords[user] = password
    })
  }

  onChange(listener: (id: string) => void): void {
    this.listeners.push(listener)
  }

  guestShutdown(id: string): void {
    Object.assign(this.get(id).state, { power: 'shutdown', guest_shutdown: true })
    this.consoles.end(id)
    for (const listener of this.listeners) listener(id)
  }

  crash(id: string): void {
    Object.assign(this.get(id).state, { power: 'crashed' })
    this.consoles.end(id)
    for (const listener of this.listeners) listener(id)
  }

  hostReboot(): void {
    for (const { state } of this.disk.values()) if (state.power !== 'suspended') state.power = 'shutdown'
    for (const id of this.disk.keys()) this.consoles.end(id)
  }

  private bring(machine: FakeMachine, power: PowerState): void {
    const { state, spec } = machine
    const off = state.power === 'shutdown' || state.power === 'crashed'
    state.guest_shutdown = false
    if (off && power !== 'shutdown' && power !== 'suspended') {
      machine.console += bootLog(spec.metadata.hostname)
      machine.started_ms = this.clock.now_ms()
    }
    // A machine that never ran has nothing to suspend.
    state.power = off && power === 'suspended' ? 'shutdown' : power
  }

  private get(id: string): FakeMachine {
    const machine = this.disk.get(id)
    if (!machine) throw new Fault('not_found', `there is no server ${id} on this host`)
    return machine
  }

  private async step<T>(step: HypervisorStep, id: string, work: () => T): Promise<T> {
    await this.faults('before', step, id)
    const answer = work()
    await this.faults('after', step, id)
    return answer
  }
}
