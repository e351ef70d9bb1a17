/**
 * Object replicas on the disks of one host. Each sub-folder of `devices_dir` is a device (a mounted XFS in production, a plain
 * folder on one machine). The body streams to `tmp` without a lock; only the last steps of each object happen one after another. No
 * version is ever changed in place, so a reader needs no lock: what it opened stays whole.
 *
 * One process owns a devices_dir: what lies in `tmp` at its start is of an earlier one, and removed.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { ObjectArgs, ObjectHead } from '../../../../schema/agent/protocol.ts'
import { Fault, isFault } from '../../../../schema/values/fault.ts'
import { createIds, type Ids } from '../../../../schema/values/ids.ts'
import { systemRandom } from '../../../../schema/values/random.ts'
import { Lanes } from '../../../lanes.ts'
import { checkArgs, checkRange, mergeMetadata, noSuchObject, tooOld } from '../args.ts'
import type { ObjectDriver } from '../driver.ts'
import { createIntake } from '../intake.ts'
import { type Draft, discard, draft, place, readMetadata, settle, type Stored } from './commit.ts'
import { createNodeFs, type ObjectFs } from './fs.ts'
import { devicePath, hashPath, type Resolved, resolve, tmpPath } from './paths.ts'
import { loadXattr } from './xattr.ts'

export const READ_CHUNK_BYTES = 256 * 1024
/** A reader that finds its file superseded looks again; more often than this is no coincidence. */
const READ_ATTEMPTS_MAX = 5

export interface XfsObjectOptions {
  devices_dir: string
  ids?: Pick<Ids, 'hex'>
  fs?: ObjectFs
  /** A device whose disk is not mounted is not a device: for hosts whose devices are all mounts. */
  mount_check?: boolean
  name?: string
}

export function createXfsObjectDriver(options: XfsObjectOptions): ObjectDriver {
  return new XfsObjects(options)
}

interface Found {
  resolved: Resolved
  data: Stored
  post: Stored | null
}

class XfsObjects implements ObjectDriver {
  readonly name: string
  #fs: ObjectFs
  #dir: string
  #ids: Pick<Ids, 'hex'>
  #mountCheck: boolean
  #lanes = new Lanes()
  /** Devices whose tmp was made and emptied. */
  #swept = new Map<string, Promise<void>>()

  constructor({ devices_dir, ids, fs, mount_check, name }: XfsObjectOptions) {
    this.name = name ?? 'xfs'
    this.#dir = devices_dir
    this.#ids = ids ?? createIds(systemRandom)
    this.#fs = fs ?? createNodeFs(loadXattr())
    this.#mountCheck = mount_check ?? false
  }

