/** What the object driver asks of a file system, and Node's. An interface, so that tests can cut it off at any call and simulated hosts keep it in memory. */
import { type FileHandle, mkdir, open, readdir, rename, rmdir, stat, statfs, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Xattr } from './xattr.ts'

export interface ObjectFs<F = unknown> {
  /** Errors have the system's `code` (ENOENT, ENOSPC...). */
  readdir(path: string): Promise<string[]>
  subfolders(path: string): Promise<string[]>
  /** With all parents; one that exists is a success. */
  mkdir(path: string): Promise<void>
  /** A folder, and where asked the root of its own mount. */
  isDevice(path: string, mounted: boolean): Promise<boolean>
  room(path: string): Promise<{ total_bytes: number; free_bytes: number }>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  /** Fails where something is in it. */
  rmdir(path: string): Promise<void>
  syncFolder(path: string): Promise<void>
  /** A new file; fails where there is one. */
  create(path: string): Promise<F>
  open(path: string): Promise<F>
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

export function createNodeFs(xattr: Xattr | null): ObjectFs<FileHandle> {
  const unsupported = (): never => {
    throw Object.assign(new Error('extended attributes are not available'), { code: 'EOPNOTSUPP' })
  }
  return {
    readdir: (path) => readdir(path),
    subfolders: async (path) => (await readdir(path, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map((entry) => entry.name),
    mkdir: async (path) => void (await mkdir(path, { recursive: true, mode: 0o700 })),
    isDevice: async (path, mounted) => {
      const found = await stat(path)
      return found.isDirectory() && (!mounted || found.dev !== (await stat(dirname(path))).dev)
    },
    room: async (path) => {
      const { bsize, blocks, bavail } = await statfs(path)
      return { total_bytes: blocks * bsize, free_bytes: bavail * bsize }
    },
    rename,
    unlink,
    rmdir,
    syncFolder: async (path) => {
      const handle = await open(path, 'r')
      await handle.sync().finally(() => handle.close())
    },
    create: (path) => open(path, 'wx', 0o600),
    open: (path) => open(path, 'r'),
    write: async (file, chunk) => {
      for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at, chunk.length - at, null)).bytesWritten
    },
    read: async (file, into, position) => {
      let at = 0
      while (at < into.length) {
        const { bytesRead } = await file.read(into, at, into.length - at, position + at)
        if (bytesRead === 0) break
        at += bytesRead
      }
      return at
    },
    size: async (file) => (await file.stat()).size,
    sync: (file) => file.sync(),
    close: (file) => file.close(),
    setxattr: async (file, name, value) => (xattr === null ? unsupported() : xattr.set(file.fd, name, value)),
    getxattr: async (file, name) => (xattr === null ? unsupported() : xattr.get(file.fd, name)),
  }
}
