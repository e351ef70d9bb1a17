/** Fingerprints the host: what it has, and what its drivers found. Facts decide what the plane offers here. */
import { statfs } from 'node:fs/promises'
import os from 'node:os'
import type { HostFacts, HostRole } from '../../schema/agent/observed.ts'
import { VERSION } from '../../schema/values/version.ts'
import type { Drivers } from '../apply.ts'

/** The image service's file store: served like an object device, and in no ring. */
export const FILE_STORE_DEVICE = 'images'
const MIB = 1024 ** 2
const GIB = 1024 ** 3

export interface FactSources {
  hostname: string
  roles: HostRole[]
  drivers: Drivers
  /** Where root disks and images are. */
  folder: string
  acceleration: () => Promise<'kvm' | 'tcg' | 'none'>
  hypervisorVersion: () => Promise<number>
  tunnel_ip: string | null
  storage_ip: string | null
  object_port: number | null
  physical_networks: string[]
}

/** "QEMU emulator version 7.2.19" -> 7002019, as libvirt counts. 0 where it cannot be read. */
export function parseVersion(text: string): number {
  const match = /version (\d+)\.(\d+)(?:\.(\d+))?/.exec(text)
  return match ? Number(match[1]) * 1_000_000 + Number(match[2]) * 1_000 + Number(match[3] ?? 0) : 0
}

export async function gatherFacts(sources: FactSources): Promise<HostFacts> {
  const { drivers } = sources
  const [disk, pools, devices] = await Promise.all([statfs(sources.folder), drivers.volume?.pools() ?? [], drivers.object?.devices() ?? []])
  const cpus = os.cpus()
  return {
    hostname: sources.hostname,
    agent_version: VERSION,
    roles: sources.roles,
    drivers: Object.fromEntries(Object.entries(drivers).flatMap(([kind, driver]) => (driver ? [[kind, (driver as { name: string }).name]] : []))),
    simulated: false,
    cpu: { cores: cpus.length, model: cpus[0]?.model ?? 'unknown', arch: os.arch() === 'x64' ? 'x86_64' : os.arch() === 'arm64' ? 'aarch64' : os.arch() },
    ram_mib: Math.floor(os.totalmem() / MIB),
    disk_gib: Math.floor((disk.blocks * disk.bsize) / GIB),
    acceleration: await sources.acceleration(),
    hypervisor_version: await sources.hypervisorVersion(),
    tunnel_ip: sources.tunnel_ip,
    storage_ip: sources.storage_ip,
    object_port: sources.object_port,
    physical_networks: sources.physical_networks,
    volume_pools: pools,
    object_devices: devices.filter((device) => device.name !== FILE_STORE_DEVICE),
    uptime_s: Math.floor(os.uptime()),
  }
}
