/**
 * Commands: what is asked of a host and is not state. Each has an id (deduplicated by the agent for an hour), a deadline
 * (refused after it) and is answered once by a result. Sources and targets of bulk bytes are transfers: HTTP paths on the plane
 * that the host calls with its own signature.
 */
import type { DirectoryBind, DirectoryFound, DirectorySearch } from './directory.ts'
import type { ObjectRecon, ObjectServiceName } from './replication.ts'

export interface CommandArgs {
  /** Soft: ACPI/agent request then hard after grace. Hard: reset by a fresh QEMU process. */
  'server.reboot': { server_id: string; hard: boolean }
  /** Last `length` lines (all if null) of the serial log, at most 1 MiB. */
  'server.console_log': { server_id: string; length: number | null }
  /** Copies the root disk (live) and PUTs it as qcow2 to the transfer path. */
  'server.snapshot': { server_id: string; transfer_path: string }
  'server.diagnostics': { server_id: string }
  'server.set_password': { server_id: string; user: string; password: string }
  /** Reads the volume (or snapshot) and PUTs it to the transfer path, as `disk_format` (raw, qcow2). */
  'volume.upload': { volume_id: string; snapshot_id: string | null; disk_format: string; transfer_path: string }
  /** GETs the transfer path (raw bytes) and writes it over the volume. */
  'volume.restore': { volume_id: string; transfer_path: string }
  'directory.search': DirectorySearch
  'directory.bind': DirectoryBind
  /** Runs the consistency services of the object disks once, at full speed; all of them, or those named, on all devices or one. */
  'object.run': { services: ObjectServiceName[]; device?: string }
  'object.recon': Record<string, never>
  'echo': { nonce: string }
}

export interface CommandResults {
  'server.reboot': Record<string, never>
  'server.console_log': { output: string }
  'server.snapshot': { size_bytes: number; sha512: string; md5: string }
  'server.diagnostics': { state: string; uptime_s: number; memory_mib: number; nics: { mac_address: string; rx_octets: number; tx_octets: number }[]; disks: { read_bytes: number; write_bytes: number; read_requests: number; write_requests: number }[]; cpu_time_ns: number }
  'server.set_password': Record<string, never>
  'volume.upload': { size_bytes: number; sha512: string; md5: string }
  'volume.restore': { size_bytes: number }
  'directory.search': DirectoryFound
  'directory.bind': { bound: boolean }
  'object.run': ObjectRecon
  'object.recon': ObjectRecon
  'echo': { nonce: string }
}

export type CommandName = keyof CommandArgs

export interface Command<C extends CommandName = CommandName> {
  id: string
  name: C
  args: CommandArgs[C]
  /** Milliseconds since the epoch; the agent refuses a command past it. */
  deadline_ms: number
}
