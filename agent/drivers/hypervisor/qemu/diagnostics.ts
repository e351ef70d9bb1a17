/** Figures of one machine: QEMU's block statistics, the taps' counters, the process's times. */
import { readFileSync } from 'node:fs'
import type { CommandResults } from '../../../../schema/agent/commands.ts'
import type { PowerState } from '../../../../schema/agent/observed.ts'
import { diskDevice } from './argv.ts'
import { processTimes } from './process.ts'
import type { Qmp } from './qmp.ts'
import type { MachineRecord } from './record.ts'

interface BlockStats {
  qdev?: string
  stats: { rd_bytes: number; wr_bytes: number; rd_operations: number; wr_operations: number }
}

const counter = (tap: string, name: string): number => {
  try {
    return Number(readFileSync(`/sys/class/net/${tap}/statistics/${name}`, 'utf8'))
  } catch {
    return 0
  }
}

export async function diagnose(record: MachineRecord, power: PowerState, qmp: Qmp | null, pid: number | null, tapOf: (portId: string) => string): Promise<CommandResults['server.diagnostics']> {
  const stats = qmp ? await qmp.execute<BlockStats[]>('query-blockstats', { 'query-nodes': false }) : []
  const times = pid === null ? { cpu_time_ns: 0, age_s: 0 } : processTimes(pid)
  return {
    state: power,
    uptime_s: times.age_s,
    memory_mib: record.spec.ram_mib,
    cpu_time_ns: times.cpu_time_ns,
    // What the tap receives the guest has sent.
    nics: record.nics.map((nic) => ({ mac_address: nic.mac_address, rx_octets: counter(tapOf(nic.port_id), 'tx_bytes'), tx_octets: counter(tapOf(nic.port_id), 'rx_bytes') })),
    disks: record.disks.map((disk) => {
      const found = stats.find((one) => one.qdev?.includes(`/${diskDevice(disk.id)}/`))?.stats
      return { read_bytes: found?.rd_bytes ?? 0, write_bytes: found?.wr_bytes ?? 0, read_requests: found?.rd_operations ?? 0, write_requests: found?.wr_operations ?? 0 }
    }),
  }
}
