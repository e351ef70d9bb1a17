/** Machines of one host. Each call is idempotent: the reconciler repeats it until the host agrees. */
import type { CommandResults } from '../../../schema/agent/commands.ts'
import type { ServerSpec } from '../../../schema/agent/desired.ts'
import type { PowerState } from '../../../schema/agent/observed.ts'
import type { ConsoleKind } from '../../../schema/agent/protocol.ts'

/** Where a disk's bytes are on this host, as the volume driver or the initiator resolved it. */
export type DiskBacking =
  | { type: 'file'; path: string; format: 'raw' | 'qcow2'; size_bytes: number }
  | { type: 'iscsi'; portal: string; iqn: string; lun: number; chap_user: string; chap_secret: string; size_bytes: number }

/** A server with every disk resolved: backing[disk.id]. The root image is a verified file of the image cache. */
export interface Machine {
  id: string
  /** Generation of the wish: a guest that shut itself down is started again only by a newer one. */
  generation: number
  spec: ServerSpec
  backing: Record<string, DiskBacking>
}

export interface MachineState {
  id: string
  power: PowerState
  /** Generation of the wish that it was last brought to. */
  generation: number
  /** Spec incarnation and root generation the machine was last started with. */
  incarnation: number
  root_generation: number
  /** True when the guest itself powered off: it stays off until the tenant starts it. */
  guest_shutdown: boolean
  /** Attached now, with the serial read back from the device. */
  disks: { id: string; serial: string }[]
  nics: { port_id: string; mac_address: string }[]
}

/** One viewer's end of a console. */
export interface ConsoleChannel {
  /** What the machine says; ends when the machine, or the viewer, is gone. */
  output: AsyncIterable<Uint8Array>
  /** Resolves when the machine has room for more. */
  write(bytes: Uint8Array): Promise<void>
  close(): void
}

export interface HypervisorDriver {
  readonly name: string
  /** Finds all machines of this host, those that outlived the agent too. */
  list(): Promise<MachineState[]>
  /** Makes the machine as the spec says: disks, power, hotplug of disks and NICs. A no-op where it is so already. */
  ensure(machine: Machine): Promise<MachineState>
  /** Kills it and removes all its local files. Gone already is a success. Volumes are not touched. */
  remove(id: string): Promise<void>
  reboot(id: string, hard: boolean): Promise<void>
  /** Last `lines` lines of the serial console, at most 1 MiB; all where null. */
  consoleLog(id: string, lines: number | null): Promise<string>
  /** A viewer on a running machine: Fault conflict where it is off. A screen takes many; a serial line one, and the newest gets it. */
  openConsole(id: string, kind: ConsoleKind): Promise<ConsoleChannel>
  /** Copies the root disk consistently to a standalone qcow2 file at `path`. */
  snapshotRoot(id: string, path: string): Promise<void>
  diagnostics(id: string): Promise<CommandResults['server.diagnostics']>
  setPassword(id: string, user: string, password: string): Promise<void>
  /** Called with the machine's id when it changed by itself (guest shutdown, crash). */
  onChange(listener: (id: string) => void): void
}
