/**
 * The host's files as the agent uses them: whole-file atomic replace, streams, sparse copies. An interface, so that a simulated
 * host keeps its "disk" in memory and hands it to the agent that starts after a crash.
 */
import { open, mkdir, readdir, readFile, rename, rm, stat, truncate, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Fault } from '../../schema/values/fault.ts'

export interface HostFiles {
  readText(path: string): Promise<string | null>
  /** Temporary file, fsync, rename, fsync of the folder: the old or the new content, never a part. */
  replace(path: string, content: string | Uint8Array, mode?: number): Promise<void>
  /** Writes a stream to a new file, and syncs it. */
  write(path: string, body: AsyncIterable<Uint8Array>): Promise<number>
  /** Writes a stream over an existing file or device, keeping its size; what the stream does not reach becomes zeros. */
  overwrite(path: string, body: AsyncIterable<Uint8Array>): Promise<number>
  read(path: string): Promise<{ size_bytes: number; body: AsyncIterable<Uint8Array> }>
  size(path: string): Promise<number | null>
  list(folder: string): Promise<{ name: string; size_bytes: number; used_ms: number }[]>
  /** Marks as used now, for the least-recently-used eviction. */
  touch(path: string, now_ms: number): Promise<void>
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  makeFolder(path: string): Promise<void>
}

export const CHUNK_BYTES = 1024 * 1024
const ZEROS = new Uint8Array(CHUNK_BYTES)

export const isZero = (chunk: Uint8Array): boolean => Buffer.compare(chunk, ZEROS.subarray(0, chunk.byteLength)) === 0
const missing = (error: unknown): boolean => (error as { code?: string }).code === 'ENOENT'

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

export const nodeFiles: HostFiles = {
  async readText(path) {
    try {
      return await readFile(path, 'utf8')
    } catch (error) {
      if (missing(error)) return null
      throw error
    }
  },
  async replace(path, content, mode = 0o600) {
    const temporary = `${path}.new`
    const file = await open(temporary, 'w', mode)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await syncFolder(dirname(path))
  },
  async write(path, body) {
    const file = await open(path, 'w', 0o600)
    try {
      const total = await pour(file, body, true)
      await file.truncate(total)
      await file.sync()
      return total
    } finally {
      await file.close()
    }
  },
  async overwrite(path, body) {
    const before = await stat(path)
    const regular = before.isFile()
    if (regular) {
      await truncate(path, 0)
      await truncate(path, before.size)
    }
    const file = await open(path, 'r+')
    try {
      const total = await pour(file, body, regular, regular ? before.size : Number.POSITIVE_INFINITY)
      await file.sync()
      return total
    } finally {
      await file.close()
    }
  },
  async read(path) {
    const file = await open(path, 'r').catch((error: unknown) => {
      throw missing(error) ? new Fault('not_found', `no file ${path}`) : error
    })
    const { size } = await file.stat()
    return { size_bytes: size, body: file.createReadStream({ highWaterMark: CHUNK_BYTES }) }
  },
  async size(path) {
    try {
      return (await stat(path)).size
    } catch (error) {
      if (missing(error)) return null
      throw error
    }
  },
  async list(folder) {
    const names = await readdir(folder).catch((error: unknown) => {
      if (missing(error)) return []
      throw error
    })
    const entries = await Promise.all(names.map(async (name) => ({ name, found: await stat(join(folder, name)).catch(() => null) })))
    return entries.flatMap(({ name, found }) => (found ? [{ name, size_bytes: found.blocks * 512, used_ms: found.atimeMs }] : []))
  },
  async touch(path, now_ms) {
    const found = await stat(path)
    await utimes(path, now_ms / 1000, found.mtimeMs / 1000)
  },
  rename: (from, to) => rename(from, to),
  remove: (path) => rm(path, { recursive: true, force: true }),
  makeFolder: async (path) => {
    await mkdir(path, { recursive: true, mode: 0o700 })
  },
}

/** Writes chunk by chunk, leaving holes for zeros where the target is known to read as zeros. */
async function pour(file: import('node:fs/promises').FileHandle, body: AsyncIterable<Uint8Array>, sparse: boolean, limit = Number.POSITIVE_INFINITY): Promise<number> {
  let at = 0
  for await (const chunk of body) {
    if (at + chunk.byteLength > limit) throw new Fault('too_large', `the stream is larger than the ${limit} bytes it should fill`)
    for (let start = 0; start < chunk.byteLength; start += CHUNK_BYTES) {
      const part = chunk.subarray(start, Math.min(start + CHUNK_BYTES, chunk.byteLength))
      if (!(sparse && isZero(part))) await writeAll(file, part, at)
      at += part.byteLength
    }
  }
  return at
}

async function writeAll(file: import('node:fs/promises').FileHandle, part: Uint8Array, at: number): Promise<void> {
  let done = 0
  while (done < part.byteLength) done += (await file.write(part, done, part.byteLength - done, at + done)).bytesWritten
}

/** A simulated host's disk: path to bytes. Survives the agent because whoever simulates the host keeps it. */
export type MemoryDisk = Map<string, { bytes: Uint8Array; used_ms: number }>

export function memoryFiles(disk: MemoryDisk): HostFiles {
  const collect = async (body: AsyncIterable<Uint8Array>): Promise<Uint8Array> => {
    const chunks: Uint8Array[] = []
    for await (const chunk of body) chunks.push(chunk)
    return new Uint8Array(Buffer.concat(chunks))
  }
  const get = (path: string) => {
    const found = disk.get(path)
    if (!found) throw new Fault('not_found', `no file ${path}`)
    return found
  }
  return {
    readText: async (path) => {
      const found = disk.get(path)
      return found ? Buffer.from(found.bytes).toString() : null
    },
    replace: async (path, content) => {
      disk.set(path, { bytes: new Uint8Array(Buffer.from(content)), used_ms: 0 })
    },
    write: async (path, body) => {
      const bytes = await collect(body)
      disk.set(path, { bytes, used_ms: 0 })
      return bytes.byteLength
    },
    overwrite: async (path, body) => {
      const bytes = await collect(body)
      disk.set(path, { bytes, used_ms: disk.get(path)?.used_ms ?? 0 })
      return bytes.byteLength
    },
    read: async (path) => {
      const { bytes } = get(path)
      return {
        size_bytes: bytes.byteLength,
        body: (async function* () {
          for (let at = 0; at < bytes.byteLength; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES)
        })(),
      }
    },
    size: async (path) => disk.get(path)?.bytes.byteLength ?? null,
    list: async (folder) => [...disk].filter(([path]) => dirname(path) === folder).map(([path, file]) => ({ name: path.slice(folder.length + 1), size_bytes: file.bytes.byteLength, used_ms: file.used_ms })),
    touch: async (path, now_ms) => {
      get(path).used_ms = now_ms
    },
    rename: async (from, to) => {
      disk.set(to, get(from))
      disk.delete(from)
    },
    remove: async (path) => {
      for (const key of disk.keys()) if (key === path || key.startsWith(`${path}/`)) disk.delete(key)
    },
    makeFolder: async () => {},
  }
}
