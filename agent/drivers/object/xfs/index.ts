/**
 * Object replicas on the disks of one host. Each sub-folder of `devices_dir` is a device (a mounted XFS in production, a plain
 * folder on one machine). The body streams to `tmp` without a lock; only the last steps of each object happen one after another. No
 * version is ever changed in place, so a reader needs no lock: what it opened stays whole. What turns out to be damaged is put aside at once.
 */
import { join } from 'node:path'
import type { FragmentsFound, ObjectArgs, ObjectHead } from '../../../../schema/agent/protocol.ts'
import { Fault, isFault } from '../../../../schema/values/fault.ts'
import { createIds, type Ids } from '../../../../schema/values/ids.ts'
import { type Random, systemRandom } from '../../../../schema/values/random.ts'
import { checkArgs, checkRange, checkSealing, noSuchObject, tooOld } from '../args.ts'
import type { ObjectDriver } from '../driver.ts'
import { type Intake, createIntake } from '../intake.ts'
import type { ObjectReplicas } from '../replicas.ts'
import { type BodyOpener, BodySealer, openVersion, sealVersion } from '../sealer.ts'
import { Body } from './body.ts'
import { draft, readMetadata, type Stored } from './commit.ts'
import { codeOf, ObjectDisk, ROOM_CHECK_BYTES } from './disk.ts'
import { lookAgain } from './doubt.ts'
import { commitFragments, findFragments, getFragment, putFragment } from './fragments.ts'
import { createNodeFs, type ObjectFs } from './fs.ts'
import { headOf, refuseOlder } from './heads.ts'
import { type Resolved, resolve, type Version } from './paths.ts'
import { XfsReplicas } from './replicas.ts'
import { loadXattr } from './xattr.ts'

/** A reader that finds its file superseded looks again; more often than this is no coincidence. */
const READ_ATTEMPTS_MAX = 5
/** A body up to this size is written before the object's folder is looked at. */
export const SHORT_BYTES = 256 * 1024
/** One from this size on is not kept in the page cache on its way to the disk. */
export const LONG_BYTES = 8 * 1024 * 1024

export interface XfsObjectOptions {
  devices_dir: string
  ids?: Pick<Ids, 'hex'>
  /** Keys and nonces of encrypted bodies. */
  random?: Pick<Random, 'bytes'>
  fs?: ObjectFs
  /** A device whose disk is not mounted is not a device: for hosts whose devices are all mounts. */
  mount_check?: boolean
  /** Devices that are plain folders all the same. */
  plain?: readonly string[]
  name?: string
}

export function createXfsObjectDriver(options: XfsObjectOptions): ObjectDriver {
  return new XfsObjects(options)
}

/** `data` and `post` as the client wrote them; `raw` is the data as it lies on the disk. */
interface Found {
  resolved: Resolved
  data: Stored
  post: Stored | null
  raw: Stored
  opener: BodyOpener | null
}

class XfsObjects implements ObjectDriver {
  readonly name: string
  readonly replicas: ObjectReplicas
  #disk: ObjectDisk
  #random: Pick<Random, 'bytes'>

