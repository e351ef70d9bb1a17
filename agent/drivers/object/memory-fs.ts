/**
 * A file system in memory that forgets what was not synced: folders and files each have what a program sees and what would be there
 * after a power cut. Behind the fake object driver it is a simulated host's disk; in tests it shows whether a commit really is one.
 */
import type { ObjectFs } from './xfs/fs.ts'

class MemoryFile {
  chunks: Uint8Array[] = []
  size = 0
  xattrs = new Map<string, Uint8Array>()
  synced: { chunks: Uint8Array[]; size: number; xattrs: Map<string, Uint8Array> } = { chunks: [], size: 0, xattrs: new Map() }

  bytes(): Uint8Array {
    if (this.chunks.length !== 1) {
      this.chunks = [Buffer.concat(this.chunks)]
      // Nothing was written since the sync: no need to keep the pieces as well.
      if (this.synced.size === this.size) this.synced.chunks = [...this.chunks]
    }
    return this.chunks[0] ?? new Uint8Array(0)
  }
}

class MemoryFolder {
  entries = new Map<string, MemoryFolder | MemoryFile>()
  synced = new Map<string, MemoryFolder | MemoryFile>()
}

export interface MemoryFsOptions {
  /** Of each device (a folder right below the devices folder). */
  device_bytes?: number
  /** Limit of all attributes of a file together, 4096 as on ext4; by default there is none. */
  xattr_bytes?: number
}

const failure = (code: string, path: string): Error => Object.assign(new Error(`${code}: ${path}`), { code })

export class MemoryFs implements ObjectFs<MemoryFile> {
  #root = new MemoryFolder()
  #deviceBytes: number
  #xattrBytes: number
  #unmounted = new Set<string>()
  #broken = new Set<string>()
  #numbers = new WeakMap<object, number>()
  #nextNumber = 1
  /** How often. */
  #swaps = new Map<string, number>()

  constructor({ device_bytes, xattr_bytes }: MemoryFsOptions = {}) {
    this.#deviceBytes = device_bytes ?? 1024 ** 4
    this.#xattrBytes = xattr_bytes ?? Number.POSITIVE_INFINITY
  }

