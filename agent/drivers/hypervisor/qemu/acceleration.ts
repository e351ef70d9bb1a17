/**
 * Whether KVM really works here. /dev/kvm alone proves nothing: on some machines guests hang or QEMU aborts. So a boot sector of a few bytes is run once
 * for each boot of the host and version of QEMU; it says by QEMU's exit code that it ran.
 */
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Exec } from '../../../host/exec.ts'
import { ExecError } from '../../../host/exec.ts'
import type { HostFiles } from '../../../host/files.ts'
import { bootId } from './process.ts'

const PROBE_TIMEOUT_MS = 5_000
const EXIT_PORT = 0xf4
const TOKEN = 0x2a

/**
 * From 0x7c00 by protected mode to long mode with identity paging, returning from an "interrupt" in both, and there the token to the exit port: boot loaders and
 * kernels take the same road. Where KVM only emulates instructions it ends at the first return.
 */
export function bootSector(): Uint8Array {
  const code: number[] = []
  const emit = (...bytes: number[]) => code.push(...bytes)
  const le32 = (value: number) => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, (value >>> 24) & 255]
  const here = () => 0x7c00 + code.length
  // 16 bit
  emit(0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0) // cli; xor ax,ax; mov ds,ax; mov es,ax
  emit(0xbf, 0x00, 0x10, 0xb9, 0x00, 0x18, 0xf3, 0xab) // mov di,0x1000; mov cx,0x1800; rep stosw: three page tables of zeros
  emit(0xc7, 0x06, 0x00, 0x10, 0x03, 0x20) // mov word [0x1000],0x2003: first table -> second
  emit(0xc7, 0x06, 0x00, 0x20, 0x03, 0x30) // mov word [0x2000],0x3003: second -> third
  emit(0xc7, 0x06, 0x00, 0x30, 0x83, 0x00) // mov word [0x3000],0x0083: 2 MiB page at 0
  emit(0x0f, 0x01, 0x16, 0x00, 0x7d) // lgdt [0x7d00]
  emit(0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0) // cr0 |= PE
  emit(0xea, (here() + 5) & 255, (here() + 5) >>> 8, 0x10, 0x00) // jmp 0x10: 32 bit
  emit(0xb8, ...le32(0x18), 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, ...le32(0x7c00)) // mov eax,0x18; mov ds,ax; mov ss,ax; mov esp,0x7c00
  emit(0x9c, 0x0e, 0x68, ...le32(here() + 8), 0xcf) // pushfd; push cs; push next; iretd
  emit(0xb8, ...le32(0xa0), 0x0f, 0x22, 0xe0) // mov eax,0xa0; mov cr4,eax: PAE, PGE
  emit(0xb8, ...le32(0x1000), 0x0f, 0x22, 0xd8) // mov eax,0x1000; mov cr3,eax
  emit(0xb9, ...le32(0xc0000080), 0x0f, 0x32, 0x0d, ...le32(0x100), 0x0f, 0x30) // EFER |= LME
  emit(0x0f, 0x20, 0xc0, 0x0d, ...le32(0x80000000), 0x0f, 0x22, 0xc0) // cr0 |= PG
  emit(0xea, ...le32(here() + 7), 0x08, 0x00) // jmp 0x08: 64 bit
  emit(0xbc, ...le32(0x7c00), 0x6a, 0x00, 0x68, ...le32(0x7c00), 0x6a, 0x02, 0x6a, 0x08) // mov esp,0x7c00; push 0 (ss), 0x7c00 (rsp), 2 (flags), 8 (cs)
  emit(0x68, ...le32(here() + 7), 0x48, 0xcf) // push next; iretq
  emit(0xb0, TOKEN, 0xe6, EXIT_PORT, 0xf4, 0xeb, 0xfd) // mov al,TOKEN; out EXIT_PORT,al; hlt; again
  const sector = new Uint8Array(512)
  sector.set(code)
  // At 0x7d00 the descriptor of the table; at 0x7d08 the table: null, 64-bit code, 32-bit code, data.
  sector.set([0x1f, 0x00, ...le32(0x7d08)], 0x100)
  sector.set([0xff, 0xff, 0, 0, 0, 0x9a, 0xaf, 0, 0xff, 0xff, 0, 0, 0, 0x9a, 0xcf, 0, 0xff, 0xff, 0, 0, 0, 0x92, 0xcf, 0], 0x110)
  sector.set([0x55, 0xaa], 510)
  return sector
}

export const probeArgv = (acceleration: 'kvm' | 'tcg', sector: string): string[] => [
  'qemu-system-x86_64', '-nodefaults', '-no-user-config', '-display', 'none', '-machine', 'q35', ...(acceleration === 'kvm' ? ['-accel', 'kvm', '-cpu', 'host'] : ['-accel', 'tcg', '-cpu', 'max']), '-m', '32M',
  '-device', `isa-debug-exit,iobase=0x${EXIT_PORT.toString(16)},iosize=0x4`, '-blockdev', JSON.stringify({ 'node-name': 'boot', driver: 'raw', 'read-only': true, file: { driver: 'file', filename: sector } }), '-device', 'virtio-blk-pci,drive=boot,bootindex=1',
]

export async function probe(acceleration: 'kvm' | 'tcg', folder: string, exec: Exec): Promise<boolean> {
  const sector = join(folder, `probe-${acceleration}.img`)
  // The BIOS boots from no disk of a single sector.
  const disk = new Uint8Array(1024 * 1024)
  disk.set(bootSector())
  await writeFile(sector, disk)
  try {
    await exec(probeArgv(acceleration, sector), { timeout_ms: PROBE_TIMEOUT_MS })
    return false
  } catch (error) {
    return error instanceof ExecError && error.code === ((TOKEN << 1) | 1)
  } finally {
    await rm(sector, { force: true })
  }
}

/** Remembered in the folder: a probe that hangs costs seconds. */
export async function findAcceleration(folder: string, version: string, exec: Exec, files: HostFiles): Promise<'kvm' | 'tcg'> {
  if (!existsSync('/dev/kvm')) return 'tcg'
  const path = join(folder, 'acceleration.json')
  const key = `${bootId()} ${version}`
  const kept = JSON.parse((await files.readText(path)) ?? 'null') as { key: string; acceleration: 'kvm' | 'tcg' } | null
  if (kept?.key === key) return kept.acceleration
  const acceleration = (await probe('kvm', folder, exec)) ? 'kvm' : 'tcg'
  await files.replace(path, JSON.stringify({ key, acceleration }))
  return acceleration
}