  constructor({ devices_dir, ids, random, fs, mount_check, plain, name }: XfsObjectOptions) {
    this.name = name ?? 'xfs'
    this.#random = random ?? systemRandom
    this.#disk = new ObjectDisk({ fs: fs ?? createNodeFs(loadXattr()), dir: devices_dir, ids: ids ?? createIds(systemRandom), mount_check: mount_check ?? false, plain: plain ?? [] })
    this.replicas = new XfsReplicas(this.#disk)
  }

  devices(): Promise<{ name: string; total_bytes: number; free_bytes: number }[]> {
    return this.#disk.devices()
  }

  put(args: ObjectArgs, body: AsyncIterable<Uint8Array>, shared?: Intake): Promise<ObjectHead> {
    return this.#guard(args, async (disk) => {
      checkSealing(args)
      if (args.fragment !== undefined) return await putFragment(disk, this.#random, args, body)
      const folder = disk.folder(args)
      // Before a long body is taken in; a short one is judged once, when it is placed.
      if ((args.size_bytes ?? Number.POSITIVE_INFINITY) > SHORT_BYTES) refuseOlder(args, resolve(await disk.files(folder)))
      await disk.refuseFull(args.device, args.size_bytes ?? 0)
      const sealer = args.sealing?.seal === true ? (shared?.sealer ?? new BodySealer(this.#random)) : null
      let data: Stored = { name: args.name, timestamp: args.timestamp }
      const made = await draft(disk.fs, disk.tmp(args.device), 'data', async (write) => {
        const intake = shared ?? createIntake(args)
        let unchecked = 0
        for await (const chunk of body) {
          intake.push(chunk)
          if (sealer === null) await write(chunk)
          else for (const sealed of sealer.push(chunk)) await write(sealed)
          unchecked += chunk.length
          if (unchecked < ROOM_CHECK_BYTES) continue
          await disk.refuseFull(args.device, 0)
          unchecked = 0
        }
        data = { ...data, metadata: args.metadata ?? {}, ...intake.finish() }
        if (sealer === null || args.sealing === undefined) return data
        const sealed = sealVersion('data', data, args.sealing, this.#random, sealer.finish())
        data = { ...data, sealed: sealed.sealed }
        return sealed
      }, (args.size_bytes ?? LONG_BYTES) >= LONG_BYTES)
      let posted = false
      const placed = await disk.placeIf(args, made, async (resolved) => {
        refuseOlder(args, resolved)
        posted = resolved.posted !== null && resolved.posted > args.timestamp
        if (resolved.data?.timestamp !== args.timestamp) return true
        // The same PUT again, its first answer lost. Another body at the same instant would make replicas differ for good.
        const there = await this.#read(args)
        if (there.data.etag !== data.etag) throw tooOld(args.timestamp)
        await disk.settleFolder(args)
        return false
      })
      return placed && !posted ? headOf({ data, post: null }) : headOf(await this.#read(args))
    })
  }

  /** Metadata over an encrypted object is encrypted too, whatever is asked for. */
  #sealed(stored: Stored, { sealing }: ObjectArgs, data: Stored): Stored {
    return sealing !== undefined && (sealing.seal || data.sealed !== undefined) ? sealVersion('meta', stored, sealing, this.#random) : stored
  }

  head(args: ObjectArgs): Promise<ObjectHead> {
    return this.#guard(args, async () => headOf(await this.#read(args)))
  }

  get(args: ObjectArgs): Promise<{ head: ObjectHead; body: AsyncIterable<Uint8Array> }> {
    return this.#guard(args, async (disk) => {
      if (args.fragment !== undefined) return await getFragment(disk, args)
      const { file, found } = await this.#open(args)
      if (found.data.fragment !== undefined) {
        await disk.fs.close(file)
        throw new Fault('bad_request', 'there are fragments of this object here: one must be named')
      }
      const damaged = () => (found.resolved.data === null ? Promise.resolve() : disk.quarantine(args, found.resolved.data.file))
      try {
        const head = headOf(found)
        const body = new Body({ fs: disk.fs, file, stored: found.raw, opener: found.opener, range: checkRange(args.range, head.size_bytes), damaged, named: (error) => disk.named(error, args.device) })
        await body.prime()
        return { head, body }
      } catch (error) {
        await disk.fs.close(file).catch(() => {})
        throw error
      }
    })
  }

  post(args: ObjectArgs): Promise<ObjectHead> {
    return this.#guard(args, (disk) => disk.lanes.run(disk.folder(args), async () => {
      checkSealing(args)
      const { resolved, data, post, raw } = await this.#read(args, true)
      if (resolved.base !== null && args.timestamp <= resolved.base) throw tooOld(resolved.base)
      if (resolved.posted !== null && args.timestamp < resolved.posted) throw tooOld(resolved.posted)
      // What an earlier POST said of the content type still holds.
      const before = post?.metadata === undefined ? null : contentTypeOf(post.metadata)
      const metadata = { ...(before !== null && contentTypeOf(args.metadata ?? {}) === null ? { 'Content-Type': before } : {}), ...args.metadata }
      const stored: Stored = { name: args.name, timestamp: args.timestamp, metadata }
      if (post?.timestamp === args.timestamp) {
        if (JSON.stringify(post.metadata) !== JSON.stringify(metadata)) throw tooOld(args.timestamp)
        await disk.settleFolder(args)
        return headOf({ data, post })
      }
      await disk.place(args, await draft(disk.fs, disk.tmp(args.device), 'meta', async () => this.#sealed(stored, args, raw)))
      return headOf({ data, post: stored })
    }))
  }

  fragments(args: ObjectArgs): Promise<FragmentsFound> {
    return this.#guard(args, (disk) => findFragments(disk, args))
  }

  commit(args: ObjectArgs): Promise<{ timestamp: string }> {
    return this.#guard(args, async (disk) => {
      if (await commitFragments(disk, args, args.timestamp)) return { timestamp: args.timestamp }
      const { base, tombstone } = resolve(await disk.files(disk.folder(args)))
      if (base !== null && base >= args.timestamp) throw tooOld(base)
      throw noSuchObject(tombstone?.timestamp ?? null)
    })
  }

  doubt(args: ObjectArgs): Promise<{ put_aside: boolean }> {
    return this.#guard(args, async (disk) => ({ put_aside: await lookAgain(disk, args) }))
  }

  delete(args: ObjectArgs): Promise<{ timestamp: string; existed: boolean }> {
    return this.#guard(args, (disk) => disk.lanes.run(disk.folder(args), async () => {
      const resolved = resolve(await disk.files(disk.folder(args)))
      if (resolved.base !== null && args.timestamp < resolved.base) throw tooOld(resolved.base)
      if (resolved.tombstone?.timestamp === args.timestamp) {
        await disk.settleFolder(args)
        return { timestamp: args.timestamp, existed: false }
      }
      await disk.place(args, await draft(disk.fs, disk.tmp(args.device), 'ts', async () => ({ name: args.name, timestamp: args.timestamp })))
      return { timestamp: args.timestamp, existed: resolved.data !== null }
    }))
  }

  #guard<T>(args: ObjectArgs, work: (disk: ObjectDisk) => Promise<T>): Promise<T> {
    checkArgs(args)
    return this.#disk.guard(args.device, () => work(this.#disk))
  }

  /** `locked`: by a caller that holds the object's lock, where damage can only be reported. */
  async #read(args: ObjectArgs, locked = false): Promise<Found> {
    const { file, found } = await this.#open(args, locked)
    await this.#disk.fs.close(file)
    return found
  }

  /** Opens the newest data file. Its name may be gone by then, where a newer one came: then it looks again. */
  async #open(args: ObjectArgs, locked = false): Promise<{ file: unknown; found: Found }> {
    const { fs } = this.#disk
    const folder = this.#disk.folder(args)
    for (let attempt = 1; ; attempt++) {
      const resolved = resolve(await this.#disk.files(folder))
      if (resolved.data === null) throw noSuchObject(resolved.tombstone?.timestamp ?? null)
      try {
        const post = resolved.meta === null ? null : await this.#metadata(args, resolved.meta, locked, () => this.#disk.stored(join(folder, resolved.meta?.file ?? ''), resolved.meta?.trailer ?? false))
        const file = await fs.open(join(folder, resolved.data.file))
        try {
          const raw = await this.#metadata(args, resolved.data, locked, () => readMetadata(fs, file, resolved.data?.trailer ?? false))
          if (raw.name !== args.name) throw new Fault('internal', 'the file in the place of this object is of another one')
          // A key that does not fit says nothing of the bytes: what is encrypted is put aside for its check sums alone.
          const { stored: data, opener } = openVersion('data', raw, args.sealing)
          return { file, found: { resolved, data, post: post === null ? null : openVersion('meta', post, args.sealing).stored, raw, opener } }
        } catch (error) {
          await fs.close(file)
          throw error
        }
      } catch (error) {
        if (codeOf(error) !== 'ENOENT' || attempt >= READ_ATTEMPTS_MAX) throw error
      }
    }
  }

  /** A version whose metadata can't be read is worth nothing: it is put aside, so that a whole replica takes its place. */
  async #metadata(args: ObjectArgs, version: Version, locked: boolean, read: () => Promise<Stored>): Promise<Stored> {
    try {
      return await read()
    } catch (error) {
      if (!(isFault(error, 'internal') || error instanceof SyntaxError)) throw error
      if (!locked) await this.#disk.quarantine(args, version.file)
      throw new Fault('internal', 'the metadata of a stored object is damaged', { cause: error })
    }
  }
}

const contentTypeOf = (metadata: Record<string, string>): string | null => Object.entries(metadata).find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? null
