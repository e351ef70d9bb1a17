/** What the driver remembers of a machine, in its folder: enough to find it again, start it again, and tell a guest's own shutdown from a crash. */
import type { HostFiles } from '../../../host/files.ts'
import type { MachineState } from '../driver.ts'
import type { ServerSpec } from '../../../../schema/agent/desired.ts'

export interface AttachedDisk {
  id: string
  serial: string
  boot: boolean
}

export interface MachineRecord {
  id: string
  generation: number
  incarnation: number
  root_generation: number
  guest_shutdown: boolean
  /** RAM and devices are in a file; to be resumed. */
  suspended: boolean
  /** The process should be there: it being gone without our doing is a crash, or a reboot of the host. */
  expected: boolean
  /** The host's boot in which the process was started. */
  boot_id: string
  disks: AttachedDisk[]
  nics: { port_id: string; mac_address: string }[]
  /** Which root port each device sits on, by device id; noted before the device is plugged. */
  slots: Record<string, number>
  /** The spec it was last started or changed by: what a reboot starts again. */
  spec: ServerSpec
}

export const newRecord = (id: string, spec: ServerSpec): MachineRecord => ({
  id, generation: 0, incarnation: spec.incarnation, root_generation: spec.root_generation, guest_shutdown: false, suspended: false, expected: false, boot_id: '', disks: [], nics: [], slots: {}, spec,
})

export async function readRecord(files: HostFiles, folder: string): Promise<MachineRecord | null> {
  const text = await files.readText(`${folder}/machine.json`)
  return text === null ? null : (JSON.parse(text) as MachineRecord)
}

export const writeRecord = (files: HostFiles, folder: string, record: MachineRecord): Promise<void> => files.replace(`${folder}/machine.json`, JSON.stringify(record))

/** Where a process that runs says what it is; one that does not is judged by what was expected of it. */
export function powerOf(record: MachineRecord, status: string | null, bootId: string): MachineState['power'] {
  if (status !== null) {
    if (status === 'running' || status === 'suspended') return 'running'
    if (status === 'paused' || status === 'save-vm' || status === 'debug') return 'paused'
    if (status === 'shutdown') return 'shutdown'
    if (status === 'internal-error' || status === 'io-error' || status === 'guest-panicked') return 'crashed'
    return 'nostate'
  }
  if (record.suspended) return 'suspended'
  return record.expected && record.boot_id === bootId && !record.guest_shutdown ? 'crashed' : 'shutdown'
}

export const stateOf = (record: MachineRecord, power: MachineState['power']): MachineState => ({
  id: record.id, power, generation: record.generation, incarnation: record.incarnation, root_generation: record.root_generation, guest_shutdown: record.guest_shutdown && power === 'shutdown',
  disks: record.disks.map(({ id, serial }) => ({ id, serial })), nics: record.nics,
})
