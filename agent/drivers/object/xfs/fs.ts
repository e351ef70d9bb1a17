/** What the object driver asks of a file system, and Node's. An interface, so that tests can cut it off at any call and simulated hosts keep it in memory. */
import { closeSync, constants, copyFile, fstatSync, fsync, ftruncate, mkdir, open, openSync, read, readdir, rename, rmdir, statSync, statfs, unlink, write } from 'node:fs'
import { dirname } from 'node:path'
import { isWholePages, PAGE_BYTES } from '../../../pages.ts'
import type { Xattr } from './xattr.ts'

export interface ObjectFs<F = unknown> {
  /** Errors have the system's `code` (ENOENT, ENOSPC...). */
  readdir(path: string): Promise<string[]>
  subfolders(path: string): Promise<string[]>
  /** With all parents; one that exists is a success. True where it was made by this call. */
  mkdir(path: string): Promise<boolean>
  /** Another one whenever an entry of the folder came or went, or the folder is another one; null where there is none. */
  folderStamp(path: string): Promise<string | null>
  /** Which folder this is, and where asked the root of its own mount: another text once another disk is in its place. Null where there is none. */
  device(path: string, mounted: boolean): Promise<string | null>
  room(path: string): Promise<{ total_bytes: number; free_bytes: number }>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  /** Fails where something is in it. */
  rmdir(path: string): Promise<void>
  syncFolder(path: string): Promise<void>
  /** A new file; fails where there is one. `long`: a body that would only drive others out of the page cache, three times over where three disks take it. */
  create(path: string, long?: boolean): Promise<F>
  open(path: string): Promise<F>
  /** A new file with the first bytes of another, to be appended to; without copying them where the file system can share. */
  clone(from: string, to: string, size_bytes: number): Promise<F>
  /** Appends. */
  write(file: F, chunk: Uint8Array): Promise<void>
  /** Bytes read into the whole of `into`, fewer only at the end. */
  read(file: F, into: Uint8Array, position: number): Promise<number>
  size(file: F): Promise<number>
  sync(file: F): Promise<void>
  close(file: F): Promise<void>
  setxattr(file: F, name: string, value: Uint8Array): Promise<void>
  /** Null where there is none. */
  getxattr(file: F, name: string): Promise<Uint8Array | null>
}

type Done<T> = (error: NodeJS.ErrnoException | null, value: T) => void

/** Callbacks cost a third of what Node's file handles and their promises do; each call of these goes through a thread, so that a slow disk holds up nobody else. */
const call = <T = void>(work: (done: Done<T>) => void): Promise<T> => new Promise((resolve, reject) => work((error, value) => (error === null || error === undefined ? resolve(value) : reject(error))))

/** A long file that is being written: whole pages go past the cache, while the file system is fine with that. */
interface Direct {
  file: number | null
  /** Of what comes next. */
  at: number
}

/** Null where the file system (tmpfs, say) has no such thing. */
const openDirect = (path: string): Promise<number | null> => call<number>((done) => open(path, constants.O_WRONLY | constants.O_DIRECT, done)).catch(() => null)

async function writeAt(file: number, chunk: Uint8Array, position: number | null): Promise<void> {
  for (let at = 0; at < chunk.length; ) at += await call<number>((done) => write(file, chunk, at, chunk.length - at, position === null ? null : position + at, done))
}

/** What is left of the chunk, where the file system would not take all of it in this way. */
async function writeDirect(direct: Direct, chunk: Uint8Array): Promise<Uint8Array> {
  const { file, at } = direct
  if (file === null || at % PAGE_BYTES !== 0 || !isWholePages(chunk)) return chunk
  try {
    const written = await call<number>((done) => write(file, chunk, 0, chunk.length, at, done))
    direct.at += written
    return chunk.subarray(written)
  } catch (error) {
    if ((error as { code?: string }).code !== 'EINVAL') throw error
    direct.file = null
    closeSync(file)
    return chunk
  }
}

/**
 * Files are numbers. What asks the kernel's memory only (the state of a mount's root, a folder that was just changed) is asked at once: a trip through a thread costs ten
 * times as much.
 */
export function createNodeFs(xattr: Xattr | null): ObjectFs<number> {
  const unsupported = (): never => {
    throw Object.assign(new Error('extended attributes are not available'), { code: 'EOPNOTSUPP' })
  }
  const directs = new Map<number, Direct>()
  return {
    readdir: (path) => call<string[]>((done) => readdir(path, done)),
    subfolders: async (path) => (await call<{ isDirectory(): boolean; name: string }[]>((done) => readdir(path, { withFileTypes: true }, done))).filter((entry) => entry.isDirectory()).map((entry) => entry.name),
    mkdir: async (path) => (await call<string | undefined>((done) => mkdir(path, { recursive: true, mode: 0o700 }, done as never))) !== undefined,
    folderStamp: async (path) => {
      const found = statSync(path, { bigint: true, throwIfNoEntry: false })
      return found === undefined ? null : `${found.dev} ${found.ino} ${found.mtimeNs}`
    },
    device: async (path, mounted) => {
      const found = statSync(path)
      const is = found.isDirectory() && (!mounted || found.dev !== statSync(dirname(path)).dev)
      return is ? `${found.dev} ${found.ino} ${found.birthtimeMs}` : null
    },
    room: async (path) => {
      const { bsize, blocks, bavail } = await call<{ bsize: number; blocks: number; bavail: number }>((done) => statfs(path, done))
      return { total_bytes: blocks * bsize, free_bytes: bavail * bsize }
    },
    rename: (from, to) => call((done: Done<void>) => rename(from, to, done as never)),
    unlink: (path) => call((done: Done<void>) => unlink(path, done as never)),
    rmdir: (path) => call((done: Done<void>) => rmdir(path, done as never)),
    syncFolder: async (path) => {
      const folder = openSync(path, 'r')
      try {
        await call((done: Done<void>) => fsync(folder, done as never))
      } finally {
        closeSync(folder)
      }
    },
    create: async (path, long = false) => {
      const file = await call<number>((done) => open(path, 'wx', 0o600, done))
      if (long) directs.set(file, { file: await openDirect(path), at: 0 })
      return file
    },
    open: (path) => call<number>((done) => open(path, 'r', done)),
    clone: async (from, to, size_bytes) => {
      await call((done: Done<void>) => copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE, done as never))
      const file = await call<number>((done) => open(to, 'a', done))
      try {
        await call((done: Done<void>) => ftruncate(file, size_bytes, done as never))
        return file
      } catch (error) {
        closeSync(file)
        throw error
      }
    },
    write: async (file, chunk) => {
      const direct = directs.get(file)
      if (direct === undefined) return await writeAt(file, chunk, null)
      const rest = await writeDirect(direct, chunk)
      await writeAt(file, rest, direct.at)
      direct.at += rest.length
    },
    read: async (file, into, position) => {
      let at = 0
      while (at < into.length) {
        const length = await call<number>((done) => read(file, into, at, into.length - at, position + at, done))
        if (length === 0) break
        at += length
      }
      return at
    },
    size: async (file) => fstatSync(file).size,
    sync: (file) => call((done: Done<void>) => fsync(file, done as never)),
    // What is closed was synced or only read: the kernel has nothing to wait for.
    close: async (file) => {
      const direct = directs.get(file)
      directs.delete(file)
      if (direct?.file != null) closeSync(direct.file)
      closeSync(file)
    },
    setxattr: async (file, name, value) => (xattr === null ? unsupported() : xattr.set(file, name, value)),
    getxattr: async (file, name) => (xattr === null ? unsupported() : xattr.get(file, name)),
  }
}