  async devices(): Promise<{ name: string; total_bytes: number; free_bytes: number }[]> {
    const devices: { name: string; total_bytes: number; free_bytes: number }[] = []
    for (const name of (await this.#fs.subfolders(this.#dir).catch(emptyIfAbsent)).sort()) {
      const path = devicePath(this.#dir, name)
      if (await this.#isDevice(path)) devices.push({ name, ...(await this.#fs.room(path)) })
    }
    return devices
  }

  put(args: ObjectArgs, body: AsyncIterable<Uint8Array>): Promise<ObjectHead> {
    return this.#guard(args, async () => {
      const folder = hashPath(this.#dir, args)
      this.#refuseOlder(args, resolve(await this.#files(folder)))
      if (typeof args.size_bytes === 'number' && args.size_bytes > (await this.#fs.room(devicePath(this.#dir, args.device))).free_bytes) throw full()
      const made = await draft(this.#fs, this.#tmp(args), 'data', async (write) => {
        const intake = createIntake(args)
        for await (const chunk of body) {
          intake.push(chunk)
          await write(chunk)
        }
        return { name: args.name, timestamp: args.timestamp, metadata: args.metadata ?? {}, ...intake.finish() }
      })
      return this.#placeIf(args, made, folder, async (resolved) => {
        this.#refuseOlder(args, resolved)
        if (resolved.data?.timestamp !== args.timestamp) return true
        // The same PUT again, its first answer lost. Another body at the same instant would make replicas differ for good.
        const { data } = await this.#read(args, folder)
        if (data.etag !== made.stored.etag) throw tooOld(args.timestamp)
        await this.#settleFolder(args, folder)
        return false
      }).then(() => this.#head(args, folder))
    })
  }

  head(args: ObjectArgs): Promise<ObjectHead> {
    return this.#guard(args, () => this.#head(args, hashPath(this.#dir, args)))
  }

  get(args: ObjectArgs): Promise<{ head: ObjectHead; body: AsyncIterable<Uint8Array> }> {
    return this.#guard(args, async () => {
      const folder = hashPath(this.#dir, args)
      const { file, found } = await this.#open(args, folder)
      try {
        const head = headOf(found)
        const range = checkRange(args.range, head.size_bytes)
        return { head, body: new Body(this.#fs, file, range, range !== null && range[1] - range[0] + 1 === head.size_bytes ? head.etag : null) }
      } catch (error) {
        await this.#fs.close(file)
        throw error
      }
    })
  }

  post(args: ObjectArgs): Promise<ObjectHead> {
    return this.#guard(args, async () => {
      const folder = hashPath(this.#dir, args)
      return this.#lanes.run(folder, async () => {
        const { resolved, data, post } = await this.#read(args, folder)
        if (resolved.base !== null && args.timestamp <= resolved.base) throw tooOld(resolved.base)
        if (resolved.posted !== null && args.timestamp < resolved.posted) throw tooOld(resolved.posted)
        // What an earlier POST said of the content type still holds.
        const before = post?.metadata === undefined ? null : contentTypeOf(post.metadata)
        const metadata = { ...(before !== null && contentTypeOf(args.metadata ?? {}) === null ? { 'Content-Type': before } : {}), ...args.metadata }
        const stored: Stored = { name: args.name, timestamp: args.timestamp, metadata }
        if (post?.timestamp === args.timestamp) {
          if (JSON.stringify(post.metadata) !== JSON.stringify(metadata)) throw tooOld(args.timestamp)
          await this.#settleFolder(args, folder)
          return headOf({ resolved, data, post })
        }
        const made = await draft(this.#fs, this.#tmp(args), 'meta', async () => stored)
        await this.#place(args, made, folder)
        return headOf({ resolved, data, post: stored })
      })
    })
  }

  delete(args: ObjectArgs): Promise<{ timestamp: string; existed: boolean }> {
    return this.#guard(args, async () => {
      const folder = hashPath(this.#dir, args)
      return this.#lanes.run(folder, async () => {
        const resolved = resolve(await this.#files(folder))
        if (resolved.base !== null && args.timestamp < resolved.base) throw tooOld(resolved.base)
        if (resolved.tombstone?.timestamp === args.timestamp) {
          await this.#settleFolder(args, folder)
          return { timestamp: args.timestamp, existed: false }
        }
        const made = await draft(this.#fs, this.#tmp(args), 'ts', async () => ({ name: args.name, timestamp: args.timestamp }))
        await this.#place(args, made, folder)
        return { timestamp: args.timestamp, existed: resolved.data !== null }
      })
    })
  }

  /** Under the object's lock: asks once more whether the draft is wanted, then places it or throws it away. */
  #placeIf(args: ObjectArgs, made: Draft, folder: string, wanted: (resolved: Resolved) => Promise<boolean>): Promise<void> {
    return this.#lanes.run(folder, async () => {
      let keep = false
      try {
        keep = await wanted(resolve(await this.#files(folder)))
      } finally {
        if (!keep) await discard(this.#fs, made.path)
      }
      if (keep) await this.#place(args, made, folder)
    })
  }

