/** A machine's own disks, files in its folder: the root over its image, and blank ones. Volumes are the volume driver's. */
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { DiskSpec } from '../../../../schema/agent/desired.ts'
import { Fault } from '../../../../schema/values/fault.ts'
import type { Exec } from '../../../host/exec.ts'
import type { HostFiles } from '../../../host/files.ts'
import type { DiskBacking, Machine } from '../driver.ts'

const GIB = 1024 ** 3
const TOOL_TIMEOUT_MS = 600_000

/** Ids of disks become file names. */
export const ownDiskPath = (folder: string, diskId: string): string => join(folder, `${diskId.replace(/[^A-Za-z0-9_-]/g, '_')}.qcow2`)
export const isOwn = (disk: DiskSpec): boolean => disk.source.type !== 'volume'

/** Read from the header: quicker than a process, and the format is known. */
export async function virtualSize(path: string, format: 'raw' | 'qcow2'): Promise<number> {
  const file = await open(path, 'r')
  try {
    if (format === 'raw') return (await file.stat()).size
    const { buffer } = await file.read(Buffer.alloc(32), 0, 32, 0)
    if (buffer.readUInt32BE(0) !== 0x514649fb) throw new Fault('internal', `${path} is no qcow2 file`)
    return Number(buffer.readBigUInt64BE(24))
  } finally {
    await file.close()
  }
}

/** Makes what is missing and grows what is too small, all with the formats said. `running`: QEMU has them open, growing is its affair. */
export async function ensureOwnDisks(folder: string, machine: Machine, running: boolean, exec: Exec, files: HostFiles): Promise<void> {
  for (const disk of machine.spec.disks.filter(isOwn)) {
    const path = ownDiskPath(folder, disk.id)
    const wanted = disk.source.size_gib * GIB
    if ((await files.size(path)) === null) await create(path, disk, machine.backing[disk.id], wanted, exec, files)
    else if (!running && (await virtualSize(path, 'qcow2')) < wanted) await exec(['qemu-img', 'resize', '-q', '-f', 'qcow2', path, String(wanted)], { timeout_ms: TOOL_TIMEOUT_MS })
  }
}

async function create(path: string, disk: DiskSpec, image: DiskBacking | undefined, wanted: number, exec: Exec, files: HostFiles): Promise<void> {
  const argv = ['qemu-img', 'create', '-q', '-f', 'qcow2']
  let size = wanted
  if (disk.source.type === 'image') {
    if (image?.type !== 'file') throw new Fault('bad_request', `disk ${disk.id} has no image`)
    const least = await virtualSize(image.path, image.format)
    // A flavor with a disk of 0 takes the image's size.
    if (wanted !== 0 && least > wanted) throw new Fault('bad_request', `the image needs a disk of ${Math.ceil(least / GIB)} GiB, and the server's has ${disk.source.size_gib}`)
    size = Math.max(wanted, least)
    argv.push('-b', image.path, '-F', image.format)
  }
  await exec([...argv, `${path}.new`, String(size)], { timeout_ms: TOOL_TIMEOUT_MS })
  await files.rename(`${path}.new`, path)
}

/** Where QEMU finds each disk of the machine. */
export function backingOf(folder: string, disk: DiskSpec, machine: Machine): DiskBacking {
  if (isOwn(disk)) return { type: 'file', path: ownDiskPath(folder, disk.id), format: 'qcow2', size_bytes: disk.source.size_gib * GIB }
  const backing = machine.backing[disk.id]
  if (!backing) throw new Fault('bad_request', `disk ${disk.id} has no backing`)
  return backing
}