  /** Everything not synced is gone. */
  cutPower(): void {
    const restore = (folder: MemoryFolder): void => {
      folder.entries = new Map(folder.synced)
      for (const entry of folder.entries.values()) {
        if (entry instanceof MemoryFolder) restore(entry)
        else Object.assign(entry, { chunks: [...entry.synced.chunks], size: entry.synced.size, xattrs: new Map(entry.synced.xattrs) })
      }
    }
    restore(this.#root)
  }

  /** Makes a folder that is there for good, as a disk that was mounted long ago. */
  async makeDevice(path: string): Promise<void> {
    await this.mkdir(path)
    const parts = split(path)
    for (let length = 0; length <= parts.length; length++) await this.syncFolder(`/${parts.slice(0, length).join('/')}`)
  }

  unmount(path: string): void {
    this.#unmounted.add(path)
  }

  mount(path: string): void {
    this.#unmounted.delete(path)
  }

  /** Every call below this path fails with EIO, as on a disk that died; and works again. */
  breakDown(path: string): void {
    this.#broken.add(path)
  }

  repair(path: string): void {
    this.#broken.delete(path)
  }

  /** Turns one bit of a file below `path` whose name ends in `end`; false where there is none. */
  flipBit(path: string, end: string, choose: (count: number) => number): boolean {
    const found: MemoryFile[] = []
    const walk = (folder: MemoryFolder): void => {
      for (const [name, entry] of folder.entries) {
        if (entry instanceof MemoryFolder) walk(entry)
        else if (name.endsWith(end) && entry.size > 0) found.push(entry)
      }
    }
    try {
      walk(this.#folder(path))
    } catch {
      return false
    }
    const file = found[choose(Math.max(1, found.length))]
    if (file === undefined) return false
    const bytes = file.bytes().slice()
    const at = choose(bytes.length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << choose(8))
    file.chunks = [bytes]
    file.synced = { ...file.synced, chunks: [bytes] }
    return true
  }

  async readdir(path: string): Promise<string[]> {
    return [...this.#folder(path).entries.keys()]
  }

  async folderStamp(path: string): Promise<string | null> {
    const numberOf = (entry: MemoryFolder | MemoryFile): number => {
      const number = this.#numbers.get(entry) ?? this.#nextNumber++
      this.#numbers.set(entry, number)
      return number
    }
    const folder = await Promise.resolve().then(() => this.#folder(path)).catch(() => null)
    return folder === null ? null : [numberOf(folder), ...[...folder.entries].map(([name, entry]) => `${name}=${numberOf(entry)}`)].join(' ')
  }

  async subfolders(path: string): Promise<string[]> {
    return [...this.#folder(path).entries].filter(([, entry]) => entry instanceof MemoryFolder).map(([name]) => name)
  }

  async mkdir(path: string): Promise<boolean> {
    let folder = this.#root
    let made = false
    for (const name of split(path)) {
      const found = folder.entries.get(name) ?? new MemoryFolder()
      if (!(found instanceof MemoryFolder)) throw failure('ENOTDIR', path)
      made = !folder.entries.has(name)
      folder.entries.set(name, found)
      folder = found
    }
    return made
  }

  async device(path: string): Promise<string | null> {
    return !this.#unmounted.has(path) && this.#folder(path) instanceof MemoryFolder ? String(this.#swaps.get(path) ?? 0) : null
  }

  /** Another disk, empty, in the place of this one. */
  swap(path: string): void {
    const folder = this.#folder(path)
    folder.entries.clear()
    folder.synced.clear()
    this.#swaps.set(path, (this.#swaps.get(path) ?? 0) + 1)
  }

  async room(path: string): Promise<{ total_bytes: number; free_bytes: number }> {
    return { total_bytes: this.#deviceBytes, free_bytes: this.#deviceBytes - used(this.#folder(path)) }
  }

  async rename(from: string, to: string): Promise<void> {
    const [source, name] = this.#parent(from)
    const [target, as] = this.#parent(to)
    const entry = source.entries.get(name)
    if (entry === undefined) throw failure('ENOENT', from)
    source.entries.delete(name)
    target.entries.set(as, entry)
  }

  async unlink(path: string): Promise<void> {
    const [folder, name] = this.#parent(path)
    if (!folder.entries.delete(name)) throw failure('ENOENT', path)
  }

  async rmdir(path: string): Promise<void> {
    const [folder, name] = this.#parent(path)
    const found = folder.entries.get(name)
    if (!(found instanceof MemoryFolder)) throw failure(found === undefined ? 'ENOENT' : 'ENOTDIR', path)
    if (found.entries.size > 0) throw failure('ENOTEMPTY', path)
    folder.entries.delete(name)
  }

  async syncFolder(path: string): Promise<void> {
    const folder = this.#folder(path)
    folder.synced = new Map(folder.entries)
  }

  async create(path: string): Promise<MemoryFile> {
    const [folder, name] = this.#parent(path)
    if (folder.entries.has(name)) throw failure('EEXIST', path)
    const file = new MemoryFile()
    folder.entries.set(name, file)
    return file
  }

  async open(path: string): Promise<MemoryFile> {
    const [folder, name] = this.#parent(path)
    const file = folder.entries.get(name)
    if (!(file instanceof MemoryFile)) throw failure(file === undefined ? 'ENOENT' : 'EISDIR', path)
    return file
  }

  async clone(from: string, to: string, size_bytes: number): Promise<MemoryFile> {
    const source = await this.open(from)
    const file = await this.create(to)
    await this.write(file, source.bytes().subarray(0, size_bytes))
    return file
  }

  async write(file: MemoryFile, chunk: Uint8Array): Promise<void> {
    if (file.size + chunk.length > this.#deviceBytes) throw failure('ENOSPC', 'write')
    file.chunks.push(chunk.slice())
    file.size += chunk.length
  }

  async read(file: MemoryFile, into: Uint8Array, position: number): Promise<number> {
    const part = file.bytes().subarray(position, position + into.length)
    into.set(part)
    return part.length
  }

  async size(file: MemoryFile): Promise<number> {
    return file.size
  }

  async sync(file: MemoryFile): Promise<void> {
    file.synced = { chunks: [...file.chunks], size: file.size, xattrs: new Map(file.xattrs) }
  }

  async close(): Promise<void> {}

  async setxattr(file: MemoryFile, name: string, value: Uint8Array): Promise<void> {
    let total = value.length
    for (const [other, { length }] of file.xattrs) if (other !== name) total += length
    if (total > this.#xattrBytes) throw failure('ENOSPC', name)
    file.xattrs.set(name, value.slice())
  }

  async getxattr(file: MemoryFile, name: string): Promise<Uint8Array | null> {
    return file.xattrs.get(name) ?? null
  }

  #folder(path: string): MemoryFolder {
    for (const broken of this.#broken) if (path === broken || path.startsWith(`${broken}/`)) throw failure('EIO', path)
    let folder = this.#root
    for (const name of split(path)) {
      const next = folder.entries.get(name)
      if (next === undefined) throw failure('ENOENT', path)
      if (!(next instanceof MemoryFolder)) throw failure('ENOTDIR', path)
      folder = next
    }
    return folder
  }

  #parent(path: string): [MemoryFolder, string] {
    const parts = split(path)
    const name = parts.pop() ?? ''
    return [this.#folder(`/${parts.join('/')}`), name]
  }
}

const split = (path: string): string[] => path.split('/').filter((part) => part !== '')

function used(folder: MemoryFolder): number {
  let bytes = 0
  for (const entry of folder.entries.values()) bytes += entry instanceof MemoryFolder ? used(entry) : entry.size
  return bytes
}