  async #place(args: ObjectArgs, made: Draft, folder: string): Promise<void> {
    try {
      await place(this.#fs, made, devicePath(this.#dir, args.device), folder)
    } catch (error) {
      await discard(this.#fs, made.path)
      throw error
    }
    // What stays now goes with the next version.
    for (const { file } of resolve(await this.#files(folder)).obsolete) await discard(this.#fs, join(folder, file))
  }

  #settleFolder(args: ObjectArgs, folder: string): Promise<void> {
    return settle(this.#fs, devicePath(this.#dir, args.device), folder)
  }

  #refuseOlder(args: ObjectArgs, { base, tombstone }: Resolved): void {
    if (base !== null && (args.timestamp < base || tombstone?.timestamp === args.timestamp)) throw tooOld(base)
  }

  async #head(args: ObjectArgs, folder: string): Promise<ObjectHead> {
    return headOf(await this.#read(args, folder))
  }

  async #read(args: ObjectArgs, folder: string): Promise<Found> {
    const { file, found } = await this.#open(args, folder)
    await this.#fs.close(file)
    return found
  }

  /** Opens the newest data file. Its name may be gone by then, where a newer one came: then it looks again. */
  async #open(args: ObjectArgs, folder: string): Promise<{ file: unknown; found: Found }> {
    for (let attempt = 1; ; attempt++) {
      const resolved = resolve(await this.#files(folder))
      if (resolved.data === null) throw noSuchObject(resolved.tombstone?.timestamp ?? null)
      try {
        const post = resolved.meta === null ? null : await this.#stored(join(folder, resolved.meta.file), resolved.meta.trailer)
        const file = await this.#fs.open(join(folder, resolved.data.file))
        try {
          const data = await readMetadata(this.#fs, file, resolved.data.trailer)
          if (data.name !== args.name) throw new Fault('internal', 'the file in the place of this object is of another one')
          return { file, found: { resolved, data, post } }
        } catch (error) {
          await this.#fs.close(file)
          throw error
        }
      } catch (error) {
        if (codeOf(error) !== 'ENOENT' || attempt >= READ_ATTEMPTS_MAX) throw error
      }
    }
  }

  async #stored(path: string, trailer: boolean): Promise<Stored> {
    const file = await this.#fs.open(path)
    return readMetadata(this.#fs, file, trailer).finally(() => this.#fs.close(file))
  }

  #files(folder: string): Promise<string[]> {
    return this.#fs.readdir(folder).catch(emptyIfAbsent)
  }

  #tmp(args: ObjectArgs): string {
    return join(tmpPath(this.#dir, args.device), this.#ids.hex())
  }

  #isDevice(path: string): Promise<boolean> {
    return this.#fs.isDevice(path, this.#mountCheck).catch(() => false)
  }

  /** Checks the arguments and the device, and gives the system's errors their names. */
  async #guard<T>(args: ObjectArgs, work: () => Promise<T>): Promise<T> {
    checkArgs(args)
    try {
      if (!(await this.#isDevice(devicePath(this.#dir, args.device)))) {
        this.#swept.delete(args.device)
        throw new Fault('unavailable', `device ${args.device} is not there`)
      }
      await this.#sweep(args.device)
      return await work()
    } catch (error) {
      throw diskFault(error, args.device)
    }
  }

  #sweep(device: string): Promise<void> {
    const known = this.#swept.get(device)
    if (known !== undefined) return known
    const tmp = tmpPath(this.#dir, device)
    const sweeping = (async () => {
      await this.#fs.mkdir(tmp)
      for (const file of await this.#fs.readdir(tmp)) await discard(this.#fs, join(tmp, file))
    })()
    this.#swept.set(device, sweeping)
    sweeping.catch(() => this.#swept.delete(device))
    return sweeping
  }
}

/** The bytes asked for. Ends by itself at the last, or by return(); a whole body is held against its MD5 before its end is given. */
class Body implements AsyncIterableIterator<Uint8Array> {
  #fs: ObjectFs
  #file: unknown
  #at: number
  #end: number
  #etag: string | null
  #md5 = createHash('md5')
  #closed = false

  constructor(fs: ObjectFs, file: unknown, range: [number, number] | null, etag: string | null) {
    this.#fs = fs
    this.#file = file
    this.#at = range?.[0] ?? 0
    this.#end = range === null ? 0 : range[1] + 1
    this.#etag = etag
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#closed || this.#at >= this.#end) return this.return()
    const chunk = new Uint8Array(Math.min(READ_CHUNK_BYTES, this.#end - this.#at))
    try {
      const length = await this.#fs.read(this.#file, chunk, this.#at)
      this.#at += length
      if (length !== chunk.length) throw new Fault('internal', 'a stored object is shorter than its metadata says')
      if (this.#etag !== null) this.#md5.update(chunk)
      if (this.#etag !== null && this.#at === this.#end && this.#md5.digest('hex') !== this.#etag) throw new Fault('internal', 'a stored object is damaged: its MD5 is not the one it came with')
    } catch (error) {
      await this.return()
      throw diskFault(error, '')
    }
    return { done: false, value: chunk }
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    if (!this.#closed) {
      this.#closed = true
      await this.#fs.close(this.#file)
    }
    return { done: true, value: undefined }
  }
}

function headOf({ data, post }: Found): ObjectHead {
  return {
    timestamp: post?.timestamp ?? data.timestamp,
    size_bytes: data.size_bytes ?? 0,
    etag: data.etag ?? '',
    metadata: mergeMetadata(data.metadata ?? {}, post?.metadata ?? null),
    ...(data.sha512 === undefined ? {} : { sha512: data.sha512 }),
    ...(data.inspection === undefined ? {} : { inspection: data.inspection }),
  }
}

const contentTypeOf = (metadata: Record<string, string>): string | null => Object.entries(metadata).find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? null

const codeOf = (error: unknown): string => String((error as { code?: unknown } | null)?.code ?? '')

function emptyIfAbsent(error: unknown): string[] {
  if (codeOf(error) === 'ENOENT') return []
  throw error
}

const full = (cause?: unknown): Fault => new Fault('insufficient_storage', 'the device is full', { cause })

function diskFault(error: unknown, device: string): unknown {
  if (isFault(error)) return error
  const code = codeOf(error)
  if (code === 'ENOSPC' || code === 'EDQUOT') return full(error)
  if (['EIO', 'EROFS', 'ENODEV', 'ENXIO', 'ESHUTDOWN', 'EUCLEAN', 'ENOTCONN'].includes(code)) return new Fault('unavailable', `device ${device} does not work`, { cause: error })
  return error
}
