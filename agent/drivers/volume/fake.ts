/**
 * The volume driver of simulated hosts. What is "on disk" is the `disk` object passed in, so a simulated agent may crash and a new
 * driver be made on the same disk. The first bytes of each volume are real content; the rest counts as zeros. With `dir`, path() hands
 * out a sparse file of the volume's size, which then is the volume's content (uploads and restores work on it).
 */
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { ExportSpec, SnapshotSpec, VolumeSpec } from '../../../schema/agent/desired.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { matches } from '../../../schema/values/image-format.ts'
import { checkExport, checkFits, checkId, checkSize, GIB, noSuchVolume } from './checks.ts'
import type { VolumeCapabilities, VolumeDriver, VolumeState } from './driver.ts'

/** What is kept of each volume's content. */
export const CONTENT_BYTES_MAX = 64 * 1024

export interface FakeVolume {
  size_bytes: number
  /** The first bytes; what follows is zeros. */
  content: Uint8Array
}

export interface FakeVolumeDisk {
  volumes: Map<string, FakeVolume>
  snapshots: Map<string, FakeVolume>
  exports: Map<string, ExportSpec>
}

/**
 * Scripted trouble: called before each mutating step with `before` and after its effect with `after`; what it throws is what the caller
 * sees. A throw from `after` is a crash between the deed and its report. May wait, to slow a host down.
 */
export type VolumeFaults = (when: 'before' | 'after', step: VolumeStep, id: string) => void | Promise<void>
export type VolumeStep = 'ensureVolume' | 'removeVolume' | 'ensureSnapshot' | 'removeSnapshot' | 'ensureExport' | 'removeExport'

export interface FakeVolumeOptions {
  disk?: FakeVolumeDisk
  faults?: VolumeFaults
  /** Where path() may put its sparse files; without it path() names a file that does not exist. */
  dir?: string
  total_gib?: number
}

export const createFakeVolumeDisk = (): FakeVolumeDisk => ({ volumes: new Map(), snapshots: new Map(), exports: new Map() })

export function createFakeVolumeDriver(options: FakeVolumeOptions = {}): VolumeDriver {
  return new FakeVolumes(options)
}

class FakeVolumes implements VolumeDriver {
  readonly name = 'fake'
  #disk: FakeVolumeDisk
  #faults: VolumeFaults
  #dir: string | null
  #totalGib: number

  constructor({ disk, faults, dir, total_gib }: FakeVolumeOptions) {
    this.#disk = disk ?? createFakeVolumeDisk()
    this.#faults = faults ?? (() => {})
    this.#dir = dir ?? null
    this.#totalGib = total_gib ?? 10_000
  }

  async capabilities(): Promise<VolumeCapabilities> {
    return { instant_copies: true, online_extend_over_iscsi: true }
  }

  async list(): Promise<{ volumes: VolumeState[]; snapshots: VolumeState[]; exports: string[] }> {
    const states = (found: Map<string, FakeVolume>) => [...found].map(([id, { size_bytes }]) => ({ id, size_bytes })).sort((a, b) => (a.id < b.id ? -1 : 1))
    return { volumes: states(this.#disk.volumes), snapshots: states(this.#disk.snapshots), exports: [...this.#disk.exports.keys()].sort() }
  }

  ensureVolume(id: string, spec: VolumeSpec, image: { path: string; format: string } | null): Promise<VolumeState> {
    return this.#step('ensureVolume', id, () => {
      const size_bytes = checkSize(spec)
      const volume = this.#disk.volumes.get(id)
      if (volume !== undefined) {
        volume.size_bytes = Math.max(volume.size_bytes, size_bytes)
        const file = this.#file(id)
        if (file !== null && existsSync(file)) resize(file, volume.size_bytes)
        return { id, size_bytes: volume.size_bytes }
      }
      this.#checkRoom(size_bytes)
      this.#disk.volumes.set(id, { size_bytes, content: this.#contentFor(spec, image, size_bytes) })
      return { id, size_bytes }
    })
  }

