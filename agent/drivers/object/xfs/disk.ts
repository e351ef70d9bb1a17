/**
 * The devices of one host and how a version gets onto one of them: what the driver and the consistency services share. The last steps of each object happen one after
 * another (`lanes`); a device that stops working is taken out, and comes back by itself once a small write on it succeeds.
 *
 * One process owns a devices_dir: what lies in `tmp` at its start is of an earlier one, and removed.
 */
import { dirname, join } from 'node:path'
import { Fault, isFault } from '../../../../schema/values/fault.ts'
import type { Ids } from '../../../../schema/values/ids.ts'
import { Lanes } from '../../../lanes.ts'
import { type Draft, discard, nameOf, place, readMetadata, settle, type Stored } from './commit.ts'
import type { ObjectFs } from './fs.ts'
import { HashCache } from './hashes.ts'
import { devicePath, hashPath, partitionPath, quarantinePath, type Resolved, parseVersion, resolve, tmpPath, type Version } from './paths.ts'

/** Of each device, kept free of object data: a full file system can't even delete. */
export const RESERVE_FRACTION = 0.01
/** How often a long body is held against the room that is left. */
export const ROOM_CHECK_BYTES = 64 * 1024 * 1024
/** At most this much is written between two looks. */
export const ROOM_TRUSTED_BYTES = 8 * 1024 * 1024

export interface Where {
  device: string
  policy: number
  partition: number
  hash: string
}

export interface DiskOptions {
  fs: ObjectFs
  dir: string
  ids: Pick<Ids, 'hex'>
  /** A device whose disk is not mounted is not a device. */
  mount_check: boolean
  /** Devices that are plain folders whatever mount_check says. */
  plain: readonly string[]
}

export class ObjectDisk {
  readonly fs: ObjectFs
  readonly dir: string
  readonly lanes = new Lanes()
  readonly hashes: HashCache
  #ids: Pick<Ids, 'hex'>
  #mountCheck: boolean
  #plain: readonly string[]
  /** Partitions whose folder, and those above it, this process has synced. */
  readonly lasting = new Set<string>()
  /** Bytes that may still be written to a device before its room is looked at again. */
  #allowance = new Map<string, number>()
  /** Which disk stood for a device when it was last used. */
  #seen = new Map<string, string>()
  /** Devices whose tmp was made and emptied. */
  #swept = new Map<string, Promise<void>>()
  #failed = new Map<string, string>()

  constructor({ fs, dir, ids, mount_check, plain }: DiskOptions) {
    this.fs = fs
    this.dir = dir
    this.#ids = ids
    this.#mountCheck = mount_check
    this.#plain = plain
    this.hashes = new HashCache(this)
  }

  async devices(): Promise<{ name: string; total_bytes: number; free_bytes: number }[]> {
    const devices: { name: string; total_bytes: number; free_bytes: number }[] = []
    for (const name of (await this.fs.subfolders(this.dir).catch(emptyIfAbsent)).sort()) {
      if ((await this.#isThere(name)) === null) continue
      if (this.#failed.has(name) && !(await this.#works(name))) continue
      this.#failed.delete(name)
      const room = await this.fs.room(devicePath(this.dir, name)).catch(() => null)
      if (room !== null) devices.push({ name, ...room })
    }
    return devices
  }

  failures(): Record<string, string> {
    return Object.fromEntries(this.#failed)
  }

  /** Checks the device, and gives the system's errors their names. */
  async guard<T>(device: string, work: () => Promise<T>): Promise<T> {
    try {
      const why = this.#failed.get(device)
      if (why !== undefined) throw new Fault('unavailable', `device ${device} does not work: ${why}`)
      const found = await this.#isThere(device)
      // Another disk in its place: what is known of this one is not true of that.
      if (found !== (this.#seen.get(device) ?? found)) this.#forget(device)
      if (found === null) {
        this.#forget(device)
        throw new Fault('unavailable', `device ${device} is not there`)
      }
      this.#seen.set(device, found)
      await this.#sweep(device)
      return await work()
    } catch (error) {
      throw await this.named(error, device)
    }
  }

  /** The system's error as a Fault. One that speaks of the disk itself takes the device out, unless a write shows that the disk is well. */
  async named(error: unknown, device: string): Promise<unknown> {
    if (isFault(error)) return error
    const code = codeOf(error)
    if (code === 'ENOSPC' || code === 'EDQUOT') return full(error)
    if (!DISK_CODES.has(code)) return error
    if (!this.#failed.has(device) && !(await this.#works(device))) this.#failed.set(device, code)
    return new Fault('unavailable', `device ${device} does not work: ${code}`, { cause: error })
  }

  /** Looked at again once a small part of what was free then has been written; the file system's own word (ENOSPC) counts in between. */
  async refuseFull(device: string, size_bytes: number): Promise<void> {
    const left = (this.#allowance.get(device) ?? 0) - size_bytes
    if (left > 0) return void this.#allowance.set(device, left)
    const { total_bytes, free_bytes } = await this.fs.room(devicePath(this.dir, device))
    const usable = free_bytes - total_bytes * RESERVE_FRACTION
    if (size_bytes > usable) throw full()
    this.#allowance.set(device, Math.min(ROOM_TRUSTED_BYTES, usable / 64))
  }

  tmp(device: string): string {
    return join(tmpPath(this.dir, device), this.#ids.hex())
  }

  folder(at: Where): string {
    return hashPath(this.dir, at)
  }

  files(folder: string): Promise<string[]> {
    return this.fs.readdir(folder).catch(emptyIfAbsent)
  }

  async stored(path: string, trailer: boolean): Promise<Stored> {
    const file = await this.fs.open(path)
    return readMetadata(this.fs, file, trailer).finally(() => this.fs.close(file))
  }

  /** Under the object's lock: asks once more whether the draft is wanted, then places it or throws it away. */
  placeIf(at: Where, made: Draft, wanted: (resolved: Resolved) => Promise<boolean>): Promise<boolean> {
    const folder = this.folder(at)
    return this.lanes.run(folder, async () => {
      let keep = false
      let isNew = false
      let files: string[] = []
      try {
        // What was made just now is empty: most objects are new.
        isNew = await this.fs.mkdir(folder)
        if (!isNew) files = await this.files(folder)
        keep = await wanted(resolve(files))
      } finally {
        if (!keep) await discard(this.fs, made.path)
        if (!keep && isNew) await this.tidy(at)
      }
      if (keep) await this.place(at, made, files)
      return keep
    })
  }

  /** `before`: what lies there, where the caller has looked under the object's lock and made the folder. */
  async place(at: Where, made: Draft, before?: readonly string[]): Promise<void> {
    const folder = this.folder(at)
    const device = devicePath(this.dir, at.device)
    try {
      await this.hashes.changing(at, () => place(this.fs, made, device, folder, this.lasting, before !== undefined).catch(async (error) => {
        // An emptied folder was removed at the same moment.
        if (codeOf(error) !== 'ENOENT') throw error
        await place(this.fs, made, device, folder, this.lasting)
      }))
    } catch (error) {
      await discard(this.fs, made.path)
      throw error
    }
    // What stays now goes with the next version. A record that was sealed anew has the name of the one before.
    for (const { file } of resolve(before === undefined ? await this.files(folder) : [...new Set([...before, nameOf(made)])]).obsolete) await discard(this.fs, join(folder, file))
  }

  settleFolder(at: Where): Promise<void> {
    return settle(this.fs, devicePath(this.dir, at.device), this.folder(at), this.lasting)
  }

  /** Takes a damaged file out of its place, and what it had superseded with it: an older version must not come to light. */
  async quarantine(at: Where, file: string): Promise<void> {
    const folder = this.folder(at)
    await this.lanes.run(folder, async () => {
      const bad = parseVersion(file)
      const files = await this.files(folder)
      if (bad === null || !files.includes(file)) return
      const target = join(quarantinePath(this.dir, at.device, at.policy), at.hash)
      await this.hashes.changing(at, async () => {
        await this.fs.mkdir(target)
        for (const name of files) {
          const version = parseVersion(name)
          if (name === file || (version !== null && isSuperseded(version, bad))) await this.fs.rename(join(folder, name), join(target, name))
        }
        await this.fs.syncFolder(target)
        await this.fs.syncFolder(dirname(target))
        await this.fs.syncFolder(folder)
      })
      await this.tidy(at)
    })
  }

  /** Removes folders that nothing is in. Called under the object's lock. */
  async tidy(at: Where): Promise<void> {
    const folder = this.folder(at)
    const isEmptied = async (path: string): Promise<boolean> => this.fs.rmdir(path).then(() => true, () => false)
    if ((await isEmptied(folder)) && (await isEmptied(dirname(folder)))) await this.hashes.emptied(at)
  }

  partition(at: { device: string; policy: number; partition: number }): string {
    return partitionPath(this.dir, at)
  }

  async #isThere(device: string): Promise<string | null> {
    return this.fs.device(devicePath(this.dir, device), this.#mountCheck && !this.#plain.includes(device)).catch(() => null)
  }

  #forget(device: string): void {
    this.#seen.delete(device)
    this.#swept.delete(device)
    this.hashes.forget(device)
    this.#allowance.delete(device)
    for (const path of this.lasting) if (path.startsWith(`${devicePath(this.dir, device)}/`)) this.lasting.delete(path)
  }

  /** A small write and a sync succeed. */
  async #works(device: string): Promise<boolean> {
    const path = this.tmp(device)
    try {
      await this.fs.mkdir(tmpPath(this.dir, device))
      const file = await this.fs.create(path)
      await this.fs.write(file, new Uint8Array([1])).then(() => this.fs.sync(file)).finally(() => this.fs.close(file))
      await this.fs.unlink(path)
      return true
    } catch (error) {
      return codeOf(error) === 'ENOSPC'
    }
  }

  #sweep(device: string): Promise<void> {
    const known = this.#swept.get(device)
    if (known !== undefined) return known
    const tmp = tmpPath(this.dir, device)
    const sweeping = (async () => {
      await this.fs.mkdir(tmp)
      for (const file of await this.fs.readdir(tmp)) await discard(this.fs, join(tmp, file))
    })()
    this.#swept.set(device, sweeping)
    sweeping.catch(() => this.#swept.delete(device))
    return sweeping
  }
}

/** What must not come to light when the damaged one goes: of a fragment what is older than it, where it counted at all. */
const isSuperseded = (version: Version, bad: Version): boolean => version.kind === bad.kind && (bad.fragment === null ? version.timestamp <= bad.timestamp : bad.durable && version.timestamp < bad.timestamp)

/** What the system says of a disk that is ill or gone. */
const DISK_CODES = new Set(['EIO', 'EROFS', 'ENODEV', 'ENXIO', 'ESHUTDOWN', 'EUCLEAN', 'ENOTCONN'])

export const codeOf = (error: unknown): string => String((error as { code?: unknown } | null)?.code ?? '')

export function emptyIfAbsent(error: unknown): string[] {
  if (codeOf(error) === 'ENOENT') return []
  throw error
}

export const full = (cause?: unknown): Fault => new Fault('insufficient_storage', 'the device is full', { cause })