  removeVolume(id: string): Promise<void> {
    return this.#step('removeVolume', id, () => {
      const exports = [...this.#disk.exports].filter(([, spec]) => spec.volume_id === id).map(([one]) => one)
      if (exports.length > 0) throw new Fault('conflict', `volume ${id} is still exported (${exports.join(', ')})`)
      this.#disk.volumes.delete(id)
      this.#dropFile(id)
    })
  }

  ensureSnapshot(id: string, spec: SnapshotSpec): Promise<VolumeState> {
    return this.#step('ensureSnapshot', id, () => {
      const found = this.#disk.snapshots.get(id)
      if (found !== undefined) return { id, size_bytes: found.size_bytes }
      const { size_bytes } = this.#volume(this.#disk.volumes, spec.volume_id)
      this.#disk.snapshots.set(id, { size_bytes, content: this.#content('volumes', spec.volume_id) })
      return { id, size_bytes }
    })
  }

  removeSnapshot(id: string): Promise<void> {
    return this.#step('removeSnapshot', id, () => {
      this.#disk.snapshots.delete(id)
      this.#dropFile(id)
    })
  }

  ensureExport(id: string, spec: ExportSpec): Promise<void> {
    return this.#step('ensureExport', id, () => {
      checkExport(spec)
      this.#volume(this.#disk.volumes, spec.volume_id)
      for (const [other, { iqn }] of this.#disk.exports) if (other !== id && iqn === spec.iqn) throw new Fault('conflict', `export ${other} already uses this iqn`)
      this.#disk.exports.set(id, { ...spec })
    })
  }

  removeExport(id: string): Promise<void> {
    return this.#step('removeExport', id, () => void this.#disk.exports.delete(id))
  }

  async path(id: string): Promise<{ path: string; format: 'raw'; size_bytes: number }> {
    const volume = this.#disk.volumes.get(checkId(id)) ?? this.#volume(this.#disk.snapshots, id)
    const file = this.#file(id)
    if (file === null) return { path: `/nowhere/${id}`, format: 'raw', size_bytes: volume.size_bytes }
    if (!existsSync(file)) {
      mkdirSync(this.#dir ?? '', { recursive: true })
      const fd = openSync(file, 'w', 0o600)
      writeSync(fd, volume.content)
      ftruncateSync(fd, volume.size_bytes)
      closeSync(fd)
    }
    return { path: file, format: 'raw', size_bytes: volume.size_bytes }
  }

  async pools(): Promise<{ name: string; total_gib: number; free_gib: number }[]> {
    return [{ name: 'fake', total_gib: this.#totalGib, free_gib: this.#totalGib - this.#usedBytes() / GIB }]
  }

  async #step<T>(step: VolumeStep, id: string, work: () => T): Promise<T> {
    checkId(id)
    await this.#faults('before', step, id)
    const answer = work()
    await this.#faults('after', step, id)
    return answer
  }

  #usedBytes(): number {
    return [...this.#disk.volumes.values(), ...this.#disk.snapshots.values()].reduce((sum, { size_bytes }) => sum + size_bytes, 0)
  }

  #checkRoom(bytes: number): void {
    if (this.#usedBytes() + bytes > this.#totalGib * GIB) throw new Fault('insufficient_storage', 'the disk is full')
  }

  #volume(of: Map<string, FakeVolume>, id: string): FakeVolume {
    const volume = of.get(id)
    if (volume === undefined) throw noSuchVolume(id)
    return volume
  }

  #contentFor(spec: VolumeSpec, image: { path: string; format: string } | null, size: number): Uint8Array {
    const { source } = spec
    if (source === null) return new Uint8Array(0)
    if (source.type !== 'image') {
      const kind = source.type === 'volume' ? 'volumes' : 'snapshots'
      checkFits(this.#volume(this.#disk[kind], source.id).size_bytes, size)
      return this.#content(kind, source.id)
    }
    if (image === null) throw new Fault('bad_request', 'a volume from an image needs the image')
    // Only raw bytes can be taken over without a converter; of other formats a simulated volume has no content.
    if (!existsSync(image.path)) return new Uint8Array(0)
    if (!matches(image.format, 'raw')) return new Uint8Array(0)
    checkFits(statSync(image.path).size, size)
    return readHead(image.path)
  }

  /** A file once handed out is written by others, and so is what counts. */
  #content(kind: 'volumes' | 'snapshots', id: string): Uint8Array {
    const file = this.#file(id)
    return file !== null && existsSync(file) ? readHead(file) : this.#volume(this.#disk[kind], id).content
  }

  #file(id: string): string | null {
    return this.#dir === null ? null : join(this.#dir, id)
  }

  #dropFile(id: string): void {
    const file = this.#file(id)
    if (file !== null) rmSync(file, { force: true })
  }
}

function readHead(path: string): Uint8Array {
  const fd = openSync(path, 'r')
  try {
    const content = new Uint8Array(CONTENT_BYTES_MAX)
    return content.slice(0, readSync(fd, content, 0, CONTENT_BYTES_MAX, 0))
  } finally {
    closeSync(fd)
  }
}

function resize(path: string, size: number): void {
  const fd = openSync(path, 'r+')
  ftruncateSync(fd, size)
  closeSync(fd)
}
